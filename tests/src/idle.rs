//! What an installation costs in a month in which nobody asks for anything, at list prices.
//!
//! What there is to pay for is read from `template.yaml`; what a tick of the clock takes is measured.

use std::collections::BTreeMap;

use crate::prices::Prices;
use crate::template::{Resource, Template};

/// A month, in minutes.
const MINUTES: f64 = 30.0 * 24.0 * 60.0;
/// Free tiers and retention count in months of so many days.
const DAYS: f64 = 30.0;

/// What one tick of the clock takes where nothing is due.
#[derive(Clone, Copy, Debug)]
pub struct Tick {
    /// Requests to the table.
    pub table: f64,
    /// Their read units.
    pub read_units: f64,
    /// Requests to queues.
    pub queue: f64,
    /// Lines that are logged, Lambda's own not counted.
    pub log_lines: f64,
    /// Their bytes.
    pub log_bytes: f64,
}

/// A line of the bill.
#[derive(Clone, Debug)]
pub struct Line {
    /// What is paid for.
    pub what: String,
    /// How much of it.
    pub amount: f64,
    /// In dollars, without a free tier.
    pub usd: f64,
    /// In dollars, after what is free in every account.
    pub usd_after_free: f64,
}

/// The bill of a month at rest, of an installation whose parameters make `conditions` hold.
pub fn month(template: &Template, prices: &Prices, tick: Tick, conditions: &[&str]) -> Vec<Line> {
    let stack = Stack { template, conditions };
    let assumed = &prices.assumed;
    let ticks = stack.ticks();
    let mut bill = Bill { prices, used: BTreeMap::new(), lines: Vec::new() };

    let queues = stack.polled_queues();
    let receives = queues * assumed.pollers * MINUTES * 60.0 / assumed.poll_seconds;
    bill.line(format!("{queues} queues asked for messages by {} pollers each", assumed.pollers), "receive", receives);
    bill.line("how deep the queue is, each tick", "receive", ticks * tick.queue);
    bill.line("ticks of the clock", "schedule", ticks);
    bill.line("invocations of the clock", "invocation", ticks);
    let seconds = (tick.table * assumed.table_ms + tick.queue * assumed.queue_ms) / 1_000.0;
    bill.line(
        "GB-seconds of the clock (assumed times)",
        "compute",
        ticks * seconds * stack.clock_memory_mb() / 1_024.0,
    );
    bill.line("read units: what is due, each tick", "read", ticks * tick.read_units);
    bill.line("reads of the stream, by Lambda", "stream", 0.0);
    let lines = tick.log_lines + assumed.platform_lines;
    let gb = ticks * (tick.log_bytes + assumed.platform_bytes + lines * assumed.line_bytes) / 1e9;
    bill.line("GB logged by the clock", "log", gb);
    bill.line("GB-months of logs, kept as long as the template says", "log-month", gb * stack.log_days() / DAYS);
    let kept_gb = assumed.kept_jobs * assumed.kept_table_bytes / 1e9;
    bill.line(format!("GB-months of the table: {} jobs of before", assumed.kept_jobs), "table-month", kept_gb);
    bill.line("GB-months of point-in-time recovery", "recovery-month", kept_gb);
    let object_gb = assumed.kept_jobs * assumed.kept_object_bytes / 1e9;
    bill.line("GB-months of files", "object-month", object_gb);
    bill.line("parameters of SSM", "parameter-month", stack.count("AWS::SSM::Parameter"));
    bill.line("secrets of Secrets Manager", "secret-month", stack.count("AWS::SecretsManager::Secret"));
    bill.line("alarms, by the metrics that they watch", "alarm-month", stack.watched_metrics());
    bill.line("dashboards", "dashboard-month", stack.count("AWS::CloudWatch::Dashboard"));
    bill.line("metrics of our own: sent when something happens, paid by the hour", "metric-month", 0.0);
    bill.lines
}

/// Both sums of a bill.
pub fn sums(lines: &[Line]) -> (f64, f64) {
    (lines.iter().map(|line| line.usd).sum(), lines.iter().map(|line| line.usd_after_free).sum())
}

struct Bill<'p> {
    prices: &'p Prices,
    used: BTreeMap<&'static str, f64>,
    lines: Vec<Line>,
}

impl Bill<'_> {
    fn line(&mut self, what: impl Into<String>, price: &'static str, amount: f64) {
        // A sum of nothing is -0.
        let amount = amount + 0.0;
        let used = self.used.entry(price).or_default();
        let free = (self.prices.free(price) - *used).max(0.0);
        *used += amount;
        let [usd, usd_after_free] = [amount, (amount - free).max(0.0)].map(|amount| self.prices.of(price, amount));
        self.lines.push(Line { what: what.into(), amount, usd, usd_after_free });
    }
}

/// What a template deploys where some conditions hold.
struct Stack<'t> {
    template: &'t Template,
    conditions: &'t [&'t str],
}

impl<'t> Stack<'t> {
    fn of(&self, kind: &'static str) -> impl Iterator<Item = Resource<'t>> {
        let is_there = move |resource: &Resource<'_>| {
            let condition = resource.whole()["Condition"].as_str();
            resource.kind == kind && condition.is_none_or(|condition| self.conditions.contains(&condition))
        };
        self.template.resources().filter(is_there)
    }

    fn count(&self, kind: &'static str) -> f64 {
        self.of(kind).map(|_| 1.0).sum()
    }

    fn ticks(&self) -> f64 {
        let per_month = |rule: Resource<'_>| {
            let rate = rule.property("ScheduleExpression").as_str().expect("a rate").to_owned();
            let minutes = rate.strip_prefix("rate(").and_then(|rest| rest.split(' ').next());
            MINUTES / minutes.and_then(|minutes| minutes.parse::<f64>().ok()).expect("minutes")
        };
        self.of("AWS::Events::Rule").map(per_month).sum()
    }

    fn polled_queues(&self) -> f64 {
        let is_queue =
            |mapping: &Resource<'_>| self.template.target(mapping.property("EventSourceArn")).kind == "AWS::SQS::Queue";
        self.of("AWS::Lambda::EventSourceMapping").filter(is_queue).map(|_| 1.0).sum()
    }

    fn clock_memory_mb(&self) -> f64 {
        let own = self.template.resource("Clock").property("MemorySize").as_f64();
        own.or_else(|| self.template.at("/Globals/Function/MemorySize").as_f64()).expect("megabytes")
    }

    fn log_days(&self) -> f64 {
        self.template.at("/Parameters/LogRetentionDays/Default").as_f64().expect("days")
    }

    /// An alarm over an expression is paid for by each metric in it.
    #[expect(clippy::cast_precision_loss, reason = "a few metrics")]
    fn watched_metrics(&self) -> f64 {
        let metrics = |alarm: Resource<'_>| {
            let listed = alarm.property("Metrics").as_array().into_iter().flatten();
            listed.filter(|metric| !metric["MetricStat"].is_null()).count().max(1)
        };
        self.of("AWS::CloudWatch::Alarm").map(|alarm| metrics(alarm) as f64).sum()
    }
}
