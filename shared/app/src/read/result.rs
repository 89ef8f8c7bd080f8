//! What came of a job.

use std::collections::BTreeMap;

use convoke_api::job::{Links, ResultView};
use convoke_domain::graph::{Graph, Node, Standing, Task, Work};
use convoke_domain::group::Group;
use convoke_domain::ids::{JobKey, SlotId, StepId};
use convoke_domain::status::StopReason;
use serde_json::Value;

use crate::failure::{Failure, Refused};
use crate::platform::Platform;
use crate::ports::{Payload, Reads, StepRecord};
use crate::work::{WorkError, load_value};

/// Largest output that the result shows, in bytes.
const OUTPUT_BYTES_MAX: u64 = 256 * 1024;
/// Outputs of all nodes together.
const OUTPUTS_BYTES_MAX: u64 = 1024 * 1024;
/// Results that one load brings.
const LOAD_MAX: usize = 100;

impl Platform {
    /// What came of a job that has ended; [`Refused::JobNotEnded`] before.
    pub async fn result(&self, key: &JobKey) -> Result<ResultView, Failure> {
        let (_, root) = self.known_job(key).await?;
        let status = root.root().map(|job| job.status).filter(|status| status.is_terminal());
        let Some(status) = status else {
            let status = root.root().map_or(convoke_domain::status::JobStatus::Queued, |job| job.status);
            return Err(Refused::JobNotEnded { status }.into());
        };
        let flow = self.job_outline(key).await?.ok_or_else(|| WorkError::Corrupt {
            job: key.to_string(),
            detail: "its definition is missing".to_owned(),
        })?;
        let manifest = self.manifest(key, &root).await?.unwrap_or_default();
        let (outputs, omitted) = self.outputs(key, &flow.graph, &root).await?;
        let ending = root.ending.as_ref();
        Ok(ResultView {
            id: key.job.clone(),
            status,
            stop_reason: ending.map_or(StopReason::Internal, |ending| ending.reason),
            cause: ending.map(|ending| ending.cause.clone()).filter(|cause| !cause.is_empty()),
            warnings: manifest.warnings,
            cost: root.spent.into(),
            outputs,
            omitted,
            artifacts: u32::try_from(manifest.files.len()).unwrap_or(u32::MAX),
            changes: manifest.changes,
            links: Links::of(&key.job),
        })
    }

    /// Outputs of the nodes that nothing follows, and the names of those that are too large or many.
    async fn outputs(
        &self,
        key: &JobKey,
        graph: &Graph,
        root: &Group,
    ) -> Result<(BTreeMap<String, Value>, Vec<String>), Failure> {
        let (mut outputs, mut omitted) = (BTreeMap::new(), Vec::new());
        let mut wanted: Vec<(String, StepId)> = Vec::new();
        for (index, node) in ends(graph, root) {
            let steps = last_steps(root, index, node);
            if steps.is_empty() {
                omitted.push(node.id.clone());
            }
            wanted.extend(steps.into_iter().map(|step| (node.id.clone(), step)));
        }
        let mut left = OUTPUTS_BYTES_MAX;
        for chunk in wanted.chunks(LOAD_MAX) {
            let results = chunk.iter().map(|(_, step)| step.clone()).collect();
            let mut found = self.ports.steps.fetch(key, &Reads { results, ..Reads::default() }).await?.results;
            for (node, step) in chunk {
                if outputs.contains_key(node) || omitted.contains(node) {
                    continue;
                }
                let Some(record) = found.remove(step) else { continue };
                let bytes = size(&record);
                if bytes > OUTPUT_BYTES_MAX.min(left) {
                    omitted.push(node.clone());
                    continue;
                }
                left -= bytes;
                outputs.insert(node.clone(), load_value(&*self.ports.blobs, key, &record.output).await?);
            }
        }
        Ok((outputs, omitted))
    }
}

fn size(record: &StepRecord) -> u64 {
    match &record.output {
        Payload::Inline(value) => value.to_string().len() as u64,
        Payload::Blob { bytes, .. } => *bytes,
    }
}

/// Nodes that have ended and that no node needs.
fn ends<'g>(graph: &'g Graph, root: &Group) -> Vec<(usize, &'g Node)> {
    let standings = graph.standings(&root.done, &root.no);
    let is_needed = |index: usize| graph.nodes.iter().any(|node| node.needs.contains(&index));
    let nodes = graph.nodes.iter().enumerate();
    nodes.filter(|(index, _)| standings[*index] == Standing::Done && !is_needed(*index)).collect()
}

/// The steps of a node's last round, the last one first: the first of them that ran has the node's output. None for a map.
fn last_steps(root: &Group, index: usize, node: &Node) -> Vec<StepId> {
    let Work::Thread(thread) = &node.work else { return Vec::new() };
    let slot = u16::try_from(index).ok().map(SlotId);
    let round = slot.and_then(|slot| root.rounds.get(&slot)).copied();
    if thread.looped && round.is_none() {
        return Vec::new();
    }
    let step = |task: &Task| StepId { task: task.id.clone(), item: None, round: round.filter(|_| thread.looped) };
    thread.tasks.iter().rev().map(step).collect()
}
