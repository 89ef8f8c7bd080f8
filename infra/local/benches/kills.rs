//! The recipe for killing at full size: 96 jobs of five steps, 32 of them open, a model that takes 300 ms, four kills.
//! Prints what it took, and fails where anything that must hold doesn't.

use std::path::PathBuf;
use std::time::Duration;

use convoke_tests::kills::{Blow, Kind, Recipe, Strike, follow};

fn main() {
    let strike = |pause_ms| Strike { after_calls: 90, pause: Duration::from_millis(pause_ms), blow: Blow::Kill };
    let recipe = Recipe {
        binary: PathBuf::from(env!("CARGO_BIN_EXE_convoke")),
        jobs: vec![Kind::Chain(5); 96],
        open_max: 32,
        model: Duration::from_millis(300),
        strikes: [0, 100, 200, 310].map(strike).to_vec(),
        within: Duration::from_secs(75),
    };
    let runtime = tokio::runtime::Runtime::new().expect("threads");
    let outcome = runtime.block_on(follow(&recipe));
    outcome.check(&recipe);
    let calls: usize = outcome.calls.last().map_or(0, |calls| calls.0.values().sum());
    println!("{:<48}{}", "jobs", outcome.jobs.len());
    println!("{:<48}{}", "kills", recipe.strikes.len());
    println!("{:<48}{:.1} s", "slowest job", outcome.slowest().as_secs_f64());
    println!("{:<48}{calls}", "model calls");
    println!("{:<48}{}", "repeated", outcome.repeated());
    println!("{:<48}{}", "of these answered before, but not journaled", outcome.lost_answers);
    for (number, restart) in outcome.restarts.iter().enumerate() {
        let what = format!("from kill {} until it serves again", number + 1);
        println!("{what:<48}{:.2} s", restart.as_secs_f64());
    }
}
