//! Metrics in `CloudWatch`'s embedded metric format: lines of a function's log that `CloudWatch` makes metrics of.
//!
//! | metric | unit | dimensions | written by |
//! |---|---|---|---|
//! | `JobsEnded` | count | `Installation`, `StopReason` | `notify` |
//! | `StepsCompleted`, `StepsFailed`, `AttemptsFailed` | count | `Installation` | `notify` |
//! | `ModelLatency` | ms | `Installation` | `step`, of calls that were answered |
//! | `InputTokens`, `OutputTokens`, `Dollars` | count | `Installation` | `step` |
//! | `ModelThrottles`, `ModelFailures` | count | `Installation` | `step` |
//! | `DeliveriesAcknowledged`, `DeliveriesFailed` | count | `Installation` | `deliver` |
//!
//! No dimension has a tenant, a job or a model: there are at most [`METRICS_MAX`] metrics, which is what they are billed
//! by. Nothing is written where nothing happens. An attempt that failed is seen when the next one begins, so one whose
//! next is put off (a provider throttles) may count twice; so may what the table's stream delivers twice. Bills are made
//! of the table, not of these.
//!
//! Source: "Specification: Embedded metric format", Amazon `CloudWatch` User Guide.

use std::io::Write;
use std::sync::Arc;
use std::time::Duration;

use convoke_app::model::{ModelAnswer, ModelError, ModelProfile};
use convoke_app::ports::{Env, EventKind, OutboundError, Posted};
use convoke_domain::ids::StepId;
use serde_json::{Map, Value, json};

use crate::config::Strings;
use crate::observe::Observer;
use crate::system::SystemEnv;

/// The setting that names the installation; nothing is written where it is missing.
const SETTING: &str = "CONVOKE_METRICS";
/// Where `CloudWatch` keeps them.
pub const NAMESPACE: &str = "Convoke";
/// Each stop reason, and eleven others.
pub const METRICS_MAX: usize = 12 + 11;

/// Takes finished lines, without their ends.
pub type Sink = Arc<dyn Fn(&str) + Send + Sync>;

/// Writes metrics of one installation.
pub struct Emf {
    installation: String,
    sink: Sink,
}

/// A metric of a line: name, unit, value.
type Metric = (&'static str, &'static str, f64);

/// The writer that `CONVOKE_METRICS` asks for, on standard output; `None` where it isn't set.
pub fn read(strings: &dyn Strings) -> Option<Arc<dyn Observer>> {
    let installation = strings.get(SETTING)?;
    let sink: Sink = Arc::new(|line| {
        // Whoever has closed the log of a function wants no metrics.
        drop(writeln!(std::io::stdout().lock(), "{line}"));
    });
    Some(Arc::new(Emf::new(installation, sink)))
}

impl Emf {
    /// A writer to a sink.
    pub fn new(installation: String, sink: Sink) -> Self {
        Self { installation, sink }
    }

    fn write(&self, metrics: &[Metric]) {
        let counted: Vec<&Metric> = metrics.iter().filter(|(.., value)| *value != 0.0).collect();
        if !counted.is_empty() {
            self.line(&["Installation"], &counted, Map::new());
        }
    }

    fn line(&self, dimensions: &[&str], metrics: &[&Metric], mut line: Map<String, Value>) {
        let definitions: Vec<Value> =
            metrics.iter().map(|(name, unit, _)| json!({"Name": name, "Unit": unit})).collect();
        let directive = json!({"Namespace": NAMESPACE, "Dimensions": [dimensions], "Metrics": definitions});
        line.insert("_aws".to_owned(), json!({"Timestamp": SystemEnv.now_ms(), "CloudWatchMetrics": [directive]}));
        line.insert("Installation".to_owned(), self.installation.clone().into());
        line.extend(metrics.iter().map(|(name, _, value)| ((*name).to_owned(), (*value).into())));
        (self.sink)(&Value::Object(line).to_string());
    }
}

/// A number as metrics have it: exact up to 2^53.
#[expect(clippy::cast_precision_loss, reason = "metrics are floating point numbers")]
const fn number(count: u64) -> f64 {
    count as f64
}

/// How many of these events are meant.
fn counted(kinds: &[&EventKind], is_meant: impl Fn(&EventKind) -> bool) -> f64 {
    number(kinds.iter().filter(|kind| is_meant(kind)).count() as u64)
}

/// Whether it is a step of the flow: delivering is none.
fn is_of_flow(step: &str) -> bool {
    step != StepId::finish().to_string()
}

impl Observer for Emf {
    fn called(&self, profile: &ModelProfile, done: &Result<ModelAnswer, ModelError>, took: Duration) {
        match done {
            Ok(ModelAnswer { usage, .. }) => self.write(&[
                ("ModelLatency", "Milliseconds", number(u64::try_from(took.as_millis()).unwrap_or(u64::MAX))),
                ("InputTokens", "Count", number(usage.input_tokens)),
                ("OutputTokens", "Count", number(usage.output_tokens)),
                ("Dollars", "None", number(profile.cost_of(usage).usd.0) / 1e6),
            ]),
            Err(ModelError::Throttled { .. }) => self.write(&[("ModelThrottles", "Count", 1.0)]),
            Err(_) => self.write(&[("ModelFailures", "Count", 1.0)]),
        }
    }

    fn happened(&self, kinds: &[&EventKind]) {
        let completed =
            counted(kinds, |kind| matches!(kind, EventKind::StepCompleted { step, .. } if is_of_flow(step)));
        let failed = counted(kinds, |kind| matches!(kind, EventKind::StepFailed { step, .. } if is_of_flow(step)));
        let again = counted(kinds, |kind| matches!(kind, EventKind::StepStarted { attempt, .. } if *attempt > 1));
        self.write(&[
            ("StepsCompleted", "Count", completed),
            ("StepsFailed", "Count", failed),
            ("AttemptsFailed", "Count", failed + again),
        ]);
        for kind in kinds {
            if let EventKind::Ended { stop_reason, .. } = kind {
                let reason = Map::from_iter([("StopReason".to_owned(), json!(stop_reason))]);
                self.line(&["Installation", "StopReason"], &[&("JobsEnded", "Count", 1.0)], reason);
            }
        }
    }

    fn posted(&self, done: &Result<Posted, OutboundError>) {
        let is_acknowledged = done.as_ref().is_ok_and(|posted| (200..300).contains(&posted.status));
        let name = if is_acknowledged { "DeliveriesAcknowledged" } else { "DeliveriesFailed" };
        self.write(&[(name, "Count", 1.0)]);
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;
    use std::sync::Mutex;

    use convoke_app::model::{Finish, Usage};
    use convoke_domain::money::{MicroUsd, Price};
    use convoke_domain::status::{JobStatus, StopReason};

    use super::*;

    fn written(act: impl FnOnce(&Emf)) -> Vec<Value> {
        let lines = Arc::new(Mutex::new(Vec::new()));
        let kept = Arc::clone(&lines);
        let emf = Emf::new("mine".to_owned(), Arc::new(move |line| kept.lock().expect("kept").push(line.to_owned())));
        act(&emf);
        let lines = lines.lock().expect("kept").clone();
        lines.iter().map(|line| serde_json::from_str(line).expect("JSON")).collect()
    }

    #[test]
    fn a_call_is_one_line_with_its_time_tokens_and_dollars() {
        let price = Price { input_per_mtok: MicroUsd::from_usd(1), output_per_mtok: MicroUsd::from_usd(2) };
        let profile = ModelProfile {
            name: "openai/x".to_owned(),
            context_tokens: 1,
            output_tokens_max: 1,
            capable: true,
            price: Some(price),
        };
        let usage = Usage { input_tokens: 1_000_000, output_tokens: 500_000, reported_usd: None };
        let answer = ModelAnswer { text: String::new(), tool_calls: Vec::new(), finish: Finish::Stop, usage };
        let lines = written(|emf| {
            emf.called(&profile, &Ok(answer), Duration::from_millis(1_500));
            emf.called(&profile, &Err(ModelError::Cancelled), Duration::ZERO);
        });
        let [line, failure] = lines.as_slice() else { panic!("two lines: {lines:?}") };
        for (name, value) in [("ModelLatency", 1_500.0), ("InputTokens", 1e6), ("OutputTokens", 5e5), ("Dollars", 2.0)]
        {
            assert_eq!(line[name], value, "{name}");
        }
        let directive = &line["_aws"]["CloudWatchMetrics"][0];
        assert_eq!(directive["Dimensions"], json!([["Installation"]]));
        assert_eq!(directive["Metrics"][0], json!({"Name": "ModelLatency", "Unit": "Milliseconds"}));
        assert_eq!(line["Installation"], "mine");
        assert!(line["_aws"]["Timestamp"].as_u64().is_some_and(|ms| ms > 1_700_000_000_000), "{line}");
        assert_eq!((&failure["ModelFailures"], &failure["ModelLatency"]), (&json!(1.0), &Value::Null));
    }

    #[test]
    fn events_of_a_batch_are_counted_together_and_endings_by_their_reason() {
        let step = |step: &str| EventKind::StepCompleted { step: step.to_owned(), attempt: 1 };
        let (first, second, finish) = (step("a"), step("b"), step(&StepId::finish().to_string()));
        let again = EventKind::StepStarted { step: "b".to_owned(), attempt: 2 };
        let ended = EventKind::Ended { status: JobStatus::Failed, stop_reason: StopReason::BudgetExhausted };
        let lines = written(|emf| {
            emf.happened(&[&first, &again, &second, &finish, &ended]);
            emf.happened(&[&EventKind::Submitted]);
        });
        let [steps, job] = lines.as_slice() else { panic!("two lines: {lines:?}") };
        assert_eq!((&steps["StepsCompleted"], &steps["AttemptsFailed"]), (&json!(2.0), &json!(1.0)));
        assert_eq!(steps["StepsFailed"], Value::Null, "what didn't happen isn't written");
        assert_eq!((&job["JobsEnded"], &job["StopReason"]), (&json!(1.0), &json!("budget_exhausted")));
        assert_eq!(job["_aws"]["CloudWatchMetrics"][0]["Dimensions"], json!([["Installation", "StopReason"]]));
    }

    #[test]
    fn a_delivery_counts_by_whether_it_was_acknowledged() {
        let posted = |status| Ok(Posted { status, retry_after: None });
        let lines = written(|emf| {
            emf.posted(&posted(204));
            emf.posted(&posted(500));
        });
        assert_eq!((&lines[0]["DeliveriesAcknowledged"], &lines[1]["DeliveriesFailed"]), (&json!(1.0), &json!(1.0)));
    }

    #[test]
    fn nothing_is_written_where_nobody_asks_for_it() {
        assert!(read(&BTreeMap::new()).is_none());
        assert!(read(&BTreeMap::from([(SETTING.to_owned(), "mine".to_owned())])).is_some());
    }
}
