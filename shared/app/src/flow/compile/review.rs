//! Compiles reviews: what is asked, what is shown, who may decide, and by when.

use std::collections::BTreeSet;

use convoke_api::flow::{DecidersDoc, FlowIssue, ReviewNode};
use convoke_domain::graph::TaskKind;
use convoke_domain::path::ArtifactPath;
use convoke_domain::review::{Deciders, Decision, PEOPLE_MAX, TIME_DEFAULT_MS, TIME_MAX_MS, TIME_MIN_MS, Terms};
use serde_json::{Value, json};

use super::names::{Place, is_name};
use super::{Compiler, Site};
use crate::flow::spec::{Read, ReviewSpec, Shown, TaskBody, TaskSpec};

/// Most things that a review shows.
pub(super) const SHOWS_MAX: usize = 10;

/// Schema of what a review comes to.
pub(super) fn output() -> Value {
    json!({
        "type": "object",
        "properties": {
            "decision": {"type": "string", "enum": Decision::ALL.map(Decision::as_str)},
            "comment": {"type": "string"},
            "by": {"type": "string"},
            "expired": {"type": "boolean"},
            "asked": {"type": "boolean"},
        },
        "required": ["decision", "comment", "by", "expired", "asked"],
        "additionalProperties": false,
    })
}

/// The times and defaults of a review.
pub(super) fn terms(review: &ReviewNode, path: &str, issues: &mut Vec<FlowIssue>) -> Terms {
    let mut time = |seconds: Option<u64>, field: &str| {
        let ms = seconds.map(|seconds| seconds.saturating_mul(1_000));
        if let (Some(seconds), Some(ms)) = (seconds, ms)
            && !(TIME_MIN_MS..=TIME_MAX_MS).contains(&ms)
        {
            let hint = format!("{} to {}", TIME_MIN_MS / 1_000, TIME_MAX_MS / 1_000);
            issues.push(FlowIssue::new(format!("{path}.{field}"), format!("{seconds} seconds are out of range"), hint));
        }
        ms
    };
    let deadline_ms = time(review.deadline_s, "deadline_s").unwrap_or(TIME_DEFAULT_MS);
    let reminder_ms = time(review.reminder_s, "reminder_s");
    if reminder_ms.is_some_and(|reminder_ms| reminder_ms >= deadline_ms) {
        let message = "nobody can be reminded once the time is over";
        issues.push(FlowIssue::new(format!("{path}.reminder_s"), message, "less than deadline_s"));
    }
    Terms { deadline_ms, reminder_ms, default: review.default, on_reject: review.on_reject.unwrap_or_default() }
}

impl<'d> Compiler<'d> {
    pub(super) fn review_task(&mut self, review: &'d ReviewNode, place: Place<'_>, path: &str) {
        let mut site = Site::new(place);
        let question = self.template(&review.question, &format!("{path}.question"), &mut site);
        if review.question.trim().is_empty() {
            self.issue(&format!("{path}.question"), "nothing is asked", "say what is to be decided");
        }
        let condition =
            review.condition.as_ref().map(|source| self.expression(source, &format!("{path}.if"), &mut site));
        let (shows, files) = self.shows(review, path, &mut site);
        let deciders = self.deciders(review.deciders.as_ref(), &format!("{path}.deciders"));
        let Some(question) = question else { return };
        let mut reads: BTreeSet<Read> = site.reads().into_iter().collect();
        reads.extend(files.iter().cloned());
        let body = ReviewSpec { question, shows, condition: condition.flatten(), deciders };
        let kind = TaskKind::Review(terms(review, path, &mut Vec::new()));
        let spec = TaskSpec {
            id: review.id.clone(),
            node: place.node,
            kind,
            reads: reads.into_iter().collect(),
            files: files.into_iter().collect(),
            reads_conflicts: site.conflicts,
            bindings: site.bindings.into_iter().collect(),
            body: TaskBody::Review(Box::new(body)),
        };
        self.tasks.insert(review.id.clone(), spec);
    }

    fn shows(&mut self, review: &ReviewNode, path: &str, site: &mut Site<'_>) -> (Vec<Shown>, BTreeSet<Read>) {
        if review.shows.len() > SHOWS_MAX {
            let message = format!("{} things are too many to judge at once", review.shows.len());
            self.issue(&format!("{path}.shows"), message, format!("at most {SHOWS_MAX}"));
        }
        let mut shows = Vec::new();
        for (index, entry) in review.shows.iter().enumerate() {
            let path = format!("{path}.shows[{index}]");
            if is_name(entry) {
                match self.names.binding(entry, site.place) {
                    Ok(binding) => {
                        site.bindings.insert(binding.clone());
                        shows.push(Shown::Output(binding));
                    }
                    Err((message, hint)) => self.issue(&path, message, hint),
                }
            } else {
                match ArtifactPath::new(entry.as_str()) {
                    Ok(file) => shows.push(Shown::File(file)),
                    Err(error) => {
                        self.issue(&path, format!("{entry:?}: {error}"), "the name of a node, or a file's path");
                    }
                }
            }
        }
        let mut files = BTreeSet::new();
        if shows.iter().any(|shown| matches!(shown, Shown::File(_))) {
            let names = self.default_context(site).into_iter().filter(|name| *name != review.id);
            // What can't be read where the review stands leaves no file for it.
            files.extend(
                names.filter_map(|name| self.names.binding(&name, site.place).ok()).map(|binding| binding.read),
            );
        }
        (shows, files)
    }

    fn deciders(&mut self, doc: Option<&DecidersDoc>, path: &str) -> Deciders {
        let Some(DecidersDoc { requester, people, admins }) = doc else { return Deciders::default() };
        let mut found = Vec::new();
        for (index, text) in people.iter().enumerate() {
            match text.parse() {
                Ok(person) if !found.contains(&person) => found.push(person),
                Ok(_) => {}
                Err(_) => {
                    let hint = "dcu_ and the id of a user of Discord, or tgu_ and that of one of Telegram";
                    self.issue(&format!("{path}.people[{index}]"), format!("{text:?} is nobody's id"), hint);
                }
            }
        }
        if found.len() > PEOPLE_MAX {
            self.issue(&format!("{path}.people"), "too many people", format!("at most {PEOPLE_MAX}"));
        }
        if !requester && !admins && people.is_empty() {
            let hint = "requester: true, admins: true, or some people; without deciders it is requester and admins";
            self.issue(path, "nobody in a chat could decide", hint);
        }
        Deciders { requester: *requester, people: found, admins: *admins }
    }
}
