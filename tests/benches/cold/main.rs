//! What a cold start takes: `just cold`.
//!
//! Each function's bootstrap is started as Lambda starts it, against a stub of Lambda's Runtime API, with table, queues
//! and bucket of the embedded stack behind it. Measured from the start of the process: until it asks for its first event,
//! until it has answered it (which includes its first call of AWS), and how much memory it had needed by then. Beside it a
//! Python function that makes the same clients and reads one item, on AWS's own runtime client for Python.

#![expect(clippy::disallowed_methods, reason = "a bench reads the clock and the environment")]
#![expect(clippy::cast_precision_loss, reason = "what is printed are rounded numbers")]

mod chats;
mod events;
mod python;
mod runtime;
mod world;

use std::path::PathBuf;
use std::time::Duration;

use runtime::{Started, start};
use world::World;

/// Starts of each function; the median counts.
const STARTS: usize = 15;

const FUNCTIONS: [&str; 10] =
    ["submit", "step", "status", "artifacts", "control", "notify", "deliver", "clock", "discord", "telegram"];

fn main() {
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().expect("a runtime");
    runtime.block_on(async {
        let world = World::start().await;
        println!("| function | raw MB | zipped MB | first poll ms | first answer ms | peak MB |");
        println!("|---|---|---|---|---|---|");
        for function in FUNCTIONS {
            let bootstrap = bootstrap(function);
            let bytes = std::fs::read(&bootstrap).expect("a bootstrap: build it with `just cold`");
            let size = Size { raw: bytes.len(), zipped: zipped(&bytes) };
            let mut starts = Vec::new();
            for _ in 0..STARTS {
                starts.push(start(std::slice::from_ref(&bootstrap), &world.environment(), world.event(function)).await);
            }
            row(function, Some(&size), &starts);
        }
        if let Some(command) = python::command(&target()) {
            let mut starts = Vec::new();
            for _ in 0..STARTS {
                starts.push(start(&command, &world.environment(), world.event("status")).await);
            }
            row("Python with boto3", None, &starts);
        }
    });
}

struct Size {
    raw: usize,
    zipped: usize,
}

fn row(name: &str, size: Option<&Size>, starts: &[Started]) {
    let mb = |bytes: usize| format!("{:.1}", bytes as f64 / 1e6);
    let ms = |of: fn(&Started) -> Duration| format!("{:.1}", median(starts.iter().map(of)).as_secs_f64() * 1e3);
    let (raw, zipped) = size.map_or_else(|| ("-".into(), "-".into()), |size| (mb(size.raw), mb(size.zipped)));
    let peak_kib = median(starts.iter().map(|start| start.peak_kib));
    let peak = format!("{:.1}", peak_kib as f64 * 1024.0 / 1e6);
    println!("| {name} | {raw} | {zipped} | {} | {} | {peak} |", ms(|start| start.polled), ms(|start| start.answered));
}

fn median<T: Ord + Copy>(values: impl Iterator<Item = T>) -> T {
    let mut values: Vec<T> = values.collect();
    values.sort_unstable();
    values[values.len() / 2]
}

fn zipped(bytes: &[u8]) -> usize {
    let mut archive = zip::ZipWriter::new(std::io::Cursor::new(Vec::new()));
    let options = zip::write::SimpleFileOptions::default().compression_level(Some(9));
    archive.start_file("bootstrap", options).expect("an entry");
    std::io::Write::write_all(&mut archive, bytes).expect("memory");
    archive.finish().expect("an archive").into_inner().len()
}

/// The target folder that this bench was built in.
fn target() -> PathBuf {
    let own = std::env::current_exe().expect("a path");
    own.ancestors().nth(3).expect("target/release/deps").to_owned()
}

fn bootstrap(function: &str) -> PathBuf {
    target().join("lambda").join(format!("convoke-{function}")).join("bootstrap")
}
