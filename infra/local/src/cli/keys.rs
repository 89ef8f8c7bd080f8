//! Keys of the API, on this machine or of a stack.

use super::args::KeysCommand;
use super::failure::{Exit, Failure};
use super::progress::printable;
use super::{session, stack};
use crate::resources;
use crate::settings::Settings;
use crate::stack::{FolderError, Stack, StackError, StackOptions};
use convoke_api::time::Time;
use convoke_app::platform::Platform;
use convoke_runtime::Clients;

/// Does what is asked. An installation on this machine must not be running: its folder is held by one process.
pub async fn keys(settings: &Settings, command: KeysCommand) -> Result<Exit, Failure> {
    match &command.whose().stack {
        Some(name) => {
            let found = stack::find(name).await?;
            act(&stack::platform_of(found.clients, &found.stores)?, &command).await
        }
        None => of_folder(settings, async |platform| act(platform, &command).await).await,
    }
}

/// Does something with the installation of the data folder, which nobody may hold.
pub async fn of_folder<T>(
    settings: &Settings,
    act: impl AsyncFnOnce(&Platform) -> Result<T, Failure>,
) -> Result<T, Failure> {
    let started = Stack::start(StackOptions::new(&settings.data_dir)).await;
    let stack = started.map_err(|error| match error {
        StackError::Folder(FolderError::Held { .. }) => {
            Failure::caused("", &error).hint("this is done while nobody serves; end it first").usage_exit()
        }
        error => session::failure(settings, None, &error.into()),
    })?;
    let clients = stack.clients();
    let made = resources::ensure(&clients).await;
    let stores = made.map_err(|error| Failure::caused("the data folder can't be used", &error).usage_exit())?;
    let connected = Clients { dynamodb: clients.dynamodb, sqs: clients.sqs, s3: clients.s3 };
    let done = act(&stack::platform_of(connected, &stores)?).await;
    stack.shutdown().await;
    done
}

async fn act(platform: &Platform, command: &KeysCommand) -> Result<Exit, Failure> {
    let failed = |error: convoke_app::failure::Failure| Failure::caused("keys can't be read", &error);
    let tenant = stack::tenant(&command.whose().tenant)?;
    match command {
        KeysCommand::Create { name, .. } => {
            let made = platform.create_key(&tenant, name).await.map_err(failed)?;
            println!("{}", made.key.expose());
            eprintln!("This is the only time that the key is shown.");
        }
        KeysCommand::List { .. } => {
            for key in platform.keys(&tenant).await.map_err(failed)? {
                let until = key.expires_s.map(|end| format!("  until {}", Time(end * 1_000))).unwrap_or_default();
                println!("{}  {}{until}", key.prefix, printable(&key.name));
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
