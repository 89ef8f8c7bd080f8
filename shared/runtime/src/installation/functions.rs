//! What Lambda says of an installation's functions: by a signed request each, since the SDK's client of Lambda is as big as
//! all others together.

use std::collections::BTreeMap;

use aws_config::SdkConfig;
use serde::Deserialize;
use serde::de::DeserializeOwned;

use crate::signing::{Ask, AskError, Service};

/// How a function is set up.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FunctionSetup {
    /// `Active`, where it can be invoked.
    pub state: String,
    /// Why it is in that state, where Lambda says.
    pub reason: Option<String>,
    /// Its environment. Holds names of secrets, no secrets.
    pub settings: BTreeMap<String, String>,
}

/// Where a function's events come from.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub struct EventSource {
    /// `Enabled`, where they come.
    pub state: String,
    /// Events of a batch at most.
    #[serde(default)]
    pub batch_size: u32,
    /// Invocations at once at most, where that is bounded.
    #[serde(default)]
    scaling_config: Option<Scaling>,
}

impl EventSource {
    /// Invocations at once at most, where that is bounded.
    pub fn concurrency_max(&self) -> Option<u32> {
        self.scaling_config.as_ref()?.maximum_concurrency
    }
}

#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Scaling {
    #[serde(default)]
    maximum_concurrency: Option<u32>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Setup {
    #[serde(default)]
    state: Option<String>,
    #[serde(default)]
    state_reason: Option<String>,
    #[serde(default)]
    environment: Option<Environment>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Environment {
    #[serde(default)]
    variables: BTreeMap<String, String>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Sources {
    event_source_mappings: Vec<EventSource>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Account {
    account_limit: AccountLimit,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct AccountLimit {
    concurrent_executions: u32,
}

/// Lambda, of an account and region.
pub(super) struct Lambda(Service);

impl Lambda {
    pub(super) fn new(aws: &SdkConfig) -> Result<Self, AskError> {
        let made = Service::new(aws, ("Lambda", "lambda")).map(Self);
        made.map_err(|source| AskError::Unasked { service: "Lambda", source })
    }

    /// `lambda:GetFunctionConfiguration`.
    pub(super) async fn setup(&self, function: &str) -> Result<FunctionSetup, AskError> {
        let found: Setup = self.get(&format!("/2015-03-31/functions/{function}/configuration")).await?;
        Ok(FunctionSetup {
            state: found.state.unwrap_or_else(|| "Active".to_owned()),
            reason: found.state_reason.filter(|reason| !reason.is_empty()),
            settings: found.environment.map(|environment| environment.variables).unwrap_or_default(),
        })
    }

    /// `lambda:ListEventSourceMappings`.
    pub(super) async fn sources(&self, function: &str) -> Result<Vec<EventSource>, AskError> {
        let found: Sources = self.get(&format!("/2015-03-31/event-source-mappings/?FunctionName={function}")).await?;
        Ok(found.event_source_mappings)
    }

    /// `lambda:GetAccountSettings`: functions that may run at once in the account.
    pub(super) async fn concurrent_max(&self) -> Result<u32, AskError> {
        let found: Account = self.get("/2016-08-19/account-settings/").await?;
        Ok(found.account_limit.concurrent_executions)
    }

    async fn get<T: DeserializeOwned>(&self, path: &str) -> Result<T, AskError> {
        self.0.read(Ask { method: "GET", path, headers: &[], body: "" }).await
    }
}
