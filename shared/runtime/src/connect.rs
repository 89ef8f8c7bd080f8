//! Connecting the ports: once per process.

use std::sync::Arc;

use aws_config::{BehaviorVersion, SdkConfig};
use aws_smithy_http_client::tls;
use convoke_app::model::Models;
use convoke_app::platform::{Compile, Limits, Platform, Ports};
use convoke_app::ports::Env;
use convoke_aws::{DynamoTable, S3Blobs, SqsBells};
use convoke_models::registry::{Registry, RegistryError};

use crate::config::{self, Mistakes, ProcessEnv, Stores, Strings};
use crate::models::{Extras, settings};
use crate::system::SystemEnv;
use crate::telemetry::{self, Format};

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

/// Why a process can't start. Final: an operator has to change something.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// Settings are missing or wrong.
    #[error(transparent)]
    Config(#[from] Mistakes),
    /// The models' HTTP client can't be made.
    #[error("models can't be called")]
    Models(#[source] RegistryError),
}

/// A platform over these clients.
pub fn platform(
    clients: Clients,
    stores: &Stores,
    models: Arc<dyn Models>,
    (limits, compile): (Limits, Compile),
) -> Platform {
    let env = SystemEnv;
    let seed = u64::from_le_bytes(env.secret()[..8].try_into().unwrap_or_default());
    let table = Arc::new(DynamoTable::new(clients.dynamodb, stores.table.clone(), seed));
    let bells = SqsBells::new(clients.sqs, stores.queue_url.clone(), stores.solo_queue_url.clone(), seed);
    let blobs = S3Blobs::new(clients.s3.clone(), clients.s3, stores.bucket.clone());
    let ports = Ports {
        groups: Arc::clone(&table) as _,
        steps: Arc::clone(&table) as _,
        jobs: Arc::clone(&table) as _,
        sweeps: Arc::clone(&table) as _,
        keys: Arc::clone(&table) as _,
        events: table,
        bells: Arc::new(bells),
        blobs: Arc::new(blobs),
        models,
        env: Arc::new(env),
    };
    Platform::new(ports, limits, compile)
}

/// The start of a Lambda function: telemetry, configuration, connections.
pub async fn start(compile: Compile) -> Result<Platform, StartError> {
    let strings = ProcessEnv;
    telemetry::start(Format::Json, &strings.get("RUST_LOG").unwrap_or_else(|| "info".to_owned()));
    let stores = Stores::read(&strings)?;
    let limits = config::limits(&strings)?;
    let aws = aws().await;
    let clients = Clients {
        dynamodb: aws_sdk_dynamodb::Client::new(&aws),
        sqs: aws_sdk_sqs::Client::new(&aws),
        s3: aws_sdk_s3::Client::new(&aws),
    };
    let bedrock = Some(aws_sdk_bedrockruntime::Client::new(&aws));
    let settings = settings(&strings, Extras { bedrock, ..Extras::default() })?;
    let registry = Registry::new(settings).map_err(StartError::Models)?;
    Ok(platform(clients, &stores, Arc::new(registry), (limits, compile)))
}

/// The account's configuration over one TLS stack.
async fn aws() -> SdkConfig {
    let client = aws_smithy_http_client::Builder::new()
        .tls_provider(tls::Provider::Rustls(tls::rustls_provider::CryptoMode::Ring))
        .build_https();
    aws_config::defaults(BehaviorVersion::latest()).http_client(client).load().await
}
