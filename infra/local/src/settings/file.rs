//! `convoke.toml`: what it may hold, and where each setting stands in it.

use std::collections::BTreeMap;
use std::fmt;
use std::path::{Path, PathBuf};

use convoke_domain::money::MicroUsd;
use serde::{Deserialize, Deserializer};
use toml::Spanned;

use super::SettingsError;

/// A settings file: names as in the environment, with values and lines.
#[derive(Clone, Default)]
pub(super) struct SettingsFile {
    pub path: PathBuf,
    values: BTreeMap<&'static str, (String, usize)>,
}

/// Names that only this file gives to what has no name in the environment's table of settings.
pub(super) const PORT: &str = "CONVOKE_PORT";
pub(super) const DATA_DIR: &str = "CONVOKE_DATA_DIR";
pub(super) const PRICES: &str = "CONVOKE_PRICES";

/// Names of files that hold a token each, and what the tokens are known by.
const DISCORD_TOKEN_FILE: &str = "DISCORD_TOKEN_FILE";
const TELEGRAM_TOKEN_FILE: &str = "TELEGRAM_TOKEN_FILE";
const TOKENS: [(&str, &str); 2] =
    [(DISCORD_TOKEN_FILE, convoke_discord::settings::TOKEN), (TELEGRAM_TOKEN_FILE, convoke_telegram::settings::TOKEN)];

/// Without values: there are tokens among them.
impl fmt::Debug for SettingsFile {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let names: Vec<_> = self.values.keys().collect();
        f.debug_struct("SettingsFile").field("path", &self.path).field("names", &names).finish()
    }
}

impl SettingsFile {
    /// Reads a file, and the tokens whose files it names; its relative paths start at its folder.
    pub fn read(path: &Path) -> Result<Self, SettingsError> {
        let text = std::fs::read_to_string(path)
            .map_err(|source| SettingsError::Unreadable { path: path.to_owned(), source })?;
        let mut file = Self::parse(path, &text)?;
        for (named, token) in TOKENS {
            file.fetch(named, token)?;
        }
        Ok(file)
    }

    /// Reads a token out of a file of its own, so that this one can be shown to others.
    fn fetch(&mut self, named: &str, token: &'static str) -> Result<(), SettingsError> {
        let Some((at, line)) = self.values.get(named) else { return Ok(()) };
        let wrong = |what: &str| SettingsError::Wrong {
            path: self.path.clone(),
            line: *line,
            detail: format!("the file {at} {what}"),
            hint: "put the token there, and nothing else",
        };
        let text = std::fs::read_to_string(at).map_err(|error| wrong(&format!("can't be read ({error})")))?;
        let text = text.trim();
        if text.is_empty() || text.contains(char::is_whitespace) {
            return Err(wrong("holds no token"));
        }
        let value = (text.to_owned(), *line);
        self.values.insert(token, value);
        Ok(())
    }

    /// Parses a file's text.
    pub fn parse(path: &Path, text: &str) -> Result<Self, SettingsError> {
        let doc: Doc = toml::from_str(text).map_err(|error| wrong(path, text, &error))?;
        let mut values = BTreeMap::new();
        doc.list(path.parent().unwrap_or(Path::new("")), &mut |name, value, start| {
            values.insert(name, (value, line_of(text, start)));
        });
        Ok(Self { path: path.to_owned(), values })
    }

    pub fn get(&self, name: &str) -> Option<&str> {
        self.values.get(name).map(|(value, _)| value.as_str())
    }

    /// `convoke.toml:3`, where the setting stands there.
    pub fn place(&self, name: &str) -> Option<String> {
        self.values.get(name).map(|(_, line)| format!("{}:{line}", self.path.display()))
    }
}

fn line_of(text: &str, start: usize) -> usize {
    1 + text.bytes().take(start).filter(|&byte| byte == b'\n').count()
}

fn wrong(path: &Path, text: &str, error: &toml::de::Error) -> SettingsError {
    let line = error.span().map_or(1, |span| line_of(text, span.start));
    let detail = error.message().replace('\n', " ");
    let hint = if detail.contains("`api_key`") {
        "keys belong in the environment, e.g. OPENAI_API_KEY: take the line away"
    } else if detail.contains("`token`") {
        "a token belongs in a file of its own that token_file names, or in the environment: take the line away"
    } else {
        "mend the line, or take it away"
    };
    SettingsError::Wrong { path: path.to_owned(), line, detail, hint }
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Doc {
    model: Option<Spanned<ModelName>>,
    port: Option<Spanned<u16>>,
    data_dir: Option<Spanned<PathBuf>>,
    prices: Option<Spanned<PathBuf>>,
    #[serde(default)]
    budget: Budget,
    #[serde(default)]
    aliases: BTreeMap<Alias, Spanned<ModelName>>,
    #[serde(default)]
    providers: Providers,
    #[serde(default)]
    outbound: Outbound,
    #[serde(default)]
    discord: Discord,
    #[serde(default)]
    telegram: Telegram,
}

/// Tokens stand in files of their own, or in the environment.
#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields)]
struct Discord {
    token_file: Option<Spanned<PathBuf>>,
    url: Option<Spanned<Url>>,
    public_key: Option<Spanned<String>>,
}

#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields)]
struct Telegram {
    token_file: Option<Spanned<PathBuf>>,
    url: Option<Spanned<Url>>,
}

#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields)]
struct Outbound {
    allow: Option<Spanned<Vec<String>>>,
}

#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields)]
struct Budget {
    usd: Option<Spanned<Usd>>,
    tokens: Option<Spanned<Positive>>,
}

#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields)]
struct Providers {
    #[serde(default)]
    openai: Hosted,
    #[serde(default)]
    openrouter: Hosted,
    #[serde(default)]
    azure: Azure,
    #[serde(default)]
    ollama: Ollama,
    #[serde(default)]
    compatible: Compatible,
}

#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields)]
struct Hosted {
    base_url: Option<Spanned<Url>>,
}

#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields)]
struct Azure {
    endpoint: Option<Spanned<Url>>,
    api_version: Option<Spanned<String>>,
    deployment: Option<Spanned<String>>,
}

#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields)]
struct Ollama {
    base_url: Option<Spanned<Url>>,
    context_tokens: Option<Spanned<Positive>>,
    capable: Option<Spanned<bool>>,
}

#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields)]
struct Compatible {
    base_url: Option<Spanned<Url>>,
    context_tokens: Option<Spanned<Positive>>,
    output_tokens: Option<Spanned<Positive>>,
    capable: Option<Spanned<bool>>,
}

/// Receives settings: name, value, where the value starts.
type Sink<'a> = &'a mut dyn FnMut(&'static str, String, usize);

fn tell<T: ToString>(to: Sink<'_>, name: &'static str, value: Option<&Spanned<T>>) {
    if let Some(value) = value {
        to(name, value.get_ref().to_string(), value.span().start);
    }
}

fn tell_path(to: Sink<'_>, name: &'static str, folder: &Path, value: Option<&Spanned<PathBuf>>) {
    if let Some(value) = value {
        to(name, folder.join(value.get_ref()).display().to_string(), value.span().start);
    }
}

impl Doc {
    fn list(&self, folder: &Path, to: Sink<'_>) {
        tell(to, "CONVOKE_MODEL", self.model.as_ref());
        tell(to, PORT, self.port.as_ref());
        tell_path(to, DATA_DIR, folder, self.data_dir.as_ref());
        tell_path(to, PRICES, folder, self.prices.as_ref());
        tell(to, "CONVOKE_BUDGET_USD", self.budget.usd.as_ref());
        tell(to, "CONVOKE_BUDGET_TOKENS", self.budget.tokens.as_ref());
        if let Some(first) = self.aliases.values().map(|model| model.span().start).min() {
            let pairs = self.aliases.iter().map(|(alias, model)| format!("{}={}", alias.0, model.get_ref().0));
            to("CONVOKE_MODEL_ALIASES", pairs.collect::<Vec<_>>().join(","), first);
        }
        self.providers.list(to);
        if let Some(allow) = &self.outbound.allow {
            to("CONVOKE_OUTBOUND_ALLOW", allow.get_ref().join(","), allow.span().start);
        }
        tell_path(to, DISCORD_TOKEN_FILE, folder, self.discord.token_file.as_ref());
        tell_path(to, TELEGRAM_TOKEN_FILE, folder, self.telegram.token_file.as_ref());
        tell(to, convoke_discord::settings::URL, self.discord.url.as_ref());
        tell(to, convoke_discord::settings::PUBLIC_KEY, self.discord.public_key.as_ref());
        tell(to, convoke_telegram::settings::URL, self.telegram.url.as_ref());
    }
}

impl Providers {
    fn list(&self, to: Sink<'_>) {
        let Self { openai, openrouter, azure, ollama, compatible } = self;
        tell(to, "OPENAI_BASE_URL", openai.base_url.as_ref());
        tell(to, "OPENROUTER_BASE_URL", openrouter.base_url.as_ref());
        tell(to, "AZURE_OPENAI_ENDPOINT", azure.endpoint.as_ref());
        tell(to, "AZURE_OPENAI_API_VERSION", azure.api_version.as_ref());
        tell(to, "AZURE_OPENAI_DEPLOYMENT", azure.deployment.as_ref());
        tell(to, "OLLAMA_BASE_URL", ollama.base_url.as_ref());
        tell(to, "OLLAMA_CONTEXT_LENGTH", ollama.context_tokens.as_ref());
        tell(to, "CONVOKE_OLLAMA_CAPABLE", ollama.capable.as_ref());
        tell(to, "CONVOKE_COMPATIBLE_BASE_URL", compatible.base_url.as_ref());
        tell(to, "CONVOKE_COMPATIBLE_CONTEXT_TOKENS", compatible.context_tokens.as_ref());
        tell(to, "CONVOKE_COMPATIBLE_OUTPUT_TOKENS", compatible.output_tokens.as_ref());
        tell(to, "CONVOKE_COMPATIBLE_CAPABLE", compatible.capable.as_ref());
    }
}

/// Parsed from text, or refused with what is expected instead.
macro_rules! parsed {
    ($name:ident, $expected:literal, $is:expr) => {
        #[derive(Clone, PartialEq, Eq, PartialOrd, Ord)]
        struct $name(String);

        impl<'de> Deserialize<'de> for $name {
            fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
                let text = String::deserialize(from)?;
                let is: fn(&str) -> bool = $is;
                if is(&text) { Ok(Self(text)) } else { Err(serde::de::Error::custom(concat!("expected ", $expected))) }
            }
        }

        impl std::fmt::Display for $name {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str(&self.0)
            }
        }
    };
}

parsed!(ModelName, "a model such as \"openai/gpt-4.1\"", |text| {
    !text.trim().is_empty() && !text.contains([',', '='])
});
parsed!(Alias, "an alias such as smart, without a slash", |text| {
    !text.trim().is_empty() && !text.contains(['/', ',', '='])
});
parsed!(Url, "a URL such as \"https://models.example.com/v1\"", |text| {
    ["http://", "https://"].iter().any(|scheme| text.strip_prefix(scheme).is_some_and(|rest| !rest.is_empty()))
});

/// Dollars above zero, as a string or a number.
struct Usd(MicroUsd);

impl<'de> Deserialize<'de> for Usd {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        #[derive(Deserialize)]
        #[serde(untagged)]
        enum Amount {
            Text(String),
            Whole(i64),
            Fraction(f64),
        }
        let amount = Amount::deserialize(from).map(|amount| match amount {
            Amount::Text(text) => text,
            Amount::Whole(whole) => whole.to_string(),
            Amount::Fraction(fraction) => fraction.to_string(),
        });
        let usd = amount.ok().and_then(|text| text.parse().ok()).filter(|usd: &MicroUsd| usd.0 > 0);
        usd.map(Self).ok_or_else(|| serde::de::Error::custom("expected US dollars above 0, such as \"1.50\""))
    }
}

impl std::fmt::Display for Usd {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.0.fmt(f)
    }
}

/// A number above zero.
struct Positive(u64);

impl<'de> Deserialize<'de> for Positive {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        let number = i64::deserialize(from)?;
        let positive = u64::try_from(number).ok().filter(|&number| number > 0);
        positive.map(Self).ok_or_else(|| serde::de::Error::custom("expected a whole number above 0"))
    }
}

impl std::fmt::Display for Positive {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.0.fmt(f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(text: &str) -> Result<SettingsFile, String> {
        SettingsFile::parse(Path::new("/etc/c/convoke.toml"), text).map_err(|error| error.to_string())
    }

    #[test]
    fn all_settings_are_read_with_their_lines() {
        let file = parse(
            "model = \"openai/gpt-4.1\"\nport = 8080\ndata_dir = \"data\"\nprices = \"/p.json\"\n\n[budget]\nusd = 1.5\ntokens = 9\n\
             [aliases]\nsmart = \"ollama/qwen3:8b\"\n[providers.ollama]\nbase_url = \"http://box:1\"\ncapable = true\n\
             [providers.compatible]\ncontext_tokens = 4096\n[outbound]\nallow = [\"127.0.0.1:9000\", \"[::1]:9\"]\n\
             [discord]\nurl = \"http://d\"\npublic_key = \"ab\"\n[telegram]\nurl = \"http://t\"\n",
        )
        .expect("valid");
        for (name, value, line) in [
            ("CONVOKE_MODEL", "openai/gpt-4.1", 1),
            ("CONVOKE_PORT", "8080", 2),
            ("CONVOKE_DATA_DIR", "/etc/c/data", 3),
            ("CONVOKE_PRICES", "/p.json", 4),
            ("CONVOKE_BUDGET_USD", "1.50", 7),
            ("CONVOKE_BUDGET_TOKENS", "9", 8),
            ("CONVOKE_MODEL_ALIASES", "smart=ollama/qwen3:8b", 10),
            ("OLLAMA_BASE_URL", "http://box:1", 12),
            ("CONVOKE_OLLAMA_CAPABLE", "true", 13),
            ("CONVOKE_COMPATIBLE_CONTEXT_TOKENS", "4096", 15),
            ("CONVOKE_OUTBOUND_ALLOW", "127.0.0.1:9000,[::1]:9", 17),
            ("CONVOKE_DISCORD_URL", "http://d", 19),
            ("DISCORD_PUBLIC_KEY", "ab", 20),
            ("CONVOKE_TELEGRAM_URL", "http://t", 22),
        ] {
            assert_eq!(file.get(name), Some(value), "{name}");
            assert_eq!(file.place(name), Some(format!("/etc/c/convoke.toml:{line}")), "{name}");
        }
        assert_eq!(file.get("OPENAI_BASE_URL"), None);
    }

    #[test]
    fn a_token_comes_out_of_the_file_that_is_named() {
        let folder = tempfile::tempdir().expect("a folder");
        let (path, token) = (folder.path().join("convoke.toml"), folder.path().join("token"));
        std::fs::write(&path, "port = 1\n[telegram]\ntoken_file = \"token\"\n").expect("written");
        let read = || SettingsFile::read(&path);
        for (text, expected) in
            [(None, "can't be read"), (Some(" \n"), "holds no token"), (Some("a b"), "holds no token")]
        {
            if let Some(text) = text {
                std::fs::write(&token, text).expect("written");
            }
            let error = read().expect_err("there is no token").to_string();
            assert!(error.starts_with(&format!("{}:3: ", path.display())) && error.contains(expected), "{error}");
        }
        std::fs::write(&token, "4242:AAH-secret\n").expect("written");
        let file = read().expect("valid");
        assert_eq!((file.get("TELEGRAM_TOKEN"), file.get("DISCORD_TOKEN")), (Some("4242:AAH-secret"), None));
        assert!(!format!("{file:?}").contains("secret"));
    }

    #[test]
    fn the_file_of_the_readme_is_one() {
        let (_, example) = include_str!("../../../../README.md").split_once("```toml\n").expect("an example");
        let (example, _) = example.split_once("```").expect("its end");
        let file = parse(example).expect("valid");
        for table in ["CONVOKE_MODEL", "CONVOKE_OUTBOUND_ALLOW", "CONVOKE_DISCORD_URL", "CONVOKE_TELEGRAM_URL"] {
            assert!(file.get(table).is_some(), "{table}");
        }
    }

    #[test]
    fn what_is_wrong_is_told_with_its_line_and_what_to_do() {
        for (text, line, detail) in [
            ("\nmodle = \"x\"", 2, "unknown field `modle`"),
            ("port = \"x\"", 1, "expected u16"),
            ("port = 70000", 1, "expected u16"),
            ("[budget]\nusd = 0", 2, "US dollars above 0"),
            ("[budget]\nusd = -1", 2, "US dollars above 0"),
            ("[budget]\nusd = \"abc\"", 2, "US dollars above 0"),
            ("[budget]\ntokens = 0", 2, "above 0"),
            ("[providers.openai]\nbase_url = \"box\"", 2, "expected a URL"),
            ("[providers.openai]\napi_key = \"sk\"", 2, "keys belong in the environment"),
            ("[telegram]\ntoken = \"4242:AAH\"", 2, "a token belongs in a file of its own"),
            ("[discord]\nurl = \"d\"", 2, "expected a URL"),
            ("[providers.acme]\nbase_url = \"x\"", 1, "unknown field `acme`"),
            ("model = [", 1, "mend the line"),
            ("model = \"\"", 1, "expected a model"),
        ] {
            let error = parse(text).expect_err(text);
            assert!(error.starts_with(&format!("/etc/c/convoke.toml:{line}: ")), "{text:?}: {error}");
            assert!(error.contains(detail), "{text:?}: {error}");
            assert!(!error.contains('\n'), "{error}");
        }
    }
}
