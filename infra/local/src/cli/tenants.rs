//! `convoke tenants`: who there is, and what each has.

use convoke_app::failure::Failure as AppFailure;
use convoke_app::platform::Platform;
use convoke_domain::ids::TenantId;
use serde_json::{Value, json};

use super::args::TenantsArgs;
use super::failure::{Exit, Failure};
use super::jobs::print;
use super::keys::of_folder;
use super::stack;
use crate::settings::Settings;

/// Lists tenants. An installation on this machine must not be running: its folder is held by one process.
pub async fn tenants(settings: &Settings, args: &TenantsArgs) -> Result<Exit, Failure> {
    let all = match &args.stack {
        Some(name) => {
            let found = stack::find(name).await?;
            list(&stack::platform_of(found.clients, &found.stores)?).await?
        }
        None => of_folder(settings, async |platform| list(platform).await).await?,
    };
    if args.json {
        return print(&json!({ "tenants": all }));
    }
    for tenant in &all {
        let count = |what: &str| tenant[what].as_u64().unwrap_or_default();
        println!(
            "{:<40} {} keys  {} webhooks  {} schedules  {} links",
            tenant["tenant"].as_str().unwrap_or_default(),
            count("keys"),
            count("webhooks"),
            count("schedules"),
            count("links")
        );
    }
    Ok(Exit::Done)
}

async fn list(platform: &Platform) -> Result<Vec<Value>, Failure> {
    let mut all = Vec::new();
    for tenant in platform.tenants().await.map_err(|error| unread(&error))? {
        all.push(counted(platform, &tenant).await.map_err(|error| unread(&error))?);
    }
    Ok(all)
}

fn unread(error: &AppFailure) -> Failure {
    Failure::caused("tenants can't be read", error)
}

async fn counted(platform: &Platform, tenant: &TenantId) -> Result<Value, AppFailure> {
    Ok(json!({
        "tenant": tenant,
        "keys": platform.keys(tenant).await?.len(),
        "webhooks": platform.webhooks(tenant).await?.webhooks.len(),
        "schedules": platform.schedules(tenant).await?.schedules.len(),
        "links": platform.links(tenant).await?.len(),
    }))
}
