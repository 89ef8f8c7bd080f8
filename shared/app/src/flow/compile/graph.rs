//! The shape of a flow: ids, edges, branches, bounds; cycles and nodes that can never run.

use std::collections::{BTreeMap, BTreeSet};

use convoke_api::flow::{AgentNode, FlowDoc, FlowIssue, LoopNode, MapNode, NodeDoc, ReviewNode, RoundsDoc};
use convoke_domain::graph::{
    Branch, Graph, Join, LANES_MAX, Map, NODES_MAX, Node, OnBound, ROUNDS_MAX, THREAD_TASKS_MAX, Task, TaskKind,
    Thread, Work,
};

use super::names::{is_name, is_reserved, nearest};
use crate::flow::spec::Capability;

/// Items at once where a map doesn't say.
const CONCURRENCY: u32 = 50;
/// Tries of a step where a node doesn't say.
const ATTEMPTS: u32 = 3;
/// How often a step is tried that asks no model: trying again costs nothing, and what a person has decided isn't to be
/// lost because storage fails a few times in a row.
const FREE_ATTEMPTS: u32 = 10;
/// Most tries of a step.
const ATTEMPTS_MAX: u32 = 10;
/// Rounds of a loop whose bound comes from an input that isn't known yet.
const ROUNDS: u32 = 3;

/// Names: of the flow, of nodes and of tasks.
pub(super) fn check_ids(doc: &FlowDoc, issues: &mut Vec<FlowIssue>) {
    let fits = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-';
    if doc.name.is_empty() || doc.name.len() > 64 || doc.name.starts_with('-') || !doc.name.chars().all(fits) {
        let message = format!("{:?} is no name of a flow", doc.name);
        issues.push(FlowIssue::new("name", message, "1 to 64 lower-case letters, digits and hyphens"));
    }
    if doc.nodes.is_empty() || doc.nodes.len() > NODES_MAX {
        let message = format!("a flow has 1 to {NODES_MAX} nodes, this one has {}", doc.nodes.len());
        issues.push(FlowIssue::new("nodes", message, "use a map or a loop for repeated work"));
    }
    let mut seen = BTreeMap::new();
    for (index, node) in doc.nodes.iter().enumerate() {
        let path = format!("nodes[{index}]");
        check_id(node.id(), &path, &mut seen, issues);
        match node {
            NodeDoc::Loop(body) => check_body_ids(body, &path, &mut seen, issues),
            NodeDoc::Map(map) => {
                if let NodeDoc::Loop(body) = &*map.node {
                    check_body_ids(body, &format!("{path}.node"), &mut seen, issues);
                }
            }
            NodeDoc::Agent(_) | NodeDoc::Condition(_) | NodeDoc::Join(_) | NodeDoc::Review(_) => {}
        }
    }
}

fn check_body_ids(body: &LoopNode, path: &str, seen: &mut BTreeMap<String, String>, issues: &mut Vec<FlowIssue>) {
    for (index, node) in body.nodes.iter().enumerate() {
        check_id(node.id(), &format!("{path}.nodes[{index}]"), seen, issues);
    }
}

fn check_id(id: &str, path: &str, seen: &mut BTreeMap<String, String>, issues: &mut Vec<FlowIssue>) {
    let path = format!("{path}.id");
    if id.is_empty() {
        issues.push(FlowIssue::new(path, "the id is missing", "give the node a name of its own"));
    } else if !is_name(id) {
        let hint = "a letter, then letters, digits and underscores, at most 40";
        issues.push(FlowIssue::new(path, format!("{id:?} is no id"), hint));
    } else if is_reserved(id) {
        issues.push(FlowIssue::new(path, format!("{id:?} has a meaning of its own"), "take another name"));
    } else if let Some(first) = seen.insert(id.to_owned(), path.clone()) {
        issues.push(FlowIssue::new(path, format!("{id:?} is already the id of {first}"), "ids are unique in a flow"));
    }
}

/// The graph; edges that lead nowhere are left out and reported.
pub(super) fn build(doc: &FlowDoc, capability: Capability, issues: &mut Vec<FlowIssue>) -> Graph {
    let index: BTreeMap<&str, usize> = doc.nodes.iter().enumerate().map(|(index, node)| (node.id(), index)).collect();
    let mut builder = Builder { doc, capability, index, issues };
    let mut nodes: Vec<Node> = doc.nodes.iter().enumerate().map(|(at, node)| builder.node(at, node)).collect();
    builder.branches(&mut nodes);
    Graph { nodes }
}

/// The bound of a loop, for models of that kind.
pub(super) fn rounds(body: &LoopNode, capability: Capability) -> &RoundsDoc {
    let small = body.small.as_ref().filter(|_| capability == Capability::Small);
    small.map_or(&body.rounds_max, |small| &small.rounds_max)
}

/// What is asked when a loop ends, for models of that kind.
pub(super) fn warnings(body: &LoopNode, capability: Capability) -> Option<&String> {
    let small = body.small.as_ref().filter(|_| capability == Capability::Small);
    small.map_or(body.warnings.as_ref(), |small| small.warnings.as_ref())
}

struct Builder<'d, 'i> {
    doc: &'d FlowDoc,
    capability: Capability,
    index: BTreeMap<&'d str, usize>,
    issues: &'i mut Vec<FlowIssue>,
}

impl Builder<'_, '_> {
    fn issue(&mut self, path: impl Into<String>, message: impl Into<String>, hint: impl Into<String>) {
        self.issues.push(FlowIssue::new(path, message, hint));
    }

    fn node(&mut self, at: usize, node: &NodeDoc) -> Node {
        let path = format!("nodes[{at}]");
        let work = match node {
            NodeDoc::Map(map) => self.map(map, &path),
            NodeDoc::Loop(body) => Work::Thread(self.thread(body, &path)),
            NodeDoc::Agent(agent) => Work::Thread(self.single(agent, &agent.id, &path)),
            NodeDoc::Condition(condition) => Work::Thread(one_task(&condition.id, TaskKind::Condition, FREE_ATTEMPTS)),
            NodeDoc::Join(join) => Work::Thread(one_task(&join.id, TaskKind::Join, FREE_ATTEMPTS)),
            NodeDoc::Review(review) => Work::Thread(self.review(review, &path)),
        };
        let join = if let NodeDoc::Join(join) = node { join.mode.unwrap_or_default() } else { Join::default() };
        let needs = self.needs(at, node.needs());
        Node { id: node.id().to_owned(), needs, join, branches: Vec::new(), work }
    }

    fn needs(&mut self, at: usize, needs: &[String]) -> Vec<usize> {
        let mut found = Vec::new();
        for (position, need) in needs.iter().enumerate() {
            let path = format!("nodes[{at}].needs[{position}]");
            if let Some(index) = self.lookup(need, &path)
                && !found.contains(&index)
            {
                found.push(index);
            }
        }
        found
    }

    fn lookup(&mut self, id: &str, path: &str) -> Option<usize> {
        let found = self.index.get(id).copied();
        if found.is_none() {
            let owner = self.doc.nodes.iter().find(|node| body_of(node).iter().any(|inner| inner.id() == id));
            let names: Vec<&str> = self.index.keys().copied().collect();
            let hint = match (owner, nearest(id, &names)) {
                (Some(owner), _) => format!("it is inside of {:?}: name that", owner.id()),
                (None, Some(near)) => format!("did you mean {near:?}?"),
                (None, None) => "name a node of this flow".to_owned(),
            };
            self.issue(path, format!("there is no node {id:?}"), hint);
        }
        found
    }

    /// Conditions' branches: who stands in `then` or `else` needs the condition.
    fn branches(&mut self, nodes: &mut [Node]) {
        let doc = self.doc;
        for (at, node) in doc.nodes.iter().enumerate() {
            let NodeDoc::Condition(condition) = node else { continue };
            for (name, ids, when) in [("then", &condition.then, true), ("else", &condition.otherwise, false)] {
                for (position, id) in ids.iter().enumerate() {
                    let path = format!("nodes[{at}].{name}[{position}]");
                    let Some(target) = self.lookup(id, &path) else { continue };
                    let branch = Branch { node: at, when };
                    if nodes[target].branches.iter().any(|other| other.node == at && other.when != when) {
                        let hint = "name it in one of them, or in needs of both";
                        self.issue(path, format!("{id:?} is in then and in else"), hint);
                    } else if !nodes[target].branches.contains(&branch) {
                        nodes[target].branches.push(branch);
                    }
                    if !nodes[target].needs.contains(&at) {
                        nodes[target].needs.push(at);
                    }
                }
            }
        }
    }

    fn map(&mut self, map: &MapNode, path: &str) -> Work {
        let body = format!("{path}.node");
        let thread = match &*map.node {
            NodeDoc::Agent(agent) => {
                if !agent.id.is_empty() && agent.id != map.id {
                    self.issue(
                        format!("{body}.id"),
                        "items are named after the map",
                        format!("remove it or write {}", map.id),
                    );
                }
                self.no_needs(&agent.needs, &body);
                self.single(agent, &map.id, &body)
            }
            NodeDoc::Loop(inner) => {
                if !inner.id.is_empty() {
                    self.issue(format!("{body}.id"), "a loop in a map has no id", "remove it");
                }
                self.no_needs(&inner.needs, &body);
                self.no_reviews(inner, &body);
                self.thread(inner, &body)
            }
            other => {
                let message = format!("a map's body can't be a {} yet", other.kind());
                self.issue(&body, message, "an agent or a loop; put other work into nodes before or after the map");
                one_task(&map.id, TaskKind::Agent, ATTEMPTS)
            }
        };
        let concurrency = map.concurrency.unwrap_or(CONCURRENCY);
        self.in_range(concurrency, LANES_MAX, &format!("{path}.concurrency"));
        let attempts_max = self.attempts(map.attempts, &format!("{path}.attempts"));
        let on_error = map.on_error.unwrap_or_default();
        Work::Map(Map { thread, concurrency, ordered: map.after.is_some(), attempts_max, on_error })
    }

    fn thread(&mut self, body: &LoopNode, path: &str) -> Thread {
        if body.nodes.is_empty() || body.nodes.len() > THREAD_TASKS_MAX {
            let message = format!("a loop has 1 to {THREAD_TASKS_MAX} nodes, this one has {}", body.nodes.len());
            self.issue(format!("{path}.nodes"), message, "join tasks that belong together");
        }
        let mut tasks = Vec::new();
        for (index, node) in body.nodes.iter().enumerate() {
            let path = format!("{path}.nodes[{index}]");
            self.no_needs(node.needs(), &path);
            match node {
                NodeDoc::Agent(agent) => tasks.extend(self.single(agent, &agent.id, &path).tasks),
                NodeDoc::Condition(it) => tasks.extend(one_task(&it.id, TaskKind::Condition, FREE_ATTEMPTS).tasks),
                NodeDoc::Review(review) => tasks.extend(self.review(review, &path).tasks),
                other => {
                    let message = format!("a {} inside of a loop isn't available yet", other.kind());
                    self.issue(
                        path,
                        message,
                        "agents, conditions and reviews; put other work into nodes before or after",
                    );
                }
            }
        }
        let rounds_max = self.rounds_max(body, path);
        Thread { tasks, rounds_max, looped: true, on_bound: body.on_bound.unwrap_or_default() }
    }

    fn review(&mut self, review: &ReviewNode, path: &str) -> Thread {
        let terms = super::review::terms(review, path, self.issues);
        one_task(&review.id, TaskKind::Review(terms), FREE_ATTEMPTS)
    }

    fn no_reviews(&mut self, body: &LoopNode, path: &str) {
        let reviews = body.nodes.iter().enumerate().filter(|(_, node)| matches!(node, NodeDoc::Review(_)));
        for (index, _) in reviews {
            let hint = "review the list before the map, or what came of it after";
            self.issue(format!("{path}.nodes[{index}]"), "a review inside of a map isn't available yet", hint);
        }
    }

    fn rounds_max(&mut self, body: &LoopNode, path: &str) -> u32 {
        match rounds(body, self.capability) {
            RoundsDoc::Number(rounds) => {
                self.in_range(*rounds, ROUNDS_MAX, &format!("{path}.rounds_max"));
                *rounds
            }
            RoundsDoc::Expression(_) => ROUNDS,
        }
    }

    fn single(&mut self, agent: &AgentNode, id: &str, path: &str) -> Thread {
        let small = agent.task.small.as_ref().filter(|_| self.capability == Capability::Small);
        let attempts = small.and_then(|small| small.attempts).or(agent.attempts);
        let attempts_max = self.attempts(attempts, &format!("{path}.attempts"));
        one_task(id, TaskKind::Agent, attempts_max)
    }

    fn attempts(&mut self, attempts: Option<u32>, path: &str) -> u32 {
        let attempts = attempts.unwrap_or(ATTEMPTS);
        self.in_range(attempts, ATTEMPTS_MAX, path);
        attempts
    }

    fn in_range(&mut self, number: u32, max: u32, path: &str) {
        if !(1..=max).contains(&number) {
            self.issue(path, format!("{number} is out of range"), format!("1 to {max}"));
        }
    }

    fn no_needs(&mut self, needs: &[String], path: &str) {
        if !needs.is_empty() {
            self.issue(
                format!("{path}.needs"),
                "nodes inside of a loop or map need nothing of their own",
                "put needs on the outer node",
            );
        }
    }
}

fn one_task(id: &str, kind: TaskKind, attempts_max: u32) -> Thread {
    let task = Task { id: id.to_owned(), kind, attempts_max };
    Thread { tasks: vec![task], rounds_max: 1, looped: false, on_bound: OnBound::default() }
}

fn body_of(node: &NodeDoc) -> &[NodeDoc] {
    match node {
        NodeDoc::Loop(body) => &body.nodes,
        NodeDoc::Map(map) => body_of(&map.node),
        NodeDoc::Agent(_) | NodeDoc::Condition(_) | NodeDoc::Join(_) | NodeDoc::Review(_) => &[],
    }
}

/// Reports one cycle by the names along it.
pub(super) fn check_cycles(graph: &Graph, order: &[usize], issues: &mut Vec<FlowIssue>) {
    if order.len() == graph.nodes.len() {
        return;
    }
    let ordered: BTreeSet<usize> = order.iter().copied().collect();
    let is_stuck = |node: &usize| !ordered.contains(node);
    let Some(mut at) = (0..graph.nodes.len()).find(is_stuck) else { return };
    let mut trail = Vec::new();
    // Each stuck node needs a stuck one: walking back along needs ends on a cycle.
    while !trail.contains(&at) {
        trail.push(at);
        match graph.nodes[at].needs.iter().copied().find(is_stuck) {
            Some(need) => at = need,
            None => break,
        }
    }
    let start = trail.iter().position(|&node| node == at).unwrap_or(0);
    let mut names: Vec<&str> = trail[start..].iter().rev().map(|&node| graph.nodes[node].id.as_str()).collect();
    names.insert(0, &graph.nodes[trail[start]].id);
    let path = format!("nodes[{}].needs", trail[start]);
    issues.push(FlowIssue::new(
        path,
        format!("nodes wait for each other: {}", names.join(" -> ")),
        "use a loop for rounds",
    ));
}

/// Reports nodes that no outcome of the conditions lets run.
pub(super) fn check_reach(graph: &Graph, order: &[usize], issues: &mut Vec<FlowIssue>) {
    let mut demands: Vec<BTreeSet<(usize, bool)>> = vec![BTreeSet::new(); graph.nodes.len()];
    for &index in order {
        let node = &graph.nodes[index];
        // A node is skipped when all its needs are: what all of them demand, it demands.
        let mut shared = node.needs.iter().map(|&need| demands[need].clone());
        let mut own = shared.next().unwrap_or_default();
        for other in shared {
            own.retain(|demand| other.contains(demand));
        }
        for branch in &node.branches {
            own.insert((branch.node, branch.when));
            own.extend(demands[branch.node].iter().copied());
        }
        if let Some((condition, _)) = own.iter().find(|(node, when)| own.contains(&(*node, !when))) {
            let name = &graph.nodes[*condition].id;
            let message = format!("{:?} can never run: {name:?} would have to be true and false", node.id);
            issues.push(FlowIssue::new(
                format!("nodes[{index}]"),
                message,
                "let a join with mode any bring branches together",
            ));
        }
        demands[index] = own;
    }
}
