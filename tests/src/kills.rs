//! A recipe for killing: the real binary serves, a client outside of it submits jobs, a model server outside of it
//! answers slowly and keeps the ledger, and the process is ended again and again.
//!
//! What has to hold is checked against two witnesses that the process can't touch: what the model server was asked, and
//! what stands in the data folder while nobody has it open.

mod client;
mod witness;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::scripted::{ChatRequest, Reply, ScriptedServer};
use crate::serving::Serving;
use client::Clients;
pub use witness::{Books, Calls};

/// How the process ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Blow {
    /// SIGKILL: at once, wherever it is.
    Kill,
    /// SIGTERM: it stops claiming, journals what comes in, and exits with 0 within 10 s.
    Terminate,
}

/// When the process ends.
#[derive(Clone, Copy, Debug)]
pub struct Strike {
    /// As soon as the model server was asked so often since the process came up.
    pub after_calls: usize,
    /// And this much later: less than the model takes is within a call, more is between two.
    pub pause: Duration,
    /// How.
    pub blow: Blow,
}

/// What a job does.
#[derive(Clone, Copy, Debug)]
pub enum Kind {
    /// So many steps, one after the other.
    Chain(usize),
    /// So many items side by side, then one step.
    Map(usize),
}

/// What is submitted, and what happens meanwhile.
#[derive(Clone, Debug)]
pub struct Recipe {
    /// The binary `convoke`.
    pub binary: PathBuf,
    /// The jobs, in order of submission.
    pub jobs: Vec<Kind>,
    /// Jobs that are open at once; the next one is submitted when one has ended.
    pub open_max: usize,
    /// How long the model takes for an answer.
    pub model: Duration,
    /// In order.
    pub strikes: Vec<Strike>,
    /// How long a job may take from its submission to its end, everything included.
    pub within: Duration,
}

/// What came of it.
#[derive(Debug, Default)]
pub struct Outcome {
    /// How each job ended, and how long it took.
    pub jobs: BTreeMap<String, (String, Duration)>,
    /// Calls of each step at each strike and at the end.
    pub calls: Vec<Calls>,
    /// What stood in the data folder at each strike and at the end.
    pub books: Vec<Books>,
    /// Calls that the model server had answered before a strike, and whose answer wasn't journaled: they are made again.
    pub lost_answers: usize,
    /// From each strike until the process served again.
    pub restarts: Vec<Duration>,
    /// Tokens that the model server would bill.
    pub billed_tokens: u64,
}

/// Longest time that a whole recipe may take.
const RECIPE_MAX: Duration = Duration::from_mins(9);
/// Cap of each job in tokens: far more than it needs.
pub const BUDGET_TOKENS: u64 = 400_000;

/// Follows a recipe. Panics where the process doesn't come up, or a job doesn't end.
pub async fn follow(recipe: &Recipe) -> Outcome {
    tokio::time::timeout(RECIPE_MAX, followed(recipe)).await.expect("the recipe ends")
}

async fn followed(recipe: &Recipe) -> Outcome {
    let folder = tempfile::tempdir().expect("a folder");
    let model = recipe.model;
    let answer = move |request: &ChatRequest| Reply::text(format!("done: {}", step_of(request))).slow(model);
    let server = ScriptedServer::start(answer).await;
    let mut serving = Serving::start(&recipe.binary, folder.path(), &server.base_url()).await;
    let clients = Clients::start(recipe, serving.address());
    let mut outcome = Outcome::default();
    for strike in &recipe.strikes {
        let calls_before = outcome.calls.last().map_or(0, Calls::sum);
        server.asked(calls_before + strike.after_calls).await;
        tokio::time::sleep(strike.pause).await;
        let struck = Instant::now();
        serving.end(strike.blow).await;
        outcome.note(&server, folder.path()).await;
        outcome.lost_answers += outcome.lost(&server, struck.checked_sub(recipe.model));
        serving = Serving::start(&recipe.binary, folder.path(), &server.base_url()).await;
        outcome.restarts.push(struck.elapsed());
        clients.moved_to(serving.address());
    }
    outcome.jobs = clients.all().await;
    serving.end(Blow::Terminate).await;
    outcome.note(&server, folder.path()).await;
    let ledger = server.ledger();
    outcome.billed_tokens = ledger.input_tokens + ledger.output_tokens;
    outcome
}

impl Outcome {
    async fn note(&mut self, server: &ScriptedServer, folder: &Path) {
        // What the server was asked so far is read after the process is gone: nothing of it is missing.
        self.calls.push(Calls::of(server));
        self.books.push(Books::read(folder).await);
    }

    /// Calls that came before `answered_if_before`, and that the folder knows nothing of.
    fn lost(&self, server: &ScriptedServer, answered_if_before: Option<Instant>) -> usize {
        let (Some(before), Some(books)) = (answered_if_before, self.books.last()) else { return 0 };
        let last: BTreeMap<String, Instant> =
            server.requests().into_iter().map(|recorded| (step_of(&recorded.request), recorded.at)).collect();
        last.iter().filter(|(step, at)| **at < before && !books.journaled.contains(*step)).count()
    }

    /// Calls that were made again, over all steps.
    pub fn repeated(&self) -> usize {
        self.calls.last().map_or(0, |calls| calls.0.values().map(|count| count - 1).sum())
    }

    /// The longest time that a job took.
    pub fn slowest(&self) -> Duration {
        self.jobs.values().map(|(_, took)| *took).max().unwrap_or_default()
    }

    /// What must hold after any recipe.
    ///
    /// - Each job completed in time, with each step asked for once, and once more per strike at most.
    /// - What was journaled at a strike was never asked for again.
    /// - After an orderly end nobody held money; at the end nobody does, and left and spent are the budget.
    /// - What was spent covers what the model server would bill.
    pub fn check(&self, recipe: &Recipe) {
        assert_eq!(self.jobs.len(), recipe.jobs.len());
        for (job, (status, took)) in &self.jobs {
            assert_eq!(status, "completed", "{job}");
            assert!(*took <= recipe.within, "{job} took {took:?}");
        }
        let (last, books) = (self.calls.last().expect("the end"), self.books.last().expect("the end"));
        let expected: usize = recipe.jobs.iter().map(|kind| kind.calls()).sum();
        assert_eq!(last.0.len(), expected, "steps that were asked for");
        for (step, count) in &last.0 {
            assert!(*count <= 1 + recipe.strikes.len(), "{step} was asked for {count} times");
        }
        for ((strike, calls), books) in recipe.strikes.iter().zip(&self.calls).zip(&self.books) {
            for step in books.journaled.iter().filter(|step| calls.0.contains_key(*step)) {
                assert_eq!(calls.0[step], last.0[step], "{step} was journaled at {strike:?} and asked for again");
            }
            assert!(strike.blow == Blow::Kill || books.held_tokens == 0, "{strike:?}: {books:?}");
        }
        assert_eq!(books.held_tokens, 0, "held at the end");
        let budgets = BUDGET_TOKENS * u64::try_from(recipe.jobs.len()).expect("few");
        assert_eq!(books.left_tokens + books.spent_tokens, budgets, "left and spent are the budgets");
        assert!(books.spent_tokens >= self.billed_tokens, "{} < {}", books.spent_tokens, self.billed_tokens);
    }
}

impl Kind {
    /// Model calls that it needs.
    const fn calls(self) -> usize {
        match self {
            Self::Chain(steps) => steps,
            Self::Map(items) => items + 1,
        }
    }

    /// A submission under a name, by which its prompts are told apart.
    fn submission(self, name: &str) -> Value {
        let (nodes, items) = match self {
            Self::Chain(steps) => (chain(steps), 0),
            Self::Map(items) => (map(), items),
        };
        let agent = json!({ "role": "Worker", "goal": "Work", "backstory": "Is patient" });
        json!({
            "flow": { "name": "kills", "agents": { "worker": agent }, "nodes": nodes },
            "input": { "name": name, "items": (0..items).collect::<Vec<_>>() },
            "budget": { "usd": "1", "tokens": BUDGET_TOKENS },
        })
    }
}

fn task(marker: &str) -> Value {
    json!({ "description": format!("step={{{{ input.name }}}}/{marker};"), "expected_output": "A word" })
}

fn chain(steps: usize) -> Vec<Value> {
    let node = |step: usize| {
        let needs: Vec<String> = (1..step).last().map(|before| format!("s{before}")).into_iter().collect();
        json!({ "id": format!("s{step}"), "kind": "agent", "needs": needs, "agent": "worker", "task": task(&format!("s{step}")) })
    };
    (1..=steps).map(node).collect()
}

fn map() -> Vec<Value> {
    let item = json!({ "kind": "agent", "agent": "worker", "task": task("work[{{ index }}]") });
    vec![
        json!({ "id": "work", "kind": "map", "over": "input.items", "node": item }),
        json!({ "id": "done", "kind": "agent", "needs": ["work"], "agent": "worker", "task": task("done") }),
    ]
}

/// The step that a request is for, by the mark in its prompt.
fn step_of(request: &ChatRequest) -> String {
    let texts = request.messages().iter().filter_map(|message| message["content"].as_str());
    let mut marked =
        texts.filter_map(|text| text.split_once("step=")?.1.split_once(';')).map(|(step, _)| step.to_owned());
    marked.next_back().unwrap_or_default()
}
