//! Models: what is set up, and the embedded one's weights.

use convoke_models::embedded::{WeightsSource, fetch};
use convoke_models::registry::{ModelState, Registry};
use convoke_runtime::models::{self, Extras};

use super::args::ModelCommand;
use super::failure::{Exit, Failure};
use super::{session, weights};
use crate::local::EMBEDDED_MODEL;
use crate::settings::Settings;

/// Does what is asked.
pub async fn models(settings: &Settings, command: ModelCommand) -> Result<Exit, Failure> {
    match command {
        ModelCommand::Pull => {
            let shown = weights::progress();
            let fetched = fetch(&settings.cache_dir, &WeightsSource::Default, shown.sink()).await;
            shown.end();
            let weights = fetched.map_err(|error| session::weights_failure(&error))?;
            println!("{}", weights.path.display());
        }
        ModelCommand::List => {
            for line in lines(settings)? {
                println!("{line}");
            }
        }
    }
    Ok(Exit::Done)
}

/// A line per provider: whether it is set up, and what it lacks.
pub fn lines(settings: &Settings) -> Result<Vec<String>, Failure> {
    let extras = Extras { default_model: Some(EMBEDDED_MODEL.to_owned()), ..Extras::default() };
    let read = models::settings(settings, extras).map_err(|mistakes| Failure::usage(settings.explain(&mistakes)))?;
    let registry = Registry::new(read).map_err(|error| Failure::caused("no HTTP client", &error))?;
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
