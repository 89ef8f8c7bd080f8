//! Keys of the API on this machine.

use convoke_domain::ids::TenantId;

use super::args::KeysCommand;
use super::failure::{Exit, Failure};
use super::progress::printable;
use super::session;
use crate::resources;
use crate::settings::Settings;
use crate::stack::{FolderError, Stack, StackError, StackOptions};
use convoke_app::platform::{Limits, Platform};
use convoke_models::registry::{self, Registry};

/// Does what is asked. The installation must not be running: its folder is held by one process.
pub async fn keys(settings: &Settings, command: KeysCommand) -> Result<Exit, Failure> {
    let started = Stack::start(StackOptions::new(&settings.data_dir)).await;
    let stack = started.map_err(|error| match error {
        StackError::Folder(FolderError::Held { .. }) => {
            Failure::caused("", &error).hint("keys are made and deleted while nobody serves; end it first").usage_exit()
        }
        error => session::failure(settings, None, &error.into()),
    })?;
    let platform = platform(&stack).await?;
    let done = act(&platform, command).await;
    stack.shutdown().await;
    done
}

/// A platform without models: keys need none.
async fn platform(stack: &Stack) -> Result<Platform, Failure> {
    let clients = stack.clients();
    let made = resources::ensure(&clients).await;
    let stores = made.map_err(|error| Failure::caused("the data folder can't be used", &error).usage_exit())?;
    let registry =
        Registry::new(registry::Settings::default()).map_err(|error| Failure::caused("no HTTP client", &error))?;
    let connected = convoke_runtime::Clients { dynamodb: clients.dynamodb, sqs: clients.sqs, s3: clients.s3 };
    let behind = (Limits::default(), convoke_tools::compiler());
    Ok(convoke_runtime::platform(connected, &stores, std::sync::Arc::new(registry), behind))
}

async fn act(platform: &Platform, command: KeysCommand) -> Result<Exit, Failure> {
    let failed = |error: convoke_app::failure::Failure| Failure::caused("keys can't be read", &error);
    match command {
        KeysCommand::Create { name, tenant } => {
            let made = platform.create_key(&parse(&tenant)?, &name).await.map_err(failed)?;
            println!("{}", made.key.expose());
            eprintln!("This is the only time that the key is shown.");
        }
        KeysCommand::List { tenant } => {
            for key in platform.keys(&parse(&tenant)?).await.map_err(failed)? {
                println!("{}  {}", key.prefix, printable(&key.name));
            }
        }
        KeysCommand::Delete { prefix, tenant } => {
            let deleted = platform.delete_key(&parse(&tenant)?, &prefix).await.map_err(failed)?;
            if deleted == 0 {
                return Err(Failure::usage(format!("{tenant} has no key that begins with {prefix:?}")));
            }
        }
    }
    Ok(Exit::Done)
}

fn parse(tenant: &str) -> Result<TenantId, Failure> {
    tenant.parse().map_err(|error| Failure::usage(format!("--tenant {tenant:?}: {error}")))
}
