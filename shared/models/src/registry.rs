//! All models that an installation can call, by name: `provider/name`.
//!
//! Built from plain settings; nothing is connected or loaded before a model is called for. One HTTP client (and one
//! that passes proxies by, for servers on this machine) is shared by all.

mod connect;
mod profile;
mod settings;
mod url;

use std::collections::{BTreeMap, HashMap};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use convoke_app::model::{ChatModel, ModelNameError, ModelProfile, Models};

use crate::openai::{Auth, Endpoint, Flavor};
use crate::secret::Secret;
use connect::{Clients, Connect, Names};
use profile::Known;
pub use settings::{
    AZURE_API_VERSION, AzureSettings, Capabilities, CompatibleSettings, EmbeddedFactory, HostedSettings,
    OLLAMA_BASE_URL, OllamaSettings, Settings, setting,
};

/// Models that are kept at once. Names come from callers: more of them cost a new object each, nothing else.
const KEPT_MAX: usize = 256;

/// Bytes of a model's name.
const NAME_BYTES_MAX: usize = 200;

const OPENAI_URL: &str = "https://api.openai.com/v1";
const OPENROUTER_URL: &str = "https://openrouter.ai/api/v1";

/// The HTTP client couldn't be made. Final: nothing but the program's build decides it.
#[derive(Debug, thiserror::Error)]
#[error("no HTTP client can be made")]
pub struct RegistryError(#[source] reqwest::Error);

/// What a provider, or a model, is set up like.
#[derive(Clone, Debug, PartialEq)]
pub struct ModelDescription {
    /// `openai/*` for a provider, the whole name for the embedded models and the default one.
    pub name: String,
    /// Whether jobs get it when they name none.
    pub is_default: bool,
    /// Whether it can be called.
    pub state: ModelState,
    /// Where it is, without keys.
    pub endpoint: Option<String>,
    /// What it can do and costs, where that is known without loading it.
    pub profile: Option<ModelProfile>,
}

/// Whether a model can be called.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ModelState {
    /// It is set up; whether it answers shows with the first call.
    Ready,
    /// It isn't set up.
    Missing {
        /// The setting that is missing or wrong.
        setting: String,
    },
    /// There is no model of that name.
    Unknown {
        /// What to write instead.
        hint: String,
    },
}

/// The models of an installation.
pub struct Registry {
    settings: Settings,
    connect: Box<dyn Connect>,
    kept: Mutex<HashMap<String, Arc<dyn ChatModel>>>,
    embedded: BTreeMap<String, Mutex<Option<Arc<dyn ChatModel>>>>,
}

impl Registry {
    /// A registry of what the settings name. Makes no connection. A default model that isn't set up is no error here:
    /// [`Registry::check`] tells.
    pub fn new(settings: Settings) -> Result<Self, RegistryError> {
        Ok(Self::over(settings, Box::new(Clients::new()?)))
    }

    /// The same for a process that knows models by name, price and ability, and calls none: whoever calls one is refused.
    /// Without clients it is smaller by a tenth.
    pub fn of_names(settings: Settings) -> Self {
        Self::over(settings, Box::new(Names))
    }

    fn over(settings: Settings, connect: Box<dyn Connect>) -> Self {
        let embedded = settings.embedded.keys().map(|name| (name.clone(), Mutex::default())).collect();
        Self { settings, connect, kept: Mutex::default(), embedded }
    }

    /// Whether a name can be called, without loading or connecting anything.
    pub fn check(&self, name: &str) -> Result<(), ModelNameError> {
        self.resolve(name).map(|_| ())
    }

    /// What a model can do and costs, without loading it; `None` for an embedded one that isn't loaded yet.
    pub fn profile(&self, name: &str) -> Result<Option<ModelProfile>, ModelNameError> {
        Ok(match self.resolve(name)? {
            Found::Embedded { name, .. } => {
                self.embedded.get(name).and_then(|slot| Some(lock(slot).as_ref()?.profile().clone()))
            }
            Found::Chat { known, .. } | Found::Bedrock { known, .. } => Some(known.profile),
        })
    }

    /// What is set up and what is missing: each provider, each embedded model, and the default one.
    pub fn describe(&self) -> Vec<ModelDescription> {
        let default = self.full_name(&self.settings.default_model).to_owned();
        let embedded = self.settings.embedded.keys().map(|name| format!("embedded/{name}"));
        let mut names: Vec<String> = PROVIDERS.iter().map(|provider| format!("{provider}/*")).chain(embedded).collect();
        if !names.contains(&default) {
            names.insert(0, default.clone());
        }
        names.into_iter().map(|name| self.description(&name, &default)).collect()
    }

    fn description(&self, name: &str, default: &str) -> ModelDescription {
        let found = self.resolve(name);
        let endpoint = match &found {
            Ok(Found::Chat { endpoint, .. }) => Some(endpoint.url.clone()),
            _ => None,
        };
        let state = match found {
            Ok(_) => ModelState::Ready,
            Err(ModelNameError::NotConfigured { setting, .. }) => ModelState::Missing { setting },
            Err(ModelNameError::Unknown { hint, .. }) => ModelState::Unknown { hint },
        };
        let is_one = !name.ends_with("/*");
        let profile = if is_one { self.profile(name).ok().flatten() } else { None };
        ModelDescription { name: name.to_owned(), is_default: name == default, state, endpoint, profile }
    }

    fn full_name<'a>(&'a self, name: &'a str) -> &'a str {
        self.settings.aliases.get(name).map_or(name, String::as_str)
    }

    fn resolve<'a>(&'a self, name: &'a str) -> Result<Found<'a>, ModelNameError> {
        let full = self.full_name(name);
        if full.is_empty() || full.len() > NAME_BYTES_MAX || !full.bytes().all(|b| b.is_ascii_graphic()) {
            return Err(unknown(
                name,
                format!("a name is provider/name, at most {NAME_BYTES_MAX} visible ASCII characters"),
            ));
        }
        let Some((provider, model)) = full.split_once('/').filter(|(_, model)| !model.is_empty()) else {
            return Err(unknown(name, format!("write provider/name, with one of {}, embedded", PROVIDERS.join(", "))));
        };
        match provider {
            "openai" => self.hosted(full, model, Flavor::OpenAi),
            "openrouter" => self.hosted(full, model, Flavor::OpenRouter),
            "azure" => self.azure(full, model),
            "ollama" => self.ollama(full, model),
            "compatible" => self.compatible(full, model),
            "bedrock" => self.bedrock(full, model),
            "embedded" => self.embedded(full, model),
            _ => {
                Err(unknown(name, format!("there is no provider {provider:?}, but {}, embedded", PROVIDERS.join(", "))))
            }
        }
    }

    fn hosted(&self, name: &str, model: &str, flavor: Flavor) -> Result<Found<'_>, ModelNameError> {
        let (settings, key_setting, url_setting, url) = if flavor == Flavor::OpenRouter {
            let names = (setting::OPENROUTER_API_KEY, setting::OPENROUTER_BASE_URL);
            (&self.settings.openrouter, names.0, names.1, OPENROUTER_URL)
        } else {
            (&self.settings.openai, setting::OPENAI_API_KEY, setting::OPENAI_BASE_URL, OPENAI_URL)
        };
        let settings = settings.as_ref().filter(|settings| !settings.api_key.is_empty());
        let settings = settings.ok_or_else(|| missing(name, key_setting))?;
        let base = settings.base_url.as_deref().unwrap_or(url);
        let url = url::chat_completions(base).map_err(|problem| bad_url(name, url_setting, problem))?;
        let known = Known::of(name, &self.settings.prices, Capabilities::default());
        let endpoint = Endpoint { url, auth: Auth::Bearer(settings.api_key.clone()), flavor, model: model.to_owned() };
        Ok(Found::Chat { endpoint, known })
    }

    fn azure(&self, name: &str, model: &str) -> Result<Found<'_>, ModelNameError> {
        let settings = self.settings.azure.as_ref().filter(|settings| !settings.endpoint.is_empty());
        let settings = settings.ok_or_else(|| missing(name, setting::AZURE_OPENAI_ENDPOINT))?;
        if settings.api_key.is_empty() {
            return Err(missing(name, setting::AZURE_OPENAI_API_KEY));
        }
        let deployment = settings.deployment.as_deref().unwrap_or(model);
        let version = settings.api_version.as_deref().unwrap_or(AZURE_API_VERSION);
        let url = url::azure(&settings.endpoint, deployment, version)
            .map_err(|problem| bad_url(name, setting::AZURE_OPENAI_ENDPOINT, problem))?;
        let known = Known::of(name, &self.settings.prices, Capabilities::default());
        let auth = Auth::ApiKey(settings.api_key.clone());
        let endpoint = Endpoint { url, auth, flavor: Flavor::Azure, model: deployment.to_owned() };
        Ok(Found::Chat { endpoint, known })
    }

    fn ollama(&self, name: &str, model: &str) -> Result<Found<'_>, ModelNameError> {
        let settings = self.settings.ollama.as_ref().ok_or_else(|| missing(name, setting::OLLAMA_BASE_URL))?;
        let base = settings.base_url.as_deref().unwrap_or(OLLAMA_BASE_URL);
        let url = url::chat_completions(base).map_err(|problem| bad_url(name, setting::OLLAMA_BASE_URL, problem))?;
        let known = Known::of(name, &self.settings.prices, settings.capabilities);
        let endpoint = Endpoint { url, auth: Auth::None, flavor: Flavor::Compatible, model: model.to_owned() };
        Ok(Found::Chat { endpoint, known })
    }

    fn compatible(&self, name: &str, model: &str) -> Result<Found<'_>, ModelNameError> {
        let settings = self.settings.compatible.as_ref().filter(|settings| !settings.base_url.is_empty());
        let settings = settings.ok_or_else(|| missing(name, setting::COMPATIBLE_BASE_URL))?;
        let url = url::chat_completions(&settings.base_url)
            .map_err(|problem| bad_url(name, setting::COMPATIBLE_BASE_URL, problem))?;
        let known = Known::of(name, &self.settings.prices, settings.capabilities);
        let key = settings.api_key.clone().filter(|key| !Secret::is_empty(key));
        let auth = key.map_or(Auth::None, Auth::Bearer);
        let endpoint = Endpoint { url, auth, flavor: Flavor::Compatible, model: model.to_owned() };
        Ok(Found::Chat { endpoint, known })
    }

    fn bedrock(&self, name: &str, model: &str) -> Result<Found<'_>, ModelNameError> {
        let client = self.settings.bedrock.as_ref().ok_or_else(|| missing(name, setting::AWS_REGION))?;
        let known = Known::of(name, &self.settings.prices, Capabilities::default());
        Ok(Found::Bedrock { client, model_id: model.to_owned(), known })
    }

    fn embedded<'a>(&'a self, name: &str, model: &str) -> Result<Found<'a>, ModelNameError> {
        let found = self.settings.embedded.get_key_value(model);
        let (name, factory) = found.ok_or_else(|| {
            let names: Vec<String> = self.settings.embedded.keys().map(|name| format!("embedded/{name}")).collect();
            let hint = if names.is_empty() {
                "no embedded model is set up".into()
            } else {
                format!("there is {}", names.join(", "))
            };
            unknown(name, hint)
        })?;
        Ok(Found::Embedded { name, factory })
    }

    fn make(&self, found: Found<'_>) -> Result<Arc<dyn ChatModel>, ModelNameError> {
        match found {
            Found::Chat { endpoint, known } => Ok(self.connect.chat(endpoint, known)),
            Found::Bedrock { client, model_id, known } => Ok(self.connect.bedrock(client, model_id, known)),
            Found::Embedded { name, factory } => {
                let Some(slot) = self.embedded.get(name) else { return factory() };
                let mut slot = lock(slot);
                if let Some(loaded) = slot.as_ref() {
                    return Ok(Arc::clone(loaded));
                }
                let loaded = factory()?;
                *slot = Some(Arc::clone(&loaded));
                Ok(loaded)
            }
        }
    }
}

/// A name that something answers to.
enum Found<'a> {
    Chat { endpoint: Endpoint, known: Known },
    Bedrock { client: &'a aws_sdk_bedrockruntime::Client, model_id: String, known: Known },
    Embedded { name: &'a str, factory: &'a EmbeddedFactory },
}

impl Models for Registry {
    fn model(&self, name: &str) -> Result<Arc<dyn ChatModel>, ModelNameError> {
        let full = self.full_name(name);
        if let Some(kept) = lock(&self.kept).get(full) {
            return Ok(Arc::clone(kept));
        }
        let found = self.resolve(name)?;
        let is_embedded = matches!(found, Found::Embedded { .. });
        let made = self.make(found)?;
        if is_embedded {
            return Ok(made);
        }
        let mut kept = lock(&self.kept);
        if kept.len() >= KEPT_MAX {
            kept.clear();
        }
        // Whoever was first: what one learns of the provider, all know.
        Ok(Arc::clone(kept.entry(full.to_owned()).or_insert(made)))
    }

    fn default_model(&self) -> &str {
        &self.settings.default_model
    }
}

const PROVIDERS: [&str; 6] = ["openai", "openrouter", "azure", "ollama", "compatible", "bedrock"];

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

fn unknown(name: &str, hint: String) -> ModelNameError {
    ModelNameError::Unknown { name: crate::text::short(name, NAME_BYTES_MAX), hint }
}

fn missing(name: &str, setting: &str) -> ModelNameError {
    ModelNameError::NotConfigured { name: name.to_owned(), setting: setting.to_owned() }
}

fn bad_url(name: &str, setting: &str, problem: &str) -> ModelNameError {
    missing(name, &format!("{setting} to be a URL ({problem})"))
}

#[cfg(test)]
mod tests;
