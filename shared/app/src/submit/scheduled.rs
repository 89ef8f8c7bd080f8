//! What schedules submit: checked when they are made, and again at each tick, because an installation changes.

use convoke_api::flow::FlowIssue;
use convoke_domain::ids::JobKey;
use serde_json::Value;

use super::{Circumstances, Origin, body, compiled, files};
use crate::failure::Failure;
use crate::flow;
use crate::platform::Platform;
use crate::ports::Tick;

/// Most mistakes that an answer names.
const ISSUES_MAX: usize = 20;

/// What is wrong with what a schedule would submit: with the job itself, or with one of its inputs.
pub(crate) struct Wrong {
    /// Which input; `None` where it is the job.
    pub input: Option<usize>,
    /// Where and why, within the job.
    pub issue: FlowIssue,
}

impl Platform {
    /// Checks a job with each of these inputs; answers the flow's name.
    pub(crate) fn check_scheduled(&self, jobs: &[Value]) -> Result<String, Vec<Wrong>> {
        let of_job = |issues: Vec<FlowIssue>| issues.into_iter().map(|issue| Wrong { input: None, issue }).collect();
        let Some(first) = jobs.first() else { return Ok(String::new()) };
        let (asked, mut issues) = body::read(first, &self.limits);
        issues.retain(|issue| !is_of_input(issue));
        let (_, capability) = self.model_of(asked.model.as_deref(), &mut issues);
        let (doc, flow) =
            compiled(&asked.flow, capability).map_err(|(_, more)| of_job(merged(issues.clone(), more)))?;
        if !issues.is_empty() {
            return Err(of_job(issues));
        }
        let mut wrong: Vec<Wrong> = Vec::new();
        for (index, job) in jobs.iter().enumerate() {
            let (asked, issues) = body::read(job, &self.limits);
            let mut issues: Vec<FlowIssue> = issues.into_iter().filter(is_of_input).collect();
            match flow::validate_input(&flow, &asked.input).and_then(|input| flow.for_input(&input).map(|_| input)) {
                Ok(input) => issues.extend(uploads(&input)),
                Err(more) => issues.extend(more),
            }
            wrong.extend(issues.into_iter().map(|issue| Wrong { input: Some(index), issue }));
            if wrong.len() >= ISSUES_MAX {
                break;
            }
        }
        if wrong.is_empty() { Ok(doc.name) } else { Err(wrong) }
    }

    /// Submits a job of a tick under the id that was drawn for it; a repeat changes nothing.
    pub(crate) async fn submit_scheduled(&self, key: JobKey, body: &Value, tick: Tick) -> Result<(), Failure> {
        self.make(key, body, Circumstances::plain(None, Origin::Tick(tick))).await.map(drop)
    }
}

fn is_of_input(issue: &FlowIssue) -> bool {
    issue.path == "input" || issue.path.starts_with("input.") || issue.path.starts_with("input[")
}

fn merged(mut issues: Vec<FlowIssue>, more: Vec<FlowIssue>) -> Vec<FlowIssue> {
    let is_missing = issues.iter().any(|issue| issue.path == "flow");
    issues.extend(more.into_iter().filter(|issue| !(is_missing && issue.path == "flow")));
    issues
}

/// An upload is kept for a day, a schedule for years.
fn uploads(input: &Value) -> Vec<FlowIssue> {
    let named = files::named(input).map_or(1, |named| named.len());
    let issue =
        || FlowIssue::new("input.files", "uploads don't last as long as schedules", "put the text into the input");
    if named == 0 { Vec::new() } else { vec![issue()] }
}
