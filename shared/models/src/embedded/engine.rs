//! One model in memory: prompts in, text out.

use std::path::Path;
use std::sync::Arc;

use toktrie::SimpleVob;

use super::bounds::{self, Bounded, BoundsError, LONG_TOKEN_BYTES};
use super::gguf::{Gguf, LoadError};
use super::grammar::{Constraint, GrammarError, Grammars};
use super::network::{Network, NetworkError};
use super::sampling::{Sampler, Sampling};
use super::template::{ChatTemplate, Turn};
use super::tokenizer::Tokenizer;
use super::transformer::StopCheck;

/// A loaded model.
pub struct Engine {
    tokenizer: Arc<Tokenizer>,
    template: ChatTemplate,
    network: Network,
    /// Made when the first schema comes.
    grammars: Option<Grammars>,
    context_tokens: usize,
}

/// What is to be generated.
pub struct Task<'a> {
    /// The conversation.
    pub turns: &'a [Turn],
    /// What the answer has to be.
    pub schema: Option<&'a serde_json::Value>,
    /// Longest answer.
    pub output_tokens_max: usize,
    /// How to choose.
    pub sampling: Sampling,
    /// Decides the choice; without one the prompt does.
    pub seed: Option<u64>,
}

/// What was generated.
#[derive(Debug)]
pub struct Generated {
    /// The text.
    pub text: String,
    /// Whether the model was done, rather than cut.
    pub is_whole: bool,
    /// Tokens of the prompt.
    pub input_tokens: usize,
    /// Tokens of the text; the one that ends it isn't counted.
    pub output_tokens: usize,
}

/// Why nothing was generated.
#[derive(Debug, thiserror::Error)]
pub enum EngineError {
    /// The prompt leaves no room for an answer.
    #[error("the prompt of {prompt_tokens} tokens leaves no room in a context of {context_tokens}")]
    Overflow {
        /// Of the prompt.
        prompt_tokens: usize,
        /// Of the model.
        context_tokens: usize,
    },
    /// The model's template can't render the conversation.
    #[error("the model's chat template refuses the conversation")]
    Template(#[source] minijinja::Error),
    /// The prompt can't be tokenised.
    #[error("the prompt can't be tokenised")]
    Tokenizer(#[source] tokenizers::Error),
    /// The schema can't be made finite.
    #[error("the schema can't be used")]
    Bounds(#[source] BoundsError),
    /// The schema can't be followed.
    #[error("the schema can't be used")]
    Grammar(#[source] GrammarError),
    /// Nothing could be computed, or the caller asked to stop.
    #[error("the model stopped")]
    Network(#[source] NetworkError),
}

/// An answer of fewer tokens isn't worth the prompt.
const ANSWER_TOKENS_MIN: usize = 8;

impl Engine {
    /// Reads a model into memory.
    pub fn load(path: &Path) -> Result<Self, LoadError> {
        let file = Gguf::open(path)?;
        let tokenizer = Arc::new(Tokenizer::load(&file)?);
        let template = ChatTemplate::compile(file.text("tokenizer.chat_template"), &tokenizer);
        let template = template.map_err(|error| file.broken(format!("chat template: {error}")))?;
        let context_tokens = Network::context_tokens(&file);
        let network = Network::load(file)?;
        Ok(Self { tokenizer, template, network, grammars: None, context_tokens })
    }

    /// Tokens that the model was made for.
    pub fn context_tokens(&self) -> usize {
        self.context_tokens
    }

    /// Uses less of the context than there is.
    pub fn limit_context(&mut self, tokens: usize) {
        self.context_tokens = self.context_tokens.min(tokens);
    }

    /// See [`Tokenizer::defused`].
    pub fn defused(&self, text: &str) -> String {
        self.tokenizer.defused(text)
    }

    /// Generates an answer; `emit` gets its text as it comes, `stop` is asked between tokens and between layers.
    pub fn generate(
        &mut self,
        task: &Task<'_>,
        stop: StopCheck<'_>,
        emit: &mut dyn FnMut(&str),
    ) -> Result<Generated, EngineError> {
        let prompt = self.template.render(task.turns).map_err(EngineError::Template)?;
        let prompt = self.tokenizer.encode_prompt(&prompt).map_err(EngineError::Tokenizer)?;
        let room = self.room(&prompt, task)?;
        let mut constraint = task.schema.map(|schema| self.constrain(schema, room, &prompt)).transpose()?;
        let seed = task.seed.unwrap_or_else(|| mixed(&prompt));
        let logits = self.network.start(&prompt, stop).map_err(EngineError::Network)?;
        let mut writer = Writer {
            tokenizer: Arc::clone(&self.tokenizer),
            sampler: Sampler::new(task.sampling, seed),
            tokens: Vec::new(),
            bytes: Vec::new(),
            shown: 0,
            room,
        };
        let is_whole = writer.write(&mut self.network, &mut constraint, logits, stop, emit)?;
        let text = String::from_utf8_lossy(&writer.bytes).into_owned();
        Ok(Generated { text, is_whole, input_tokens: prompt.len(), output_tokens: writer.tokens.len() })
    }

    /// Tokens that the answer may have.
    fn room(&self, prompt: &[u32], task: &Task<'_>) -> Result<usize, EngineError> {
        let room = self.context_tokens.saturating_sub(prompt.len()).min(task.output_tokens_max);
        if room < ANSWER_TOKENS_MIN.min(task.output_tokens_max) || prompt.is_empty() {
            return Err(self.overflow(prompt));
        }
        Ok(room)
    }

    fn overflow(&self, prompt: &[u32]) -> EngineError {
        EngineError::Overflow { prompt_tokens: prompt.len(), context_tokens: self.context_tokens }
    }

    fn constrain(&mut self, schema: &serde_json::Value, room: usize, prompt: &[u32]) -> Result<Closing, EngineError> {
        let count = |text: &str| self.tokenizer.encode_plain(text).len();
        let bounded = bounds::bound(schema, room, &count).map_err(|error| match error {
            BoundsError::TooFewTokens { needed, .. } if prompt.len() + needed > self.context_tokens => {
                self.overflow(prompt)
            }
            other => EngineError::Bounds(other),
        })?;
        let grammars = match self.grammars.take() {
            Some(grammars) => grammars,
            None => Grammars::new(&self.tokenizer).map_err(EngineError::Grammar)?,
        };
        let begun = self.grammars.insert(grammars).begin(&bounded);
        Ok(Closing { constraint: begun.map_err(EngineError::Grammar)?, bounded })
    }
}

/// A constraint, and when to close what is open.
struct Closing {
    constraint: Constraint,
    bounded: Bounded,
}

struct Writer {
    tokenizer: Arc<Tokenizer>,
    sampler: Sampler,
    tokens: Vec<u32>,
    bytes: Vec<u8>,
    /// Bytes that were emitted.
    shown: usize,
    room: usize,
}

/// What comes next.
enum Next {
    Tokens(Vec<u32>),
    End,
}

impl Writer {
    /// Writes until the end, or until there is no room; says whether it was the end.
    fn write(
        &mut self,
        network: &mut Network,
        closing: &mut Option<Closing>,
        mut logits: Vec<f32>,
        stop: StopCheck<'_>,
        emit: &mut dyn FnMut(&str),
    ) -> Result<bool, EngineError> {
        loop {
            if stop() {
                return Err(EngineError::Network(NetworkError::Stopped));
            }
            let mut next = match closing {
                Some(closing) => self.constrained(closing, &logits).map_err(EngineError::Grammar)?,
                None => self.free(&logits),
            };
            let Next::Tokens(tokens) = &mut next else { return Ok(true) };
            tokens.truncate(self.room - self.tokens.len());
            self.take(tokens, emit);
            if closing.as_ref().is_some_and(|closing| closing.constraint.is_over()) {
                return Ok(true);
            }
            if self.tokens.len() >= self.room {
                return Ok(false);
            }
            logits = network.advance(tokens, stop).map_err(EngineError::Network)?;
        }
    }

    fn free(&mut self, logits: &[f32]) -> Next {
        let tokenizer = &self.tokenizer;
        let sayable = |token: u32| tokenizer.is_end(token) || !tokenizer.bytes_of(token).is_empty();
        match self.sampler.draw(logits, &self.tokens, sayable) {
            Some(token) if !self.tokenizer.is_end(token) => Next::Tokens(vec![token]),
            _ => Next::End,
        }
    }

    fn constrained(&mut self, closing: &mut Closing, logits: &[f32]) -> Result<Next, GrammarError> {
        let constraint = &mut closing.constraint;
        let forced = constraint.forced();
        if !forced.is_empty() {
            for token in &forced {
                constraint.accept(*token, self.tokenizer.bytes_of(*token))?;
            }
            return Ok(Next::Tokens(forced));
        }
        if constraint.is_over() {
            return Ok(Next::End);
        }
        let allowed = constraint.allowed()?;
        let must_close = self.room - self.tokens.len() <= closing.bounded.closing_tokens;
        let closer = if must_close { self.closer(constraint, &allowed, logits) } else { None };
        let drawn = closer.or_else(|| self.sampler.draw(logits, &self.tokens, |token| allowed.is_allowed(token)));
        match drawn {
            Some(token) if !self.tokenizer.is_end(token) => {
                constraint.accept(token, self.tokenizer.bytes_of(token))?;
                Ok(Next::Tokens(vec![token]))
            }
            _ => Ok(Next::End),
        }
    }

    /// The token that leads to the end soonest: one that closes something, or, where a string has to become longer first, a
    /// long one, or at least a plain character.
    fn closer(&mut self, constraint: &Constraint, allowed: &SimpleVob, logits: &[f32]) -> Option<u32> {
        if let Some(token) = constraint.closer(allowed) {
            return Some(token);
        }
        let tokenizer = &self.tokenizer;
        let is_plain = |token: u32, least: usize| {
            let bytes = tokenizer.bytes_of(token);
            bytes.len() >= least && bytes.iter().all(u8::is_ascii_alphanumeric) && allowed.is_allowed(token)
        };
        let mut draw = |least| self.sampler.draw(logits, &self.tokens, |token| is_plain(token, least));
        draw(LONG_TOKEN_BYTES).or_else(|| draw(1))
    }

    /// Keeps tokens and emits the characters that are whole.
    fn take(&mut self, tokens: &[u32], emit: &mut dyn FnMut(&str)) {
        for token in tokens {
            self.tokens.push(*token);
            self.bytes.extend_from_slice(self.tokenizer.bytes_of(*token));
        }
        let new = &self.bytes[self.shown..];
        let whole = match std::str::from_utf8(new) {
            Ok(text) => text,
            Err(error) => std::str::from_utf8(&new[..error.valid_up_to()]).unwrap_or_default(),
        };
        if !whole.is_empty() {
            emit(whole);
            self.shown += whole.len();
        }
    }
}

/// A seed out of a prompt (FNV-1a).
fn mixed(tokens: &[u32]) -> u64 {
    tokens.iter().fold(0xcbf2_9ce4_8422_2325, |hash, token| (hash ^ u64::from(*token)).wrapping_mul(0x0100_0000_01b3))
}

#[cfg(test)]
#[path = "engine_tests.rs"]
mod tests;
