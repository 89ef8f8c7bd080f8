//! An installation in an AWS account, for commands that are told its stack: found and spoken to with the caller's
//! credentials.

use std::sync::Arc;

use aws_smithy_http_client::tls;
use aws_smithy_runtime_api::client::http::SharedHttpClient;
use convoke_app::auth::NewKey;
use convoke_app::platform::{Limits, Platform};
use convoke_domain::ids::TenantId;
use convoke_models::registry::{self, Registry};
use convoke_runtime::config::Stores;
use convoke_runtime::installation::{self, Installation};
use convoke_runtime::{Clients, platform};

use super::api::Api;
use super::failure::Failure;

/// How long a command's key is good where nobody gives it back.
const LENT_S: u64 = 24 * 3_600;

/// Finds the installation that a stack is.
pub async fn find(stack: &str) -> Result<Installation, Failure> {
    installation::find(stack, https()).await.map_err(|error| {
        let hint = "see to AWS_PROFILE or AWS_ACCESS_KEY_ID, AWS_REGION, and the stack's name";
        Failure::caused("", &error).hint(hint)
    })
}

/// The SDK's own client, which heeds the certificates of this machine.
fn https() -> SharedHttpClient {
    aws_smithy_http_client::Builder::new()
        .tls_provider(tls::Provider::Rustls(tls::rustls_provider::CryptoMode::Ring))
        .build_https()
}

/// A platform without models: keys, tenants and webhooks need none.
pub fn platform_of(clients: Clients, stores: &Stores) -> Result<Platform, Failure> {
    let registry =
        Registry::new(registry::Settings::default()).map_err(|error| Failure::caused("no HTTP client", &error))?;
    Ok(platform(clients, stores, Arc::new(registry), (Limits::default(), convoke_tools::compiler())))
}

/// The tenant that `--tenant` names.
pub fn tenant(text: &str) -> Result<TenantId, Failure> {
    text.parse().map_err(|error| Failure::usage(format!("--tenant {text:?}: {error}")))
}

/// A key that a command works with, and gives back at its end.
pub struct Lent {
    url: String,
    key: NewKey,
    platform: Platform,
}

impl Lent {
    /// A key of a tenant of that stack, whose API is at `url`, or where the stack says.
    pub async fn new(stack: &str, url: Option<&str>, tenant_name: &str) -> Result<Self, Failure> {
        let tenant = tenant(tenant_name)?;
        let found = find(stack).await?;
        let url = url.unwrap_or(&found.url).to_owned();
        let platform = platform_of(found.clients, &found.stores)?;
        let made = platform.lend_key(&tenant, "convoke --stack", LENT_S).await;
        let key = made.map_err(|error| Failure::caused("no key can be made", &error))?;
        Ok(Self { url, key, platform })
    }

    /// The API, by that key.
    pub fn api(&self) -> Result<Api, Failure> {
        Api::new(&self.url, self.key.key.expose())
    }

    /// Deletes the key.
    pub async fn give_back(self) {
        let record = self.key.record;
        if let Err(error) = self.platform.delete_key(&record.tenant, &record.prefix).await {
            eprintln!("the key {} of this command is still there for a day: {error}", record.prefix);
        }
    }
}
