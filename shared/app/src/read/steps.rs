//! Steps of a job: those that have a result, and those that stand in a group.

use std::collections::BTreeMap;

use convoke_api::cursor;
use convoke_api::step::{StepDetail, StepList, StepState, StepView, TurnView};
use convoke_api::time::Time;
use convoke_domain::decide;
use convoke_domain::graph::Graph;
use convoke_domain::group::Group;
use convoke_domain::ids::{GroupId, JobKey, StepId};
use convoke_domain::slot::{Slot, Wait};
use serde_json::Value;

use super::page_limit;
use crate::failure::{Failure, Refused};
use crate::model::ModelAnswer;
use crate::platform::Platform;
use crate::ports::{Payload, StepRecord, TurnRecord};
use crate::work::{WorkError, load_value};

/// Largest output that a single step shows, in bytes.
const OUTPUT_BYTES_MAX: u64 = 1024 * 1024;

/// What the groups say of a job's steps.
struct Standings<'g> {
    graph: &'g Graph,
    groups: BTreeMap<GroupId, Group>,
    live: BTreeMap<StepId, StepView>,
    is_over: bool,
    failed: Option<String>,
}

impl Platform {
    /// A page of the steps that have begun, in order of task, item and round.
    pub async fn steps(&self, key: &JobKey, cursor: Option<&str>, limit: Option<u32>) -> Result<StepList, Failure> {
        let limit = page_limit(limit)?;
        let after: Option<StepId> =
            cursor.map(|text| cursor::decode("steps", text)).transpose().map_err(Refused::Cursor)?;
        let (_, root) = self.known_job(key).await?;
        let flow = self.job_outline(key).await?.ok_or_else(|| missing(key))?;
        let groups = self.all_groups(key, root, &flow.graph).await?;
        let records = self.ports.steps.results(key, None, after.as_ref(), limit).await?;
        let standings = Standings::new(&flow.graph, groups, self.ports.env.now_ms());
        Ok(page(&standings, records, after.as_ref(), limit as usize))
    }

    /// One step by its name as displayed, with its whole output and its journal.
    pub async fn step(&self, key: &JobKey, name: &str) -> Result<StepDetail, Failure> {
        let unknown = || Refused::StepNotFound { step: name.chars().take(100).collect() };
        let (_, root) = self.known_job(key).await?;
        let step = parse(name).ok_or_else(unknown)?;
        let flow = self.job_outline(key).await?.ok_or_else(|| missing(key))?;
        let groups = self.all_groups(key, root, &flow.graph).await?;
        let record = self.result_of(key, &step).await?;
        let turns = self.ports.steps.turns(key, &step).await?;
        let standings = Standings::new(&flow.graph, groups, self.ports.env.now_ms());
        let mut view = match (standings.live.get(&step), &record) {
            (Some(live), _) => live.clone(),
            (None, Some(record)) => standings.of_record(record),
            (None, None) => return Err(unknown().into()),
        };
        if let Some(record) = record.as_ref().filter(|record| record.step != StepId::finish()) {
            self.show_output(key, record, &mut view).await?;
        }
        Ok(StepDetail { step: view, journal: self.journal(key, turns, record).await? })
    }

    async fn show_output(&self, key: &JobKey, record: &StepRecord, view: &mut StepView) -> Result<(), Failure> {
        match &record.output {
            Payload::Blob { bytes, .. } if *bytes > OUTPUT_BYTES_MAX => view.output_bytes = Some(*bytes),
            payload => {
                view.output = Some(load_value(&*self.ports.blobs, key, payload).await?);
                view.output_bytes = None;
            }
        }
        Ok(())
    }

    async fn journal(
        &self,
        key: &JobKey,
        turns: Vec<TurnRecord>,
        record: Option<StepRecord>,
    ) -> Result<Vec<TurnView>, Failure> {
        let mut journal = Vec::new();
        for turn in turns {
            journal.push(TurnView {
                turn: turn.turn,
                attempt: turn.attempt,
                at: Time(turn.at_ms),
                cost: turn.cost.into(),
                answer: self.said(key, &turn.answer).await?,
                replies: load_value(&*self.ports.blobs, key, &turn.replies).await?,
            });
        }
        let last = record.and_then(|record| Some((record.answer.clone()?, record)));
        if let Some((answer, record)) = last.filter(|(_, record)| journal.last().is_none_or(|t| t.turn < record.turn)) {
            journal.push(TurnView {
                turn: record.turn,
                attempt: record.attempt,
                at: Time(record.ended_ms),
                cost: record.turn_cost.into(),
                answer: self.said_last(key, &answer, &record).await?,
                replies: Vec::new(),
            });
        }
        Ok(journal)
    }

    async fn said(&self, key: &JobKey, payload: &Payload) -> Result<Value, Failure> {
        Ok(shown(&load_value(&*self.ports.blobs, key, payload).await?))
    }

    /// The last answer, whose text may stand in the output alone.
    async fn said_last(&self, key: &JobKey, payload: &Payload, record: &StepRecord) -> Result<Value, Failure> {
        let mut answer: ModelAnswer = load_value(&*self.ports.blobs, key, payload).await?;
        if record.answer_is_output {
            answer.text = match load_value(&*self.ports.blobs, key, &record.output).await? {
                Value::String(text) => text,
                output => output.to_string(),
            };
        }
        Ok(shown(&answer))
    }
}

fn shown(answer: &ModelAnswer) -> Value {
    let calls = serde_json::to_value(&answer.tool_calls).unwrap_or_default();
    serde_json::json!({ "text": answer.text, "tool_calls": calls, "finish": answer.finish })
}

fn missing(key: &JobKey) -> WorkError {
    WorkError::Corrupt { job: key.to_string(), detail: "its definition is missing".to_owned() }
}

impl<'g> Standings<'g> {
    fn new(graph: &'g Graph, groups: BTreeMap<GroupId, Group>, now_ms: u64) -> Self {
        let root = groups.get(&GroupId::Root);
        let is_over = root.and_then(Group::root).is_some_and(|job| job.status.is_terminal());
        let failed = root.and_then(|root| root.ending.as_ref()).and_then(|ending| ending.step.clone());
        let mut standings = Self { graph, groups, live: BTreeMap::new(), is_over, failed };
        let live = standings.groups.values().flat_map(|group| {
            let step = |(&id, slot): (_, &Slot)| Some((group.step(graph, id, slot.at)?, slot.clone()));
            group.run.iter().filter_map(step)
        });
        let live: Vec<(StepId, Slot)> = live.collect();
        for (step, slot) in live.into_iter().filter(|(_, slot)| has_begun(slot)) {
            let state = standings.state_of_slot(&step, &slot, now_ms);
            let not_before = (slot.claim.is_none() && slot.not_before_ms > now_ms).then_some(Time(slot.not_before_ms));
            let view = StepView { attempt: slot.attempt, not_before, ..blank(&step, state) };
            standings.live.insert(step, view);
        }
        standings
    }

    fn state_of_slot(&self, step: &StepId, slot: &Slot, now_ms: u64) -> StepState {
        if self.failed.as_deref() == Some(step.to_string().as_str()) {
            return StepState::Failed;
        }
        match slot.wait {
            _ if self.is_over => StepState::Stopped,
            Wait::Groups => StepState::WaitingForItems,
            Wait::Funds => StepState::WaitingForBudget,
            Wait::Person(_) => StepState::AwaitingReview,
            Wait::Nothing if slot.is_held(now_ms) => StepState::Running,
            Wait::Nothing => StepState::Ready,
        }
    }

    fn of_record(&self, record: &StepRecord) -> StepView {
        let is_final = record.step == StepId::finish() && self.is_over;
        let is_committed = is_final || decide::is_committed(self.graph, &self.groups, &record.step);
        let state = match (is_committed, &record.progress.error) {
            (true, Some(_)) => StepState::Failed,
            (true, None) => StepState::Completed,
            (false, _) if self.is_over => StepState::Stopped,
            (false, _) => StepState::Running,
        };
        let (output, output_bytes) = match &record.output {
            // The manifest, with the places of objects: what callers may know of it, the list of artifacts says.
            _ if record.step == StepId::finish() => (None, None),
            Payload::Inline(value) => (Some(value.clone()), None),
            Payload::Blob { bytes, .. } => (None, Some(*bytes)),
        };
        StepView {
            attempt: record.attempt,
            started_at: Some(Time(record.started_ms)),
            ended_at: Some(Time(record.ended_ms)),
            model: record.model.clone(),
            cost: Some(record.cost.into()),
            turns: (record.turn > 0).then_some(record.turn),
            output,
            output_bytes,
            files: record.files.iter().map(|file| file.path.clone()).collect(),
            error: record.progress.error.clone(),
            ..blank(&record.step, state)
        }
    }
}

/// Lanes stand at their first item before anybody works on it.
const fn has_begun(slot: &Slot) -> bool {
    slot.attempt > 0 || slot.claim.is_some() || slot.not_before_ms > 0 || !matches!(slot.wait, Wait::Nothing)
}

fn blank(step: &StepId, state: StepState) -> StepView {
    StepView {
        step: step.to_string(),
        task: step.task.clone(),
        item: step.item,
        round: step.round,
        state,
        attempt: 0,
        started_at: None,
        ended_at: None,
        not_before: None,
        model: None,
        cost: None,
        turns: None,
        output: None,
        output_bytes: None,
        files: Vec::new(),
        error: None,
    }
}

/// One page of results and of steps that stand in a group, in order. Past the last result of a full page nothing is
/// known yet.
fn page(standings: &Standings<'_>, records: Vec<StepRecord>, after: Option<&StepId>, limit: usize) -> StepList {
    let is_full = records.len() >= limit;
    let horizon = records.last().map(|record| record.step.clone()).filter(|_| is_full);
    let mut merged: BTreeMap<StepId, StepView> =
        records.into_iter().map(|record| (record.step.clone(), standings.of_record(&record))).collect();
    let within = |step: &StepId| after.is_none_or(|after| step > after) && horizon.as_ref().is_none_or(|h| step <= h);
    for (step, view) in standings.live.iter().filter(|(step, _)| within(step)) {
        merged.insert(step.clone(), view.clone());
    }
    let is_last = !is_full && merged.len() <= limit;
    let next = merged.keys().take(limit).next_back().filter(|_| !is_last);
    let next_cursor = next.map(|step| cursor::encode("steps", step));
    StepList { steps: merged.into_values().take(limit).collect(), next_cursor }
}

/// Reads `code[3]@2`.
pub(crate) fn parse(name: &str) -> Option<StepId> {
    let (name, round) = match name.rsplit_once('@') {
        Some((name, round)) => (name, Some(round.parse().ok()?)),
        None => (name, None),
    };
    let (task, item) = match name.strip_suffix(']') {
        Some(rest) => {
            let (task, item) = rest.split_once('[')?;
            (task, Some(item.parse().ok()?))
        }
        None => (name, None),
    };
    let fits = (1..=100).contains(&task.len()) && !task.contains('#');
    fits.then(|| StepId { task: task.to_owned(), item, round })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_of_steps_are_read_as_they_are_shown() {
        for (item, round) in [(None, None), (Some(3), None), (None, Some(2)), (Some(3), Some(2))] {
            let step = StepId { task: "code".into(), item, round };
            assert_eq!(parse(&step.to_string()), Some(step));
        }
        assert_eq!(parse("(finish)"), Some(StepId::finish()));
        for bad in ["", "a#b", "a[x]", "a@", "a]", "[1]", &"a".repeat(101)] {
            assert_eq!(parse(bad), None, "{bad}");
        }
    }
}
