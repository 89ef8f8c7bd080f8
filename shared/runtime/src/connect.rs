//! Connecting the ports: once per process.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use aws_config::environment::EnvironmentVariableCredentialsProvider;
use aws_config::retry::RetryConfig;
use aws_config::timeout::TimeoutConfig;
use aws_config::{BehaviorVersion, Region, SdkConfig};
use aws_credential_types::provider::SharedCredentialsProvider;
use aws_smithy_async::rt::sleep::{SharedAsyncSleep, TokioSleep};
use aws_smithy_async::time::{SharedTimeSource, SystemTimeSource};
use aws_smithy_runtime_api::client::http::SharedHttpClient;
use aws_types::service_config::{LoadServiceConfig, ServiceConfigKey};
use convoke_app::model::{ModelNameError, Models};
use convoke_app::platform::{Compile, Limits, Platform, Ports, no_compiler};
use convoke_app::ports::{ChatHosts, Env};
use convoke_aws::{DynamoTable, S3Blobs, SqsBells, SqsDeliveryBells};
use convoke_models::registry::{Registry, RegistryError, Settings};

use crate::config::{self, Mistakes, ProcessEnv, Stores, Strings};
use crate::emf;
use crate::https;
use crate::models::{self, Extras};
use crate::observe::observed;
use crate::outbound::{self, GuardedOutbound};
use crate::secrets::{self, SECRETS, WithSecrets};
use crate::ssm::{Ssm, SsmError};
use crate::system::SystemEnv;
use crate::telemetry::{self, Format};

/// How long a try of a call to AWS may take to connect, and in all. A call that hangs would cost the function's whole
/// time.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(3);
const ATTEMPT_TIMEOUT: Duration = Duration::from_secs(20);

/// Clients of AWS, or of what speaks its protocols.
#[derive(Clone, Debug)]
pub struct Clients {
    /// The table.
    pub dynamodb: aws_sdk_dynamodb::Client,
    /// The queues.
    pub sqs: aws_sdk_sqs::Client,
    /// The files.
    pub s3: aws_sdk_s3::Client,
}

impl Clients {
    /// Clients of an account. Tries are bounded in time; the SDK's own retries stand.
    pub fn new(aws: &SdkConfig) -> Self {
        let timeouts =
            TimeoutConfig::builder().connect_timeout(CONNECT_TIMEOUT).operation_attempt_timeout(ATTEMPT_TIMEOUT);
        let aws = aws.to_builder().timeout_config(timeouts.build()).build();
        Self {
            dynamodb: aws_sdk_dynamodb::Client::new(&aws),
            sqs: aws_sdk_sqs::Client::new(&aws),
            s3: aws_sdk_s3::Client::new(&aws),
        }
    }
}

/// Why a process can't start. Final: an operator has to change something.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// Settings are missing or wrong.
    #[error(transparent)]
    Config(#[from] Mistakes),
    /// `CONVOKE_MODEL` names a model that isn't set up.
    #[error("CONVOKE_MODEL can't be used")]
    Model(#[source] ModelNameError),
    /// The models' HTTP client can't be made.
    #[error("models can't be called")]
    Models(#[source] RegistryError),
    /// A key that a setting names can't be had.
    #[error("keys can't be read")]
    Secrets(#[source] SsmError),
}

/// A platform over these clients, whose way out leads to public places alone; on AWS `compile` is
/// `convoke_tools::compiler()`.
pub fn platform(
    clients: Clients,
    stores: &Stores,
    models: Arc<dyn Models>,
    (limits, compile): (Limits, Compile),
) -> Platform {
    let env = SystemEnv;
    let seed = env.secret().iter().take(8).fold(0_u64, |seed, &byte| seed << 8 | u64::from(byte));
    let table = Arc::new(DynamoTable::new(clients.dynamodb, stores.table.clone(), seed));
    let delivery_bells = SqsDeliveryBells::new(clients.sqs.clone(), stores.delivery_queue_url.clone(), seed);
    let bells = SqsBells::new(clients.sqs, stores.queue_url.clone(), stores.solo_queue_url.clone(), seed);
    let blobs = S3Blobs::new(clients.s3.clone(), clients.s3, stores.bucket.clone());
    let ports = Ports {
        groups: Arc::clone(&table) as _,
        steps: Arc::clone(&table) as _,
        jobs: Arc::clone(&table) as _,
        sweeps: Arc::clone(&table) as _,
        keys: Arc::clone(&table) as _,
        schedules: Arc::clone(&table) as _,
        events: Arc::clone(&table) as _,
        webhooks: Arc::clone(&table) as _,
        deliveries: Arc::clone(&table) as _,
        links: Arc::clone(&table) as _,
        inbox: Arc::clone(&table) as _,
        rooms: Arc::clone(&table) as _,
        reviews: table,
        bells: Arc::new(bells),
        delivery_bells: Arc::new(delivery_bells),
        outbound: Arc::new(GuardedOutbound::default()),
        chat_hosts: ChatHosts::default(),
        blobs: Arc::new(blobs),
        models,
        env: Arc::new(env),
    };
    Platform::new(ports, limits, compile)
}

/// The models that the settings name, to be called. The default one has to be set up; where its price isn't known, that
/// is said.
pub fn registry(settings: Settings) -> Result<Registry, StartError> {
    checked(Registry::new(settings).map_err(StartError::Models)?)
}

/// The same, for a process that calls none.
fn names(settings: Settings) -> Result<Registry, StartError> {
    checked(Registry::of_names(settings))
}

fn checked(registry: Registry) -> Result<Registry, StartError> {
    let default = registry.default_model();
    let profile = registry.profile(default).map_err(StartError::Model)?;
    if let Some(unpriced) = profile.filter(|profile| profile.price.is_none()) {
        tracing::warn!(model = unpriced.name, "no price is known for this model: the cap in tokens alone holds");
    }
    Ok(registry)
}

/// The start of a Lambda function that only looks at jobs: telemetry, configuration, connections. It knows models by
/// name, price and ability; keys that settings name stay where they are, and the process may not be allowed to read
/// them. Clients connect with their first request; nothing is called.
///
/// Each start has the code of what its function does, and no more: the size of a function is part of its cold start.
pub fn start_looking() -> Result<Platform, StartError> {
    telemetry();
    connected(keys_by_name(), &lambda(), (names, no_compiler())).map(|(platform, _)| platform)
}

/// The same for a function that needs `more` secrets, such as a bot's token: those that settings name are read from their
/// store. Also answers the settings with those in them.
pub async fn start_looking_with(more: &[&'static str]) -> Result<(Platform, WithSecrets<'static>), StartError> {
    telemetry();
    let aws = lambda();
    let secrets = keys_by_name().into_iter().chain(fetched(&aws, more).await?).collect();
    connected(secrets, &aws, (names, no_compiler()))
}

/// The start of a function that takes on flows, or changes jobs.
pub fn start_planning() -> Result<Platform, StartError> {
    telemetry();
    connected(keys_by_name(), &lambda(), (names, convoke_tools::compiler())).map(|(platform, _)| platform)
}

/// The same with `more` secrets, as [`start_looking_with`] has them.
pub async fn start_planning_with(more: &[&'static str]) -> Result<(Platform, WithSecrets<'static>), StartError> {
    telemetry();
    let aws = lambda();
    let secrets = keys_by_name().into_iter().chain(fetched(&aws, more).await?).collect();
    connected(secrets, &aws, (names, convoke_tools::compiler()))
}

/// The start of a function that works at steps: it calls models, and reads the keys that settings name from their store.
pub async fn start_working() -> Result<Platform, StartError> {
    telemetry();
    let aws = lambda();
    let secrets = fetched(&aws, &SECRETS).await?;
    connected(secrets, &aws, (registry, convoke_tools::compiler())).map(|(platform, _)| platform)
}

fn telemetry() {
    telemetry::start(Format::Json, &ProcessEnv.get("RUST_LOG").unwrap_or_else(|| "info".to_owned()));
}

/// What stands for the keys of providers in a process that calls no model: that one is set up is all it has to know.
fn keys_by_name() -> Secrets {
    secrets::named(&ProcessEnv, &SECRETS)
}

/// The secrets of these that settings name. Nothing is called where they name none.
async fn fetched(aws: &SdkConfig, wanted: &[&'static str]) -> Result<Secrets, StartError> {
    let named = secrets::named(&ProcessEnv, wanted);
    if named.is_empty() {
        return Ok(named);
    }
    let ssm = Ssm::new(aws).map_err(StartError::Secrets)?;
    secrets::fetched(&ssm, &named).await.map_err(StartError::Secrets)
}

/// Secrets, or what stands for them, by the settings that they are of.
type Secrets = BTreeMap<&'static str, String>;
/// How models are known.
type KnowModels = fn(Settings) -> Result<Registry, StartError>;

fn connected(
    secrets: Secrets,
    aws: &SdkConfig,
    (models, compile): (KnowModels, Compile),
) -> Result<(Platform, WithSecrets<'static>), StartError> {
    let with_secrets = WithSecrets::new(&ProcessEnv, secrets);
    let strings = &with_secrets;
    // Without a region there is no Bedrock; a model of it then says so by name.
    let bedrock = aws.region().is_some().then(|| aws_sdk_bedrockruntime::Client::new(aws));
    let settings = models::settings(strings, Extras { bedrock, ..Extras::default() });
    let set = Mistakes::both(Stores::read(strings), config::limits(strings));
    let set = Mistakes::both(set, outbound::allowed(strings));
    let (((stores, limits), allowed), settings) = Mistakes::both(set, settings)?;
    let registry = models(settings)?;
    let mut platform = platform(Clients::new(aws), &stores, Arc::new(registry), (limits, compile));
    platform.ports.outbound = Arc::new(GuardedOutbound::new(allowed));
    if let Some(observer) = emf::read(strings) {
        platform.ports = observed(platform.ports, &observer);
    }
    Ok((platform, with_secrets))
}

/// The configuration that Lambda lays into a function's environment: region and credentials of its role. What else an
/// account's configuration may be made of (files, metadata services, other roles) a function doesn't have.
fn lambda() -> SdkConfig {
    function_config(ProcessEnv)
}

/// The same of other settings; credentials come from the environment all the same.
pub(crate) fn function_config(strings: impl Strings + std::fmt::Debug + Send + Sync + 'static) -> SdkConfig {
    SdkConfig::builder()
        .behavior_version(BehaviorVersion::latest())
        .http_client(https::client(CONNECT_TIMEOUT))
        .credentials_provider(SharedCredentialsProvider::new(EnvironmentVariableCredentialsProvider::new()))
        .region(strings.get("AWS_REGION").map(Region::new))
        .sleep_impl(SharedAsyncSleep::new(TokioSleep::new()))
        .time_source(SharedTimeSource::new(SystemTimeSource::new()))
        .retry_config(RetryConfig::standard())
        .service_config(OfServices(strings))
        .build()
}

/// Where services are, if elsewhere: `AWS_ENDPOINT_URL`, and over it that of one alone, such as `AWS_ENDPOINT_URL_DYNAMODB`.
#[derive(Debug)]
struct OfServices<S>(S);

impl<S: Strings + std::fmt::Debug + Send + Sync> LoadServiceConfig for OfServices<S> {
    fn load_config(&self, key: ServiceConfigKey<'_>) -> Option<String> {
        let service = key.service_id().to_ascii_uppercase().replace(' ', "_");
        self.0.get(&format!("{}_{service}", key.env())).or_else(|| self.0.get(key.env()))
    }
}

/// The configuration of whoever calls at a command line: environment, files, roles.
pub(crate) async fn aws(https: SharedHttpClient) -> SdkConfig {
    aws_config::defaults(BehaviorVersion::latest()).http_client(https).load().await
}

#[cfg(test)]
mod tests {
    use std::error::Error;

    use super::*;

    fn start_with(model: &str) -> Result<Registry, StartError> {
        let strings = BTreeMap::from([("CONVOKE_MODEL".to_owned(), model.to_owned())]);
        registry(models::settings(&strings, Extras::default())?)
    }

    #[test]
    fn one_service_may_be_elsewhere_than_all() {
        let strings = [("AWS_ENDPOINT_URL", "http://all"), ("AWS_ENDPOINT_URL_BEDROCK_RUNTIME", "http://one")];
        let strings: BTreeMap<String, String> = strings.map(|(name, url)| (name.to_owned(), url.to_owned())).into();
        let place = |service| {
            let key = ServiceConfigKey::builder().service_id(service).env("AWS_ENDPOINT_URL").profile("endpoint_url");
            OfServices(strings.clone()).load_config(key.build().expect("a key"))
        };
        assert_eq!(place("DynamoDB").as_deref(), Some("http://all"));
        assert_eq!(place("Bedrock Runtime").as_deref(), Some("http://one"));
    }

    #[test]
    fn a_default_model_that_is_not_set_up_stops_the_start() {
        let error = start_with("openai/gpt-4.1").err().expect("there is no key");
        let cause = error.source().map(ToString::to_string).unwrap_or_default();
        assert!(cause.contains("OPENAI_API_KEY"), "{error}: {cause}");
        assert!(start_with("nonsense").is_err());
        let registry = start_with("ollama/qwen3:8b").expect("it needs no key");
        assert_eq!(registry.default_model(), "ollama/qwen3:8b");
    }
}
