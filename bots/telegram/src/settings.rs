//! What Convoke has to be told to be a bot on Telegram.

use std::fmt::Write as _;

use convoke_runtime::Secret;
use convoke_runtime::config::{Mistakes, Reader, Strings};
use sha2::{Digest, Sha256};

use crate::api::{PLACE, Token};

/// The setting with the bot's token.
pub const TOKEN: &str = "TELEGRAM_TOKEN";
/// The setting with another place to find the Bot API: a server of one's own, or a test's.
pub const URL: &str = "CONVOKE_TELEGRAM_URL";

/// Settings of the bot.
#[derive(Clone, Debug)]
pub struct Settings {
    /// The Bot API's URL, without a slash at its end.
    pub url: String,
    /// The bot's token.
    pub token: Token,
    /// What Telegram shows with each update that it sends to the webhook. It is made of the token, so that it needs no keeping,
    /// and goes with it: whoever has the token may set a webhook with any secret as it is.
    pub secret: Secret,
}

impl Settings {
    /// Reads `TELEGRAM_TOKEN` and `CONVOKE_TELEGRAM_URL`; `None` where there is no token, so no bot.
    pub fn read(strings: &dyn Strings) -> Result<Option<Self>, Mistakes> {
        let mut reader = Reader::new(strings);
        let token = reader.optional::<Token>(TOKEN, "what BotFather says, NUMBER:LETTERS");
        let url = reader.text(URL).unwrap_or_else(|| PLACE.to_owned()).trim().trim_end_matches('/').to_owned();
        if !["https://", "http://"].iter().any(|scheme| url.starts_with(scheme)) {
            reader.wrong(URL, "is no URL: set it to one such as https://api.telegram.org, or take it away");
        }
        reader.end(token.map(|token| Self { url, secret: made_of(&token), token }))
    }
}

fn made_of(token: &Token) -> Secret {
    let digest = Sha256::digest(format!("convoke telegram webhook {}", token.expose()));
    Secret::new(digest.iter().fold(String::new(), |mut text, byte| {
        // Writing to a string can't fail.
        let _ = write!(text, "{byte:02x}");
        text
    }))
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;

    const OF_A_BOT: &str = "4242:AAH-very_secret";

    fn read(pairs: &[(&str, &str)]) -> Result<Option<Settings>, String> {
        let strings: BTreeMap<String, String> =
            pairs.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
        Settings::read(&strings).map_err(|mistakes| mistakes.to_string())
    }

    #[test]
    fn without_a_token_there_is_no_bot_and_with_one_nothing_else_is_needed() {
        assert!(read(&[]).expect("nothing is wrong").is_none());
        let settings = read(&[(TOKEN, OF_A_BOT)]).expect("nothing is wrong").expect("a bot");
        assert_eq!((settings.url.as_str(), settings.token.bot()), (PLACE, 4_242));
        assert_eq!(settings.secret.expose().len(), 64);
        assert!(!format!("{settings:?}").contains("very_secret"), "{settings:?}");
        let other = read(&[(TOKEN, "4242:AAH-other_secret")]).expect("nothing is wrong").expect("a bot");
        assert_ne!(settings.secret.expose(), other.secret.expose());
    }

    #[test]
    fn what_can_not_be_is_told_by_name() {
        for (name, value) in [(TOKEN, "4242"), (TOKEN, "bot:AAH-very_secret"), (URL, "chats.example")] {
            let mistakes = read(&[(TOKEN, OF_A_BOT), (name, value)]).expect_err(value);
            assert!(mistakes.contains(name) && !mistakes.contains(value), "{mistakes}");
        }
        let own = read(&[(TOKEN, OF_A_BOT), (URL, " http://127.0.0.1:9/ ")]).expect("nothing is wrong").expect("a bot");
        assert_eq!(own.url, "http://127.0.0.1:9");
    }
}
