//! The command line of Convoke.

use std::process::ExitCode;
use std::time::Duration;

use clap::Parser;
use convoke::cli::args::Cli;
use convoke_runtime::config::{ProcessEnv, Strings};
use convoke_runtime::telemetry::{self, Format};

/// How long work that blocks a thread may keep the process from ending; what it wrote is committed or isn't.
const THREADS_GRACE: Duration = Duration::from_millis(500);

fn main() -> ExitCode {
    let cli = Cli::parse();
    telemetry::start(Format::Human, &ProcessEnv.get("RUST_LOG").unwrap_or_else(|| "warn".to_owned()));
    let runtime = match tokio::runtime::Runtime::new() {
        Ok(runtime) => runtime,
        Err(error) => {
            eprintln!("convoke: no threads can be started: {error}");
            return ExitCode::FAILURE;
        }
    };
    let exit = runtime.block_on(run(cli));
    runtime.shutdown_timeout(THREADS_GRACE);
    exit
}

async fn run(cli: Cli) -> ExitCode {
    match convoke::cli::main(cli).await {
        Ok(exit) => ExitCode::from(exit.code()),
        Err(failure) => {
            eprintln!("convoke: {failure}");
            ExitCode::from(failure.exit.code())
        }
    }
}
