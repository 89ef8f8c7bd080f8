//! Reviews: what people are asked, and their decisions.
//!
//! The first decision counts, by one conditional write on the job's own item; what is said about it is put down before,
//! under a mark that the item then bears. Nothing here waits: a review holds no lease and no money.

mod view;

use std::sync::Arc;

use convoke_api::flow::FlowIssue;
use convoke_api::review::{DecisionRequest, ReviewList, ReviewView};
use convoke_domain::change::Change;
use convoke_domain::chat::PersonId;
use convoke_domain::decide::{self, Refusal, View};
use convoke_domain::group::Group;
use convoke_domain::ids::{GroupId, JobKey, SlotId, StepId};
use convoke_domain::review::{COMMENT_CHARS_MAX, Deciders, Decision, Ruling};
use convoke_domain::status::JobStatus;
use serde_json::Value;

use crate::failure::{Failure, Part, Refused};
use crate::platform::Platform;
use crate::ports::{Applied, Bell, DecidedBy, DecisionRecord, Reviewed, Ring};
use crate::read::steps::parse;
use crate::work::{JobOutline, WorkError, expired};
use view::{Stand, place, stand, view};

/// How often a decision is tried that other changes of the job get in the way of.
const RACES_MAX: u32 = 8;
/// Most reviews that a list shows.
const LISTED_MAX: usize = 100;

/// Who decides.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Decider {
    /// Who it is, for telling people apart: a person's id, or a key's.
    pub who: String,
    /// What they are called.
    pub name: String,
    /// Of a chat; `None` for whoever shows a key of the tenant, who may decide all.
    pub person: Option<PersonId>,
    /// Whether they are an admin of the chat in which they decide.
    pub is_admin: bool,
}

impl Decider {
    /// Whoever shows the key of that name.
    pub fn of_key(name: &str) -> Self {
        Self { who: format!("key:{name}"), name: name.to_owned(), person: None, is_admin: false }
    }
}

/// What is decided, read from a request's body.
pub fn decision_of(body: &Value) -> Result<DecisionRequest, Refused> {
    let words = Decision::ALL.map(Decision::as_str).join(", ");
    let Some(fields) = body.as_object() else {
        return Err(Refused::request("", "has to be an object", "{\"decision\": \"approve\"}"));
    };
    let mut issues = Vec::new();
    for name in fields.keys().filter(|name| !["decision", "comment"].contains(&name.as_str())) {
        issues.push(FlowIssue::new(name, "unknown field", "known are decision, comment"));
    }
    let word = fields.get("decision").and_then(Value::as_str);
    let decision = Decision::ALL.into_iter().find(|decision| word == Some(decision.as_str()));
    if decision.is_none() {
        issues.push(FlowIssue::new("decision", "is missing, or no decision", format!("one of {words}")));
    }
    let comment = match fields.get("comment") {
        None | Some(Value::Null) => None,
        Some(Value::String(text)) => Some(text.clone()),
        Some(_) => {
            issues.push(FlowIssue::new("comment", "has to be a text", ""));
            None
        }
    };
    match decision {
        Some(decision) if issues.is_empty() => Ok(DecisionRequest { decision, comment }),
        _ => Err(Refused::Invalid { what: Part::Request, issues }),
    }
}

/// A review as it was just read.
struct Known {
    flow: Arc<JobOutline>,
    root: Group,
    stored: Reviewed,
    stand: Stand,
}

impl Known {
    /// [`Refused::MayNotDecide`] where somebody isn't among the deciders.
    fn check(&self, by: &Decider) -> Result<(), Refused> {
        let requester = self.flow.definition.asked_by();
        if may_decide(&self.stored.asked.deciders, by, requester) { Ok(()) } else { Err(Refused::MayNotDecide) }
    }
}

impl Platform {
    /// The latest 100 reviews of a job, in the order in which they were asked.
    pub async fn reviews(&self, key: &JobKey) -> Result<ReviewList, Failure> {
        let (_, root) = self.known_job(key).await?;
        let flow = self.job_outline(key).await?.ok_or_else(|| no_definition(key))?;
        Ok(ReviewList { reviews: self.review_views(key, (&flow, &root), LISTED_MAX).await? })
    }

    /// One review. [`Refused::ReviewNotFound`] where the job hasn't asked that.
    pub async fn review(&self, key: &JobKey, review: &str) -> Result<ReviewView, Failure> {
        let known = self.known_review(key, review).await?;
        Ok(view(key, &known.stored, &known.stand))
    }

    /// One review, for somebody who is about to decide it. [`Refused::MayNotDecide`] where it is open, and not theirs to
    /// decide; [`Refused::ReviewNotFound`]. Reads only: what counts is [`Platform::decide_review`]'s own look.
    pub async fn review_to_decide(&self, key: &JobKey, review: &str, by: &Decider) -> Result<ReviewView, Failure> {
        let known = self.known_review(key, review).await?;
        if matches!(known.stand, Stand::Open(_)) {
            known.check(by)?;
        }
        Ok(view(key, &known.stored, &known.stand))
    }

    /// Decides a review. Idempotent: the same decision by the same decider again is a success, and answers the same.
    ///
    /// [`Refused::ReviewDecided`] where another decision was first, or its time is over; [`Refused::MayNotDecide`] where a
    /// person of a chat isn't among the deciders; [`Refused::JobAlreadyEnded`] where the job ended, or began to, before
    /// anybody decided; [`Refused::ReviewNotFound`]. Whatever the answer, at most one decision counts.
    pub async fn decide_review(
        &self,
        key: &JobKey,
        review: &str,
        asked: &DecisionRequest,
        by: &Decider,
    ) -> Result<ReviewView, Failure> {
        check_comment(asked.comment.as_deref())?;
        let mark = self.ports.env.nonce();
        for _ in 0..RACES_MAX {
            let known = self.known_review(key, review).await?;
            match &known.stand {
                Stand::Decided(record, ruling) => {
                    return repeated(record, asked.decision, by, *ruling)
                        .map(|()| view(key, &known.stored, &known.stand));
                }
                Stand::Withdrawn(status) => return Err(Refused::JobAlreadyEnded { status: *status }.into()),
                Stand::Open(_) if self.expire_overdue(key, &known).await? => continue,
                Stand::Open(_) => {}
            }
            known.check(by)?;
            if let Some(root) = self.rule(key, &known, (&mark, asked), by).await? {
                let known = self.known_review_in(key, review, root).await?;
                return Ok(view(key, &known.stored, &known.stand));
            }
        }
        Err(WorkError::Contended { job: key.to_string() }.into())
    }

    /// Puts the decision down and lets it count, if the review is still open; the job after that.
    async fn rule(
        &self,
        key: &JobKey,
        known: &Known,
        (mark, asked): (&str, &DecisionRequest),
        by: &Decider,
    ) -> Result<Option<Group>, Failure> {
        let step = &known.stored.asked.step;
        let Some((slot, _)) = place(&known.flow.graph, step) else { return Ok(None) };
        let now_ms = self.ports.env.now_ms();
        let record = DecisionRecord {
            v: 1,
            step: step.clone(),
            mark: mark.to_owned(),
            decision: Some(asked.decision),
            by: Some(DecidedBy { who: by.who.clone(), name: by.name.clone() }),
            comment: asked.comment.clone().unwrap_or_default(),
            at_ms: now_ms,
        };
        let decision_view = View { graph: &known.flow.graph, group: &known.root, now_ms };
        let ruling = Ruling::Decided(asked.decision);
        let change = match decide::rule(&decision_view, slot, ruling, mark.to_owned()) {
            Ok(change) => change,
            Err(Refusal::Stale | Refusal::Ending) => return Ok(None),
            Err(refusal) => {
                let detail = format!("a decision was refused: {refusal}");
                return Err(WorkError::Corrupt { job: key.to_string(), detail }.into());
            }
        };
        self.let_count(key, slot, (&record, &change)).await
    }

    /// Decides the review as its terms say where its time is over and the sweep hasn't come by yet; `false` where it isn't.
    async fn expire_overdue(&self, key: &JobKey, known: &Known) -> Result<bool, Failure> {
        let Some((slot, _)) = place(&known.flow.graph, &known.stored.asked.step) else { return Ok(false) };
        let view = View { graph: &known.flow.graph, group: &known.root, now_ms: self.ports.env.now_ms() };
        let Some((record, change)) = expired(&view, slot, self.ports.env.nonce()) else { return Ok(false) };
        self.let_count(key, slot, (&record, &change)).await?;
        Ok(true)
    }

    /// Puts a decision down, then lets it count if the review is still as it was.
    async fn let_count(
        &self,
        key: &JobKey,
        slot: SlotId,
        (record, change): (&DecisionRecord, &Change),
    ) -> Result<Option<Group>, Failure> {
        self.ports.reviews.put_decision(key, record).await?;
        match self.ports.groups.apply(key, change).await? {
            Applied::Done(root) => {
                let decision = record.decision.map(Decision::as_str);
                tracing::info!(job = %key, review = %record.step, decision, "a review is decided");
                self.ring_decided(key, slot).await;
                Ok(Some(root))
            }
            Applied::Conflict(_) => Ok(None),
            Applied::Missing => Err(Refused::JobNotFound { job: key.job.to_string() }.into()),
        }
    }

    /// A bell that gets lost is the sweep's to make up for: the job is due soon.
    async fn ring_decided(&self, key: &JobKey, slot: SlotId) {
        let bell = Bell { v: 1, key: key.clone(), group: GroupId::Root, slot: Some(slot) };
        if let Err(error) = self.ports.bells.ring(&[Ring { bell, delay_s: 0, solo: false }]).await {
            tracing::warn!(job = %key, error = &error as &dyn std::error::Error, "the sweep will have to look");
        }
    }

    async fn known_review(&self, key: &JobKey, review: &str) -> Result<Known, Failure> {
        let (_, root) = self.known_job(key).await?;
        self.known_review_in(key, review, root).await
    }

    async fn known_review_in(&self, key: &JobKey, review: &str, root: Group) -> Result<Known, Failure> {
        let unknown = || Refused::ReviewNotFound { review: review.chars().take(100).collect() };
        let flow = self.job_outline(key).await?.ok_or_else(|| no_definition(key))?;
        let step = parse(review).filter(|step| place(&flow.graph, step).is_some()).ok_or_else(unknown)?;
        let stored = self.ports.reviews.review(key, &step).await?.ok_or_else(unknown)?;
        let stand = self.stand_of(key, (&flow, &root), &stored).await?.ok_or_else(unknown)?;
        Ok(Known { flow, root, stored, stand })
    }

    /// How a review stands; `None` where nobody was told of it yet.
    async fn stand_of(
        &self,
        key: &JobKey,
        (flow, root): (&JobOutline, &Group),
        stored: &Reviewed,
    ) -> Result<Option<Stand>, Failure> {
        let step = &stored.asked.step;
        let passed = stand(&flow.graph, root, stored);
        let needs_result = matches!(passed, view::Found::Passed) && stored.decisions.len() > 1;
        // Several have put a decision down at once: the result says which one counted.
        let mark = if needs_result { self.judged_mark(key, step).await? } else { None };
        Ok(passed.with(stored, mark.as_deref()))
    }

    async fn judged_mark(&self, key: &JobKey, step: &StepId) -> Result<Option<String>, Failure> {
        let record = self.result_of(key, step).await?;
        Ok(record.and_then(|record| record.progress.judged).map(|judged| judged.mark))
    }

    /// The latest reviews of a job, at most `most`; without a request where its flow has none.
    pub(crate) async fn review_views(
        &self,
        key: &JobKey,
        (flow, root): (&JobOutline, &Group),
        most: usize,
    ) -> Result<Vec<ReviewView>, Failure> {
        if !view::has_reviews(&flow.graph) {
            return Ok(Vec::new());
        }
        let mut stored = self.ports.reviews.reviews(key).await?;
        stored.sort_by_key(|review| review.asked.at_ms);
        let late = stored.split_off(stored.len().saturating_sub(most));
        let mut views = Vec::with_capacity(late.len());
        for review in &late {
            if let Some(stand) = self.stand_of(key, (flow, root), review).await? {
                views.push(view(key, review, &stand));
            }
        }
        Ok(views)
    }
}

fn check_comment(comment: Option<&str>) -> Result<(), Refused> {
    let chars = comment.map_or(0, |comment| comment.chars().count());
    if chars <= COMMENT_CHARS_MAX {
        return Ok(());
    }
    Err(Refused::request("comment", format!("has {chars} characters"), format!("at most {COMMENT_CHARS_MAX}")))
}

/// Whether somebody may decide. Whoever shows a key of the tenant may.
fn may_decide(deciders: &Deciders, by: &Decider, requester: Option<PersonId>) -> bool {
    let Some(person) = by.person else { return true };
    let is_requester = deciders.requester && requester == Some(person);
    is_requester || deciders.people.contains(&person) || (deciders.admins && by.is_admin)
}

/// A decision that comes after the first one: fine where it is that one again.
fn repeated(first: &DecisionRecord, decision: Decision, by: &Decider, ruling: Ruling) -> Result<(), Failure> {
    let is_same = first.by.as_ref().is_some_and(|first| first.who == by.who) && first.decision == Some(decision);
    if is_same {
        return Ok(());
    }
    let by = first.by.as_ref().map(|by| by.name.clone());
    Err(Refused::ReviewDecided { by, decision: ruling.decision(), at_ms: first.at_ms }.into())
}

fn no_definition(key: &JobKey) -> WorkError {
    WorkError::Corrupt { job: key.to_string(), detail: "its definition is missing".to_owned() }
}

/// The state that a job has, or will have, whose reviews are withdrawn.
fn ended(root: &Group) -> JobStatus {
    root.ending.as_ref().map_or(JobStatus::Cancelled, |ending| ending.reason.status())
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn person(id: u64) -> Decider {
        Decider { who: format!("dcu_{id}"), name: "P".into(), person: Some(PersonId::Discord(id)), is_admin: false }
    }

    #[test]
    fn only_whom_the_review_names_may_decide() {
        let deciders = Deciders { requester: true, people: vec![PersonId::Discord(7)], admins: true };
        let nobody = Deciders { requester: false, people: Vec::new(), admins: false };
        let admin = Decider { is_admin: true, ..person(9) };
        let requester = Some(PersonId::Discord(5));
        for (by, may) in [
            (person(5), true),
            (person(7), true),
            (person(9), false),
            (admin.clone(), true),
            (Decider::of_key("k"), true),
        ] {
            assert_eq!(may_decide(&deciders, &by, requester), may, "{by:?}");
        }
        assert!(!may_decide(&deciders, &person(5), None), "a job that nobody in a chat has asked for");
        assert!(!may_decide(&nobody, &person(5), requester) && !may_decide(&nobody, &admin, requester));
    }

    #[test]
    fn a_decision_is_read_strictly() {
        let good = json!({"decision": "changes", "comment": "shorter"});
        assert_eq!(decision_of(&good).expect("a decision").decision, Decision::Changes);
        assert_eq!(decision_of(&json!({"decision": "reject"})).expect("a decision").comment, None);
        for (bad, path) in [
            (json!([]), ""),
            (json!({}), "decision"),
            (json!({"decision": "yes"}), "decision"),
            (json!({"decision": "approve", "why": 1}), "why"),
            (json!({"decision": "approve", "comment": 1}), "comment"),
        ] {
            let Err(Refused::Invalid { issues, .. }) = decision_of(&bad) else { panic!("{bad}") };
            assert_eq!(issues[0].path, path, "{bad}");
        }
        assert!(check_comment(Some(&"é".repeat(COMMENT_CHARS_MAX))).is_ok());
        assert!(check_comment(Some(&"é".repeat(COMMENT_CHARS_MAX + 1))).is_err());
    }
}
