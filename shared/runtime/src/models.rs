//! Which models an installation can call, from its settings.

use std::collections::BTreeMap;
use std::error::Error as _;

use convoke_models::prices::PriceBook;
use convoke_models::registry::{
    AzureSettings, Capabilities, CompatibleSettings, EmbeddedFactory, HostedSettings, OllamaSettings, Settings,
};
use convoke_models::secret::Secret;

use crate::config::{Mistakes, Reader, Strings};

/// Largest context that anybody claims, in tokens.
const CONTEXT_MAX: u64 = 100_000_000;

/// What the settings can't carry.
#[derive(Default)]
pub struct Extras {
    /// The embedded models of this process, by name.
    pub embedded: BTreeMap<String, EmbeddedFactory>,
    /// A client of Bedrock, where it may be called.
    pub bedrock: Option<aws_sdk_bedrockruntime::Client>,
    /// The model of a job that names none, where `CONVOKE_MODEL` isn't set.
    pub default_model: Option<String>,
}

/// Reads the providers. A key that is there selects nothing by itself: `CONVOKE_MODEL` does, which is required where
/// `extras` name no default.
///
/// | provider | settings |
/// |---|---|
/// | all | `CONVOKE_MODEL`; `CONVOKE_MODEL_ALIASES` such as `smart=openai/gpt-4.1,fast=ollama/qwen3:8b`; `CONVOKE_PRICES`, a file, see [`PriceBook::with_own`] |
/// | `openai/..` | `OPENAI_API_KEY`, `OPENAI_BASE_URL` |
/// | `openrouter/..` | `OPENROUTER_API_KEY`, `OPENROUTER_BASE_URL` |
/// | `azure/..` | `AZURE_OPENAI_ENDPOINT`, `AZURE_OPENAI_API_KEY`, `AZURE_OPENAI_API_VERSION`, `AZURE_OPENAI_DEPLOYMENT` |
/// | `ollama/..` | `OLLAMA_BASE_URL` or `OLLAMA_HOST`, `OLLAMA_CONTEXT_LENGTH`, `CONVOKE_OLLAMA_CAPABLE` |
/// | `compatible/..` | `CONVOKE_COMPATIBLE_BASE_URL` (or `_URL`), `CONVOKE_COMPATIBLE_API_KEY` (or `_KEY`), `.._CONTEXT_TOKENS`, `.._OUTPUT_TOKENS`, `.._CAPABLE` |
pub fn settings(strings: &dyn Strings, extras: Extras) -> Result<Settings, Mistakes> {
    let mut reader = Reader::new(strings);
    let default_model = match strings.get("CONVOKE_MODEL").or(extras.default_model) {
        Some(model) => model.trim().to_owned(),
        None => reader.required("CONVOKE_MODEL", "the model of jobs that name none, as provider/name"),
    };
    let settings = Settings {
        default_model,
        aliases: aliases(&mut reader),
        openai: hosted(strings, "OPENAI"),
        openrouter: hosted(strings, "OPENROUTER"),
        azure: azure(strings),
        ollama: Some(ollama(&mut reader)),
        compatible: compatible(&mut reader),
        bedrock: extras.bedrock,
        embedded: extras.embedded,
        prices: own_prices(&mut reader),
    };
    reader.end(settings)
}

/// What models cost: the table that comes with the program, with the file that `CONVOKE_PRICES` names over it. The file is
/// read at each call; see [`PriceBook::with_own`] for what it holds.
pub fn prices(strings: &dyn Strings) -> Result<PriceBook, Mistakes> {
    let mut reader = Reader::new(strings);
    let prices = own_prices(&mut reader);
    reader.end(prices)
}

fn own_prices(reader: &mut Reader<'_>) -> PriceBook {
    const NAME: &str = "CONVOKE_PRICES";
    let Some(path) = reader.text(NAME) else { return PriceBook::shipped() };
    let read = std::fs::read_to_string(&path).map_err(|error| error.to_string());
    let book = read.and_then(|text| {
        PriceBook::with_own(&text)
            .map_err(|error| error.source().map_or_else(|| error.to_string(), ToString::to_string))
    });
    book.unwrap_or_else(|detail| {
        reader.wrong(NAME, format_args!("names {path}, which can't be used ({detail}): mend it, or name another"));
        PriceBook::shipped()
    })
}

fn aliases(reader: &mut Reader<'_>) -> BTreeMap<String, String> {
    const NAME: &str = "CONVOKE_MODEL_ALIASES";
    let Some(text) = reader.text(NAME) else { return BTreeMap::new() };
    let pair = |pair: &str| {
        let (alias, model) = pair.split_once('=')?;
        let (alias, model) = (alias.trim(), model.trim());
        (!alias.is_empty() && !alias.contains('/') && model.contains('/')).then(|| (alias.to_owned(), model.to_owned()))
    };
    let pairs = text.split(',').filter(|text| !text.trim().is_empty());
    pairs.map(pair).collect::<Option<_>>().unwrap_or_else(|| {
        reader.wrong(NAME, "can't be read: set it to pairs such as smart=openai/gpt-4.1,fast=ollama/qwen3:8b");
        BTreeMap::new()
    })
}

fn hosted(strings: &dyn Strings, provider: &str) -> Option<HostedSettings> {
    let api_key = Secret::new(strings.get(&format!("{provider}_API_KEY"))?);
    Some(HostedSettings { api_key, base_url: strings.get(&format!("{provider}_BASE_URL")) })
}

/// Half a resource is kept as it is: the registry says which half is missing when it is called for.
fn azure(strings: &dyn Strings) -> Option<AzureSettings> {
    let (endpoint, api_key) = (strings.get("AZURE_OPENAI_ENDPOINT"), strings.get("AZURE_OPENAI_API_KEY"));
    endpoint.as_ref().or(api_key.as_ref())?;
    Some(AzureSettings {
        endpoint: endpoint.unwrap_or_default(),
        api_key: Secret::new(api_key.unwrap_or_default()),
        api_version: strings.get("AZURE_OPENAI_API_VERSION"),
        deployment: strings.get("AZURE_OPENAI_DEPLOYMENT"),
    })
}

fn ollama(reader: &mut Reader<'_>) -> OllamaSettings {
    let capabilities = Capabilities {
        context_tokens: tokens(reader, "OLLAMA_CONTEXT_LENGTH"),
        capable: reader.optional("CONVOKE_OLLAMA_CAPABLE", "true or false"),
        ..Capabilities::default()
    };
    let base_url = reader.text("OLLAMA_BASE_URL").or_else(|| reader.text("OLLAMA_HOST").map(|host| host_url(&host)));
    OllamaSettings { base_url, capabilities }
}

/// What `OLLAMA_HOST` means to a client: it may be a host and port alone, and the address that a server listens on.
fn host_url(host: &str) -> String {
    let (scheme, rest) = host.trim().split_once("://").unwrap_or(("http", host.trim()));
    let (place, port) = match rest.rsplit_once(':') {
        Some((place, port)) if port.bytes().all(|b| b.is_ascii_digit()) => (place, port),
        _ => (rest, "11434"),
    };
    let place = if matches!(place, "" | "0.0.0.0") { "127.0.0.1" } else { place };
    format!("{scheme}://{place}:{port}")
}

fn compatible(reader: &mut Reader<'_>) -> Option<CompatibleSettings> {
    let capabilities = Capabilities {
        context_tokens: tokens(reader, "CONVOKE_COMPATIBLE_CONTEXT_TOKENS"),
        output_tokens_max: tokens(reader, "CONVOKE_COMPATIBLE_OUTPUT_TOKENS"),
        capable: reader.optional("CONVOKE_COMPATIBLE_CAPABLE", "true or false"),
        ..Capabilities::default()
    };
    let either = |long: &str, short: &str| reader.text(long).or_else(|| reader.text(short));
    let base_url = either("CONVOKE_COMPATIBLE_BASE_URL", "CONVOKE_COMPATIBLE_URL")?;
    let api_key = either("CONVOKE_COMPATIBLE_API_KEY", "CONVOKE_COMPATIBLE_KEY").map(Secret::new);
    Some(CompatibleSettings { base_url, api_key, capabilities })
}

fn tokens(reader: &mut Reader<'_>, name: &str) -> Option<u32> {
    reader.number(name, 1..=CONTEXT_MAX).and_then(|tokens| u32::try_from(tokens).ok())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn strings(pairs: &[(&str, &str)]) -> BTreeMap<String, String> {
        pairs.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect()
    }

    fn read(pairs: &[(&str, &str)]) -> Result<Settings, String> {
        settings(&strings(pairs), Extras::default()).map_err(|mistakes| mistakes.to_string())
    }

    #[test]
    fn a_key_selects_nothing() {
        let mistakes = read(&[("OPENAI_API_KEY", "sk-1")]).err().expect("no model is named");
        assert!(mistakes.contains("CONVOKE_MODEL is missing"), "{mistakes}");
        let embedded = Extras { default_model: Some("embedded/x".into()), ..Extras::default() };
        let read = settings(&strings(&[("OPENAI_API_KEY", "sk-1")]), embedded).expect("the embedded one is named");
        assert_eq!(read.default_model, "embedded/x");
        assert!(read.openai.is_some(), "the key is known, all the same");
    }

    #[test]
    fn every_provider_is_read() {
        let read = read(&[
            ("CONVOKE_MODEL", "smart"),
            ("CONVOKE_MODEL_ALIASES", "smart = azure/gpt-4.1, fast=ollama/qwen3:8b,"),
            ("AZURE_OPENAI_API_KEY", "k"),
            ("OLLAMA_HOST", "0.0.0.0:11500"),
            ("OLLAMA_CONTEXT_LENGTH", "32768"),
            ("CONVOKE_COMPATIBLE_URL", "http://127.0.0.1:9"),
            ("CONVOKE_COMPATIBLE_KEY", "abc"),
            ("CONVOKE_COMPATIBLE_CAPABLE", "true"),
        ])
        .expect("all is well");
        assert_eq!(read.aliases["fast"], "ollama/qwen3:8b");
        assert_eq!(read.azure.map(|azure| azure.endpoint), Some(String::new()));
        let ollama = read.ollama.expect("always there");
        assert_eq!(ollama.base_url.as_deref(), Some("http://127.0.0.1:11500"));
        assert_eq!(ollama.capabilities.context_tokens, Some(32_768));
        let compatible = read.compatible.expect("it has a URL");
        assert_eq!((compatible.base_url.as_str(), compatible.capabilities.capable), ("http://127.0.0.1:9", Some(true)));
        assert!(compatible.api_key.is_some());
    }

    #[test]
    fn a_price_file_stands_over_the_table_and_a_bad_one_is_refused_with_its_place() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("prices.json");
        let settings = |text: &str| {
            std::fs::write(&path, text).expect("written");
            read(&[("CONVOKE_MODEL", "a/b"), ("CONVOKE_PRICES", path.to_str().expect("text"))])
        };
        let own = "{\"models\": {\"compatible/m\": {\"input_usd_per_mtok\": \"1\", \"output_usd_per_mtok\": \"2\"}}}";
        let prices = settings(own).expect("valid").prices;
        assert!(prices.facts("compatible/m").price().is_some());
        assert!(prices.facts("openai/gpt-4.1").price().is_some());
        let error = settings("{\"models\":\n {\"a/b\": {\"cheap\": 1}}}").err().expect("refused");
        assert!(error.contains("CONVOKE_PRICES") && error.contains("prices.json"), "{error}");
        assert!(error.contains("`cheap`") && error.contains("line 2"), "{error}");
        let error = read(&[("CONVOKE_MODEL", "a/b"), ("CONVOKE_PRICES", "/nowhere/p.json")]).err().expect("refused");
        assert!(error.contains("/nowhere/p.json"), "{error}");
    }

    #[test]
    fn an_ollama_host_is_read_as_ollama_does() {
        for (host, url) in [
            ("127.0.0.1", "http://127.0.0.1:11434"),
            ("box:9", "http://box:9"),
            ("https://box:443", "https://box:443"),
            (":12", "http://127.0.0.1:12"),
        ] {
            assert_eq!(host_url(host), url);
        }
    }

    #[test]
    fn mistakes_name_the_setting_and_never_the_value() {
        let mistakes = read(&[
            ("CONVOKE_MODEL_ALIASES", "smart"),
            ("CONVOKE_COMPATIBLE_CAPABLE", "verysecret"),
            ("OLLAMA_CONTEXT_LENGTH", "0"),
        ])
        .err()
        .expect("wrong");
        for name in ["CONVOKE_MODEL ", "CONVOKE_MODEL_ALIASES", "CONVOKE_COMPATIBLE_CAPABLE", "OLLAMA_CONTEXT_LENGTH"] {
            assert!(mistakes.contains(name), "{name}: {mistakes}");
        }
        assert!(!mistakes.contains("verysecret"), "{mistakes}");
    }
}
