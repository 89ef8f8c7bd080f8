//! What a slot's step is made of, known before it is claimed: so that the claim reserves the right amount.

use convoke_domain::decide::{self, Hold, Prior};
use convoke_domain::graph::TaskKind;
use convoke_domain::group::{Duty, Ending, Group};
use convoke_domain::ids::{SlotId, StepId};
use convoke_domain::review::Terms;
use convoke_domain::slot::{At, Slot};
use convoke_domain::status::StopReason;
use serde_json::Value;

use super::WorkError;
use super::ask::Session;
use super::load::{History, PaidTurn};
use super::shift::Shift;
use crate::ports::{Judged, StepRecord};
use crate::script::{Broken, Inputs, ItemList, Question};

/// A step that is ready to be claimed.
pub(super) struct Prepared {
    pub hold: Hold,
    pub prior: Prior,
    pub work: Work,
}

/// What there is to do.
pub(super) enum Work {
    /// A result is there already: an earlier worker's, or the parent job's.
    Adopt(Box<StepRecord>),
    /// A model is to be asked.
    Model(Box<Session>),
    /// The value is known.
    Value(Box<Known>),
    /// A person is to be asked.
    Ask(Box<Asking>),
    /// A map's list is known.
    List(ItemList),
    /// The definition doesn't fit its input.
    Broken(Ending),
    /// The job is to be ended.
    Finish,
}

/// A step's value that needs no model.
pub(super) struct Known {
    pub output: Value,
    pub branch: Option<bool>,
    pub judged: Option<Judged>,
    /// What the step read, for the loop that may end with it.
    pub inputs: Inputs,
}

/// What people are to be asked, and by when they have to decide.
pub(super) struct Asking {
    pub question: Question,
    pub digest: String,
    pub terms: Terms,
}

impl Prepared {
    const fn free(prior: Prior, work: Work) -> Self {
        Self { hold: Shift::FREE, prior, work }
    }
}

impl Work {
    /// A value that nobody was asked for.
    fn value(output: Value, branch: Option<bool>, inputs: Inputs) -> Self {
        Self::Value(Box::new(Known { output, branch, judged: None, inputs }))
    }
}

impl Shift<'_> {
    /// Prepares the step in `slot`, at `at` or where the slot stands; `None` where it stands nowhere.
    pub async fn prepare(
        &mut self,
        group: &Group,
        slot: SlotId,
        at: Option<At>,
    ) -> Result<Option<(StepId, Prepared)>, WorkError> {
        let before = if at.is_some() { None } else { group.run.get(&slot) };
        let at = at.unwrap_or_else(|| position(group, slot, before));
        let graph = self.job.graph();
        let (Some(step), Some(duty)) = (group.step(graph, slot, at), group.duty(graph, slot, at)) else {
            return Ok(None);
        };
        let (task, kind) = match duty {
            // It holds nothing. A finish whose result is there has not ended the job yet: that is a write of its own, not a
            // commit, and it looks itself for what an earlier attempt has put.
            Duty::Finish => return Ok(Some((step, Prepared::free(Prior::Unknown, Work::Finish)))),
            Duty::Expand { node, .. } => (graph.nodes[node].id.clone(), None),
            Duty::Task { task, .. } => (task.id.clone(), Some(task.kind)),
        };
        let touched = before.is_some_and(|slot| slot.attempt > 0 || slot.not_before_ms > 0);
        let history = self.history(&step, touched).await?;
        let prior = prior(before, &history);
        if let Some(TaskKind::Review(terms)) = kind {
            let inputs = self.gather(group, slot, at, &task).await?;
            let ruled = before.and_then(|slot| slot.ruled.as_ref());
            let work = self.prepare_review((&step, &terms), ruled, inputs, history.result).await?;
            return Ok(Some((step, Prepared::free(prior, work))));
        }
        if let Some(record) = history.result {
            return Ok(Some((step, Prepared::free(prior, Work::Adopt(Box::new(record))))));
        }
        let inputs = self.gather(group, slot, at, &task).await?;
        let prepared = if let Some(kind) = kind {
            self.prepare_task((&step, &task, kind), inputs, history.turns, prior)
        } else {
            let list = self.job.script.list(&task, &inputs);
            Prepared::free(prior, list.map_or_else(|wrong| broken(&step, &wrong), Work::List))
        };
        Ok(Some((step, prepared)))
    }

    fn prepare_task(
        &self,
        (step, task, kind): (&StepId, &str, TaskKind),
        inputs: Inputs,
        turns: Vec<PaidTurn>,
        prior: Prior,
    ) -> Prepared {
        let script = &self.job.script;
        match kind {
            // It is prepared on its own.
            TaskKind::Review(_) => {
                let cause = "a review has no value of its own".to_owned();
                Prepared::free(prior, broken(step, &Broken { reason: StopReason::Internal, cause }))
            }
            TaskKind::Join => {
                let output = script.join(task, &inputs);
                Prepared::free(prior, Work::value(output, None, inputs))
            }
            TaskKind::Condition => match script.condition(task, &inputs) {
                Ok(value) => Prepared::free(prior, Work::value(Value::Bool(value), Some(value), inputs)),
                Err(wrong) => Prepared::free(prior, broken(step, &wrong)),
            },
            TaskKind::Agent => match Session::open(self, task, inputs, turns) {
                Ok(session) => {
                    let hold = session.hold();
                    Prepared { hold, prior, work: Work::Model(Box::new(session)) }
                }
                Err(wrong) => Prepared::free(prior, broken(step, &wrong)),
            },
        }
    }
}

pub(super) fn broken(step: &StepId, broken: &Broken) -> Work {
    Work::Broken(Ending::new(broken.reason, Some(step.to_string()), &broken.cause))
}

fn position(group: &Group, slot: SlotId, before: Option<&Slot>) -> At {
    match before {
        Some(slot) => slot.at,
        None if slot == SlotId::FINISH || group.fan().is_none() => At::start(0),
        None => At::start(u32::from(slot.0)),
    }
}

/// What became of the call that a lost worker had under way: its answer may be journaled although it isn't settled.
fn prior(before: Option<&Slot>, history: &History) -> decide::Prior {
    let Some(claim) = before.and_then(|slot| slot.claim.as_ref()) else { return Prior::Unknown };
    let by_result =
        history.result.as_ref().filter(|r| r.nonce == claim.nonce && r.turn == claim.turn).map(|r| r.turn_cost);
    let by_turn = || history.turns.iter().find(|turn| turn.turn == claim.turn).map(|turn| turn.cost);
    by_result.or_else(by_turn).map_or(Prior::Unknown, Prior::Journaled)
}
