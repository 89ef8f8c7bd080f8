//! Reading a schedule's request: all that a tick would submit is checked when the schedule is made.

use bytes::Bytes;
use convoke_api::flow::FlowIssue;
use convoke_api::schedule::{BatchRequest, ScheduleRequest};
use convoke_domain::ids::TenantId;
use serde_json::Value;

use super::timing;
use crate::failure::{Failure, Part, Refused};
use crate::platform::Platform;
use crate::ports::{BlobKey, Timing};
use crate::submit::Wrong;
use crate::uploads::Upload;

/// Most inputs of a batch.
pub const INPUTS_MAX: usize = 1_000;
/// Most bytes of a batch's inputs.
pub const INPUTS_BYTES_MAX: usize = 4 * 1024 * 1024;
/// Most jobs of a batch at once.
pub const AT_ONCE_MAX: u32 = 50;
/// Largest `job`, in bytes of JSON: it stands in the schedule's item, which each tick rewrites.
pub const JOB_BYTES_MAX: usize = 128 * 1024;
/// Longest name, in characters.
const NAME_CHARS_MAX: usize = 100;
/// Longest jitter, in seconds.
const JITTER_S_MAX: u64 = 3_600;
/// Most mistakes that an answer names.
const ISSUES_MAX: usize = 20;

/// A request in which nothing is wrong.
pub(super) struct Asked {
    pub name: String,
    pub timing: Timing,
    pub request: ScheduleRequest,
    pub inputs: Option<Inputs>,
}

/// The inputs of a batch, as JSON lines.
pub(super) struct Inputs {
    pub lines: Bytes,
    pub count: u32,
    pub at_once: u32,
}

impl Platform {
    pub(super) async fn read_schedule(&self, tenant: &TenantId, body: &Value) -> Result<Asked, Failure> {
        let request: ScheduleRequest = serde_path_to_error::deserialize(body).map_err(|error| {
            let path = error.path().to_string();
            let path = if path == "." { String::new() } else { path };
            invalid(vec![FlowIssue::new(path, error.inner().to_string(), "see /openapi.json")])
        })?;
        let mut issues = Vec::new();
        let timing = timing::read(request.cron.as_deref(), request.time_zone.as_deref(), request.every_s, &mut issues);
        check_bounds(&request, &mut issues);
        let (_, unknown) = self.targets(tenant, &request.job).await?;
        issues.extend(unknown.into_iter().map(|issue| placed(None, issue)));
        let inputs = match &request.batch {
            Some(batch) => self.inputs_of(tenant, batch, &mut issues).await?,
            None => Vec::new(),
        };
        if !issues.is_empty() {
            return Err(invalid(issues));
        }
        let flow = self.check_jobs(&request, &inputs)?;
        let Some(timing) = timing else { return Err(invalid(Vec::new())) };
        let name = request.name.clone().unwrap_or(flow);
        let inputs = request.batch.as_ref().map(|batch| packed(&inputs, batch.at_once));
        Ok(Asked { name, timing, request, inputs })
    }

    /// Checks every job that a tick submits; answers the flow's name.
    fn check_jobs(&self, request: &ScheduleRequest, inputs: &[Value]) -> Result<String, Failure> {
        let jobs: Vec<Value> = match &request.batch {
            Some(_) => inputs.iter().map(|input| with_input(&request.job, input)).collect(),
            None => vec![request.job.clone()],
        };
        let is_batch = request.batch.is_some();
        self.check_scheduled(&jobs).map_err(|wrong| {
            invalid(wrong.into_iter().map(|Wrong { input, issue }| placed(input.filter(|_| is_batch), issue)).collect())
        })
    }

    async fn inputs_of(
        &self,
        tenant: &TenantId,
        batch: &BatchRequest,
        issues: &mut Vec<FlowIssue>,
    ) -> Result<Vec<Value>, Failure> {
        if !(1..=AT_ONCE_MAX).contains(&batch.at_once) {
            issues.push(FlowIssue::new("batch.at_once", "out of range", format!("1 to {AT_ONCE_MAX}")));
        }
        let inputs = match (&batch.inputs, &batch.file) {
            (Some(inputs), None) => inputs.clone(),
            (None, Some(id)) => {
                let Some(text) = self.uploaded(tenant, id).await? else {
                    let hint = "POST /v1/uploads, then PUT the file to the URL that it answers";
                    issues.push(FlowIssue::new("batch.file", "there is no such upload", hint));
                    return Ok(Vec::new());
                };
                lines(&text, issues)
            }
            _ => {
                let hint = "inputs with a list of objects, or file with the id of an upload";
                issues.push(FlowIssue::new("batch", "takes one of inputs and file", hint));
                return Ok(Vec::new());
            }
        };
        check_inputs(&inputs, issues);
        Ok(inputs)
    }

    async fn uploaded(&self, tenant: &TenantId, id: &str) -> Result<Option<Bytes>, Failure> {
        if Upload::parse(id).is_none() {
            return Ok(None);
        }
        Ok(self.ports.blobs.get(&BlobKey::of_upload(tenant, id)).await?)
    }
}

/// The job of one input: its fields go over those that all have in common.
pub(super) fn with_input(job: &Value, input: &Value) -> Value {
    let mut job = job.clone();
    let mut fields = job.get("input").and_then(Value::as_object).cloned().unwrap_or_default();
    fields.extend(input.as_object().cloned().unwrap_or_default());
    if let Some(job) = job.as_object_mut() {
        job.insert("input".to_owned(), Value::Object(fields));
    }
    job
}

/// The inputs in JSON lines; what is no object is left to be refused by the flow.
pub(super) fn unpacked(lines: &[u8], index: u32) -> Option<Value> {
    let line = lines.split(|byte| *byte == b'\n').nth(usize::try_from(index).ok()?)?;
    serde_json::from_slice(line).ok()
}

fn packed(inputs: &[Value], at_once: u32) -> Inputs {
    let lines: Vec<String> = inputs.iter().map(Value::to_string).collect();
    let count = u32::try_from(inputs.len()).unwrap_or(u32::MAX);
    Inputs { lines: Bytes::from(lines.join("\n")), count, at_once }
}

fn lines(text: &[u8], issues: &mut Vec<FlowIssue>) -> Vec<Value> {
    let mut inputs = Vec::new();
    let lines = text.split(|byte| *byte == b'\n').enumerate();
    for (number, line) in lines.filter(|(_, line)| !line.trim_ascii().is_empty()) {
        match serde_json::from_slice::<Value>(line) {
            Ok(input) => inputs.push(input),
            Err(error) if issues.len() < ISSUES_MAX => {
                let path = format!("batch.file line {}", number + 1);
                issues.push(FlowIssue::new(path, error.to_string(), "one JSON object a line"));
            }
            Err(_) => {}
        }
        if inputs.len() > INPUTS_MAX {
            break;
        }
    }
    inputs
}

/// Where in the schedule's request something is that is wrong with a job.
fn placed(input: Option<usize>, issue: FlowIssue) -> FlowIssue {
    let path = match (input, issue.path.strip_prefix("input")) {
        (Some(index), Some(rest)) => format!("batch.inputs[{index}]{rest}"),
        (_, _) if issue.path.is_empty() => "job".to_owned(),
        (_, _) => format!("job.{}", issue.path),
    };
    FlowIssue { path, ..issue }
}

const fn invalid(issues: Vec<FlowIssue>) -> Failure {
    Failure::Refused(Refused::Invalid { what: Part::Request, issues })
}

fn check_inputs(inputs: &[Value], issues: &mut Vec<FlowIssue>) {
    if !(1..=INPUTS_MAX).contains(&inputs.len()) && issues.is_empty() {
        issues.push(FlowIssue::new("batch.inputs", "out of range", format!("1 to {INPUTS_MAX} inputs")));
    }
    let bytes: usize = inputs.iter().map(|input| input.to_string().len() + 1).sum();
    if bytes > INPUTS_BYTES_MAX {
        issues.push(FlowIssue::new("batch.inputs", "too large", format!("at most {INPUTS_BYTES_MAX} bytes in all")));
    }
    for (index, _) in inputs.iter().enumerate().filter(|(_, input)| !input.is_object()).take(ISSUES_MAX) {
        issues.push(FlowIssue::new(format!("batch.inputs[{index}]"), "is no object", "{\"prompt\": ...}"));
    }
}

fn check_bounds(request: &ScheduleRequest, issues: &mut Vec<FlowIssue>) {
    if let Some(name) = &request.name
        && (!(1..=NAME_CHARS_MAX).contains(&name.chars().count()) || name.chars().any(char::is_control))
    {
        issues.push(FlowIssue::new("name", "not a name", format!("1 to {NAME_CHARS_MAX} characters")));
    }
    if request.jitter_s > JITTER_S_MAX {
        issues.push(FlowIssue::new("jitter_s", "out of range", format!("0 to {JITTER_S_MAX}")));
    }
    if request.job.to_string().len() > JOB_BYTES_MAX {
        issues.push(FlowIssue::new("job", "too large", format!("at most {JOB_BYTES_MAX} bytes of JSON")));
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn an_inputs_fields_go_over_the_common_ones() {
        let job = json!({"flow": "f", "input": {"a": 1, "b": 2}});
        assert_eq!(with_input(&job, &json!({"b": 3})), json!({"flow": "f", "input": {"a": 1, "b": 3}}));
        assert_eq!(with_input(&json!({"flow": "f"}), &json!({"b": 3})), json!({"flow": "f", "input": {"b": 3}}));
    }

    #[test]
    fn lines_are_counted_as_an_editor_does_and_read_back() {
        let mut issues = Vec::new();
        let inputs = lines(b"{\"a\": 1}\n\n {\"a\": 2}\r\nnone\n", &mut issues);
        assert_eq!(issues.iter().map(|issue| issue.path.as_str()).collect::<Vec<_>>(), ["batch.file line 4"]);
        let packed = packed(&inputs, 3);
        assert_eq!((packed.count, packed.at_once), (2, 3));
        assert_eq!(unpacked(&packed.lines, 1), Some(json!({"a": 2})));
        assert_eq!(unpacked(&packed.lines, 2), None);
    }

    #[test]
    fn what_is_wrong_is_placed_in_the_schedules_request() {
        let at = |input, path: &str| placed(input, FlowIssue::new(path, "", "")).path;
        assert_eq!(at(None, "input.prompt"), "job.input.prompt");
        assert_eq!(at(Some(2), "input.prompt"), "batch.inputs[2].prompt");
        assert_eq!(at(Some(2), "budget.usd"), "job.budget.usd");
        assert_eq!(at(None, ""), "job");
    }

    #[test]
    fn inputs_are_objects_and_few_enough() {
        let paths = |inputs: &[Value]| {
            let mut issues = Vec::new();
            check_inputs(inputs, &mut issues);
            issues.into_iter().map(|issue| issue.path).collect::<Vec<_>>()
        };
        assert_eq!(paths(&[]), ["batch.inputs"]);
        assert_eq!(paths(&[json!({}), json!([])]), ["batch.inputs[1]"]);
        assert_eq!(paths(&vec![json!({}); INPUTS_MAX + 1]), ["batch.inputs"]);
        assert_eq!(paths(&[json!({"text": "x".repeat(INPUTS_BYTES_MAX)})]), ["batch.inputs"]);
    }
}
