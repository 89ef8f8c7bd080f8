//! What bells are about, loaded together.

use std::collections::BTreeMap;
use std::sync::Arc;

use convoke_domain::graph::Work as NodeWork;
use convoke_domain::group::Group;
use convoke_domain::ids::{GroupId, SlotId, StepId};

use super::{JobFlow, WorkError};
use crate::platform::Platform;
use crate::ports::{Bell, Definition, Reads, StepRecord};
use crate::script::ReadScope;

/// Results that are loaded on the chance that a step reads them; one that reads more loads them itself.
const RESULTS_MAX: usize = 8;

/// What a bell is about, as it was when it was loaded. It may be old by the time that it is used: claims are conditional,
/// and all else here never changes.
#[derive(Default)]
pub struct Opened {
    /// From this process's cache.
    pub(super) flow: Option<Arc<JobFlow>>,
    /// Where it wasn't there.
    pub(super) definition: Option<Definition>,
    /// The group, if there is one.
    pub(super) group: Option<Group>,
    /// Results that the slot's first step reads, as far as they exist.
    pub(super) results: BTreeMap<StepId, StepRecord>,
}

impl Platform {
    /// Loads what these bells are about, in one request for up to ten; answers in their order.
    ///
    /// Changes nothing. Fails as a whole, also where one of the items can't be read: then each bell may be opened alone.
    pub async fn open(&self, bells: &[Bell]) -> Result<Vec<Opened>, WorkError> {
        let flows: Vec<Option<Arc<JobFlow>>> = bells.iter().map(|bell| self.cache.get(&bell.key)).collect();
        let wanted: Vec<_> =
            bells.iter().zip(&flows).map(|(bell, flow)| (bell.key.clone(), reads(bell, flow.as_deref()))).collect();
        let fetched = self.ports.steps.fetch_all(&wanted).await?;
        let opened = fetched.into_iter().zip(flows).map(|(fetched, flow)| Opened {
            flow,
            definition: fetched.definition,
            group: fetched.group,
            results: fetched.results,
        });
        Ok(opened.collect())
    }
}

fn reads(bell: &Bell, flow: Option<&JobFlow>) -> Reads {
    let Some(slot) = bell.slot else { return Reads::default() };
    Reads {
        group: Some(bell.group),
        definition: flow.is_none(),
        results: flow.map(|flow| needed(flow, bell.group, slot)).unwrap_or_default(),
        ..Reads::default()
    }
}

/// What the first step in a slot reads, as far as that doesn't depend on the job's state: a loop's last round does.
fn needed(flow: &JobFlow, group: GroupId, slot: SlotId) -> Vec<StepId> {
    let nodes = &flow.graph().nodes;
    let index = match group {
        GroupId::Root => slot.index(),
        GroupId::Fan { node, .. } => usize::from(node),
    };
    let Some(node) = nodes.get(index) else { return Vec::new() };
    let first = match (&node.work, group) {
        (NodeWork::Map(_), GroupId::Root) => Some(&node.id),
        (NodeWork::Map(_) | NodeWork::Thread(_), _) => node.thread().tasks.first().map(|task| &task.id),
    };
    let Some(first) = first else { return Vec::new() };
    let reads = flow.script.reads(first);
    let results = reads.iter().filter_map(|read| match read.scope {
        ReadScope::Node(node) if !nodes[node].thread().looped => Some(StepId::once(read.task.clone())),
        ReadScope::Node(_) | ReadScope::Map(_) | ReadScope::Thread | ReadScope::Awaited => None,
    });
    let results: Vec<StepId> = results.collect();
    if results.len() <= RESULTS_MAX { results } else { Vec::new() }
}
