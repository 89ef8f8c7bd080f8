//! A bot's token, which is all that it takes to be the bot.

use std::fmt::{self, Debug, Formatter};
use std::str::FromStr;

/// A text that is no token. Never holds it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("this is no token of a bot: BotFather gives them as NUMBER:LETTERS")]
pub struct TokenError;

/// A bot's token. Printed it shows whose it is, and no more.
#[derive(Clone, PartialEq, Eq)]
pub struct Token {
    text: String,
    bot: u64,
}

impl Token {
    /// The bot's own id.
    pub const fn bot(&self) -> u64 {
        self.bot
    }

    /// The secret itself, for the URL and for what is made of it.
    pub(crate) fn expose(&self) -> &str {
        &self.text
    }

    /// A text without the token, should it be in there.
    pub fn redact(&self, text: &str) -> String {
        let secret = self.text.split_once(':').map_or(self.text.as_str(), |(_, secret)| secret);
        text.replace(secret, "***")
    }
}

impl FromStr for Token {
    type Err = TokenError;

    fn from_str(text: &str) -> Result<Self, TokenError> {
        let text = text.trim();
        let (bot, secret) = text.split_once(':').ok_or(TokenError)?;
        let is_secret = |byte: u8| byte.is_ascii_alphanumeric() || b"_-".contains(&byte);
        if secret.len() < 8 || !secret.bytes().all(is_secret) {
            return Err(TokenError);
        }
        Ok(Self { bot: bot.parse().map_err(|_| TokenError)?, text: text.to_owned() })
    }
}

impl Debug for Token {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        write!(f, "Token({}:***)", self.bot)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_shows_whose_it_is_and_no_more() {
        let token: Token = " 4242:AAH-very_secret \n".parse().expect("a token");
        assert_eq!((token.bot(), format!("{token:?}").as_str()), (4242, "Token(4242:***)"));
        assert_eq!(token.redact("at /bot4242:AAH-very_secret/getMe"), "at /bot4242:***/getMe");
        for wrong in
            ["", "4242", "4242:", "4242:short", "x:AAH-very_secret", "4242:AAH/../secret", "-1:AAH-very_secret"]
        {
            assert_eq!(wrong.parse::<Token>(), Err(TokenError), "{wrong}");
        }
    }
}
