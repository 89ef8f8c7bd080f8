//! What a step reads: earlier results, its item, its own history.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use bytes::Bytes;
use convoke_domain::group::{Fan, Group, Order};
use convoke_domain::ids::{GroupId, SlotId, StepId};
use convoke_domain::money::Cost;
use convoke_domain::order;
use convoke_domain::slot::At;
use serde_json::Value;

use super::shift::Shift;
use super::{WorkError, load_value};
use crate::model::{Message, ModelAnswer};
use crate::ports::{FileRef, Reads, StepRecord, TurnRecord};
use crate::script::{Inputs, Known, Read, ReadScope};

/// Outputs of a wide map that a step reads, in bytes of JSON; the rest is left out, and counted.
const MAP_BYTES_MAX: u64 = 256 * 1024;
/// Contents of files that a step reads, in bytes.
const CONTENTS_BYTES_MAX: u64 = 8 * 1024 * 1024;
/// Results that a shift keeps at hand beyond those that the step under way reads.
const RECENT_MAX: usize = 64;
/// Results per page.
const PAGE: u32 = 100;

/// What is known of a step's earlier attempts.
#[derive(Default)]
pub(super) struct History {
    /// A result that is stored: by an earlier worker, or by the parent job.
    pub result: Option<StepRecord>,
    /// Turns that are paid for.
    pub turns: Vec<PaidTurn>,
}

/// A journaled turn.
pub(super) struct PaidTurn {
    pub turn: u32,
    pub cost: Cost,
    pub answer: ModelAnswer,
    pub replies: Vec<Message>,
}

impl Shift<'_> {
    /// What earlier attempts left, or the parent job; a fresh step of a job without parent has no history to look up.
    pub async fn history(&self, step: &StepId, touched: bool) -> Result<History, WorkError> {
        let parent = self.job.definition.parent.clone().filter(|_| *step != StepId::finish());
        if !touched && parent.is_none() {
            return Ok(History::default());
        }
        let steps = &self.platform.ports.steps;
        let reads = Reads {
            results: vec![step.clone()],
            of_parent: parent.map(|parent| (parent, vec![step.clone()])),
            ..Reads::default()
        };
        let mut fetched = steps.fetch(self.key(), &reads).await?;
        let result = fetched.results.remove(step).or_else(|| fetched.of_parent.remove(step));
        let result = result.filter(|record| record.progress.error.is_none());
        let records = if touched { steps.turns(self.key(), step).await? } else { Vec::new() };
        let mut turns = Vec::with_capacity(records.len());
        for record in &records {
            turns.push(self.paid_turn(record).await?);
        }
        Ok(History { result, turns })
    }

    async fn paid_turn(&self, record: &TurnRecord) -> Result<PaidTurn, WorkError> {
        let blobs = &*self.platform.ports.blobs;
        Ok(PaidTurn {
            turn: record.turn,
            cost: record.cost,
            answer: load_value(blobs, self.key(), &record.answer).await?,
            replies: load_value(blobs, self.key(), &record.replies).await?,
        })
    }

    /// Gathers what `task` reads at `at`.
    pub async fn gather(&mut self, group: &Group, slot: SlotId, at: At, task: &str) -> Result<Inputs, WorkError> {
        let mut inputs = Inputs {
            input: Arc::clone(&self.job.input),
            job: self.key().job.to_string(),
            model: self.job.definition.model.clone(),
            round: at.round,
            base: self.job.base.iter().map(|base| base.file.clone()).collect(),
            contents: self.base_texts(),
            ..Inputs::default()
        };
        let mut reads = self.job.script.reads(task);
        self.sort_by_standing(&mut reads, (group, slot, at));
        let rounds = self.rounds(group, &reads).await?;
        let place = Place { group, slot, at, rounds: &rounds };
        self.load_missing(&place, &reads).await?;
        for read in &reads {
            self.read_into(&place, read, &mut inputs).await?;
        }
        if let Some(fan) = group.fan() {
            inputs.item = Some((at.item, self.item(group.id, fan, at.item).await?));
        }
        Ok(inputs)
    }

    /// Texts of the files that the job goes on from; whatever steps wrote replaces them.
    fn base_texts(&self) -> BTreeMap<String, Bytes> {
        let texts = self.job.base.iter().filter_map(|base| Some((base.file.path.clone(), base.text.as_ref()?)));
        texts.map(|(path, text)| (path, Bytes::from(text.clone()))).collect()
    }

    /// In the order in which what is read replaces each other's files: items that are waited for, then nodes in the order
    /// of the flow, then the own thread, the last round before this one.
    fn sort_by_standing(&self, reads: &mut [Read], (group, slot, at): (&Group, SlotId, At)) {
        let graph = self.job.graph();
        let order = graph.order();
        let position = |node: usize, task: &str| {
            let tasks = &graph.nodes[node].thread().tasks;
            tasks.iter().position(|other| other.id == task).unwrap_or(0)
        };
        let own = group.node(graph, slot).map_or(0, |(node, _)| node);
        reads.sort_by_cached_key(|read| match read.scope {
            ReadScope::Awaited => (0, 0, position(own, &read.task)),
            ReadScope::Node(node) | ReadScope::Map(node) => {
                (1, order.iter().position(|index| *index == node).unwrap_or(0), position(node, &read.task))
            }
            ReadScope::Thread => {
                let position = position(own, &read.task);
                (2, usize::from(position < usize::from(at.task)), position)
            }
        });
    }

    /// Last rounds of the loops among the nodes that are read; they stand in the job's own item.
    async fn rounds(&self, group: &Group, reads: &[Read]) -> Result<BTreeMap<SlotId, u32>, WorkError> {
        let graph = self.job.graph();
        let looped = |read: &Read| matches!(read.scope, ReadScope::Node(node) if graph.nodes[node].thread().looped);
        if group.root().is_some() || !reads.iter().any(looped) {
            return Ok(group.rounds.clone());
        }
        Ok(self.group(GroupId::Root).await?.map(|root| root.rounds).unwrap_or_default())
    }

    async fn load_missing(&mut self, place: &Place<'_>, reads: &[Read]) -> Result<(), WorkError> {
        let graph = self.job.graph();
        let wanted: BTreeSet<StepId> = reads.iter().flat_map(|read| place.steps(graph, read)).collect();
        if self.recent.len() > RECENT_MAX {
            self.recent.retain(|step, _| wanted.contains(step));
        }
        let missing: Vec<StepId> = wanted.into_iter().filter(|step| !self.recent.contains_key(step)).collect();
        for page in missing.chunks(PAGE as usize) {
            let reads = Reads { results: page.to_vec(), ..Reads::default() };
            let fetched = self.platform.ports.steps.fetch(self.key(), &reads).await?;
            for record in fetched.results.into_values() {
                self.recent.insert(record.step.clone(), record);
            }
        }
        Ok(())
    }

    async fn read_into(&self, place: &Place<'_>, read: &Read, inputs: &mut Inputs) -> Result<(), WorkError> {
        let records = match read.scope {
            ReadScope::Map(node) => self.read_map(node, read, inputs).await?,
            ReadScope::Node(_) | ReadScope::Thread | ReadScope::Awaited => {
                let steps = place.steps(self.job.graph(), read);
                steps.iter().filter_map(|step| self.recent.get(step).cloned()).collect()
            }
        };
        let mut known = Vec::with_capacity(records.len());
        let mut sources = BTreeMap::new();
        for record in &records {
            known.push(self.known(record).await?);
            if read.with_files {
                self.read_files(record, &mut sources, inputs).await?;
            }
        }
        let place = if read.scope == ReadScope::Awaited { &mut inputs.awaited } else { &mut inputs.known };
        place.insert(read.task.clone(), known);
        Ok(())
    }

    /// The results of a map's items, the last round of each, as many as fit; whoever waited for others comes after them.
    async fn read_map(&self, node: usize, read: &Read, inputs: &mut Inputs) -> Result<Vec<StepRecord>, WorkError> {
        let map = StepId::once(self.job.graph().nodes[node].id.clone());
        let reads = Reads { results: vec![map.clone()], ..Reads::default() };
        let list = self.platform.ports.steps.fetch(self.key(), &reads).await?.results.remove(&map);
        let list = list.map(|list| list.progress).unwrap_or_default();
        let items = list.items.unwrap_or(0);
        let mut by_item: BTreeMap<u32, StepRecord> = BTreeMap::new();
        let (mut after, mut bytes): (Option<StepId>, u64) = (None, 0);
        loop {
            let page = self.platform.ports.steps.results(self.key(), Some(&read.task), after.as_ref(), PAGE).await?;
            let last = page.len() < PAGE as usize;
            after = page.last().map(|record| record.step.clone());
            for record in page {
                bytes += record.output.bytes();
                let Some(item) = record.step.item else { continue };
                by_item.insert(item, record);
            }
            if last || bytes > MAP_BYTES_MAX {
                break;
            }
        }
        let read_items = u32::try_from(by_item.len()).unwrap_or(u32::MAX);
        inputs.omitted.insert(read.task.clone(), items.saturating_sub(read_items));
        let levels = order::levels(&list.needs.unwrap_or_default());
        let mut records: Vec<StepRecord> = by_item.into_values().collect();
        records.sort_by_key(|record| record.step.item.and_then(|item| levels.get(item as usize)).copied());
        Ok(records)
    }

    pub async fn known(&self, record: &StepRecord) -> Result<Known, WorkError> {
        let output = load_value(&*self.platform.ports.blobs, self.key(), &record.output).await?;
        Ok(Known { item: record.step.item, output, files: record.files.clone() })
    }

    /// Reads a result's files; `sources` are those of the same task's results before it.
    async fn read_files<'r>(
        &self,
        record: &'r StepRecord,
        sources: &mut BTreeMap<&'r str, &'r FileRef>,
        inputs: &mut Inputs,
    ) -> Result<(), WorkError> {
        for file in &record.files {
            let contents = inputs.contents.values().chain(inputs.versions.values());
            let have: u64 = contents.map(|bytes| bytes.len() as u64).sum();
            if have + file.bytes > CONTENTS_BYTES_MAX {
                continue;
            }
            let Some(bytes) = self.platform.ports.blobs.get(&file.key).await? else { continue };
            let replaced = inputs.contents.insert(file.path.clone(), bytes.clone());
            let source = sources.insert(&file.path, file);
            if let (Some(replaced), Some(source)) = (replaced, source.filter(|source| source.sha256 != file.sha256)) {
                let name = |file: &FileRef| (file.path.clone(), file.step.clone());
                inputs.versions.insert(name(source), replaced);
                inputs.versions.insert(name(file), bytes);
            }
        }
        Ok(())
    }

    async fn item(&self, group: GroupId, fan: &Fan, item: u32) -> Result<Value, WorkError> {
        let GroupId::Fan { node, .. } = group else { return Ok(Value::Null) };
        let size = fan.chunk.max(1);
        let chunk = self.platform.chunk(&self.job, (node, item / size), size).await?;
        Ok(chunk.get((item % size) as usize).cloned().unwrap_or_default())
    }
}

/// Where a step stands, for finding what it reads.
struct Place<'a> {
    group: &'a Group,
    slot: SlotId,
    at: At,
    rounds: &'a BTreeMap<SlotId, u32>,
}

impl Place<'_> {
    fn steps(&self, graph: &convoke_domain::graph::Graph, read: &Read) -> Vec<StepId> {
        let once = |round: Option<u32>| StepId { task: read.task.clone(), item: None, round };
        match read.scope {
            ReadScope::Map(_) => Vec::new(),
            ReadScope::Node(node) => {
                let looped = graph.nodes[node].thread().looped;
                let slot = SlotId(u16::try_from(node).unwrap_or(u16::MAX));
                let round = self.rounds.get(&slot).copied();
                if looped && round.is_none() { Vec::new() } else { vec![once(round.filter(|_| looped))] }
            }
            ReadScope::Thread => self.in_thread(graph, &read.task).into_iter().collect(),
            ReadScope::Awaited => self.awaited(graph, &read.task),
        }
    }

    fn in_thread(&self, graph: &convoke_domain::graph::Graph, task: &str) -> Option<StepId> {
        let thread = self.group.node(graph, self.slot)?.1.thread();
        let index = thread.tasks.iter().position(|other| other.id == task)?;
        let earlier = index < usize::from(self.at.task);
        let round = if earlier { self.at.round } else { self.at.round.checked_sub(1).filter(|&round| round > 0)? };
        Some(self.group.step_of(thread, task, At { round, ..self.at }))
    }

    fn awaited(&self, graph: &convoke_domain::graph::Graph, task: &str) -> Vec<StepId> {
        let Some(Fan { order: Order::After { needs, .. }, .. }) = self.group.fan() else { return Vec::new() };
        let looped = self.group.node(graph, self.slot).is_some_and(|(_, node)| node.thread().looped);
        let levels = order::levels(needs);
        let mut waited: Vec<&u8> = needs.get(self.at.item as usize).into_iter().flatten().collect();
        waited.sort_by_key(|item| levels.get(usize::from(**item)).copied());
        let step = |&item: &u8| StepId {
            task: task.to_owned(),
            item: Some(u32::from(item)),
            round: self.group.rounds.get(&SlotId(u16::from(item))).copied().filter(|_| looped),
        };
        waited.into_iter().map(step).collect()
    }
}
