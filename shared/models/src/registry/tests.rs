use std::sync::atomic::{AtomicUsize, Ordering};

use async_trait::async_trait;
use convoke_app::model::{DeltaSink, ModelAnswer, ModelError, ModelRequest};
use convoke_domain::money::{MicroUsd, Price};

use super::*;
use crate::prices::PriceBook;

struct Loaded(ModelProfile);

#[async_trait]
impl ChatModel for Loaded {
    fn profile(&self) -> &ModelProfile {
        &self.0
    }

    async fn complete(&self, _: &ModelRequest, _: Option<&DeltaSink>) -> Result<ModelAnswer, ModelError> {
        Err(ModelError::Cancelled)
    }
}

fn key(text: &str) -> HostedSettings {
    HostedSettings { api_key: text.into(), base_url: None }
}

fn registry(settings: Settings) -> Registry {
    Registry::new(settings).expect("a client")
}

fn profile(registry: &Registry, name: &str) -> ModelProfile {
    registry.model(name).expect("set up").profile().clone()
}

fn message(registry: &Registry, name: &str) -> String {
    registry.check(name).expect_err("refused").to_string()
}

#[test]
fn names_lead_to_models_with_their_facts() {
    let registry = registry(Settings {
        default_model: "smart".into(),
        aliases: BTreeMap::from([("smart".into(), "openai/gpt-4.1".into())]),
        openai: Some(key("sk-1234567890")),
        ollama: Some(OllamaSettings::default()),
        ..Settings::default()
    });
    let smart = profile(&registry, registry.default_model());
    assert_eq!((smart.name.as_str(), smart.capable, smart.output_tokens_max), ("openai/gpt-4.1", true, 32_768));
    assert!(smart.price.is_some());
    let local = profile(&registry, "ollama/qwen3:8b");
    assert_eq!((local.context_tokens, local.capable, local.price), (4_096, false, None));
    let again = registry.model("openai/gpt-4.1").expect("set up");
    assert!(Arc::ptr_eq(&again, &registry.model("smart").expect("set up")), "shared by all its names");
}

#[test]
fn an_owner_knows_better_than_the_tables() {
    let price = Price { input_per_mtok: MicroUsd(1), output_per_mtok: MicroUsd(2) };
    let capabilities = Capabilities {
        context_tokens: Some(9_000),
        output_tokens_max: Some(8_000),
        capable: Some(false),
        price: Some(price),
        json_schema: Some(false),
    };
    let compatible = CompatibleSettings { base_url: "http://127.0.0.1:1".into(), api_key: None, capabilities };
    let registry = registry(Settings { compatible: Some(compatible), ..Settings::default() });
    let mine = profile(&registry, "compatible/mine");
    assert_eq!((mine.context_tokens, mine.output_tokens_max, mine.capable), (9_000, 4_500, false));
    assert_eq!(mine.price, Some(price));
}

#[test]
fn the_users_price_file_counts() {
    let prices = PriceBook::with_own(
        r#"{"models": {"openai/new": {"input_usd_per_mtok": "1", "output_usd_per_mtok": "2", "tools": false}}}"#,
    )
    .expect("valid");
    let registry = registry(Settings { openai: Some(key("k")), prices, ..Settings::default() });
    let new = profile(&registry, "openai/new");
    assert_eq!((new.capable, new.price.map(|price| price.input_per_mtok)), (false, Some(MicroUsd::from_usd(1))));
    assert_eq!(profile(&registry, "openai/newer").price, None);
}

#[test]
fn what_is_missing_is_named() {
    let nothing = registry(Settings::default());
    for (name, setting) in [
        ("openai/gpt-4.1", "OPENAI_API_KEY"),
        ("openrouter/x/y", "OPENROUTER_API_KEY"),
        ("azure/gpt-4.1", "AZURE_OPENAI_ENDPOINT"),
        ("ollama/x", "OLLAMA_BASE_URL"),
        ("compatible/x", "CONVOKE_COMPATIBLE_BASE_URL"),
        ("bedrock/x", "AWS_REGION"),
    ] {
        assert_eq!(message(&nothing, name), format!("model {name:?} needs {setting}"));
    }
    let half = registry(Settings {
        openai: Some(key("  ")),
        azure: Some(AzureSettings {
            endpoint: "https://x.example".into(),
            api_key: "".into(),
            api_version: None,
            deployment: None,
        }),
        ollama: Some(OllamaSettings { base_url: Some("nonsense".into()), ..OllamaSettings::default() }),
        ..Settings::default()
    });
    assert!(message(&half, "openai/x").ends_with("needs OPENAI_API_KEY"));
    assert!(message(&half, "azure/x").ends_with("needs AZURE_OPENAI_API_KEY"));
    assert!(message(&half, "ollama/x").contains("OLLAMA_BASE_URL to be a URL"));
}

#[test]
fn wrong_names_get_a_hint() {
    let registry = registry(Settings::default());
    for (name, hint) in [
        ("gpt-4.1", "write provider/name"),
        ("opnai/gpt-4.1", "there is no provider \"opnai\""),
        ("openai/", "write provider/name"),
        ("", "a name is provider/name"),
        ("openai/a b", "a name is provider/name"),
        ("embedded/x", "no embedded model"),
    ] {
        assert!(message(&registry, name).contains(hint), "{name}: {}", message(&registry, name));
    }
    assert!(message(&registry, &"x".repeat(9_999)).len() < 500);
}

#[test]
fn an_embedded_model_is_loaded_once_and_again_after_a_failure() {
    let calls = Arc::new(AtomicUsize::new(0));
    let count = Arc::clone(&calls);
    let factory: EmbeddedFactory = Arc::new(move || {
        if count.fetch_add(1, Ordering::SeqCst) == 0 {
            return Err(ModelNameError::NotConfigured { name: "embedded/tiny".into(), setting: "its weights".into() });
        }
        let profile = ModelProfile {
            name: "embedded/tiny".into(),
            context_tokens: 8,
            output_tokens_max: 4,
            capable: false,
            price: None,
        };
        Ok(Arc::new(Loaded(profile)))
    });
    let embedded = BTreeMap::from([("tiny".to_owned(), factory)]);
    let registry = registry(Settings { default_model: "embedded/tiny".into(), embedded, ..Settings::default() });
    registry.check("embedded/tiny").expect("known");
    assert_eq!(calls.load(Ordering::SeqCst), 0, "checking loads nothing");
    assert!(registry.model("embedded/tiny").is_err());
    for _ in 0..3 {
        assert_eq!(profile(&registry, "embedded/tiny").context_tokens, 8);
    }
    assert_eq!(calls.load(Ordering::SeqCst), 2);
    assert!(message(&registry, "embedded/other").contains("embedded/tiny"));
}

#[test]
fn the_description_names_all_and_no_key() {
    let registry = registry(Settings {
        default_model: "openai/gpt-4.1".into(),
        openai: Some(key("very-secret-key")),
        ..Settings::default()
    });
    let all = registry.describe();
    let default = &all[0];
    assert_eq!(
        (default.name.as_str(), default.is_default, &default.state),
        ("openai/gpt-4.1", true, &ModelState::Ready)
    );
    assert_eq!(default.endpoint.as_deref(), Some("https://api.openai.com/v1/chat/completions"));
    assert!(default.profile.as_ref().is_some_and(|profile| profile.price.is_some()));
    let bedrock = all.iter().find(|one| one.name == "bedrock/*").expect("described");
    assert_eq!(bedrock.state, ModelState::Missing { setting: "AWS_REGION".into() });
    assert!(!format!("{all:?}").contains("very-secret-key"));
}

#[test]
fn callers_names_do_not_fill_the_memory() {
    let registry = registry(Settings { openai: Some(key("k")), ..Settings::default() });
    for n in 0..KEPT_MAX * 2 {
        registry.model(&format!("openai/model-{n}")).expect("set up");
    }
    assert!(lock(&registry.kept).len() <= KEPT_MAX);
}
