//! An installation in an AWS account, found by its stack's name, for whoever has the account's credentials.

mod functions;
mod parts;
mod quotas;

use aws_config::SdkConfig;
use aws_smithy_runtime_api::client::http::SharedHttpClient;
use serde::Deserialize;

use crate::config::Stores;
use crate::connect::{Clients, aws};
use crate::ssm::{Ssm, SsmError};

pub use crate::signing::AskError;
pub use functions::{EventSource, FunctionSetup};
pub use parts::{DeadLetters, PartError};
pub use quotas::{ModelQuotas, Quota, quotas_of};

use functions::Lambda;

/// Where an installation is.
pub struct Installation {
    /// Its HTTP API.
    pub url: String,
    /// Its table, queues and bucket.
    pub stores: Stores,
    /// Clients with the caller's credentials.
    pub clients: Clients,
    /// The name of the step function, which knows the models; stacks of an earlier version don't tell.
    pub step: Option<String>,
    aws: SdkConfig,
}

impl Installation {
    /// The region that it is in.
    pub fn region(&self) -> &str {
        self.aws.region().map_or("", |region| region.as_ref())
    }

    /// A client of Bedrock with the caller's credentials.
    pub fn bedrock(&self) -> aws_sdk_bedrockruntime::Client {
        aws_sdk_bedrockruntime::Client::new(&self.aws)
    }

    /// SSM of its account and region, where the keys are that its settings name.
    pub fn ssm(&self) -> Result<Ssm, SsmError> {
        Ssm::new(&self.aws)
    }

    /// How a function is set up. Takes `lambda:GetFunctionConfiguration`.
    pub async fn function(&self, name: &str) -> Result<FunctionSetup, AskError> {
        self.lambda()?.setup(name).await
    }

    /// Where a function's events come from. Takes `lambda:ListEventSourceMappings`.
    pub async fn sources(&self, function: &str) -> Result<Vec<EventSource>, AskError> {
        self.lambda()?.sources(function).await
    }

    /// How many functions may run at once in the account. Takes `lambda:GetAccountSettings`.
    pub async fn concurrent_max(&self) -> Result<u32, AskError> {
        self.lambda()?.concurrent_max().await
    }

    /// What the account may do with Bedrock, see [`quotas_of`]. Takes `servicequotas:ListServiceQuotas`.
    pub async fn bedrock_quotas(&self) -> Result<Vec<Quota>, AskError> {
        quotas::of_bedrock(&self.aws).await
    }

    fn lambda(&self) -> Result<Lambda, AskError> {
        Lambda::new(&self.aws)
    }
}

/// Why an installation can't be found. Final until its operator or the caller does something.
#[derive(Debug, thiserror::Error)]
pub enum FindError {
    /// Its whereabouts can't be read.
    #[error("the whereabouts of the stack {stack} can't be read")]
    Unread {
        /// The stack.
        stack: String,
        /// Why.
        #[source]
        source: SsmError,
    },
    /// Its whereabouts say something else than this program knows.
    #[error("the whereabouts of the stack {stack} can't be understood: {detail}")]
    Unknown {
        /// The stack.
        stack: String,
        /// Why.
        detail: String,
    },
}

/// The version of [`Whereabouts`] that this code reads.
const VERSION: u64 = 1;

/// What `template.yaml` writes.
#[derive(Deserialize)]
struct Whereabouts {
    v: u64,
    url: String,
    table: String,
    bucket: String,
    queue_url: String,
    solo_queue_url: String,
    delivery_queue_url: String,
    #[serde(default)]
    step: Option<String>,
}

/// The parameter of SSM that says where the things of a stack are.
pub fn parameter_of_stack(stack: &str) -> String {
    format!("/convoke/{stack}/whereabouts")
}

/// Finds the installation that a stack is, by the credentials and region of the environment or the profile, and calls AWS by
/// `https`: a command line's own client, since functions have no use for one. Reads only.
pub async fn find(stack: &str, https: SharedHttpClient) -> Result<Installation, FindError> {
    let unread = |source| FindError::Unread { stack: stack.to_owned(), source };
    let aws = aws(https).await;
    let ssm = Ssm::new(&aws).map_err(unread)?;
    let text = ssm.value(&parameter_of_stack(stack)).await.map_err(unread)?;
    let Whereabouts { url, table, bucket, queue_url, solo_queue_url, delivery_queue_url, step, .. } =
        read(&text).map_err(|detail| FindError::Unknown { stack: stack.to_owned(), detail })?;
    let stores = Stores { table, queue_url, solo_queue_url, delivery_queue_url, bucket };
    Ok(Installation { url, stores, clients: Clients::new(&aws), step, aws })
}

fn read(text: &str) -> Result<Whereabouts, String> {
    let found: Whereabouts = serde_json::from_str(text).map_err(|error| error.to_string())?;
    if found.v == VERSION {
        Ok(found)
    } else {
        Err(format!("they are of version {}, this program reads {VERSION}", found.v))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn whereabouts_are_read_and_others_are_refused() {
        let text = r#"{"v":1,"url":"u","table":"t","bucket":"b","queue_url":"q","solo_queue_url":"s","delivery_queue_url":"d","more":1}"#;
        let found = read(text).expect("whole");
        assert_eq!((found.url.as_str(), found.table.as_str(), found.solo_queue_url.as_str()), ("u", "t", "s"));
        assert_eq!(found.step, None, "a stack of before");
        let newer = text.replace("\"more\":1", "\"step\":\"f\"");
        assert_eq!(read(&newer).expect("whole").step.as_deref(), Some("f"));
        assert!(read(&text.replace("\"v\":1", "\"v\":2")).is_err_and(|detail| detail.contains("version 2")));
        assert!(read(&text.replace("bucket", "pail")).is_err_and(|detail| detail.contains("bucket")));
    }
}
