//! Submissions: everything is checked before anything is stored, then the job is there, whole, in one transaction.

mod body;
mod files;
mod follow_up;
mod repeat;
mod retry;
mod scheduled;

use std::collections::BTreeMap;

use bytes::Bytes;
use convoke_api::flow::{FlowDoc, FlowIssue};
use convoke_api::job::{Accepted, Links};
use convoke_domain::bits::Bits;
use convoke_domain::decide::{self, View};
use convoke_domain::delivery::Delivery;
use convoke_domain::graph::Graph;
use convoke_domain::group::{Balance, Group, Root, Scope};
use convoke_domain::ids::{GroupId, JobId, JobKey, TenantId};
use convoke_domain::money::Cost;
use convoke_domain::status::JobStatus;
use serde_json::Value;
use tracing::field::Empty;
use tracing::{Instrument, Span};

use crate::failure::{Failure, Part, Refused};
use crate::flow::{self, Capability, CompiledFlow};
use crate::platform::Platform;
use crate::ports::{
    Bell, BlobKey, Definition, Idempotency, JobHead, Payload, Requester, Ring, Submission, Submitted, Target, Tick,
};
use crate::work::WorkError;

use body::Asked;
pub use body::{LABEL_CHARS_MAX, LABELS_MAX, NOTIFY_MAX, PROMPT_BYTES_MAX};
pub use files::FILES_MAX;
use files::Kept;
use follow_up::Earlier;
pub use repeat::{IdempotencyKey, IdempotencyKeyError};
pub(crate) use scheduled::Wrong;

/// Longest definition or input that stands in the table, in bytes of JSON; larger ones are objects.
const DEFINITION_BYTES_MAX: usize = 64 * 1024;
/// Longest title, in characters.
const TITLE_CHARS_MAX: usize = 100;
/// When the sweep first looks at a job.
const FIRST_LOOK_MS: u64 = 60_000;

/// The answer to a submission or a retry.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Answered {
    /// The job.
    pub job: Accepted,
    /// Whether this is the answer to an earlier request with the same key.
    pub is_replay: bool,
}

/// Where a submission comes from.
enum Origin {
    /// Somebody with a key.
    Caller,
    /// A schedule.
    Tick(Tick),
    /// Somebody in a chat.
    Chat(Requester),
}

/// What is to be known of a submission beside its body.
struct Circumstances {
    origin: Origin,
    /// What makes a repeat the same request.
    repeat: Option<Idempotency>,
    /// The files that it goes on from.
    base: Option<Earlier>,
    /// Files that came with an earlier job, and come with this one again.
    kept: Kept,
}

impl Circumstances {
    fn plain(repeat: Option<Idempotency>, origin: Origin) -> Self {
        Self { origin, repeat, base: None, kept: Kept::new() }
    }
}

/// A submission in which nothing is wrong.
struct Checked {
    asked: Asked,
    doc: FlowDoc,
    flow: CompiledFlow,
    input: Value,
    model: String,
}

impl Platform {
    /// Accepts a job. Idempotent by `repeat` for 24 hours; without it each call makes another job.
    ///
    /// A job whose bells get lost is found by the sweep. Whatever is wrong with `body` is [`Refused::Invalid`], all at
    /// once; the key with another body is [`Refused::IdempotencyKeyReused`].
    pub async fn submit(
        &self,
        tenant: &TenantId,
        body: &Value,
        repeat: Option<&IdempotencyKey>,
    ) -> Result<Answered, Failure> {
        let repeat = self.stored(repeat, "jobs", body);
        self.make(self.new_key(tenant)?, body, Circumstances::plain(repeat, Origin::Caller)).await
    }

    /// The same for somebody in a chat, who is noted as the job's requester. `repeat` is made of the id of what came in.
    ///
    /// Who may and how often is asked before: [`Platform::may_submit`]. A chat that is to be told stands in the body's
    /// `notify`, as everywhere.
    pub async fn submit_from_chat(
        &self,
        tenant: &TenantId,
        body: &Value,
        repeat: Option<&IdempotencyKey>,
        requester: Requester,
    ) -> Result<Answered, Failure> {
        let repeat = self.stored(repeat, "jobs", body);
        self.make(self.new_key(tenant)?, body, Circumstances::plain(repeat, Origin::Chat(requester))).await
    }

    /// What is stored of a caller's key; `about` tells requests to different places apart.
    fn stored(&self, repeat: Option<&IdempotencyKey>, about: &str, body: &Value) -> Option<Idempotency> {
        repeat.map(|repeat| repeat.stored(about, body, self.ports.env.now_ms()))
    }

    /// Makes the job of that id.
    async fn make(&self, key: JobKey, body: &Value, asked_in: Circumstances) -> Result<Answered, Failure> {
        let Circumstances { origin, repeat, base, kept } = asked_in;
        let (tick, requester) = match origin {
            Origin::Caller => (None, None),
            Origin::Tick(tick) => (Some(tick), None),
            Origin::Chat(requester) => (None, Some(requester)),
        };
        let (targets, unknown) = self.targets(&key.tenant, body).await?;
        // What a tick submits was checked when its schedule was made, and tells those that there still are.
        let unknown = if tick.is_some() { Vec::new() } else { unknown };
        let checked = self.check(body, unknown)?;
        let uploads = files::named(&checked.input).map_err(|issues| invalid(Part::Input, issues))?;
        let mut input = checked.input;
        let issues = self.take_over(&key, (&uploads, &kept), &mut input).await?;
        if !issues.is_empty() {
            return Err(invalid(Part::Input, issues));
        }
        let base = match base {
            Some(earlier) => Some(self.copy_base(&key, &earlier).await?),
            None => None,
        };
        if let Some(base) = &base {
            self.describe_base(&key, base, &mut input).await?;
        }
        let graph = checked.flow.for_input(&input).map_err(|issues| invalid(Part::Input, issues))?.graph;
        let json = |value: Result<Value, serde_json::Error>| value.map_err(|error| corrupt(&key, &error.to_string()));
        let (document, shape) = (json(serde_json::to_value(&checked.doc))?, json(serde_json::to_value(&graph))?);
        let time_ms = millis(checked.asked.deadline);
        let definition = Definition {
            v: 1,
            flow: self.definition_payload(&key, "flow.json", document).await?,
            graph: Some(self.definition_payload(&key, "graph.json", shape).await?),
            input: self.definition_payload(&key, "input.json", input.clone()).await?,
            model: checked.model.clone(),
            capable: checked.flow.capability == Capability::Capable,
            labels: checked.asked.labels,
            notify: checked.asked.notify,
            targets,
            parent: None,
            tick,
            requester,
            base,
            time_ms: Some(time_ms),
        };
        let head = JobHead {
            flow: checked.doc.name.clone(),
            title: title(&input, &checked.doc.name),
            model: checked.model,
            budget: checked.asked.budget,
            parent: None,
        };
        let now_ms = self.ports.env.now_ms();
        let root = new_root(&graph, head.budget, now_ms, now_ms + time_ms);
        let deliveries = deliveries(&definition.targets, now_ms);
        let submission = Submission { key, head, definition, root, idempotency: repeat, deliveries };
        self.accept_job(&graph, submission).await
    }

    /// Checks all but the targets; `unknown` are mistakes that were found there.
    fn check(&self, body: &Value, unknown: Vec<FlowIssue>) -> Result<Checked, Failure> {
        let (asked, mut issues) = body::read(body, &self.limits);
        issues.extend(unknown);
        let (model, capability) = self.model_of(asked.model.as_deref(), &mut issues);
        let (doc, flow) = match compiled(&asked.flow, capability) {
            Ok(both) => both,
            Err((part, more)) if issues.is_empty() => return Err(invalid(part, more)),
            Err((_, more)) => {
                // A missing flow was noted before.
                issues.extend(more.into_iter().filter(|issue| issue.path != "flow" || !asked.flow.is_null()));
                return Err(invalid(Part::Request, issues));
            }
        };
        let input = flow::validate_input(&flow, &asked.input);
        match (input, issues.is_empty()) {
            (Ok(input), true) => Ok(Checked { asked, doc, flow, input, model }),
            (Ok(_), false) => Err(invalid(Part::Request, issues)),
            (Err(more), true) => Err(invalid(Part::Input, more)),
            (Err(more), false) => {
                issues.extend(more);
                Err(invalid(Part::Request, issues))
            }
        }
    }

    fn model_of(&self, name: Option<&str>, issues: &mut Vec<FlowIssue>) -> (String, Capability) {
        let name = name.unwrap_or_else(|| self.ports.models.default_model());
        match self.ports.models.model(name) {
            Ok(model) => (model.profile().name.clone(), Capability::of(model.profile())),
            Err(error) => {
                issues.push(FlowIssue::new("model", error.to_string(), ""));
                (name.to_owned(), Capability::Capable)
            }
        }
    }

    fn new_key(&self, tenant: &TenantId) -> Result<JobKey, Failure> {
        let ulid = self.ports.env.ulid();
        let job: JobId = ulid.parse().map_err(|error: convoke_domain::ids::IdError| WorkError::Corrupt {
            job: ulid.clone(),
            detail: error.to_string(),
        })?;
        Ok(JobKey { tenant: tenant.clone(), job })
    }

    async fn definition_payload(&self, key: &JobKey, name: &str, value: Value) -> Result<Payload, Failure> {
        let json = serde_json::to_vec(&value).map_err(|error| corrupt(key, &error.to_string()))?;
        if json.len() <= DEFINITION_BYTES_MAX {
            return Ok(Payload::Inline(value));
        }
        let blob = definition_blob(key, name);
        let bytes = json.len() as u64;
        self.ports.blobs.put(&blob, Bytes::from(json), "application/json").await?;
        Ok(Payload::Blob { key: blob, bytes })
    }

    /// Puts a job and rings what is ready in it.
    async fn accept_job(&self, graph: &Graph, submission: Submission) -> Result<Answered, Failure> {
        let span = tracing::info_span!("submit", job = Empty);
        self.put_job(graph, submission).instrument(span).await
    }

    async fn put_job(&self, graph: &Graph, submission: Submission) -> Result<Answered, Failure> {
        let key = &submission.key;
        match self.ports.jobs.submit(&submission).await? {
            Submitted::Created => {
                // The repeat of a submission is no part of any job.
                Span::current().record("job", key.job.as_str());
                tracing::info!(tenant = %key.tenant, job = %key.job, flow = submission.head.flow, "job accepted");
                self.ring_first(graph, &submission).await;
                Ok(answered(&key.job, false))
            }
            Submitted::Earlier { job, body_hash } if same_body(submission.idempotency.as_ref(), &body_hash) => {
                Ok(answered(&job, true))
            }
            Submitted::Earlier { .. } => Err(Refused::IdempotencyKeyReused.into()),
        }
    }

    /// The job exists: a bell that gets lost is the sweep's to make up for.
    async fn ring_first(&self, graph: &Graph, submission: &Submission) {
        let view = View { graph, group: &submission.root, now_ms: submission.root.at_ms };
        let ring = |slot| {
            let bell = Bell { v: 1, key: submission.key.clone(), group: GroupId::Root, slot: Some(slot) };
            Ring { bell, delay_s: 0, solo: false }
        };
        let rings: Vec<Ring> = decide::ready_slots(&view).into_iter().map(ring).collect();
        if let Err(error) = self.ports.bells.ring(&rings).await {
            let error = &error as &dyn std::error::Error;
            tracing::warn!(job = %submission.key, error, "the sweep will have to ring");
        }
    }
}

type Unusable = (Part, Vec<FlowIssue>);

fn compiled(choice: &Value, capability: Capability) -> Result<(FlowDoc, CompiledFlow), Unusable> {
    let placed = |issues: Vec<FlowIssue>| (Part::Flow, issues.into_iter().map(in_flow).collect());
    let doc = match choice {
        Value::String(name) => flow::built_in(name).ok_or_else(|| unknown(name))?.map_err(placed)?,
        Value::Object(_) => flow::from_value(choice).map_err(placed)?,
        other => {
            let message = format!("has to be a name or a definition, not {}", body::kind(other));
            return Err((Part::Request, vec![FlowIssue::new("flow", message, "")]));
        }
    };
    let compiled = flow::compile(&doc, capability).map_err(placed)?;
    Ok((doc, compiled))
}

fn unknown(name: &str) -> Unusable {
    let shown: String = name.chars().take(64).collect();
    let hint = format!("there is {}; a definition can stand here, too", flow::BUILT_IN.join(", "));
    let issue = FlowIssue::new("flow", format!("there is no flow {shown:?}"), hint);
    (Part::FlowName, vec![issue])
}

fn in_flow(issue: FlowIssue) -> FlowIssue {
    let dot = if issue.path.is_empty() || issue.path.starts_with('[') { "" } else { "." };
    FlowIssue { path: format!("flow{dot}{}", issue.path), ..issue }
}

const fn invalid(what: Part, issues: Vec<FlowIssue>) -> Failure {
    Failure::Refused(Refused::Invalid { what, issues })
}

fn corrupt(key: &JobKey, detail: &str) -> WorkError {
    WorkError::Corrupt { job: key.to_string(), detail: detail.to_owned() }
}

fn definition_blob(key: &JobKey, name: &str) -> BlobKey {
    BlobKey::of_job(key, "(definition)", 0, name)
}

fn same_body(idempotency: Option<&Idempotency>, body_hash: &str) -> bool {
    idempotency.is_none_or(|idempotency| idempotency.body_hash == body_hash)
}

/// A delivery for each target.
fn deliveries(targets: &[Target], now_ms: u64) -> Vec<Delivery> {
    targets.iter().map(|target| Delivery::new(target.id.clone(), now_ms)).collect()
}

/// The answer is made of the job's id alone, so that a replay is the same.
fn answered(job: &JobId, is_replay: bool) -> Answered {
    let job = Accepted { id: job.clone(), status: JobStatus::Queued, links: Links::of(job) };
    Answered { job, is_replay }
}

fn millis(duration: std::time::Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}

/// A job's own item as it begins.
fn new_root(graph: &Graph, budget: Cost, now_ms: u64, deadline_ms: u64) -> Group {
    let scope = Root {
        status: JobStatus::Queued,
        groups: BTreeMap::new(),
        created_ms: now_ms,
        deadline_ms,
        rests_since_ms: None,
        due_ms: Some(now_ms + FIRST_LOOK_MS),
        swept_ver: 0,
        pause_ms: 0,
    };
    Group {
        id: GroupId::Root,
        ver: 1,
        last: String::from("submit"),
        at_ms: now_ms,
        ending: None,
        done: Bits::with_room(graph.nodes.len()),
        no: Bits::with_room(graph.nodes.len()),
        rounds: BTreeMap::new(),
        run: BTreeMap::new(),
        left: Balance::of(budget),
        spent: Cost::ZERO,
        scope: Scope::Root(scope),
    }
}

/// The same of a body's own prompt, or `otherwise`.
pub(crate) fn title_of(body: &Value, otherwise: &str) -> String {
    title(body, otherwise)
}

/// The first line of the prompt that says anything, or the flow's name.
fn title(input: &Value, flow: &str) -> String {
    let prompt = input.get("prompt").and_then(Value::as_str).unwrap_or_default();
    let line = prompt.lines().map(str::trim).find(|line| !line.is_empty()).unwrap_or(flow);
    let mut title: String = line.chars().filter(|c| !c.is_control()).take(TITLE_CHARS_MAX + 1).collect();
    if title.chars().count() > TITLE_CHARS_MAX {
        title = title.chars().take(TITLE_CHARS_MAX - 1).chain(['…']).collect();
    }
    title
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_title_is_the_first_line_that_says_anything() {
        for (prompt, expected) in [
            ("Create a todo API", "Create a todo API"),
            ("\n\n  Build\u{7} it \nand more", "Build it"),
            ("", "software"),
            (" \n\t", "software"),
        ] {
            assert_eq!(title(&json!({"prompt": prompt}), "software"), expected);
        }
        assert_eq!(title(&json!({"idea": "x"}), "fan"), "fan");
        let long = title(&json!({"prompt": "é".repeat(101)}), "software");
        assert_eq!((long.chars().count(), long.ends_with("é…")), (100, true));
        assert_eq!(title(&json!({"prompt": "é".repeat(100)}), "software"), "é".repeat(100));
    }

    #[test]
    fn a_job_begins_with_all_its_money_and_is_due_in_a_minute() {
        let budget = Cost { usd: convoke_domain::money::MicroUsd(70), tokens: 9 };
        let root = new_root(&Graph::default(), budget, 1_000, 5_000);
        assert_eq!((root.left.available(), root.spent), (budget, Cost::ZERO));
        let job = root.root().expect("a root");
        assert_eq!((job.due_ms, job.deadline_ms, job.status), (Some(61_000), 5_000, JobStatus::Queued));
    }

    #[test]
    fn issues_of_a_flow_are_placed_in_the_request() {
        for (path, placed) in [("nodes[0].id", "flow.nodes[0].id"), ("", "flow"), ("[1]", "flow[1]")] {
            assert_eq!(in_flow(FlowIssue::new(path, "m", "h")).path, placed);
        }
    }
}
