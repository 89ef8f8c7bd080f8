//! Reviews: people are asked, and what they decided is made the step's result.
//!
//! Between the two nobody works on the step: it holds no lease, no money, no process.

use convoke_domain::change::Change;
use convoke_domain::decide::{self, Refusal, View};
use convoke_domain::group::{Ending, Group};
use convoke_domain::ids::{SlotId, StepId};
use convoke_domain::money::Cost;
use convoke_domain::review::{Decision, Ruling, Terms};
use convoke_domain::slot::Ruled;
use convoke_domain::status::StopReason;
use serde_json::{Value, json};
use sha2::{Digest, Sha256};

use super::ending::Setback;
use super::prepare::{Asking, Known, Work, broken};
use super::shift::{Held, Lead, RACES_MAX, Shift};
use super::{WorkError, unexpected};
use crate::ports::{Applied, DecisionRecord, Judged, ReviewRecord, StepRecord};
use crate::script::{Inputs, Question};

impl Shift<'_> {
    /// What there is to do at a review: what was decided is its result, or ends the job; otherwise people are asked, unless
    /// `earlier` (of this job, or of the one that it retries) is the decision on just that.
    pub async fn prepare_review(
        &self,
        (step, terms): (&StepId, &Terms),
        ruled: Option<&Ruled>,
        inputs: Inputs,
        earlier: Option<StepRecord>,
    ) -> Result<Work, WorkError> {
        let judged =
            |fits: &dyn Fn(&Judged) -> bool| earlier.clone().filter(|it| it.progress.judged.as_ref().is_some_and(fits));
        if let Some(ruled) = ruled {
            return match judged(&|judged| judged.mark == ruled.mark) {
                Some(own) => Ok(Work::Adopt(Box::new(own))),
                None => self.decided((step, terms), ruled, inputs).await,
            };
        }
        let question = match self.job.script.review(&step.task, &inputs) {
            Ok(Some(question)) => question,
            Ok(None) => return Ok(Work::Value(Box::new(unasked(inputs)))),
            Err(wrong) => return Ok(broken(step, &wrong)),
        };
        let digest = digest(&question);
        Ok(match judged(&|judged| judged.digest == digest) {
            Some(earlier) => Work::Adopt(Box::new(earlier)),
            None => Work::Ask(Box::new(Asking { question, digest, terms: *terms })),
        })
    }

    async fn decided(
        &self,
        (step, terms): (&StepId, &Terms),
        ruled: &Ruled,
        inputs: Inputs,
    ) -> Result<Work, WorkError> {
        let corrupt = || WorkError::Corrupt {
            job: self.key().to_string(),
            detail: format!("the decision {} on {step} is missing", ruled.mark),
        };
        let review = self.platform.ports.reviews.review(self.key(), step).await?.ok_or_else(corrupt)?;
        let record = review.decisions.into_iter().find(|it| it.mark == ruled.mark).ok_or_else(corrupt)?;
        if terms.ends_job(ruled.ruling) {
            let (reason, cause) = why_it_ends(ruled.ruling, &record);
            return Ok(Work::Broken(Ending::new(reason, Some(step.to_string()), &cause)));
        }
        let decision = ruled.ruling.decision().ok_or_else(corrupt)?;
        let by = record.by.map(|by| by.name).unwrap_or_default();
        let output = json!({
            "decision": decision,
            "comment": record.comment,
            "by": by,
            "expired": ruled.ruling.is_expired(),
            "asked": true,
        });
        let judged = Judged { decision, mark: ruled.mark.clone(), digest: review.asked.digest };
        Ok(Work::Value(Box::new(Known { output, branch: None, judged: Some(judged), inputs })))
    }

    /// Asks: the question is put, then the step let go of.
    pub async fn ask(&mut self, held: Held, asking: Asking) -> Result<Vec<Lead>, WorkError> {
        let Asking { question: Question { text, shows, deciders }, digest, terms } = asking;
        let record = ReviewRecord {
            v: 1,
            step: held.step.clone(),
            question: text,
            shows,
            digest,
            deciders,
            time_ms: terms.deadline_ms,
            default: terms.default,
            at_ms: self.now_ms(),
        };
        self.platform.ports.reviews.put_review(self.key(), &record).await?;
        let mut group = held.group.clone();
        for _ in 0..RACES_MAX {
            let change = match decide::ask(&self.view(&group), held.slot, &held.mine) {
                Ok(change) => change,
                Err(Refusal::Ending) => {
                    return self.set_back(held, Setback::pause(Cost::ZERO, "the job is ending")).await;
                }
                Err(refusal) => return Err(unexpected(self.key(), &refusal)),
            };
            match self.platform.ports.groups.apply(self.key(), &change).await? {
                Applied::Done(after) => {
                    tracing::info!("a person is asked");
                    return self.follow(&after, held.slot).await;
                }
                Applied::Conflict(now) if now.run.get(&held.slot) == Some(&held.mine) => group = now,
                Applied::Conflict(_) | Applied::Missing => return Ok(Vec::new()),
            }
        }
        Err(WorkError::Contended { job: self.key().to_string() })
    }

    /// Lets the job rest. Whoever changes it meanwhile sees to that, or the sweep does.
    pub async fn rest(&self, root: &Group) -> Result<(), WorkError> {
        if let Ok(change) = decide::rest(&self.view(root), self.platform.ports.env.nonce()) {
            self.platform.ports.groups.apply(self.key(), &change).await?;
        }
        Ok(())
    }

    /// The change that decides a review whose time is over; what it comes to is put down before.
    pub async fn expire(&self, root: &Group, slot: SlotId) -> Result<Option<Change>, WorkError> {
        let mark = self.platform.ports.env.nonce();
        let Some((record, change)) = expired(&self.view(root), slot, mark) else { return Ok(None) };
        self.platform.ports.reviews.put_decision(self.key(), &record).await?;
        Ok(Some(change))
    }
}

/// What a review whose time is over comes to as its terms say: what is put down, and the change by which it counts; `None`
/// where it isn't open, or has time left.
pub(crate) fn expired(view: &View<'_>, slot: SlotId, mark: String) -> Option<(DecisionRecord, Change)> {
    let step = view.group.step(view.graph, slot, view.group.run.get(&slot)?.at)?;
    let (change, ruling) = decide::expire(view, slot, mark.clone()).ok()?;
    Some((DecisionRecord::expired(step, mark, ruling, view.now_ms), change))
}

/// The result of a review that asks nobody.
fn unasked(inputs: Inputs) -> Known {
    let output = json!({"decision": Decision::Approve, "comment": "", "by": "", "expired": false, "asked": false});
    Known { output, branch: None, judged: None, inputs }
}

fn why_it_ends(ruling: Ruling, record: &DecisionRecord) -> (StopReason, String) {
    let Some(_) = ruling.decision() else { return (StopReason::Deadline, "nobody decided in time".to_owned()) };
    let Some(by) = &record.by else {
        return (StopReason::Rejected, "nobody decided in time, which counts as a rejection".to_owned());
    };
    let comment = if record.comment.is_empty() { String::new() } else { format!(": {}", record.comment) };
    (StopReason::Rejected, format!("{} rejected it{comment}", by.name))
}

/// Hash of all that is to be judged.
fn digest(question: &Question) -> String {
    let shows: Vec<Value> = question.shows.iter().map(|shown| json!([shown.name, shown.sha256])).collect();
    hex::encode(Sha256::digest(json!([question.text, shows]).to_string()))
}
