//! The command line of Convoke.

use std::process::ExitCode;
use std::time::Duration;

use convoke::cli::args::Cli;
use convoke::cli::failure::{Exit, Failure};
use convoke_runtime::config::{ProcessEnv, Strings};
use convoke_runtime::telemetry::{self, Format};

/// How long work that blocks a thread may keep the process from ending; what it wrote is committed or isn't.
const THREADS_GRACE: Duration = Duration::from_millis(500);

fn main() -> ExitCode {
    telemetry::start(Format::Human, &ProcessEnv.get("RUST_LOG").unwrap_or_else(|| "warn".to_owned()));
    let exit = convoke::cli::parse(std::env::args_os()).and_then(run).unwrap_or_else(|failure| {
        if failure.exit != Exit::Done {
            eprintln!("convoke: {failure}");
        }
        failure.exit
    });
    ExitCode::from(exit.code())
}

fn run(cli: Cli) -> Result<Exit, Failure> {
    let runtime =
        tokio::runtime::Runtime::new().map_err(|error| Failure::caused("no threads can be started", &error))?;
    let exit = runtime.block_on(convoke::cli::main(cli));
    runtime.shutdown_timeout(THREADS_GRACE);
    exit
}
