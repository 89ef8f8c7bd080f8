//! A group: the small mutable item that holds the running state of a job, or of eight lanes of a map.
//!
//! Both kinds are one type, so that one set of decisions serves both: what differs is in [`Scope`].

use std::collections::BTreeMap;

use crate::bits::Bits;
use crate::graph::{Graph, Map, Node, Task, TaskKind, Thread, Work};
use crate::ids::{GroupId, SlotId, StepId};
use crate::money::Cost;
use crate::review::Terms;
use crate::slot::{At, Slot};
use crate::status::{JobStatus, StopReason};

/// Lanes of a map that share a group.
pub const LANES_PER_GROUP: u32 = 8;

/// Money and tokens that are left; below zero where a call took more than it had reserved.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Balance {
    /// Millionths of a US dollar.
    pub usd: i64,
    /// Tokens.
    pub tokens: i64,
}

impl Balance {
    /// As much as `cost`.
    pub fn of(cost: Cost) -> Self {
        let signed = |n: u64| i64::try_from(n).unwrap_or(i64::MAX);
        Self { usd: signed(cost.usd.0), tokens: signed(cost.tokens) }
    }

    /// What a change of `credit` (given back) and `debit` (taken) amounts to.
    pub fn between(credit: Cost, debit: Cost) -> Self {
        let (credit, debit) = (Self::of(credit), Self::of(debit));
        Self { usd: credit.usd - debit.usd, tokens: credit.tokens - debit.tokens }
    }

    /// Both parts added.
    #[must_use]
    pub const fn plus(self, other: Self) -> Self {
        Self { usd: self.usd.saturating_add(other.usd), tokens: self.tokens.saturating_add(other.tokens) }
    }

    /// Whether both parts are at least `need`'s.
    pub const fn covers(self, need: Self) -> bool {
        self.usd >= need.usd && self.tokens >= need.tokens
    }

    /// What may be spent: zero where it is below.
    pub fn available(self) -> Cost {
        let positive = |n: i64| u64::try_from(n).unwrap_or(0);
        Cost { usd: crate::money::MicroUsd(positive(self.usd)), tokens: positive(self.tokens) }
    }
}

/// Why a group takes no more claims.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Ending {
    /// The reason.
    pub reason: StopReason,
    /// The step that caused it, as displayed.
    pub step: Option<String>,
    /// What happened, at most [`CAUSE_BYTES_MAX`] bytes.
    pub cause: String,
}

/// Longest cause that is kept in a group.
pub const CAUSE_BYTES_MAX: usize = 400;

impl Ending {
    /// An ending; a cause that is too long is cut at a character.
    pub fn new(reason: StopReason, step: Option<String>, cause: &str) -> Self {
        let mut end = cause.len().min(CAUSE_BYTES_MAX);
        while !cause.is_char_boundary(end) {
            end -= 1;
        }
        Self { reason, step, cause: cause[..end].to_owned() }
    }

    /// The ending of a job whose every step is done.
    pub const fn completed() -> Self {
        Self { reason: StopReason::Completed, step: None, cause: String::new() }
    }
}

/// What a group of a fan-out has been lent by the job.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Loan {
    /// All that was ever lent.
    pub lent: Cost,
    /// Whether the group stands still for want of money.
    pub starved: bool,
}

/// What only the job's own item has.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Root {
    /// State of the job.
    pub status: JobStatus,
    /// Groups of maps that are open.
    pub groups: BTreeMap<GroupId, Loan>,
    /// When it was submitted (Unix milliseconds).
    pub created_ms: u64,
    /// When its time is over; while the job rests, that moves on.
    pub deadline_ms: u64,
    /// Since when it rests: nothing is open but reviews, and its clock stands still (Unix milliseconds).
    pub rests_since_ms: Option<u64>,
    /// When the sweep looks at it; `None` once it is terminal.
    pub due_ms: Option<u64>,
    /// Sum of all versions as the last sweep saw them.
    pub swept_ver: u64,
    /// How long the last sweep decided to wait.
    pub pause_ms: u64,
}

/// What only a part of a map has.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fan {
    /// What it has drawn of the job's loan.
    pub drawn: Cost,
    /// Items of the whole map.
    pub items: u32,
    /// Items that a chunk of the stored list holds.
    pub chunk: u32,
    /// Which items are this group's, and in what order.
    pub order: Order,
    /// Items that failed where the map lets the others go on.
    pub failed: u32,
}

/// Which items a group runs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Order {
    /// Lane `first + n` runs the items `first + n`, `first + n + stride`, ...
    Lanes {
        /// Number of the group's first lane.
        first: u32,
        /// Lanes of the group.
        count: u32,
        /// Lanes of the map.
        stride: u32,
    },
    /// All items, each after those that it names.
    After {
        /// For each item the items that it waits for.
        needs: Vec<Vec<u8>>,
        /// Items at once.
        concurrency: u32,
    },
}

/// What kind of group it is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Scope {
    /// The job's own item.
    Root(Root),
    /// Part of a map.
    Fan(Fan),
}

/// A mutable item of a job.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Group {
    /// Which.
    pub id: GroupId,
    /// Rises by one with each change.
    pub ver: u64,
    /// Mark of the last change.
    pub last: String,
    /// Time of the last change, by its writer's clock (Unix milliseconds); for display alone.
    pub at_ms: u64,
    /// Set once: then nothing is claimed any more.
    pub ending: Option<Ending>,
    /// Ended threads: nodes, lanes or items.
    pub done: Bits,
    /// Conditions that came out false.
    pub no: Bits,
    /// Last rounds of loops that have ended, by slot.
    pub rounds: BTreeMap<SlotId, u32>,
    /// Threads that run.
    pub run: BTreeMap<SlotId, Slot>,
    /// What can still be reserved.
    pub left: Balance,
    /// What was settled.
    pub spent: Cost,
    /// The rest.
    pub scope: Scope,
}

/// What a slot's step is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Duty<'a> {
    /// A task of a thread.
    Task {
        /// Index of the node.
        node: usize,
        /// The task.
        task: &'a Task,
    },
    /// Making a map's list.
    Expand {
        /// Index of the node.
        node: usize,
        /// The map.
        map: &'a Map,
    },
    /// Ending the job.
    Finish,
}

impl Duty<'_> {
    /// The terms of the review that it is, if it is one.
    pub const fn terms(&self) -> Option<Terms> {
        match self {
            Self::Task { task: Task { kind: TaskKind::Review(terms), .. }, .. } => Some(*terms),
            Self::Task { .. } | Self::Expand { .. } | Self::Finish => None,
        }
    }
}

impl Group {
    /// The job's own part; `None` for a part of a map.
    pub const fn root(&self) -> Option<&Root> {
        match &self.scope {
            Scope::Root(root) => Some(root),
            Scope::Fan(_) => None,
        }
    }

    /// The map's part; `None` for the job's own item.
    pub const fn fan(&self) -> Option<&Fan> {
        match &self.scope {
            Scope::Root(_) => None,
            Scope::Fan(fan) => Some(fan),
        }
    }

    /// Whether any claim stands, running or run out.
    pub fn has_claims(&self) -> bool {
        self.run.values().any(|slot| slot.claim.is_some())
    }

    /// Since when the job rests, where it does and isn't ending.
    pub fn rests_since_ms(&self) -> Option<u64> {
        self.root().filter(|_| self.ending.is_none())?.rests_since_ms
    }

    /// The terms of the review at which the slot's thread stands, if it stands at one.
    pub fn terms(&self, graph: &Graph, slot: SlotId) -> Option<Terms> {
        self.duty(graph, slot, self.run.get(&slot)?.at)?.terms()
    }

    /// All that claims reserve.
    pub fn held(&self) -> Cost {
        self.run.values().filter_map(|slot| slot.claim.as_ref()).fold(Cost::ZERO, |sum, claim| sum + claim.hold)
    }

    /// The node whose thread runs in `slot`.
    pub fn node<'a>(&self, graph: &'a Graph, slot: SlotId) -> Option<(usize, &'a Node)> {
        let index = match self.id {
            GroupId::Root => slot.index(),
            GroupId::Fan { node, .. } => usize::from(node),
        };
        graph.nodes.get(index).map(|node| (index, node))
    }

    /// What is to be done in `slot` at `at`; `None` where the graph has no such place.
    pub fn duty<'a>(&self, graph: &'a Graph, slot: SlotId, at: At) -> Option<Duty<'a>> {
        if slot == SlotId::FINISH {
            return Some(Duty::Finish);
        }
        let (index, node) = self.node(graph, slot)?;
        match (&self.scope, &node.work) {
            (Scope::Root(_), Work::Map(map)) => Some(Duty::Expand { node: index, map }),
            (Scope::Root(_), Work::Thread(thread)) | (Scope::Fan(_), Work::Map(Map { thread, .. })) => {
                thread.tasks.get(usize::from(at.task)).map(|task| Duty::Task { node: index, task })
            }
            (Scope::Fan(_), Work::Thread(_)) => None,
        }
    }

    /// The name of the step in `slot` at `at`.
    pub fn step(&self, graph: &Graph, slot: SlotId, at: At) -> Option<StepId> {
        match self.duty(graph, slot, at)? {
            Duty::Finish => Some(StepId::finish()),
            Duty::Expand { node, .. } => Some(StepId::once(graph.nodes[node].id.clone())),
            Duty::Task { node, task } => {
                let thread = graph.nodes[node].thread();
                Some(self.step_of(thread, &task.id, at))
            }
        }
    }

    /// The name of the step that `task` of this group's thread has at `at`.
    pub fn step_of(&self, thread: &Thread, task: &str, at: At) -> StepId {
        StepId { task: task.to_owned(), item: self.fan().map(|_| at.item), round: thread.looped.then_some(at.round) }
    }

    /// How often the step in `slot` at `at` may be tried; the finish is tried without end.
    pub fn attempts_max(&self, graph: &Graph, slot: SlotId, at: At) -> u32 {
        match self.duty(graph, slot, at) {
            Some(Duty::Task { task, .. }) => task.attempts_max.max(1),
            Some(Duty::Expand { map, .. }) => map.attempts_max.max(1),
            Some(Duty::Finish) => u32::MAX,
            None => 1,
        }
    }

    /// How many threads the group has in all: nodes, lanes or items.
    pub fn threads(&self, graph: &Graph) -> usize {
        match &self.scope {
            Scope::Root(_) => graph.nodes.len(),
            Scope::Fan(Fan { order: Order::Lanes { count, .. }, .. }) => *count as usize,
            Scope::Fan(Fan { order: Order::After { needs, .. }, .. }) => needs.len(),
        }
    }
}
