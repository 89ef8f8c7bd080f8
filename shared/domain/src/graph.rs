//! The shape of a flow: what follows what, without what each task says.
//!
//! A graph is compiled once from a flow's definition and never changes. A node is a *thread*: tasks one after another,
//! possibly in rounds. A map node runs its thread once per item. Readiness is computed here, from a group's bits, and is
//! never stored.

use serde::{Deserialize, Serialize};

use crate::bits::Bits;
use crate::review::Terms;

/// Most nodes of a flow; wider and longer work is a `map` or a `loop`.
pub const NODES_MAX: usize = 512;
/// Most tasks in a loop's body.
pub const THREAD_TASKS_MAX: usize = 16;
/// Most rounds of a loop.
pub const ROUNDS_MAX: u32 = 10_000;
/// Most items of a map.
pub const ITEMS_MAX: u32 = 10_000;
/// Most lanes of a map.
pub const LANES_MAX: u32 = 512;
/// Most items of a map whose items depend on each other.
pub const ORDERED_ITEMS_MAX: u32 = 64;

/// A flow's nodes, in an order of the author's; edges point to indices.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Graph {
    /// At most [`NODES_MAX`]; acyclic (the compiler of definitions has checked).
    pub nodes: Vec<Node>,
}

/// A node of a flow.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Node {
    /// Name in the definition.
    pub id: String,
    /// Nodes that have to end first.
    pub needs: Vec<usize>,
    /// How many of `needs` have to end.
    pub join: Join,
    /// Condition nodes that decide whether this node runs at all; each is among `needs`, too.
    pub branches: Vec<Branch>,
    /// What the node does.
    pub work: Work,
}

/// How many needs a node waits for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Join {
    /// Every need has ended (done or skipped).
    #[default]
    All,
    /// One need is done.
    Any,
}

/// "Runs only if condition `node` came out as `when`."
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Branch {
    /// Index of a condition node.
    pub node: usize,
    /// The outcome that lets this node run.
    pub when: bool,
}

/// What a node does.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Work {
    /// Tasks in sequence: `agent`, `condition` and `join` are threads of one task, `loop` one of several rounds.
    Thread(Thread),
    /// One thread per item of a list.
    Map(Map),
}

/// Tasks one after another, for at most so many rounds.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Thread {
    /// At least one, at most [`THREAD_TASKS_MAX`].
    pub tasks: Vec<Task>,
    /// 1 where it is no loop.
    pub rounds_max: u32,
    /// Whether this is a loop: then its steps carry their round in their name.
    pub looped: bool,
    /// What a loop does that used up its rounds.
    pub on_bound: OnBound,
}

/// One task of a thread.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Task {
    /// Unique in the flow; steps are named after it.
    pub id: String,
    /// What kind of work it is.
    pub kind: TaskKind,
    /// How often a step of it may be tried.
    pub attempts_max: u32,
}

/// Kinds of tasks.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum TaskKind {
    /// A model works on it.
    Agent,
    /// An expression decides between two branches.
    Condition,
    /// Takes the outputs of what came before, as they stand.
    Join,
    /// A person decides. Only outside of maps: what waits for people stands in the job's own item.
    Review(Terms),
}

/// What happens when a loop's rounds are used up and its `until` doesn't hold.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum OnBound {
    /// Go on with what there is; the job ends `completed` with a warning.
    #[default]
    Proceed,
    /// The job ends `failed` with `no_consensus`.
    Fail,
}

/// One thread per item.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Map {
    /// What each item goes through.
    pub thread: Thread,
    /// Items at once, 1 to [`LANES_MAX`].
    pub concurrency: u32,
    /// Whether items name items that have to be done before them; then there are at most [`ORDERED_ITEMS_MAX`].
    pub ordered: bool,
    /// How often the evaluation of the list may be tried.
    pub attempts_max: u32,
    /// Whether an item that fails lets the others go on.
    pub on_error: OnError,
}

/// What a failed item does to its map.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum OnError {
    /// The job ends.
    #[default]
    Fail,
    /// The item counts as failed, the others go on.
    Continue,
}

/// How a node stands, computed from the bits of its group.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Standing {
    /// Waits for its needs.
    Waiting,
    /// May run or is running.
    Ready,
    /// Has ended.
    Done,
    /// Never runs: a condition or the skipping of all its needs decided so.
    Skipped,
}

impl Graph {
    /// How every node stands, given who is `done` and which conditions came out false (`no`).
    ///
    /// Linear in nodes and edges; needs come before their dependants in [`Graph::order`], so one pass is enough.
    pub fn standings(&self, done: &Bits, no: &Bits) -> Vec<Standing> {
        let mut standings = vec![Standing::Waiting; self.nodes.len()];
        for &index in &self.order() {
            standings[index] = self.standing(index, (done, no), &standings);
        }
        standings
    }

    fn standing(&self, index: usize, (done, no): (&Bits, &Bits), known: &[Standing]) -> Standing {
        let node = &self.nodes[index];
        if done.has(index) {
            return Standing::Done;
        }
        let excluded = node.branches.iter().any(|b| done.has(b.node) && no.has(b.node) == b.when);
        let skipped = |&need: &usize| known[need] == Standing::Skipped;
        if excluded || (!node.needs.is_empty() && node.needs.iter().all(skipped)) {
            return Standing::Skipped;
        }
        let branch_skipped = node.branches.iter().any(|b| known[b.node] == Standing::Skipped);
        if branch_skipped {
            return Standing::Skipped;
        }
        let ended = |&need: &usize| matches!(known[need], Standing::Done | Standing::Skipped);
        let is_done = |&need: &usize| known[need] == Standing::Done;
        let enough = match node.join {
            Join::All => node.needs.iter().all(ended),
            Join::Any => node.needs.iter().any(is_done) || node.needs.iter().all(ended),
        };
        if enough { Standing::Ready } else { Standing::Waiting }
    }

    /// Indices so that needs stand before those who need them. Nodes on a cycle are missing.
    pub fn order(&self) -> Vec<usize> {
        let mut missing: Vec<usize> = self.nodes.iter().map(|n| n.needs.len()).collect();
        let mut dependants = vec![Vec::new(); self.nodes.len()];
        for (index, node) in self.nodes.iter().enumerate() {
            for &need in &node.needs {
                dependants[need].push(index);
            }
        }
        let mut order: Vec<usize> = (0..self.nodes.len()).filter(|&i| missing[i] == 0).collect();
        let mut next = 0;
        while next < order.len() {
            for &dependant in &dependants[order[next]] {
                missing[dependant] -= 1;
                if missing[dependant] == 0 {
                    order.push(dependant);
                }
            }
            next += 1;
        }
        order
    }

    /// The index of the node of that name.
    pub fn index_of(&self, id: &str) -> Option<usize> {
        self.nodes.iter().position(|node| node.id == id)
    }
}

impl Node {
    /// The thread that this node runs, once or per item.
    pub const fn thread(&self) -> &Thread {
        match &self.work {
            Work::Thread(thread) => thread,
            Work::Map(map) => &map.thread,
        }
    }
}
