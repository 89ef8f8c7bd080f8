//! A conversation with a model: what is asked next, what it may cost, how an answer moves it on.

use std::sync::Arc;
use std::time::Duration;

use convoke_domain::decide::Hold;
use convoke_domain::money::{Cost, tokens_bound};
use convoke_domain::status::StopReason;
use serde_json::Value;
use sha2::{Digest, Sha256};
use tokio_util::sync::CancellationToken;

use super::load::PaidTurn;
use super::shift::Shift;
use crate::model::{ChatModel, Message, ModelAnswer, ModelRequest, Usage};
use crate::ports::FileRef;
use crate::script::{Ask, Broken, Inputs, NewFile, Toolbox};

/// Tokens that a provider's framing of a message may take.
const FRAME_TOKENS: u64 = 16;

/// One step's conversation, rebuilt from its journal.
pub(super) struct Session {
    pub task: String,
    pub model: Arc<dyn ChatModel>,
    pub ask: Ask,
    pub inputs: Inputs,
    pub toolbox: Box<dyn Toolbox>,
    /// Answers and replies after what was asked first.
    exchange: Vec<Message>,
    /// Number of the next turn, over all attempts, from 1.
    pub turn: u32,
    /// What the turns so far cost.
    pub cost: Cost,
    /// What they took.
    pub usage: Usage,
    /// Answers that were sent back in this attempt.
    pub sent_back: u32,
}

impl Session {
    /// Opens the conversation of `task`, going on after the journaled `turns`.
    pub fn open(shift: &Shift<'_>, task: &str, inputs: Inputs, turns: Vec<PaidTurn>) -> Result<Self, Broken> {
        let script = &shift.job.script;
        let models = &shift.platform.ports.models;
        let wanted = script.model(task).and_then(|name| models.model(name).ok());
        let model = match wanted.map_or_else(|| models.model(&inputs.model), Ok) {
            Ok(model) => model,
            Err(error) => {
                return Err(Broken { reason: StopReason::ModelUnavailable, cause: error.to_string() });
            }
        };
        let ask = script.ask(task, &inputs, model.profile())?;
        let toolbox = script.toolbox(task, &inputs);
        let (cost, usage) = (Cost::ZERO, Usage::default());
        let task = task.to_owned();
        let mut session =
            Self { task, model, ask, inputs, toolbox, exchange: Vec::new(), turn: 1, cost, usage, sent_back: 0 };
        for PaidTurn { answer, replies, cost, .. } in turns {
            for call in &answer.tool_calls {
                session.toolbox.call(call);
            }
            session.record(&answer, replies, cost);
        }
        Ok(session)
    }

    /// Notes an answer and what was replied to it; the next turn begins.
    pub fn record(&mut self, answer: &ModelAnswer, replies: Vec<Message>, cost: Cost) {
        self.count(answer, cost);
        self.exchange.push(Message::Assistant { text: answer.text.clone(), tool_calls: answer.tool_calls.clone() });
        self.exchange.extend(replies);
        self.turn += 1;
    }

    /// Counts an answer's tokens and cost.
    pub fn count(&mut self, answer: &ModelAnswer, cost: Cost) {
        self.cost += cost;
        self.usage.input_tokens += answer.usage.input_tokens;
        self.usage.output_tokens += answer.usage.output_tokens;
    }

    /// The file as the task's own last round left it, where this round has left it so: it stays that step's.
    pub fn unchanged(&self, file: &NewFile) -> Option<&FileRef> {
        let earlier = self.inputs.known.get(&self.task)?.last()?;
        let earlier = earlier.files.iter().find(|earlier| earlier.path == file.path)?;
        (earlier.sha256 == hex::encode(Sha256::digest(&file.bytes))).then_some(earlier)
    }

    /// What the model is asked next. A model that isn't capable gets the latest exchange alone: its context is short.
    fn messages(&self) -> Vec<Message> {
        let keep = if self.model.profile().capable { self.exchange.len() } else { 2 };
        let from = self.exchange.len().saturating_sub(keep);
        self.ask.messages.iter().chain(&self.exchange[from..]).cloned().collect()
    }

    fn output_tokens_max(&self) -> u32 {
        self.ask.output_tokens_max.min(self.model.profile().output_tokens_max).max(1)
    }

    /// The request of the next turn.
    pub fn request(&self, timeout: Duration, cancel: CancellationToken) -> ModelRequest {
        ModelRequest {
            messages: self.messages(),
            tools: self.ask.tools.clone(),
            schema: self.ask.schema.clone(),
            output_tokens_max: self.output_tokens_max(),
            temperature: self.ask.temperature,
            seed: Some(seed(&self.inputs.job, &self.task, self.inputs.item.as_ref(), self.turn)),
            timeout,
            cancel,
        }
    }

    /// The worst case of the next turn: every part of the prompt at its bound, the longest answer.
    pub fn hold(&self) -> Hold {
        let messages: u64 = self.messages().iter().map(|message| FRAME_TOKENS + bound(message)).sum();
        let tools: u64 = self
            .ask
            .tools
            .iter()
            .map(|tool| FRAME_TOKENS + tokens_bound(&tool.parameters.to_string()) + tokens_bound(&tool.description))
            .sum();
        let schema =
            self.ask.schema.as_ref().map_or(0, |schema| FRAME_TOKENS + tokens_bound(&schema.schema.to_string()));
        let profile = self.model.profile();
        let input = (messages + tools + schema).min(u64::from(profile.context_tokens));
        Hold { cost: profile.cost(input, u64::from(self.output_tokens_max())), turn: self.turn }
    }
}

fn bound(message: &Message) -> u64 {
    match message {
        Message::System { text } | Message::User { text } => tokens_bound(text),
        Message::Assistant { text, tool_calls } => {
            let calls: u64 =
                tool_calls.iter().map(|call| FRAME_TOKENS + tokens_bound(&call.arguments.to_string())).sum();
            tokens_bound(text) + calls
        }
        Message::Tool { content, .. } => tokens_bound(content),
    }
}

/// The same step asks with the same seed, whatever the attempt; other steps with other seeds (FNV-1a).
fn seed(job: &str, task: &str, item: Option<&(u32, Value)>, turn: u32) -> u64 {
    let text = format!("{job}/{task}/{:?}/{turn}", item.map(|(index, _)| index));
    text.bytes().fold(0xcbf2_9ce4_8422_2325, |hash, byte| (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3))
}
