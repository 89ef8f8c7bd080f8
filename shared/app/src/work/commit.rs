//! Results: put, committed, followed up.

use bytes::Bytes;
use convoke_domain::decide::{self, Next, Outcome, Worker};
use convoke_domain::graph::{Map, Work as NodeWork};
use convoke_domain::group::{Ending, Group};
use convoke_domain::ids::{GroupId, JobKey, SlotId, StepId};
use convoke_domain::money::Cost;
use convoke_domain::review::Decision;
use serde_json::{Value, json};
use sha2::{Digest, Sha256};

use super::agent::Worked;
use super::ending::Setback;
use super::prepare::{Known as KnownValue, Prepared, Work};
use super::shift::{Duty, Held, Lead, RACES_MAX, Shift, distinct};
use super::{WorkError, store_value, unexpected};
use crate::model::Usage;
use crate::platform::Platform;
use crate::ports::{Applied, BlobKey, FileRef, Payload, Progress, StepRecord};
use crate::script::{Broken, Inputs, ItemList, Known, NewFile};

/// Bytes of JSON that a chunk of a map's list holds, unless one item alone is larger.
const CHUNK_BYTES_MAX: usize = 8 * 1024;
/// Names of a map's items that are kept for the report, in bytes.
const KEYS_BYTES_MAX: usize = 4 * 1024;
/// Most items in a chunk.
const CHUNK_ITEMS_MAX: usize = 64;
/// Largest item of a map's list.
const ITEM_BYTES_MAX: usize = 256 * 1024;

/// What a turn of the shift leaves: the next step, if it was claimed together with the commit, and what is to be looked at.
pub(super) type After = (Option<Duty>, Vec<Lead>);

impl Shift<'_> {
    /// Performs a claimed step and commits what came of it.
    pub async fn perform(&mut self, (mut held, work): Duty) -> Result<After, WorkError> {
        let (record, actual) = match work {
            Work::Finish => return Ok((None, self.finish(&held).await?)),
            Work::Broken(ending) => {
                let setback = Setback::last(Cost::ZERO, ending.reason, ending.cause);
                return Ok((None, self.fail(held, &setback).await?));
            }
            Work::Adopt(record) => (self.adopt(&held, *record).await?, Cost::ZERO),
            Work::Value(known) => match self.value_record(&held, *known).await? {
                Ok(record) => (record, Cost::ZERO),
                Err(setback) => return Ok((None, self.fail(held, &setback).await?)),
            },
            Work::Ask(asking) => return Ok((None, Box::pin(self.ask(held, *asking)).await?)),
            Work::List(list) => match self.list_record(&held, list).await? {
                Ok(record) => (record, Cost::ZERO),
                Err(setback) => return Ok((None, self.fail(held, &setback).await?)),
            },
            Work::Model(mut session) => match self.converse(&mut held, &mut session).await? {
                Worked::Result(record, cost) => match self.with_until(&held, *record, session.inputs).await? {
                    Ok(record) => (record, cost),
                    Err(setback) => {
                        let setback = Setback { actual: cost, ..setback };
                        return Ok((None, self.fail(held, &setback).await?));
                    }
                },
                Worked::Setback(setback) => return Ok((None, self.set_back(held, setback).await?)),
                Worked::Lost => return Ok((None, Vec::new())),
            },
        };
        let stored = self.platform.ports.steps.put_result(self.key(), &record).await?;
        self.recent.insert(stored.step.clone(), stored.clone());
        self.commit(held, &stored, actual).await
    }

    /// A step's record with nothing in it.
    pub fn blank(&self, held: &Held) -> StepRecord {
        StepRecord {
            v: 1,
            step: held.step.clone(),
            attempt: held.mine.attempt,
            nonce: held.mine.nonce().unwrap_or_default().to_owned(),
            output: Payload::Inline(Value::Null),
            files: Vec::new(),
            progress: Progress::default(),
            answer: None,
            answer_is_output: false,
            turn: 0,
            turn_cost: Cost::ZERO,
            cost: Cost::ZERO,
            model: None,
            usage: Usage::default(),
            started_ms: held.claimed_ms,
            ended_ms: self.now_ms(),
        }
    }

    async fn value_record(&self, held: &Held, known: KnownValue) -> Result<Result<StepRecord, Setback>, WorkError> {
        let KnownValue { output, branch, judged, inputs } = known;
        let (blobs, step) = (&*self.platform.ports.blobs, held.step.to_string());
        let mut record = self.blank(held);
        record.output = store_value(blobs, self.key(), (&step, held.mine.attempt, "output"), &output).await?;
        record.progress.branch = branch;
        record.progress.judged = judged;
        self.with_until(held, record, inputs).await
    }

    /// Asks the loop's `until`, which sees this step's output.
    async fn with_until(
        &self,
        held: &Held,
        mut record: StepRecord,
        mut inputs: Inputs,
    ) -> Result<Result<StepRecord, Setback>, WorkError> {
        let task = held.step.task.clone();
        let known: Known = self.known(&record).await?;
        inputs.known.insert(task.clone(), vec![known]);
        let until = self.job.script.until(&task, &inputs);
        let asked = until.and_then(|until| Ok((until, self.warnings(held, until, &inputs)?)));
        Ok(match asked {
            Ok((until, warnings)) => {
                record.progress.until = until;
                record.progress.warnings.extend(warnings);
                record.ended_ms = self.now_ms();
                Ok(record)
            }
            Err(wrong) => Err(Setback::last(Cost::ZERO, wrong.reason, wrong.cause)),
        })
    }

    /// What whoever gets the result should know of a loop that ends with this step, by its `until` or its bound.
    fn warnings(&self, held: &Held, until: Option<bool>, inputs: &Inputs) -> Result<Vec<String>, Broken> {
        let Some(is_done) = until else { return Ok(Vec::new()) };
        let Some((_, node)) = held.group.node(self.job.graph(), held.slot) else { return Ok(Vec::new()) };
        let rounds_max = node.thread().rounds_max;
        let is_bound = held.step.round.is_none_or(|round| round >= rounds_max);
        if !is_done && !is_bound {
            return Ok(Vec::new());
        }
        let mut warnings = self.job.script.warnings(&held.step.task, inputs)?;
        if warnings.is_empty() && !is_done {
            let name = held.step.item.map_or_else(|| node.id.clone(), |item| format!("{}[{item}]", node.id));
            warnings.push(format!("{name}: all {rounds_max} rounds were used up before it was done"));
        }
        Ok(warnings)
    }

    async fn list_record(&self, held: &Held, list: ItemList) -> Result<Result<StepRecord, Setback>, WorkError> {
        let sizes: Vec<usize> = list.items.iter().map(|item| item.to_string().len()).collect();
        if let Some(index) = sizes.iter().position(|&size| size > ITEM_BYTES_MAX) {
            let cause = format!("item {index} of the list has {} bytes; at most {ITEM_BYTES_MAX} fit", sizes[index]);
            let reason = convoke_domain::status::StopReason::InvalidDefinition;
            return Ok(Err(Setback::last(Cost::ZERO, reason, cause)));
        }
        let chunk = chunk_size(&sizes);
        let chunks: Vec<Vec<Value>> = list.items.chunks(chunk).map(<[Value]>::to_vec).collect();
        self.platform.ports.steps.put_chunks(self.key(), held.slot.0, &chunks).await?;
        self.job.chunks.keep_first(held.slot.0, chunks);
        let mut record = self.blank(held);
        record.output = Payload::Inline(json!({ "count": list.items.len() }));
        record.progress.items = u32::try_from(list.items.len()).ok();
        record.progress.chunk = u32::try_from(chunk).ok();
        record.progress.needs = list.needs;
        record.progress.keys = list.keys.filter(|keys| keys.iter().map(String::len).sum::<usize>() <= KEYS_BYTES_MAX);
        Ok(Ok(record))
    }

    /// Takes over a stored result: its own from an earlier attempt, or the parent job's, whose files are copied.
    async fn adopt(&self, held: &Held, record: StepRecord) -> Result<StepRecord, WorkError> {
        let own = format!("{}/", self.key());
        let mut record = record;
        for file in &mut record.files {
            if !file.key.as_str().starts_with(&own) {
                let to = BlobKey::of_job(self.key(), &held.step.to_string(), held.mine.attempt, &file.path);
                self.platform.ports.blobs.copy(&file.key, &to).await?;
                file.key = to;
            }
        }
        for payload in [Some(&mut record.output), record.answer.as_mut()].into_iter().flatten() {
            if let Payload::Blob { key, bytes } = payload
                && !key.as_str().starts_with(&own)
            {
                let to = BlobKey::of_job(self.key(), &held.step.to_string(), held.mine.attempt, key.as_str());
                self.platform.ports.blobs.copy(key, &to).await?;
                *payload = Payload::Blob { key: to, bytes: *bytes };
            }
        }
        if let Some(items) = record.progress.items.filter(|_| self.job.definition.parent.is_some()) {
            self.copy_chunks(held.slot, items, record.progress.chunk.unwrap_or(1)).await?;
        }
        Ok(record)
    }

    /// Fails an item of a map that goes on without it.
    pub async fn fail_item(&mut self, held: Held, setback: &Setback) -> Result<Vec<Lead>, WorkError> {
        let mut record = self.blank(&held);
        record.progress.error = Some(setback.cause.clone());
        let stored = self.platform.ports.steps.put_result(self.key(), &record).await?;
        let (_, leads) = self.commit(held, &stored, setback.actual).await?;
        Ok(leads)
    }

    /// Commits a stored result: settles, moves the thread on, and claims what follows in the same write where it can.
    pub async fn commit(&mut self, held: Held, record: &StepRecord, actual: Cost) -> Result<After, WorkError> {
        let mut group = held.group.clone();
        let mut next = self.next(&group, &held, record).await?;
        for _ in 0..RACES_MAX {
            let outcome = self.outcome(&group, &held, record);
            let claim = next.as_ref().map(|(next, _)| next);
            let change = decide::commit(&self.view(&group), held.slot, &held.mine, (&outcome, actual), claim)
                .map_err(|refusal| unexpected(self.key(), &refusal))?;
            match self.platform.ports.groups.apply(self.key(), &change).await? {
                Applied::Done(after) => {
                    self.log(&held, record);
                    let leads = self.after_commit(&after, &held, record).await?;
                    let going = next.and_then(|(next, what)| self.held(after, next.slot, what, &next.worker));
                    return Ok(without_own(going, leads));
                }
                Applied::Conflict(now) if now.run.get(&held.slot) == Some(&held.mine) => {
                    next = None;
                    group = now;
                }
                Applied::Conflict(_) | Applied::Missing => return Ok((None, Vec::new())),
            }
        }
        Err(WorkError::Contended { job: self.key().to_string() })
    }

    /// The step that could be claimed together with the commit.
    async fn next(
        &mut self,
        group: &Group,
        held: &Held,
        record: &StepRecord,
    ) -> Result<Option<(Next, (StepId, Prepared))>, WorkError> {
        if !self.may_go_on() {
            return Ok(None);
        }
        let outcome = self.outcome(group, held, record);
        let view = self.view(group);
        let Some((slot, at)) = decide::candidate(&view, held.slot, held.mine.at, &outcome) else { return Ok(None) };
        let Ok(change) = decide::commit(&view, held.slot, &held.mine, (&outcome, Cost::ZERO), None) else {
            return Ok(None);
        };
        let Some(after) = change.apply(group) else { return Ok(None) };
        let Some(what) = self.prepare(&after, slot, Some(at)).await? else { return Ok(None) };
        let worker = Worker { nonce: self.platform.ports.env.nonce(), lease_until_ms: self.lease_until_ms() };
        let hold = what.1.hold;
        Ok(Some((Next { slot, at, worker, hold }, what)))
    }

    fn outcome(&self, group: &Group, held: &Held, record: &StepRecord) -> Outcome {
        let progress = &record.progress;
        let expansion = progress.items.and_then(|items| {
            let map = self.map(held.slot)?;
            let refund = held.mine.claim.as_ref().map_or(Cost::ZERO, |claim| claim.hold);
            Some(decide::expand(&self.view(group), held.slot.0, map, items, refund))
        });
        Outcome {
            until: progress.until,
            branch: progress.branch,
            expansion: expansion.filter(|_| group.root().is_some()),
            item_failed: progress.error.is_some(),
            sent_back: progress.judged.as_ref().is_some_and(|judged| judged.decision == Decision::Changes),
        }
    }

    fn map(&self, slot: SlotId) -> Option<&Map> {
        match &self.job.graph().nodes.get(slot.index())?.work {
            NodeWork::Map(map) => Some(map),
            NodeWork::Thread(_) => None,
        }
    }

    async fn after_commit(&self, after: &Group, held: &Held, record: &StepRecord) -> Result<Vec<Lead>, WorkError> {
        let mut leads = self.follow(after, held.slot).await?;
        if record.progress.items.is_some() {
            leads.extend(self.open_groups(after, held.slot, record).await?);
        }
        Ok(leads)
    }

    /// Puts the groups of a map that was just fanned out; their lanes are to be rung.
    async fn open_groups(&self, root: &Group, slot: SlotId, record: &StepRecord) -> Result<Vec<Lead>, WorkError> {
        let (Some(job), Some(map)) = (root.root(), self.map(slot)) else { return Ok(Vec::new()) };
        let progress = &record.progress;
        let list = decide::List {
            items: progress.items.unwrap_or(0),
            chunk: progress.chunk.unwrap_or(1),
            needs: progress.needs.as_deref(),
        };
        let mut leads = Vec::new();
        for (id, loan) in &job.groups {
            if !matches!(id, GroupId::Fan { node, .. } if *node == slot.0) {
                continue;
            }
            let group = decide::new_fan(map, *id, list, loan.lent, self.now_ms());
            let group = self.platform.ports.groups.put_group(self.key(), &group).await?;
            leads.extend(decide::ready_slots(&self.view(&group)).into_iter().map(|slot| (*id, slot)));
        }
        Ok(leads)
    }

    /// Puts a group that the job's list names and that isn't there: its maker was lost between commit and put.
    pub async fn put_missing_group(&self, id: GroupId) -> Result<Option<Group>, WorkError> {
        let (GroupId::Fan { node, .. }, Some(root)) = (id, self.root().await?) else { return Ok(None) };
        let Some(loan) = root.root().and_then(|job| job.groups.get(&id)).copied() else { return Ok(None) };
        let Some(map) = self.map(SlotId(node)) else { return Ok(None) };
        let step = StepId::once(self.job.graph().nodes[usize::from(node)].id.clone());
        let reads = crate::ports::Reads { results: vec![step.clone()], ..crate::ports::Reads::default() };
        let Some(record) = self.platform.ports.steps.fetch(self.key(), &reads).await?.results.remove(&step) else {
            return Ok(None);
        };
        let progress = &record.progress;
        let list = decide::List {
            items: progress.items.unwrap_or(0),
            chunk: progress.chunk.unwrap_or(1),
            needs: progress.needs.as_deref(),
        };
        let group = decide::new_fan(map, id, list, loan.lent, self.now_ms());
        Ok(Some(self.platform.ports.groups.put_group(self.key(), &group).await?))
    }

    async fn root(&self) -> Result<Option<Group>, WorkError> {
        let mut groups = self.platform.ports.groups.load_groups(self.key(), &[GroupId::Root]).await?;
        Ok(groups.remove(&GroupId::Root))
    }

    /// What a change of `group` makes due: done here, but for the slots, which are answered.
    pub async fn follow(&self, group: &Group, slot: SlotId) -> Result<Vec<Lead>, WorkError> {
        let due = decide::follow_up(self.job.graph(), group, slot);
        let mut leads: Vec<Lead> = due.bells.iter().map(|slot| (group.id, *slot)).collect();
        if due.finish {
            leads.push((group.id, SlotId::FINISH));
        }
        if !due.fed.is_empty() {
            self.platform.ring_look(self.key()).await?;
        }
        if let Some(ending) = due.end {
            leads.extend(self.end_complete(group, ending).await?);
        }
        if due.rest {
            Box::pin(self.rest(group)).await?;
        }
        if due.close {
            leads.extend(self.close(group).await?);
        }
        Ok(distinct(leads))
    }

    async fn end_complete(&self, root: &Group, ending: Ending) -> Result<Vec<Lead>, WorkError> {
        let mark = self.platform.ports.env.nonce();
        let Ok(change) = decide::end(&self.view(root), ending, mark) else { return Ok(Vec::new()) };
        match self.platform.ports.groups.apply(self.key(), &change).await? {
            Applied::Done(_) | Applied::Conflict(_) => Ok(vec![(GroupId::Root, SlotId::FINISH)]),
            Applied::Missing => Ok(Vec::new()),
        }
    }

    /// Takes a quiet group out of the job's list; where it ends in failure, the job has to learn of that first.
    pub async fn close(&self, group: &Group) -> Result<Vec<Lead>, WorkError> {
        let Some(mut root) = self.root().await? else { return Ok(Vec::new()) };
        if let (Some(ending), None) = (&group.ending, &root.ending) {
            Box::pin(self.platform.end_job(self.key(), ending)).await?;
            return Ok(Vec::new());
        }
        for _ in 0..RACES_MAX {
            let Ok(change) = decide::close(&self.view(&root), group, self.platform.ports.env.nonce()) else {
                return Ok(Vec::new());
            };
            match self.platform.ports.groups.apply(self.key(), &change).await? {
                Applied::Done(after) => {
                    let GroupId::Fan { node, .. } = group.id else { return Ok(Vec::new()) };
                    let after = self.fan_in(after, SlotId(node)).await?;
                    return Box::pin(self.follow(&after, SlotId(node))).await;
                }
                Applied::Conflict(now) => root = now,
                Applied::Missing => return Ok(Vec::new()),
            }
        }
        Err(WorkError::Contended { job: self.key().to_string() })
    }

    /// Ends a map whose last groups were closed at once, so that none was seen to be the last.
    async fn fan_in(&self, root: Group, slot: SlotId) -> Result<Group, WorkError> {
        match decide::fan_in(&self.view(&root), slot, self.platform.ports.env.nonce()) {
            Ok(change) => match self.platform.ports.groups.apply(self.key(), &change).await? {
                Applied::Done(after) | Applied::Conflict(after) => Ok(after),
                Applied::Missing => Ok(root),
            },
            Err(_) => Ok(root),
        }
    }

    async fn copy_chunks(&self, slot: SlotId, items: u32, size: u32) -> Result<(), WorkError> {
        let Some(parent) = self.job.definition.parent.clone() else { return Ok(()) };
        let parent = JobKey { tenant: self.key().tenant.clone(), job: parent };
        let numbers: Vec<u32> = (0..items.div_ceil(size.max(1))).collect();
        let mut chunks = Vec::new();
        for page in numbers.chunks(100) {
            let wanted = page.iter().map(|number| (slot.0, *number)).collect();
            let reads = crate::ports::Reads { chunks: wanted, ..crate::ports::Reads::default() };
            chunks.extend(self.platform.ports.steps.fetch(&parent, &reads).await?.chunks.into_values());
        }
        Ok(self.platform.ports.steps.put_chunks(self.key(), slot.0, &chunks).await?)
    }

    fn log(&self, held: &Held, record: &StepRecord) {
        tracing::info!(
            took_ms = self.now_ms().saturating_sub(held.claimed_ms),
            turns = record.turn,
            tokens = record.cost.tokens,
            usd = %record.cost.usd,
            files = record.files.len(),
            "step committed"
        );
    }
}

/// What was claimed together with the commit needs no bell.
fn without_own(going: Option<Duty>, mut leads: Vec<Lead>) -> After {
    if let Some((held, _)) = &going {
        leads.retain(|lead| *lead != (held.group.id, held.slot));
    }
    (going, leads)
}

/// So many items to a chunk that none is larger than the bound, if their sizes allow.
fn chunk_size(sizes: &[usize]) -> usize {
    let mut size = CHUNK_ITEMS_MAX;
    while size > 1 && sizes.chunks(size).any(|chunk| chunk.iter().sum::<usize>() > CHUNK_BYTES_MAX) {
        size /= 2;
    }
    size
}

impl Platform {
    /// Stores a file under a key of its step and attempt. A repeat replaces it by the same.
    pub(super) async fn store_file(
        &self,
        key: &JobKey,
        (step, attempt): (&str, u32),
        file: &NewFile,
    ) -> Result<FileRef, WorkError> {
        let blob = BlobKey::of_job(key, step, attempt, &file.path);
        self.ports.blobs.put(&blob, Bytes::clone(&file.bytes), &file.media_type).await?;
        Ok(FileRef {
            path: file.path.clone(),
            media_type: file.media_type.clone(),
            bytes: file.bytes.len() as u64,
            sha256: hex::encode(Sha256::digest(&file.bytes)),
            key: blob,
            step: step.to_owned(),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::chunk_size;

    #[test]
    fn chunks_stay_small_unless_an_item_is_large() {
        assert_eq!(chunk_size(&[10; 1_000]), 64);
        assert_eq!(chunk_size(&[1_024; 1_000]), 8);
        assert_eq!(chunk_size(&[100_000, 10]), 1);
        assert_eq!(chunk_size(&[]), 64);
    }
}
