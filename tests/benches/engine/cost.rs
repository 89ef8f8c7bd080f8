//! What 1,000 five-step jobs cost on AWS: what was counted, at list prices.

use std::time::Duration;

use convoke_app::platform::Limits;
use convoke_tests::counting::Count;
use convoke_tests::prices::Prices;
use convoke_tests::workload::flows::Shape;
use convoke_tests::workload::log::Log;
use convoke_tests::workload::plant::{Batches, Plant, Usage};

use crate::table::Table;

/// Jobs that are counted, of each kind.
const JOBS: usize = 20;
const SHAPE: Shape = Shape::Chain(5);
const STEPS: f64 = 5.0;

/// A line of what is counted.
type Line = (&'static str, fn(&Job) -> f64);

const COUNTED: [Line; 9] = [
    ("table requests", |job| job.usage.count.table as f64),
    ("write units", |job| job.usage.count.write_units),
    ("read units", |job| job.usage.count.read_units),
    ("queue requests", |job| job.usage.count.queue as f64),
    ("object PUTs", |job| puts(&job.usage.count)),
    ("invocations", invocations),
    ("log lines, Lambda's own not counted", |job| job.log_lines),
    ("log bytes, Lambda's own not counted", |job| job.log_bytes),
    ("bytes that stay in the table", |job| job.stored_bytes),
];

/// How the jobs are worked.
struct Way {
    name: &'static str,
    in_place_max: Duration,
    /// Jobs that share an invocation.
    together: usize,
    batches: Batches,
    /// Jobs that are submitted at once.
    at_once: usize,
}

/// What a job takes.
struct Job {
    usage: Usage,
    log_lines: f64,
    log_bytes: f64,
    stored_bytes: f64,
    object_bytes: f64,
}

/// Prints the tables. From now on this process logs as functions do, into a counter.
pub async fn print() {
    let prices = Prices::read();
    let log = Log::start();
    let minute = Limits::default().in_place_max;
    let ways = [
        // One message and one record at a time: nothing else is going on.
        way("in place", minute, 1),
        way("in place, batches of ten", minute, 10),
        way("by bells", Duration::ZERO, 1),
        way("by bells, batches of ten", Duration::ZERO, 10),
    ];
    let mut jobs = Vec::new();
    for way in &ways {
        jobs.push(measure(way, &prices, &log).await);
    }
    let columns: Vec<&str> = ["jobs of 5 steps"].into_iter().chain(ways.iter().map(|way| way.name)).collect();
    let mut counted = Table::new("What one job takes", &columns);
    for (name, of) in COUNTED {
        let cell = |job: &Job| format!("{:.1}", of(job) / JOBS as f64);
        counted.row(&[name.to_owned()].into_iter().chain(jobs.iter().map(cell)).collect::<Vec<_>>());
    }
    counted.print();
    bill(&prices, &ways, &jobs, &columns);
    peers(&prices);
}

fn way(name: &'static str, in_place_max: Duration, together: usize) -> Way {
    let records = if together == 1 { 1 } else { 100 };
    Way { name, in_place_max, together, batches: Batches { messages: together, records }, at_once: together }
}

async fn measure(way: &Way, prices: &Prices, log: &Log) -> Job {
    let limits = Limits { in_place_max: way.in_place_max, ..Limits::default() };
    let mut plant = Plant::start(limits, prices.assumed.answer_bytes).await;
    plant.run(SHAPE, 1, way.batches).await;
    let stored_before = plant.stored_bytes().await;
    plant.take();
    log.take();
    for _ in 0..JOBS / way.at_once {
        plant.run(SHAPE, way.at_once, way.batches).await;
    }
    let usage = plant.take();
    let (log_lines, log_bytes) = log.take();
    let (log_lines, log_bytes) = (log_lines as f64, log_bytes as f64);
    let object_bytes = usage.count.object_bytes as f64;
    let stored_bytes = (plant.stored_bytes().await - stored_before) as f64;
    Job { usage, log_lines, log_bytes, stored_bytes, object_bytes }
}

fn puts(count: &Count) -> f64 {
    of_objects(count, "PUT")
}

fn of_objects(count: &Count, method: &str) -> f64 {
    count.by_operation.get(&format!("Blobs {method}")).map_or(0.0, |tally| tally.requests as f64)
}

fn invocations(job: &Job) -> f64 {
    let invocations = job.usage.invocations;
    (invocations.submit + invocations.step + invocations.notify) as f64
}

/// GB-seconds that functions take beside waiting for the model: the requests of a job come one after the other.
fn working(prices: &Prices, way: &Way, job: &Job) -> f64 {
    let (assumed, count) = (&prices.assumed, &job.usage.count);
    // Receives and deletes are the poller's.
    let sends = count.by_operation.get("SendMessageBatch").map_or(0.0, |tally| tally.requests as f64);
    let ms =
        count.table as f64 * assumed.table_ms + sends * assumed.queue_ms + count.objects as f64 * assumed.object_ms;
    ms / 1_000.0 / way.together as f64 * assumed.memory_mb / 1_024.0
}

fn log_gb(prices: &Prices, lines: f64, bytes: f64, invocations: f64) -> f64 {
    let assumed = &prices.assumed;
    let all_lines = lines + invocations * assumed.platform_lines;
    (bytes + invocations * assumed.platform_bytes + all_lines * assumed.line_bytes) / 1e9
}

fn bill(prices: &Prices, ways: &[Way], jobs: &[Job], columns: &[&str]) {
    let waiting = |way: &Way| {
        let seconds = STEPS * prices.assumed.call_seconds * JOBS as f64 / way.together as f64;
        prices.of("compute", seconds * prices.assumed.memory_mb / 1_024.0)
    };
    let lines = |way: &Way, job: &Job| {
        let count = &job.usage.count;
        let submissions = job.usage.invocations.submit as f64;
        vec![
            ("HTTP API", prices.of("http", submissions)),
            ("Lambda requests", prices.of("invocation", invocations(job))),
            ("Lambda while working (assumed times)", prices.of("compute", working(prices, way, job))),
            ("table, written", prices.of("write", count.write_units)),
            ("table, read", prices.of("read", count.read_units)),
            ("queue", prices.of("queue", count.queue as f64)),
            ("objects, PUT", prices.of("object-put", puts(count))),
            ("objects, GET", prices.of("object-get", of_objects(count, "GET"))),
            ("logs", prices.of("log", log_gb(prices, job.log_lines, job.log_bytes, invocations(job)))),
        ]
    };
    let bills: Vec<_> = ways.iter().zip(jobs).map(|(way, job)| lines(way, job)).collect();
    let mut table = Table::new("Dollars per 1,000 jobs of 5 steps", columns);
    let per_thousand = |usd: f64| format!("{:.4}", usd * 1_000.0 / JOBS as f64);
    for index in 0..bills[0].len() {
        let cells = bills.iter().map(|bill| per_thousand(bill[index].1));
        table.row(&[bills[0][index].0.to_owned()].into_iter().chain(cells).collect::<Vec<_>>());
    }
    let sums = bills.iter().map(|bill| per_thousand(bill.iter().map(|(_, usd)| usd).sum()));
    table.row(&["**sum**".to_owned()].into_iter().chain(sums).collect::<Vec<_>>());
    let waits = ways.iter().map(|way| per_thousand(waiting(way)));
    table.row(&["waiting for the model".to_owned()].into_iter().chain(waits).collect::<Vec<_>>());
    let kept = jobs.iter().map(|job| per_thousand(kept(prices, job)));
    table.row(&["a month of what stays".to_owned()].into_iter().chain(kept).collect::<Vec<_>>());
    table.print();
    let assumed = &prices.assumed;
    println!(
        "\n{}, {} MB a function, {} s a call, answers of {} bytes; prices of {}",
        SHAPE.name(),
        assumed.memory_mb,
        assumed.call_seconds,
        assumed.answer_bytes,
        prices.region()
    );
}

/// Table with point-in-time recovery, and objects, for a month.
fn kept(prices: &Prices, job: &Job) -> f64 {
    let (table_gb, object_gb) = (job.stored_bytes / 1e9, job.object_bytes / 1e9);
    prices.of("table-month", table_gb) + prices.of("recovery-month", table_gb) + prices.of("object-month", object_gb)
}

/// The same work as a state machine that invokes a function per step: without a money cap, a journal of what was paid
/// for, events, and files.
fn peers(prices: &Prices) {
    let assumed = &prices.assumed;
    let seconds = STEPS * assumed.call_seconds;
    let waiting = prices.of("compute", 1_000.0 * seconds * assumed.memory_mb / 1_024.0);
    let invocations = 1_000.0 * STEPS;
    let own = prices.of("http", 1_000.0)
        + prices.of("invocation", invocations)
        + prices.of("log", log_gb(prices, 0.0, 0.0, invocations));
    let express = prices.of("express-request", 1_000.0) + prices.of("express-compute", 1_000.0 * seconds / 16.0);
    let mut table = Table::new(
        "Step Functions: dollars per 1,000 workflows of 5 states that each invoke a function",
        &[
            "workflow",
            "its own price",
            "API, Lambda requests, Lambda's own log lines",
            "**sum**",
            "waiting for the model",
        ],
    );
    for (name, price) in [("standard", prices.of("transition", invocations)), ("express (at most 5 minutes)", express)]
    {
        let cells = [price, own, price + own, waiting].map(|usd| format!("{usd:.4}"));
        table.row(&[name.to_owned()].into_iter().chain(cells).collect::<Vec<_>>());
    }
    table.print();
}
