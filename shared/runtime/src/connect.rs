//! Connecting the ports: once per process.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use aws_config::timeout::TimeoutConfig;
use aws_config::{BehaviorVersion, SdkConfig};
use aws_smithy_http_client::tls;
use convoke_app::model::{ModelNameError, Models};
use convoke_app::platform::{Compile, Limits, Platform, Ports};
use convoke_app::ports::Env;
use convoke_aws::{DynamoTable, S3Blobs, SqsBells, SqsDeliveryBells};
use convoke_models::registry::{Registry, RegistryError, Settings};

use crate::config::{self, Mistakes, ProcessEnv, Stores, Strings};
use crate::models::{self, Extras};
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

/// What a process does with models.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ModelUse {
    /// It knows their names: whether a job may have one, and what it costs. Keys that settings name stay where they are,
    /// and the process may not be allowed to read them.
    Names,
    /// It calls them.
    Calls,
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
        deliveries: table,
        bells: Arc::new(bells),
        delivery_bells: Arc::new(delivery_bells),
        outbound: Arc::new(GuardedOutbound::default()),
        blobs: Arc::new(blobs),
        models,
        env: Arc::new(env),
    };
    Platform::new(ports, limits, compile)
}

/// The models that the settings name. The default one has to be set up; where its price isn't known, that is said.
pub fn registry(settings: Settings) -> Result<Registry, StartError> {
    let registry = Registry::new(settings).map_err(StartError::Models)?;
    let default = registry.default_model();
    let profile = registry.profile(default).map_err(StartError::Model)?;
    if let Some(unpriced) = profile.filter(|profile| profile.price.is_none()) {
        tracing::warn!(model = unpriced.name, "no price is known for this model: the cap in tokens alone holds");
    }
    Ok(registry)
}

/// The start of a Lambda function: telemetry, configuration, connections. Clients connect with their first request;
/// nothing is called but the store of the keys that settings name, and that only where models are called.
pub async fn start(model_use: ModelUse) -> Result<Platform, StartError> {
    start_with(model_use, &[]).await.map(|(platform, _)| platform)
}

/// The same for a function that needs `more` secrets, such as a bot's token: also answers the settings with those in them.
pub async fn start_with(
    model_use: ModelUse,
    more: &[&'static str],
) -> Result<(Platform, WithSecrets<'static>), StartError> {
    telemetry::start(Format::Json, &ProcessEnv.get("RUST_LOG").unwrap_or_else(|| "info".to_owned()));
    let aws = aws().await;
    let with_secrets = secrets(&aws, model_use, more).await?;
    let strings = &with_secrets;
    // Without a region there is no Bedrock; a model of it then says so by name.
    let bedrock = aws.region().is_some().then(|| aws_sdk_bedrockruntime::Client::new(&aws));
    let settings = models::settings(strings, Extras { bedrock, ..Extras::default() });
    let set = Mistakes::both(Stores::read(strings), config::limits(strings));
    let set = Mistakes::both(set, outbound::allowed(strings));
    let (((stores, limits), allowed), settings) = Mistakes::both(set, settings)?;
    let registry = registry(settings)?;
    let behind = (limits, convoke_tools::compiler());
    let mut platform = platform(Clients::new(&aws), &stores, Arc::new(registry), behind);
    platform.ports.outbound = Arc::new(GuardedOutbound::new(allowed));
    Ok((platform, with_secrets))
}

async fn secrets(
    aws: &SdkConfig,
    model_use: ModelUse,
    more: &[&'static str],
) -> Result<WithSecrets<'static>, StartError> {
    let (mut wanted, of_models) = (secrets::named(&ProcessEnv, more), secrets::named(&ProcessEnv, &SECRETS));
    let mut values = BTreeMap::new();
    match model_use {
        ModelUse::Calls => wanted.extend(of_models),
        ModelUse::Names => values.extend(of_models),
    }
    if !wanted.is_empty() {
        let ssm = Ssm::new(aws, &ProcessEnv).map_err(StartError::Secrets)?;
        values.extend(secrets::fetched(&ssm, &wanted).await.map_err(StartError::Secrets)?);
    }
    Ok(WithSecrets::new(&ProcessEnv, values))
}

/// The account's configuration over one TLS stack. Calls of models take their own time, so none is set here.
pub(crate) async fn aws() -> SdkConfig {
    let client = aws_smithy_http_client::Builder::new()
        .tls_provider(tls::Provider::Rustls(tls::rustls_provider::CryptoMode::Ring))
        .build_https();
    aws_config::defaults(BehaviorVersion::latest()).http_client(client).load().await
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
    fn a_default_model_that_is_not_set_up_stops_the_start() {
        let error = start_with("openai/gpt-4.1").err().expect("there is no key");
        let cause = error.source().map(ToString::to_string).unwrap_or_default();
        assert!(cause.contains("OPENAI_API_KEY"), "{error}: {cause}");
        assert!(start_with("nonsense").is_err());
        let registry = start_with("ollama/qwen3:8b").expect("it needs no key");
        assert_eq!(registry.default_model(), "ollama/qwen3:8b");
    }
}
