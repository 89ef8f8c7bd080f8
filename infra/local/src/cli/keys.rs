//! Keys of the API, on this machine or of a stack.

use convoke_domain::ids::TenantId;

use super::args::{KeysCommand, Whose};
use super::failure::{Exit, Failure};
use super::progress::printable;
use super::session;
use crate::resources;
use crate::settings::Settings;
use crate::stack::{FolderError, Stack, StackError, StackOptions};
use convoke_app::platform::{Limits, Platform};
use convoke_models::registry::{self, Registry};
use convoke_runtime::config::Stores;
use convoke_runtime::{Clients, installation};

/// Does what is asked. An installation on this machine must not be running: its folder is held by one process.
pub async fn keys(settings: &Settings, command: KeysCommand) -> Result<Exit, Failure> {
    match &command.whose().stack {
        Some(stack) => of_stack(stack, &command).await,
        None => of_folder(settings, &command).await,
    }
}

async fn of_stack(stack: &str, command: &KeysCommand) -> Result<Exit, Failure> {
    let found = installation::find(stack).await.map_err(|error| {
        let hint = "see to AWS_PROFILE or AWS_ACCESS_KEY_ID, AWS_REGION, and the stack's name";
        Failure::caused("", &error).hint(hint)
    })?;
    act(&platform(found.clients, &found.stores)?, command).await
}

async fn of_folder(settings: &Settings, command: &KeysCommand) -> Result<Exit, Failure> {
    let started = Stack::start(StackOptions::new(&settings.data_dir)).await;
    let stack = started.map_err(|error| match error {
        StackError::Folder(FolderError::Held { .. }) => {
            Failure::caused("", &error).hint("keys are made and deleted while nobody serves; end it first").usage_exit()
        }
        error => session::failure(settings, None, &error.into()),
    })?;
    let clients = stack.clients();
    let made = resources::ensure(&clients).await;
    let stores = made.map_err(|error| Failure::caused("the data folder can't be used", &error).usage_exit())?;
    let connected = Clients { dynamodb: clients.dynamodb, sqs: clients.sqs, s3: clients.s3 };
    let done = act(&platform(connected, &stores)?, command).await;
    stack.shutdown().await;
    done
}

/// A platform without models: keys need none.
fn platform(clients: Clients, stores: &Stores) -> Result<Platform, Failure> {
    let registry =
        Registry::new(registry::Settings::default()).map_err(|error| Failure::caused("no HTTP client", &error))?;
    let behind = (Limits::default(), convoke_tools::compiler());
    Ok(convoke_runtime::platform(clients, stores, std::sync::Arc::new(registry), behind))
}

async fn act(platform: &Platform, command: &KeysCommand) -> Result<Exit, Failure> {
    let failed = |error: convoke_app::failure::Failure| Failure::caused("keys can't be read", &error);
    let tenant = tenant(command.whose())?;
    match command {
        KeysCommand::Create { name, .. } => {
            let made = platform.create_key(&tenant, name).await.map_err(failed)?;
            println!("{}", made.key.expose());
            eprintln!("This is the only time that the key is shown.");
        }
        KeysCommand::List { .. } => {
            for key in platform.keys(&tenant).await.map_err(failed)? {
                println!("{}  {}", key.prefix, printable(&key.name));
            }
        }
        KeysCommand::Delete { prefix, .. } => {
            let deleted = platform.delete_key(&tenant, prefix).await.map_err(failed)?;
            if deleted == 0 {
                return Err(Failure::usage(format!("{tenant} has no key that begins with {prefix:?}")));
            }
        }
    }
    Ok(Exit::Done)
}

fn tenant(Whose { tenant, .. }: &Whose) -> Result<TenantId, Failure> {
    tenant.parse().map_err(|error| Failure::usage(format!("--tenant {tenant:?}: {error}")))
}
