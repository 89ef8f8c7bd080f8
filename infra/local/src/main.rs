//! The command line of Convoke.

use std::process::ExitCode;
use std::time::Duration;

use convoke::cli::args::Cli;
use convoke::cli::failure::{Exit, Failure};
use convoke_runtime::config::{ProcessEnv, Strings};
use convoke_runtime::telemetry::{self, Format};

/// A job is many small requests in one process: glibc's allocator took an eighth of their time.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// How long work that blocks a thread may keep the process from ending; what it wrote is committed or isn't.
const THREADS_GRACE: Duration = Duration::from_millis(500);

/// What is logged unless `RUST_LOG` says something else. The SDK complains that it can't close a connection after a server
/// error; inside this process there is none.
const LOG: &str = "warn,aws_smithy_runtime::client::http::connection_poisoning=off";

/// Exit code of a program whose reader went away, as shells have it: 128 and the number of SIGPIPE.
const READER_GONE: i32 = 141;

fn main() -> ExitCode {
    leave_with_reader();
    telemetry::start(Format::Human, &ProcessEnv.get("RUST_LOG").unwrap_or_else(|| LOG.to_owned()));
    let exit = convoke::cli::parse(std::env::args_os()).and_then(run).unwrap_or_else(|failure| {
        if failure.exit != Exit::Done {
            eprintln!("convoke: {failure}");
        }
        failure.exit
    });
    ExitCode::from(exit.code())
}

/// Where standard output is a pipe that nobody reads any more (`convoke jobs logs JOB | head`), printing panics: then this
/// process ends without a word. It may end anywhere.
fn leave_with_reader() {
    let usual = std::panic::take_hook();
    std::panic::set_hook(Box::new(move |panic| {
        let said = panic.payload_as_str().unwrap_or_default();
        if said.starts_with("failed printing to std") {
            std::process::exit(READER_GONE);
        }
        usual(panic);
    }));
}

fn run(cli: Cli) -> Result<Exit, Failure> {
    let runtime =
        tokio::runtime::Runtime::new().map_err(|error| Failure::caused("no threads can be started", &error))?;
    let exit = runtime.block_on(convoke::cli::main(cli));
    runtime.shutdown_timeout(THREADS_GRACE);
    exit
}
