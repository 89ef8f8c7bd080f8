//! What Convoke has to be told to be a bot on Telegram.

use std::fmt::Write as _;

use convoke_runtime::Secret;
use convoke_runtime::config::{Mistakes, Reader, Strings};
use sha2::{Digest, Sha256};

use crate::api::{PLACE, Token};

/// The setting with the bot's token.
pub const TOKEN: &str = "TELEGRAM_TOKEN";
/// The setting with what Telegram shows with each update that it sends to the webhook.
pub const SECRET: &str = "TELEGRAM_WEBHOOK_SECRET";
/// The setting with another place to find the Bot API: a server of one's own, or a test's.
pub const URL: &str = "CONVOKE_TELEGRAM_URL";

/// Characters of a secret: Telegram takes 256, and what is short is guessed.
const SECRET_CHARS: std::ops::RangeInclusive<usize> = 16..=256;

/// Settings of the bot.
#[derive(Clone, Debug)]
pub struct Settings {
    /// The Bot API's URL, without a slash at its end.
    pub url: String,
    /// The bot's token.
    pub token: Token,
    /// What Telegram shows with each update.
    pub secret: Secret,
}

impl Settings {
    /// Reads `TELEGRAM_TOKEN`, `TELEGRAM_WEBHOOK_SECRET` and `CONVOKE_TELEGRAM_URL`; `None` where there is no token, so no
    /// bot. A secret that isn't set is made of the token: whoever has that may set a webhook with any secret as it is.
    pub fn read(strings: &dyn Strings) -> Result<Option<Self>, Mistakes> {
        let mut reader = Reader::new(strings);
        let token = reader.optional::<Token>(TOKEN, "what BotFather says, NUMBER:LETTERS");
        let secret = secret(&mut reader).or_else(|| token.as_ref().map(made_of));
        let url = reader.text(URL).unwrap_or_else(|| PLACE.to_owned()).trim().trim_end_matches('/').to_owned();
        if !["https://", "http://"].iter().any(|scheme| url.starts_with(scheme)) {
            reader.wrong(URL, "is no URL: set it to one such as https://api.telegram.org, or take it away");
        }
        reader.end(token.zip(secret).map(|(token, secret)| Self { url, token, secret }))
    }
}

fn secret(reader: &mut Reader<'_>) -> Option<Secret> {
    let text = reader.text(SECRET)?.trim().to_owned();
    let fits = text.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"_-".contains(&byte));
    if !fits || !SECRET_CHARS.contains(&text.len()) {
        reader.wrong(SECRET, "doesn't do: set it to 16 to 256 of A-Z, a-z, 0-9, _ and -, or take it away");
    }
    Some(Secret::new(text))
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
        for (name, value) in
            [(TOKEN, "4242"), (SECRET, "short"), (SECRET, "not a secret at all!"), (URL, "telegram.org")]
        {
            let mistakes = read(&[(TOKEN, OF_A_BOT), (name, value)]).expect_err(value);
            assert!(mistakes.contains(name) && !mistakes.contains(value), "{mistakes}");
        }
        let own = read(&[(TOKEN, OF_A_BOT), (SECRET, " my-own-secret_of_16 "), (URL, "http://127.0.0.1:9/")]);
        let own = own.expect("nothing is wrong").expect("a bot");
        assert_eq!((own.secret.expose(), own.url.as_str()), ("my-own-secret_of_16", "http://127.0.0.1:9"));
    }
}
