//! The command line of Convoke.

use std::process::ExitCode;

use clap::Parser;
use convoke::cli::args::Cli;
use convoke_runtime::config::{ProcessEnv, Strings};
use convoke_runtime::telemetry::{self, Format};

#[tokio::main]
async fn main() -> ExitCode {
    let cli = Cli::parse();
    telemetry::start(Format::Human, &ProcessEnv.get("RUST_LOG").unwrap_or_else(|| "warn".to_owned()));
    match convoke::cli::main(cli).await {
        Ok(exit) => ExitCode::from(exit.code()),
        Err(failure) => {
            eprintln!("convoke: {failure}");
            ExitCode::from(failure.exit.code())
        }
    }
}
