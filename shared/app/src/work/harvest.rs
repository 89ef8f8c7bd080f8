//! What the committed results of a job come to: its files, each as it stood last, and what a reader should know first.

use std::collections::BTreeMap;

use convoke_domain::graph::{Graph, TaskKind};
use convoke_domain::group::{Fan, Group, Order, Scope};
use convoke_domain::ids::{GroupId, StepId};
use convoke_domain::order;

use super::report::{Decided, Line, Sum};
use crate::ports::{FileRef, StepRecord};

/// Lines of the report's table of steps.
const LINES_MAX: usize = 500;
/// Most warnings of a job.
const WARNINGS_MAX: usize = 100;

/// What there is to deliver.
#[derive(Default)]
pub(super) struct Harvest {
    /// The files, each in the version that stands last.
    pub files: BTreeMap<String, FileRef>,
    /// The first steps, in the order in which they began.
    pub lines: Vec<Line>,
    /// What came of reviews, in the order in which it came.
    pub decisions: Vec<Decided>,
    /// What the items of maps are called, by task.
    pub keys: BTreeMap<String, Vec<String>>,
    /// What each task came to, in the order of the flow.
    pub sums: Vec<Sum>,
    /// The result that stands last, outside of maps.
    pub last: Option<StepRecord>,
    /// How many steps there were.
    pub steps: u64,
    /// In the order of the flow.
    pub warnings: Vec<String>,
}

/// Where a step stands in the flow: whoever may have seen another's work stands higher.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
struct Rank {
    /// Of its node, needs before those who need them.
    place: usize,
    /// Of its item, where items wait for each other.
    level: u32,
    item: u32,
    round: u32,
    position: usize,
}

struct Version {
    rank: Rank,
    file: FileRef,
}

/// Takes in results, in any order.
pub(super) struct Harvester<'g> {
    graph: &'g Graph,
    /// Node and position in its thread, by task; maps by their own id, too.
    tasks: BTreeMap<&'g str, (usize, usize)>,
    /// Of each node.
    places: Vec<usize>,
    /// Of maps whose items wait for each other.
    needs: BTreeMap<usize, Vec<Vec<u8>>>,
    levels: BTreeMap<usize, Vec<u32>>,
    versions: BTreeMap<String, Vec<Version>>,
    /// What the last round of each step has to say, by node, item and position.
    notes: BTreeMap<(usize, u32, usize), (Rank, Vec<String>)>,
    keys: BTreeMap<String, Vec<String>>,
    lines: Vec<Line>,
    decisions: Vec<(u64, Decided)>,
    sums: BTreeMap<String, (Rank, Sum)>,
    last: Option<(Rank, StepRecord)>,
    steps: u64,
}

impl<'g> Harvester<'g> {
    pub fn new(graph: &'g Graph, groups: &BTreeMap<GroupId, Group>) -> Self {
        let mut places = vec![0; graph.nodes.len()];
        for (place, index) in graph.order().into_iter().enumerate() {
            places[index] = place;
        }
        let mut tasks = BTreeMap::new();
        for (index, node) in graph.nodes.iter().enumerate() {
            tasks.insert(node.id.as_str(), (index, 0));
            tasks.extend(node.thread().tasks.iter().enumerate().map(|(at, task)| (task.id.as_str(), (index, at))));
        }
        let needs: BTreeMap<usize, Vec<Vec<u8>>> = groups.iter().filter_map(needs).collect();
        let levels = needs.iter().map(|(node, needs)| (*node, order::levels(needs))).collect();
        Self {
            graph,
            tasks,
            places,
            needs,
            levels,
            versions: BTreeMap::new(),
            notes: BTreeMap::new(),
            keys: BTreeMap::new(),
            lines: Vec::new(),
            decisions: Vec::new(),
            sums: BTreeMap::new(),
            last: None,
            steps: 0,
        }
    }

    /// Takes in a committed result.
    pub fn take(&mut self, record: &StepRecord) {
        let rank = self.rank(&record.step);
        let notes = self.notes.entry((rank.place, rank.item, rank.position)).or_default();
        if rank >= notes.0 {
            *notes = (rank, notes_of(record));
        }
        if self.is_unasked(record) {
            return;
        }
        self.steps += 1;
        if self.decisions.len() < LINES_MAX {
            self.decisions.extend(Decided::of(record).map(|decided| (record.ended_ms, decided)));
        }
        if let (Some(keys), Some(node)) = (&record.progress.keys, self.graph.index_of(&record.step.task)) {
            let tasks = self.graph.nodes[node].thread().tasks.iter();
            self.keys.extend(tasks.map(|task| (task.id.clone(), keys.clone())));
        }
        if self.lines.len() < LINES_MAX * 4 {
            self.lines.push(Line::of(record));
        }
        let (first, sum) =
            self.sums.entry(record.step.task.clone()).or_insert_with(|| (rank, Sum::of(&record.step.task)));
        *first = rank.min(*first);
        sum.add(record);
        let is_later = self.last.as_ref().is_none_or(|(last, _)| rank > *last);
        if record.step.item.is_none() && record.turn > 0 && is_later {
            self.last = Some((rank, record.clone()));
        }
        for file in &record.files {
            self.versions.entry(file.path.clone()).or_default().push(Version { rank, file: file.clone() });
        }
    }

    /// Whether it is a review that nobody was asked: there is nothing to tell of it, but for what its loop has to say.
    fn is_unasked(&self, record: &StepRecord) -> bool {
        let task =
            self.tasks.get(record.step.task.as_str()).map(|&(node, at)| &self.graph.nodes[node].thread().tasks[at]);
        record.progress.judged.is_none() && task.is_some_and(|task| matches!(task.kind, TaskKind::Review(_)))
    }

    /// What all that was taken in comes to.
    pub fn done(mut self) -> Harvest {
        let mut files = BTreeMap::new();
        let notes = std::mem::take(&mut self.notes).into_values();
        let mut notes: Vec<(Rank, String)> =
            notes.flat_map(|(rank, notes)| notes.into_iter().map(move |note| (rank, note))).collect();
        for (path, versions) in std::mem::take(&mut self.versions) {
            // Of each thread only the last version counts.
            let mut latest: BTreeMap<(usize, u32), &Version> = BTreeMap::new();
            for version in &versions {
                let own = latest.entry((version.rank.place, version.rank.item)).or_insert(version);
                if version.rank > own.rank {
                    *own = version;
                }
            }
            let Some(last) = latest.values().max_by_key(|version| version.rank).copied() else { continue };
            for rival in latest.values().filter(|other| self.is_rival(last, other)) {
                let (one, kept) = (&rival.file.step, &last.file.step);
                let text = format!("{path}: {one} and {kept} wrote it without knowing of each other; {kept}'s is kept");
                notes.push((last.rank, text));
            }
            files.insert(path, last.file.clone());
        }
        notes.sort_by_key(|(rank, _)| *rank);
        let left_out = notes.len().saturating_sub(WARNINGS_MAX);
        let mut warnings: Vec<String> = notes.into_iter().take(WARNINGS_MAX).map(|(_, note)| note).collect();
        if left_out > 0 {
            warnings.push(format!("and {left_out} more"));
        }
        self.lines.sort_by_key(|line| line.started_ms);
        self.lines.truncate(LINES_MAX);
        let mut sums: Vec<(Rank, Sum)> = self.sums.into_values().collect();
        sums.sort_by_key(|(rank, _)| *rank);
        let sums = sums.into_iter().map(|(_, sum)| sum).collect();
        let last = self.last.map(|(_, record)| record);
        self.decisions.sort_by_key(|(at_ms, _)| *at_ms);
        let decisions = self.decisions.into_iter().map(|(_, decided)| decided).collect();
        Harvest { decisions, files, keys: self.keys, lines: self.lines, sums, last, steps: self.steps, warnings }
    }

    fn rank(&self, step: &StepId) -> Rank {
        let Some(&(node, position)) = self.tasks.get(step.task.as_str()) else {
            return Rank { place: usize::MAX, ..Rank::default() };
        };
        let item = step.item.unwrap_or(0);
        let level = self.levels.get(&node).and_then(|levels| levels.get(item as usize)).copied().unwrap_or(0);
        Rank { place: self.places[node], level, item, round: step.round.unwrap_or(0), position }
    }

    /// Whether `other` has something else in the file, and the one that stands last can't have seen it.
    fn is_rival(&self, last: &Version, other: &Version) -> bool {
        if last.file.sha256 == other.file.sha256 {
            return false;
        }
        let (late, early) = (last.rank, other.rank);
        if late.place != early.place {
            return !self.comes_after(late.place, early.place);
        }
        let node = self.places.iter().position(|place| *place == late.place);
        let is_after = node
            .and_then(|node| self.needs.get(&node))
            .is_some_and(|needs| order::is_after(needs, late.item, early.item));
        late.item != early.item && !is_after
    }

    /// Whether the node at one place needs the one at another, directly or not.
    fn comes_after(&self, late: usize, early: usize) -> bool {
        let mut open: Vec<usize> = self.places.iter().position(|place| *place == late).into_iter().collect();
        let mut seen = vec![false; self.graph.nodes.len()];
        while let Some(node) = open.pop() {
            if self.places[node] == early {
                return true;
            }
            if !std::mem::replace(&mut seen[node], true) {
                open.extend(&self.graph.nodes[node].needs);
            }
        }
        false
    }
}

/// What a reader should know of a step.
fn notes_of(record: &StepRecord) -> Vec<String> {
    let error = record.progress.error.as_ref().map(|error| format!("{} failed: {error}", record.step));
    record.progress.warnings.iter().cloned().chain(error).collect()
}

fn needs((id, group): (&GroupId, &Group)) -> Option<(usize, Vec<Vec<u8>>)> {
    match (id, &group.scope) {
        (GroupId::Fan { node, .. }, Scope::Fan(Fan { order: Order::After { needs, .. }, .. })) => {
            Some((usize::from(*node), needs.clone()))
        }
        _ => None,
    }
}
