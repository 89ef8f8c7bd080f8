//! `convoke serve` is killed in the middle of its work, and started again: the jobs go on by themselves, at once.

use std::path::PathBuf;
use std::time::Duration;

use convoke_tests::kills::{Blow, Kind, Recipe, Strike, follow};

/// What the model takes for an answer.
const MODEL: Duration = Duration::from_millis(300);

fn recipe(jobs: &[Kind], strikes: &[(usize, u64, Blow)]) -> Recipe {
    let strike = |&(after_calls, pause_ms, blow)| Strike { after_calls, pause: Duration::from_millis(pause_ms), blow };
    Recipe {
        binary: PathBuf::from(env!("CARGO_BIN_EXE_convoke")),
        jobs: jobs.to_vec(),
        open_max: jobs.len(),
        model: MODEL,
        strikes: strikes.iter().map(strike).collect(),
        within: Duration::from_secs(30),
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn killed_jobs_go_on_and_nothing_that_was_journaled_is_paid_again() {
    let jobs = [Kind::Chain(5), Kind::Map(8), Kind::Chain(5)];
    // Ten steps are ready at once, then three. As soon as calls are under way; in the middle of calls; when answers have
    // just come. No step is hit three times, which would be its last attempt.
    let recipe = recipe(&jobs, &[(2, 0, Blow::Kill), (12, 150, Blow::Kill), (4, 310, Blow::Kill)]);
    let outcome = follow(&recipe).await;
    outcome.check(&recipe);
    assert!(outcome.repeated() > 0, "calls were under way at the kills: {outcome:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_orderly_end_repeats_no_call_and_the_next_start_goes_on() {
    let jobs = [Kind::Chain(4), Kind::Map(8)];
    let recipe = recipe(&jobs, &[(4, 100, Blow::Terminate), (2, 0, Blow::Terminate)]);
    let outcome = follow(&recipe).await;
    outcome.check(&recipe);
    assert_eq!(outcome.repeated(), 0, "{outcome:?}");
    let books = outcome.books.last().expect("the end");
    assert_eq!(books.spent_tokens, outcome.billed_tokens, "each call was journaled and settled");
}
