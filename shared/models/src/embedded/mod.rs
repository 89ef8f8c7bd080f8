//! The embedded model: a small language model inside the process, without account, network or other software.
//!
//! It loads a GGUF file and answers on one core. The default, [`Weights`] of SmolLM2-135M-Instruct, follows
//! instructions badly; it is there so that everything runs, holds its schemas and is metered. Larger files (Llama,
//! Qwen 2, Qwen 3, Phi 3, Gemma 3) answer better and slower.
//!
//! - `weights` finds, fetches and checks files; `gguf` reads them; `requantize` prepares them once.
//! - `tokenizer`, `template`: text to tokens, conversations to text, as the file says.
//! - `transformer`, `attention`, `kernels`: our decoder, several times as fast as candle's on a prompt and beside other
//!   work; `network` chooses between them.
//! - `sampling`, `grammar`, `bounds`, `tools`: which token is next; JSON by schema, and tools, for models that were
//!   never taught either.
//! - `engine` puts them together. Here it meets the port.
//!
//! Deliberately not here: GPUs, several sequences at once, models too large for one machine. Ollama and others do that
//! well, behind the `OpenAI` client.

mod attention;
mod bounds;
mod download;
mod engine;
mod gguf;
mod grammar;
mod kernels;
mod network;
mod requantize;
mod sampling;
mod template;
mod tokenizer;
mod tools;
mod transformer;
mod weights;

use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};

use async_trait::async_trait;
use convoke_app::model::{ChatModel, DeltaSink, Finish, ModelAnswer, ModelError, ModelProfile, ModelRequest, Usage};
use convoke_domain::money::{MicroUsd, Price};
use tokio::sync::Semaphore;
use tokio_util::sync::CancellationToken;

pub use bounds::{Bounded, BoundsError, bound};
pub use gguf::LoadError;
pub use sampling::Sampling;
pub use weights::{Progress, ProgressSink, Weights, WeightsError, WeightsSource, fetch, is_fetched};

use crate::bounded::bounded;
use engine::{Engine, EngineError, Generated, Task};
use network::NetworkError;
use tools::Decision;

/// How an embedded model is used.
#[derive(Clone, Debug, PartialEq)]
pub struct EmbeddedOptions {
    /// As jobs name it.
    pub name: String,
    /// Prompt and answer together, at most; less where the model was made for less. A token takes 46 KB of memory
    /// with SmolLM2-135M.
    pub context_tokens_max: u32,
    /// Longest answer.
    pub output_tokens_max: u32,
    /// Whether it follows long instructions and calls tools by itself.
    pub capable: bool,
    /// How tokens are chosen; a request's temperature overrides it.
    pub sampling: Sampling,
}

impl Default for EmbeddedOptions {
    /// For SmolLM2-135M-Instruct.
    fn default() -> Self {
        Self {
            name: "embedded/smollm2-135m-instruct".to_owned(),
            context_tokens_max: 4_096,
            output_tokens_max: 1_024,
            capable: false,
            sampling: Sampling::default(),
        }
    }
}

const FREE: Price = Price { input_per_mtok: MicroUsd::ZERO, output_per_mtok: MicroUsd::ZERO };

/// A model in memory. One answer at a time: callers wait for each other, in order.
pub struct EmbeddedModel {
    profile: ModelProfile,
    sampling: Sampling,
    engine: Arc<Mutex<Engine>>,
    turn: Arc<Semaphore>,
}

impl EmbeddedModel {
    /// Reads a GGUF file into memory: 0.2 s and 160 MB for SmolLM2-135M in 8 bits, about 1 s in another format. Blocks;
    /// call it from `spawn_blocking`. No file is written.
    pub fn load(path: &Path, options: EmbeddedOptions) -> Result<Self, LoadError> {
        let mut engine = Engine::load(path)?;
        engine.limit_context(options.context_tokens_max as usize);
        let context_tokens = u32::try_from(engine.context_tokens()).unwrap_or(options.context_tokens_max);
        let profile = ModelProfile {
            name: options.name,
            context_tokens,
            output_tokens_max: options.output_tokens_max.min(context_tokens),
            capable: options.capable,
            price: Some(FREE),
        };
        Ok(Self {
            profile,
            sampling: options.sampling,
            engine: Arc::new(Mutex::new(engine)),
            turn: Arc::new(Semaphore::new(1)),
        })
    }

    async fn answer(&self, request: &ModelRequest, deltas: Option<&DeltaSink>) -> Result<ModelAnswer, ModelError> {
        let turn = Arc::clone(&self.turn).acquire_owned().await;
        let turn = turn.map_err(|error| ModelError::Failed { detail: error.to_string() })?;
        // Dropping this future, by time-out or cancellation, ends the generation between two layers; the next one
        // waits for that.
        let stop = CancellationToken::new();
        let _stop_when_dropped = stop.clone().drop_guard();
        let work = Work {
            request: request.clone(),
            sampling: self.sampling,
            output_tokens_max: request.output_tokens_max.min(self.profile.output_tokens_max),
            deltas: deltas.cloned(),
            stop,
        };
        let engine = Arc::clone(&self.engine);
        let done = tokio::task::spawn_blocking(move || {
            let _turn = turn;
            work.run(&mut engine.lock().unwrap_or_else(PoisonError::into_inner))
        });
        done.await.unwrap_or_else(|error| Err(ModelError::Failed { detail: error.to_string() }))
    }
}

#[async_trait]
impl ChatModel for EmbeddedModel {
    fn profile(&self) -> &ModelProfile {
        &self.profile
    }

    /// Deterministic: the same request (with the same seed, or without one) gives the same answer on the same kind of
    /// CPU, whatever was asked before. An answer by a schema is always whole, see `bounds`; with tools no pieces are
    /// streamed, the final text comes at once.
    async fn complete(&self, request: &ModelRequest, deltas: Option<&DeltaSink>) -> Result<ModelAnswer, ModelError> {
        bounded(request, self.answer(request, deltas)).await
    }
}

struct Work {
    request: ModelRequest,
    sampling: Sampling,
    output_tokens_max: u32,
    deltas: Option<DeltaSink>,
    stop: CancellationToken,
}

impl Work {
    fn run(&self, engine: &mut Engine) -> Result<ModelAnswer, ModelError> {
        let Self { request, .. } = self;
        let has_tools = !request.tools.is_empty();
        let asked = request.schema.as_ref().map(|schema| &schema.schema);
        let with_tools = has_tools.then(|| tools::schema(&request.tools, asked));
        let preface = has_tools.then(|| tools::preface(&request.tools));
        let turns = template::turns(&request.messages, preface.as_deref(), |text| engine.defused(text));
        let temperature = request.temperature.unwrap_or(self.sampling.temperature);
        let task = Task {
            turns: &turns,
            schema: with_tools.as_ref().or(asked),
            output_tokens_max: self.output_tokens_max as usize,
            sampling: Sampling { temperature, ..self.sampling },
            seed: request.seed,
        };
        let mut emit = |text: &str| {
            if let Some(sink) = self.deltas.as_ref().filter(|_| !has_tools) {
                sink(text);
            }
        };
        let generated =
            engine.generate(&task, &|| self.stop.is_cancelled(), &mut emit).map_err(|error| failure(&error))?;
        Ok(if has_tools { self.decided(generated) } else { spoken(generated) })
    }

    fn decided(&self, generated: Generated) -> ModelAnswer {
        let decision = tools::decision(&generated.text);
        let mut answer = spoken(generated);
        match decision {
            Some(Decision::Call(call)) => {
                answer.text.clear();
                answer.tool_calls.push(call);
                answer.finish = Finish::ToolCalls;
            }
            Some(Decision::Final(text)) => {
                if let Some(sink) = &self.deltas {
                    sink(&text);
                }
                answer.text = text;
            }
            None => {}
        }
        answer
    }
}

fn spoken(generated: Generated) -> ModelAnswer {
    ModelAnswer {
        text: generated.text,
        tool_calls: Vec::new(),
        finish: if generated.is_whole { Finish::Stop } else { Finish::Length },
        usage: Usage {
            input_tokens: generated.input_tokens as u64,
            output_tokens: generated.output_tokens as u64,
            reported_usd: None,
        },
    }
}

fn failure(error: &EngineError) -> ModelError {
    let detail = chain(error);
    match error {
        EngineError::Overflow { .. } => ModelError::ContextOverflow { detail },
        EngineError::Template(_) | EngineError::Tokenizer(_) | EngineError::Bounds(_) | EngineError::Grammar(_) => {
            ModelError::Refused { detail }
        }
        EngineError::Network(NetworkError::Stopped) => ModelError::Cancelled,
        EngineError::Network(NetworkError::Broken(_)) => ModelError::Failed { detail },
    }
}

/// An error with its causes.
fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        text = format!("{text}: {error}");
        cause = error.source();
    }
    text
}
