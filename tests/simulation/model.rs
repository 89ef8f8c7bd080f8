//! A model with its own ledger, that misbehaves as the plan says, by the fake clock.

use std::pin::Pin;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll};
use std::time::Duration;

use async_trait::async_trait;
use convoke_app::model::{
    ChatModel, DeltaSink, Finish, Message, ModelAnswer, ModelError, ModelProfile, ModelRequest, ToolCall, Usage,
};
use convoke_app::ports::Env;
use convoke_domain::ids::StepId;
use convoke_domain::money::{MicroUsd, Price};
use convoke_tests::engine::shapes::UNUSABLE;
use convoke_tests::fakes::{Dice, FakeEnv};
use serde_json::{Value, json};

use crate::plan::ModelRates;

/// A call as the provider saw it.
#[derive(Clone, Debug)]
pub struct Call {
    pub job: String,
    pub step: StepId,
    /// From 1: how many answers the prompt holds, and one.
    pub turn: u32,
    /// The question, as JSON.
    pub asked: Value,
    pub billed: MicroUsd,
}

/// Until when the task under way sleeps; who polled it takes the note.
#[derive(Clone, Default)]
pub struct Bedside(Arc<AtomicU64>);

impl Bedside {
    /// Takes the note, if there is one.
    pub fn take(&self) -> Option<u64> {
        Some(self.0.swap(0, Ordering::SeqCst)).filter(|until_ms| *until_ms > 0)
    }
}

/// Sleeps until then.
pub struct Sleep {
    env: FakeEnv,
    bedside: Bedside,
    until_ms: u64,
}

impl Sleep {
    pub fn new(env: &FakeEnv, bedside: &Bedside, until_ms: u64) -> Self {
        Self { env: env.clone(), bedside: bedside.clone(), until_ms }
    }
}

impl Future for Sleep {
    type Output = ();

    fn poll(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<()> {
        if self.env.now_ms() >= self.until_ms {
            return Poll::Ready(());
        }
        self.bedside.0.store(self.until_ms, Ordering::SeqCst);
        Poll::Pending
    }
}

/// The model.
pub struct SimModel {
    profile: ModelProfile,
    env: FakeEnv,
    bedside: Bedside,
    dice: Dice,
    rates: ModelRates,
    ceased: AtomicBool,
    mishaps: AtomicU64,
    ledger: Mutex<Vec<Call>>,
}

/// What a panic that the plan wants says.
pub const DRAWN: &str = "a panic, as drawn";

enum Fate {
    Throttled,
    Failed,
    Panic,
    Unusable,
    Tool,
    Answer,
}

impl SimModel {
    pub fn new(env: FakeEnv, bedside: Bedside, seed: u64, rates: ModelRates) -> Self {
        let price = Price { input_per_mtok: MicroUsd(100_000), output_per_mtok: MicroUsd(1_000_000) };
        let profile = ModelProfile {
            name: "test/sim".into(),
            context_tokens: 100_000,
            output_tokens_max: 10,
            capable: true,
            price: Some(price),
        };
        let dice = Dice::new(seed ^ 0xCA11);
        let (ceased, mishaps) = (AtomicBool::new(false), AtomicU64::new(0));
        Self { profile, env, bedside, dice, rates, ceased, mishaps, ledger: Mutex::default() }
    }

    /// From now on it answers as it should.
    pub fn cease(&self) {
        self.ceased.store(true, Ordering::SeqCst);
    }

    /// Calls that came to nothing.
    pub fn mishaps(&self) -> u64 {
        self.mishaps.load(Ordering::SeqCst)
    }

    /// All calls so far.
    pub fn ledger(&self) -> MutexGuard<'_, Vec<Call>> {
        self.ledger.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// What a job's calls cost.
    pub fn metered(&self, job: &str) -> MicroUsd {
        MicroUsd(self.ledger().iter().filter(|call| call.job == job).map(|call| call.billed.0).sum())
    }

    fn fate(&self, turn: u32) -> Fate {
        if self.ceased.load(Ordering::SeqCst) {
            return Fate::Answer;
        }
        let ModelRates { throttled, failed, unusable, panics, .. } = self.rates;
        let mut roll = self.dice.below(1_000);
        let drawn =
            [(throttled, Fate::Throttled), (failed, Fate::Failed), (unusable, Fate::Unusable), (panics, Fate::Panic)];
        for (rate, fate) in drawn {
            if roll < rate {
                return fate;
            }
            roll -= rate;
        }
        if turn == 1 && roll < self.rates.tools { Fate::Tool } else { Fate::Answer }
    }

    async fn think(&self) {
        let is_slow = !self.ceased.load(Ordering::SeqCst) && self.dice.below(1_000) < self.rates.slow;
        let ms = if is_slow { 10_000 + self.dice.below(110_000) } else { self.dice.below(self.rates.quick_ms.max(1)) };
        Sleep::new(&self.env, &self.bedside, self.env.now_ms() + ms).await;
    }
}

#[async_trait]
impl ChatModel for SimModel {
    fn profile(&self) -> &ModelProfile {
        &self.profile
    }

    async fn complete(&self, request: &ModelRequest, _: Option<&DeltaSink>) -> Result<ModelAnswer, ModelError> {
        let asked = request.messages.iter().find_map(|message| match message {
            Message::User { text } => serde_json::from_str::<Value>(text).ok(),
            _ => None,
        });
        let asked = asked.ok_or_else(|| ModelError::Refused { detail: "no question".into() })?;
        let answers = request.messages.iter().filter(|message| matches!(message, Message::Assistant { .. })).count();
        let turn = 1 + u32::try_from(answers).expect("few turns");
        let fate = self.fate(turn);
        let usage = Usage { input_tokens: asked.to_string().len() as u64 / 4, output_tokens: 10, reported_usd: None };
        let is_free = matches!(fate, Fate::Throttled) || matches!(fate, Fate::Failed) && self.dice.below(2) == 0;
        let billed = if is_free { MicroUsd::ZERO } else { self.profile.cost_of(&usage).usd };
        let (job, step) = (text(&asked["job"]), step(&asked));
        let answer = format!("{}-{}-{}", text(&asked["task"]), asked["item"], asked["round"]);
        self.ledger().push(Call { job, step, turn, asked, billed });
        self.think().await;
        let said = |text: &str| ModelAnswer { text: text.into(), tool_calls: Vec::new(), finish: Finish::Stop, usage };
        match fate {
            Fate::Throttled => {
                self.mishaps.fetch_add(1, Ordering::SeqCst);
                let retry_after = (self.dice.below(2) == 0).then(|| Duration::from_secs(self.dice.below(30)));
                Err(ModelError::Throttled { retry_after, detail: "as drawn".into() })
            }
            Fate::Failed => {
                self.mishaps.fetch_add(1, Ordering::SeqCst);
                Err(ModelError::Failed { detail: "as drawn".into() })
            }
            Fate::Panic => {
                self.mishaps.fetch_add(1, Ordering::SeqCst);
                panic!("{DRAWN}");
            }
            Fate::Unusable => Ok(said(UNUSABLE)),
            Fate::Tool => {
                let call = ToolCall { id: "1".into(), name: "look".into(), arguments: json!({}) };
                Ok(ModelAnswer { tool_calls: vec![call], finish: Finish::ToolCalls, ..said("") })
            }
            Fate::Answer => Ok(said(&answer)),
        }
    }
}

fn text(value: &Value) -> String {
    value.as_str().unwrap_or_default().to_owned()
}

/// The step that asks, as the ledger names it: rounds are left out where there is but one.
fn step(asked: &Value) -> StepId {
    let number = |value: &Value| value.as_u64().and_then(|number| u32::try_from(number).ok());
    StepId { task: text(&asked["task"]), item: number(&asked["item"]), round: number(&asked["round"]) }
}
