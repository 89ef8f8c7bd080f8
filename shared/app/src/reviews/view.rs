//! How reviews stand, by the job's own item, and how callers see them.

use std::collections::BTreeMap;

use convoke_api::review::{DecidersView, ReviewState, ReviewView, ShownView};
use convoke_api::time::Time;
use convoke_domain::decide::is_committed;
use convoke_domain::graph::{Graph, TaskKind, Work};
use convoke_domain::group::Group;
use convoke_domain::ids::{GroupId, JobKey, SlotId, StepId};
use convoke_domain::review::{Decision, DefaultAction, Ruling};
use convoke_domain::slot::{Asked, At, Ruled, Wait};
use convoke_domain::status::JobStatus;

use super::ended;
use crate::ports::{DecisionRecord, Reviewed, Shown};

/// How a review stands.
pub(super) enum Stand {
    /// A decision is awaited.
    Open(Asked),
    /// This decision counts.
    Decided(DecisionRecord, Ruling),
    /// The job began to end before anybody decided.
    Withdrawn(JobStatus),
}

/// What the job's item says of a review.
pub(super) enum Found {
    /// Nobody was told of it yet.
    Nothing,
    /// It is open.
    Open(Asked),
    /// It is decided, and the job stands there still.
    Ruled(Ruled),
    /// It is decided, and the job went on.
    Passed,
    /// The job began to end before anybody decided.
    Withdrawn(JobStatus),
}

/// Whether a flow has reviews.
pub(super) fn has_reviews(graph: &Graph) -> bool {
    let tasks = graph.nodes.iter().flat_map(|node| &node.thread().tasks);
    tasks.into_iter().any(|task| matches!(task.kind, TaskKind::Review(_)))
}

/// Where a review stands in the job; `None` where the flow has no such review.
pub(super) fn place(graph: &Graph, step: &StepId) -> Option<(SlotId, At)> {
    graph.nodes.iter().enumerate().find_map(|(index, node)| {
        let Work::Thread(thread) = &node.work else { return None };
        let is_it = |task: &&convoke_domain::graph::Task| task.id == step.task;
        let position = thread.tasks.iter().position(|task| is_it(&task))?;
        let is_review = matches!(thread.tasks[position].kind, TaskKind::Review(_));
        let fits = is_review && step.item.is_none() && step.round.is_some() == thread.looped;
        let at = At { item: 0, round: step.round.unwrap_or(1), task: u8::try_from(position).ok()? };
        fits.then_some((SlotId(u16::try_from(index).ok()?), at))
    })
}

/// What the job's item says of a review that was asked.
pub(super) fn stand(graph: &Graph, root: &Group, stored: &Reviewed) -> Found {
    let step = &stored.asked.step;
    let Some((slot, at)) = place(graph, step) else { return Found::Nothing };
    match root.run.get(&slot).filter(|slot| slot.at == at) {
        Some(slot) => match (&slot.ruled, slot.wait) {
            (Some(ruled), _) => Found::Ruled(ruled.clone()),
            (None, Wait::Person(asked)) if root.ending.is_none() => Found::Open(asked),
            (None, Wait::Person(_)) => Found::Withdrawn(ended(root)),
            (None, Wait::Nothing | Wait::Funds | Wait::Groups) => Found::Nothing,
        },
        None if is_committed(graph, &BTreeMap::from([(GroupId::Root, root.clone())]), step) => Found::Passed,
        None => Found::Nothing,
    }
}

impl Found {
    /// With the decision that counts, `mark` being its mark where the job went on and several were put down.
    pub(super) fn with(self, stored: &Reviewed, mark: Option<&str>) -> Option<Stand> {
        let marked = |mark: &str| stored.decisions.iter().find(|it| it.mark == mark).cloned();
        match self {
            Self::Nothing => None,
            Self::Open(asked) => Some(Stand::Open(asked)),
            Self::Withdrawn(status) => Some(Stand::Withdrawn(status)),
            Self::Ruled(Ruled { ruling, mark }) => Some(Stand::Decided(marked(&mark)?, ruling)),
            Self::Passed => {
                let record = match mark {
                    Some(mark) => marked(mark),
                    None => stored.decisions.first().cloned(),
                };
                let record = record?;
                let ruling = ruling_of(&record);
                Some(Stand::Decided(record, ruling))
            }
        }
    }
}

/// How a decision that was put down came about.
const fn ruling_of(record: &DecisionRecord) -> Ruling {
    match (record.decision, &record.by) {
        (Some(decision), Some(_)) => Ruling::Decided(decision),
        (Some(Decision::Approve), None) => Ruling::Default(DefaultAction::Approve),
        (Some(Decision::Changes | Decision::Reject), None) => Ruling::Default(DefaultAction::Reject),
        (None, _) => Ruling::Lapsed,
    }
}

/// A review as callers see it.
pub(super) fn view(key: &JobKey, stored: &Reviewed, stand: &Stand) -> ReviewView {
    let asked = &stored.asked;
    let since_ms = match stand {
        Stand::Open(open) => open.since_ms,
        Stand::Decided(..) | Stand::Withdrawn(_) => asked.at_ms,
    };
    let decided = match stand {
        Stand::Decided(record, _) => Some(record),
        Stand::Open(_) | Stand::Withdrawn(_) => None,
    };
    ReviewView {
        id: asked.step.to_string(),
        state: state(stand),
        question: asked.question.clone(),
        shows: asked.shows.iter().map(shown).collect(),
        requested_at: Time(since_ms),
        deadline_at: Time(since_ms.saturating_add(asked.time_ms)),
        reminded: matches!(stand, Stand::Open(open) if open.reminded),
        default: asked.default,
        deciders: DecidersView {
            requester: asked.deciders.requester,
            people: asked.deciders.people.iter().map(ToString::to_string).collect(),
            admins: asked.deciders.admins,
        },
        decision: decided.and_then(|record| record.decision),
        decided_at: decided.map(|record| Time(record.at_ms)),
        decided_by: decided.and_then(|record| Some(record.by.as_ref()?.name.clone())),
        comment: decided.map(|record| record.comment.clone()).filter(|comment| !comment.is_empty()),
        href: format!("/v1/jobs/{}/reviews/{}", key.job, asked.step),
    }
}

const fn state(stand: &Stand) -> ReviewState {
    match stand {
        Stand::Open(_) => ReviewState::Requested,
        Stand::Withdrawn(_) => ReviewState::Withdrawn,
        Stand::Decided(_, Ruling::Decided(Decision::Approve)) => ReviewState::Approved,
        Stand::Decided(_, Ruling::Decided(Decision::Changes)) => ReviewState::ChangesRequested,
        Stand::Decided(_, Ruling::Decided(Decision::Reject)) => ReviewState::Rejected,
        Stand::Decided(_, Ruling::Default(_) | Ruling::Lapsed) => ReviewState::Expired,
    }
}

fn shown(shown: &Shown) -> ShownView {
    ShownView {
        name: shown.name.clone(),
        path: shown.is_file.then(|| shown.name.clone()),
        text: shown.text.clone(),
        truncated: shown.truncated,
        bytes: shown.bytes,
    }
}
