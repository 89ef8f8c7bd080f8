//! Discord: what people do there in, what is called and answered out. Every body that is sent is judged by Discord's own
//! description of its API.

mod buttons;
mod commands;
mod dialogues;
mod gateway;
mod host;
mod inbound;
mod play;
mod refusals;
mod reviews;
mod talk;
mod told;

use std::sync::Arc;

use convoke_app::model::{ChatModel, ModelNameError, Models};
use convoke_app::platform::{Limits, Platform};
use convoke_tests::fakes::{FakeEnv, FakeQueue, FakeTable, Faults, ports};

/// When the world begins: 2026-11-21.
const NOW_MS: u64 = 1_795_219_200_000;

/// No model: nothing is worked on here.
struct NoModels;

impl Models for NoModels {
    fn model(&self, name: &str) -> Result<Arc<dyn ChatModel>, ModelNameError> {
        Err(ModelNameError::Unknown { name: name.into(), hint: "none".into() })
    }

    fn default_model(&self) -> &'static str {
        "test/none"
    }
}

/// A platform over the fakes, at [`NOW_MS`].
fn platform() -> Platform {
    let env = FakeEnv::new(NOW_MS, 7);
    let faults = Faults::default();
    let (table, queue) = (FakeTable::new(faults.clone()), FakeQueue::new(env.clone(), faults.clone()));
    Platform::new(ports(&table, &queue, NoModels, &env), Limits::default(), convoke_tools::compiler())
}
