//! What Convoke has to be told to be a bot on Discord.

use convoke_runtime::Secret;
use convoke_runtime::config::{Mistakes, Reader, Strings};

/// Where Discord's API is.
pub const API_URL: &str = "https://discord.com/api/v10";
/// The setting with the bot's token.
pub const TOKEN: &str = "DISCORD_TOKEN";
/// The setting with the application's public key.
pub const PUBLIC_KEY: &str = "DISCORD_PUBLIC_KEY";
/// The setting with another place to find Discord's API: a proxy of one's own, or a test's.
pub const URL: &str = "CONVOKE_DISCORD_URL";

/// Settings of the bot. The application's id is none of them: Discord says it with each interaction, and to whoever has
/// the token.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Settings {
    /// The API's URL, without a slash at its end.
    pub url: String,
    /// The bot's token; needed to speak without having been asked just now.
    pub token: Option<Secret>,
    /// The key that interactions are signed for; needed where they come in over HTTP.
    pub public_key: Option<PublicKey>,
}

/// The application's public key, as bytes. That it is a point of the curve is found out where it is used.
pub type PublicKey = [u8; 32];

/// There is no public key, without which nobody can be believed. Final until an operator sets it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("DISCORD_PUBLIC_KEY is missing: set it to the public key of your application")]
pub struct NoKey;

impl Settings {
    /// Reads `DISCORD_TOKEN`, `DISCORD_PUBLIC_KEY` and `CONVOKE_DISCORD_URL`; none is required.
    pub fn read(strings: &dyn Strings) -> Result<Self, Mistakes> {
        let mut reader = Reader::new(strings);
        let settings = Self {
            url: reader.text(URL).unwrap_or_else(|| API_URL.to_owned()).trim().trim_end_matches('/').to_owned(),
            token: reader.text(TOKEN).map(Secret::new),
            public_key: public_key(&mut reader),
        };
        if !["https://", "http://"].iter().any(|scheme| settings.url.starts_with(scheme)) {
            reader.wrong(URL, "is no URL: set it to one such as https://discord.com/api/v10, or take it away");
        }
        reader.end(settings)
    }

    /// The application's public key, where interactions come in over HTTP.
    pub fn key(&self) -> Result<PublicKey, NoKey> {
        self.public_key.ok_or(NoKey)
    }

    /// Whether another place than Discord's own is to be spoken to.
    pub fn is_elsewhere(&self) -> bool {
        self.url != API_URL
    }

    /// Whether nothing says that there is a bot.
    pub const fn is_empty(&self) -> bool {
        self.token.is_none() && self.public_key.is_none()
    }
}

fn public_key(reader: &mut Reader<'_>) -> Option<PublicKey> {
    let text = reader.text(PUBLIC_KEY)?;
    let key = bytes_of_hex(text.trim());
    if key.is_none() {
        let what =
            "is no public key: set it to the 64 characters under \"Public Key\" of your application, or take it away";
        reader.wrong(PUBLIC_KEY, what);
    }
    key
}

fn bytes_of_hex(text: &str) -> Option<PublicKey> {
    let mut key = PublicKey::default();
    if text.len() != key.len() * 2 || !text.bytes().all(|byte| byte.is_ascii_hexdigit()) {
        return None;
    }
    for (byte, digits) in key.iter_mut().zip(text.as_bytes().chunks(2)) {
        *byte = u8::from_str_radix(std::str::from_utf8(digits).ok()?, 16).ok()?;
    }
    Some(key)
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;

    const KEY: &str = "67c6bd767ca099e79efac9fcce4d2022a63bf7dea780e7f3d813f694c1597089";

    fn read(pairs: &[(&str, &str)]) -> Result<Settings, String> {
        let strings: BTreeMap<String, String> =
            pairs.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
        Settings::read(&strings).map_err(|mistakes| mistakes.to_string())
    }

    #[test]
    fn nothing_is_required_and_the_api_is_discords() {
        let settings = read(&[]).expect("nothing is wrong");
        assert!(settings.is_empty());
        assert_eq!(settings.url, API_URL);
    }

    #[test]
    fn a_token_is_kept_from_prying_eyes() {
        let settings = read(&[(TOKEN, " t0k3n\n"), (URL, "http://127.0.0.1:9/api/")]).expect("nothing is wrong");
        assert_eq!(settings.token.as_ref().map(Secret::expose), Some("t0k3n"));
        assert_eq!(settings.url, "http://127.0.0.1:9/api");
        assert!(!format!("{settings:?}").contains("t0k3n"));
    }

    #[test]
    fn a_key_is_sixty_four_digits() {
        let key = read(&[(PUBLIC_KEY, KEY)]).expect("a key").public_key.expect("a key");
        assert_eq!((key[0], key[31]), (0x67, 0x89));
        for bad in ["67", &KEY[1..], &KEY.replace('6', "g"), &KEY.replace("67", "+7")] {
            assert!(read(&[(PUBLIC_KEY, bad)]).expect_err(bad).contains(PUBLIC_KEY), "{bad}");
        }
        assert!(read(&[(URL, "discord.com")]).expect_err("no URL").contains(URL));
    }
}
