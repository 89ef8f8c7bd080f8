//! What a step costs: `cargo bench --bench engine`, or `just bench`.
//!
//! Everything runs in this process, as `convoke serve` has it: the functions behind their events, the embedded table,
//! queues and objects under the unmodified SDK; jobs come in over HTTP. The model answers at once and costs nothing, so
//! what is measured is the platform alone. CPU is user and system time of the process from the first submission to the
//! last job's end, the client's part included. Requests, bytes and units are counted apart, with the functions invoked batch by
//! batch; `cost` multiplies them by list prices, as `idle` does with what `template.yaml` costs at rest.

#![expect(clippy::disallowed_methods, reason = "a bench reads the clock")]
#![expect(clippy::cast_precision_loss, reason = "what is printed are ratios")]

mod cost;
mod ends;
mod idle;
mod meter;
mod rig;
mod table;

use std::time::{Duration, Instant};

use convoke_app::platform::Limits;
use convoke_tests::workload::flows::Shape;
use convoke_tests::workload::plant::{Batches, Plant};
use meter::Cpu;
use rig::Rig;
use table::Table;

/// As the binary has it.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() {
    let runtime =
        tokio::runtime::Builder::new_multi_thread().enable_all().worker_threads(2).build().expect("a runtime");
    let filter = std::env::args().skip(1).find(|arg| !arg.starts_with("--"));
    let wanted = |name: &str| filter.as_ref().is_none_or(|filter| name.contains(filter.as_str()));
    runtime.block_on(async {
        if wanted("speed") {
            speed().await;
        }
        if wanted("scale") {
            scale().await;
        }
        if wanted("submit") {
            submissions().await;
        }
        if wanted("requests") {
            requests().await;
        }
        if wanted("wide") {
            wide().await;
        }
        if wanted("cost") {
            cost::print().await;
        }
        if wanted("idle") {
            idle::print().await;
        }
    });
}

/// Steps per second, CPU and hand-off of a five-step chain at some jobs side by side.
async fn speed() {
    let mut table = Table::new(
        "Chain of 5 steps, a model of 0 ms",
        &["jobs side by side", "jobs", "steps/s", "CPU s per 1,000 steps", "hand-off p50 ms", "hand-off p99 ms"],
    );
    for (side_by_side, jobs) in [(1, 100), (16, 400), (64, 800)] {
        let rig = Rig::start().await;
        rig.run(Shape::Chain(5), side_by_side, side_by_side).await;
        let (cpu, began) = (Cpu::now(), Instant::now());
        rig.model.forget();
        rig.run(Shape::Chain(5), jobs, side_by_side).await;
        let (took, cpu) = (began.elapsed(), cpu.since());
        let steps = jobs * Shape::Chain(5).steps();
        let hand_offs = rig.model.hand_offs();
        table.row(&[
            side_by_side.to_string(),
            jobs.to_string(),
            format!("{:.0}", per_second(steps, took)),
            format!("{:.2}", cpu.as_secs_f64() * 1_000.0 / steps as f64),
            format!("{:.2}", ms(meter::percentile(&hand_offs, 50))),
            format!("{:.2}", ms(meter::percentile(&hand_offs, 99))),
        ]);
        rig.stop().await;
    }
    table.print();
}

/// Whether a step costs the same in jobs of any size.
async fn scale() {
    let mut table = Table::new(
        "Cost of a step by the job's size",
        &["job", "steps", "wall s", "CPU s per 1,000 steps", "resident MB"],
    );
    for (shape, jobs) in
        [(Shape::Chain(5), 200), (Shape::Fan(8), 100), (Shape::Fan(1_000), 1), (Shape::LongChain(10_000), 1)]
    {
        let rig = Rig::start().await;
        rig.run(Shape::Chain(5), 16, 4).await;
        let (cpu, began) = (Cpu::now(), Instant::now());
        rig.run(shape, jobs, 1).await;
        let (took, cpu) = (began.elapsed(), cpu.since());
        let steps = jobs * shape.steps();
        table.row(&[
            shape.name(),
            steps.to_string(),
            format!("{:.1}", took.as_secs_f64()),
            format!("{:.2}", cpu.as_secs_f64() * 1_000.0 / steps as f64),
            format!("{:.0}", meter::resident_mb()),
        ]);
        rig.stop().await;
    }
    table.print();
}

/// How long a submission takes, over HTTP.
async fn submissions() {
    let rig = Rig::start().await;
    let mut took = Vec::new();
    for _ in 0..300 {
        let began = Instant::now();
        let job = rig.submit(Shape::Chain(5)).await;
        took.push(began.elapsed());
        rig.wait(&job).await;
    }
    let mut table = Table::new("Submission over HTTP", &["submissions", "p50 ms", "p99 ms"]);
    let percentile = |share| format!("{:.2}", ms(meter::percentile(&took, share)));
    table.row(&[took.len().to_string(), percentile(50), percentile(99)]);
    table.print();
    rig.stop().await;
}

/// Requests, bytes and units of a step, the job's own share and its events included.
async fn requests() {
    let batches = Batches { messages: 10, records: 100 };
    let mut table = Table::new(
        "Requests of a step",
        &["job", "table", "queue", "objects", "sum", "bytes out", "bytes in", "read units", "write units"],
    );
    for (shape, jobs) in
        [(Shape::Chain(5), 20), (Shape::Fan(8), 10), (Shape::Fan(1_000), 1), (Shape::LongChain(2_000), 1)]
    {
        let mut plant = Plant::start(Limits::default(), "written".len()).await;
        plant.run(Shape::Chain(5), 1, batches).await;
        plant.take();
        for _ in 0..jobs {
            plant.run(shape, 1, batches).await;
        }
        let counts = plant.take().count;
        let steps = (jobs * shape.steps()) as f64;
        let per_step = |count: f64| format!("{:.2}", count / steps);
        table.row(&[
            shape.name(),
            per_step(counts.table as f64),
            per_step(counts.queue as f64),
            per_step(counts.objects as f64),
            per_step(counts.requests() as f64),
            format!("{:.0}", counts.bytes_out as f64 / steps),
            format!("{:.0}", counts.bytes_in as f64 / steps),
            per_step(counts.read_units),
            per_step(counts.write_units),
        ]);
        let operations = counts.by_operation.iter();
        let operations = operations.map(|(name, tally)| format!("{name} {} ({})", tally.requests, tally.units));
        println!("{}: {}", shape.name(), operations.collect::<Vec<_>>().join(", "));
    }
    table.print();
}

/// A fan-out of 10,000 items, and what it does to memory.
async fn wide() {
    let rig = Rig::start().await;
    rig.run(Shape::Chain(5), 16, 4).await;
    let before_mb = meter::resident_mb();
    let (cpu, began) = (Cpu::now(), Instant::now());
    rig.run(Shape::Fan(10_000), 1, 1).await;
    let mut table = Table::new("1 -> 10,000 -> 1", &["wall s", "CPU s per 1,000 steps", "MB before", "MB after"]);
    table.row(&[
        format!("{:.1}", began.elapsed().as_secs_f64()),
        format!("{:.2}", cpu.since().as_secs_f64() * 1_000.0 / Shape::Fan(10_000).steps() as f64),
        format!("{before_mb:.0}"),
        format!("{:.0}", meter::resident_mb()),
    ]);
    table.print();
    rig.stop().await;
}

fn per_second(count: u64, took: Duration) -> f64 {
    count as f64 / took.as_secs_f64()
}

fn ms(duration: Duration) -> f64 {
    duration.as_secs_f64() * 1_000.0
}
