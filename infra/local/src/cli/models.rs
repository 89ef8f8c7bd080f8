//! Models: what is set up, and the embedded one's weights.

use convoke_models::embedded::{WeightsSource, fetch};
use convoke_models::registry::{ModelState, Registry};
use convoke_runtime::config::ProcessEnv;
use convoke_runtime::models::{Extras, settings};

use super::args::ModelCommand;
use super::failure::{Exit, Failure};
use super::place::Places;
use super::weights_progress;
use crate::local::EMBEDDED_MODEL;

/// Does what is asked.
pub async fn models(places: &Places, command: ModelCommand) -> Result<Exit, Failure> {
    match command {
        ModelCommand::Pull => {
            let fetched = fetch(&places.cache_dir, &WeightsSource::Default, weights_progress()).await;
            let weights = fetched.map_err(|error| Failure::caused("the weights can't be had", &error))?;
            println!("{}", weights.path.display());
        }
        ModelCommand::List => {
            for line in lines()? {
                println!("{line}");
            }
        }
    }
    Ok(Exit::Done)
}

/// A line per provider: whether it is set up, and what it lacks.
pub fn lines() -> Result<Vec<String>, Failure> {
    let extras = Extras { default_model: Some(EMBEDDED_MODEL.to_owned()), ..Extras::default() };
    let settings = settings(&ProcessEnv, extras).map_err(|error| Failure::caused("settings", &error))?;
    let registry = Registry::new(settings).map_err(|error| Failure::caused("no HTTP client", &error))?;
    let line = |model: convoke_models::registry::ModelDescription| {
        let state = match model.state {
            ModelState::Ready => "ready".to_owned(),
            ModelState::Missing { setting } => format!("needs {setting}"),
            ModelState::Unknown { hint } => hint,
        };
        format!("{:<40} {state}", model.name)
    };
    let embedded = format!("{EMBEDDED_MODEL:<40} ready (weights are fetched at first use)");
    let others = registry.describe().into_iter().filter(|model| model.name != EMBEDDED_MODEL).map(line);
    Ok(std::iter::once(embedded).chain(others).collect())
}
