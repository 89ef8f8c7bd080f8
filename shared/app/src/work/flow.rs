//! A job's flow, loaded and compiled once per process.

use std::sync::Arc;

use convoke_domain::graph::Graph;
use convoke_domain::ids::JobKey;
use serde_json::Value;

use super::chunks::Chunks;
use super::{WorkError, load_value};
use crate::base::BaseFile;
use crate::platform::{OfJob, Platform};
use crate::ports::{Definition, Reads};
use crate::script::Script;

/// What a worker has to know of a job that never changes.
pub struct JobFlow {
    /// Which job.
    pub key: JobKey,
    /// As submitted.
    pub definition: Definition,
    /// Its input.
    pub input: Arc<Value>,
    /// Its flow, compiled with its input.
    pub script: Box<dyn Script>,
    /// The files that it goes on from.
    pub base: Vec<BaseFile>,
    /// Chunks of its maps' lists that were read lately.
    pub(super) chunks: Chunks,
}

impl JobFlow {
    /// The flow's shape.
    pub fn graph(&self) -> &Graph {
        self.script.graph()
    }
}

/// What those have to know of a job that never changes who look at it, but don't work at it.
pub struct JobOutline {
    /// Which job.
    pub key: JobKey,
    /// As submitted.
    pub definition: Definition,
    /// The flow's shape.
    pub graph: Graph,
}

impl OfJob for JobFlow {
    fn key(&self) -> &JobKey {
        &self.key
    }
}

impl OfJob for JobOutline {
    fn key(&self) -> &JobKey {
        &self.key
    }
}

impl Platform {
    /// The job's outline, from this process's cache where it is there; `None` where the tenant has no such job.
    pub async fn job_outline(&self, key: &JobKey) -> Result<Option<Arc<JobOutline>>, WorkError> {
        if let Some(outline) = self.outlines.get(key) {
            return Ok(Some(outline));
        }
        let reads = Reads { definition: true, ..Reads::default() };
        let Some(definition) = self.ports.steps.fetch(key, &reads).await?.definition else { return Ok(None) };
        let graph = match &definition.graph {
            Some(graph) => load_value(&*self.ports.blobs, key, graph).await?,
            None => self.compiled(key, definition.clone()).await?.graph().clone(),
        };
        let outline = Arc::new(JobOutline { key: key.clone(), definition, graph });
        self.outlines.put(Arc::clone(&outline));
        Ok(Some(outline))
    }

    /// The job's flow, from this process's cache where it is there; `None` where the tenant has no such job.
    pub async fn job_flow(&self, key: &JobKey) -> Result<Option<Arc<JobFlow>>, WorkError> {
        if let Some(flow) = self.cache.get(key) {
            return Ok(Some(flow));
        }
        let reads = Reads { definition: true, ..Reads::default() };
        match self.ports.steps.fetch(key, &reads).await?.definition {
            Some(definition) => self.compiled(key, definition).await.map(Some),
            None => Ok(None),
        }
    }

    /// Compiles a job's definition, and keeps it.
    pub(super) async fn compiled(&self, key: &JobKey, definition: Definition) -> Result<Arc<JobFlow>, WorkError> {
        let document: Value = load_value(&*self.ports.blobs, key, &definition.flow).await?;
        let input: Value = load_value(&*self.ports.blobs, key, &definition.input).await?;
        let script = (self.compile)(&document, &input, definition.capable)
            .map_err(|detail| WorkError::Corrupt { job: key.to_string(), detail })?;
        let base = match &definition.base {
            Some(base) => load_value(&*self.ports.blobs, key, &base.files).await?,
            None => Vec::new(),
        };
        let (input, chunks) = (Arc::new(input), Chunks::default());
        let flow = Arc::new(JobFlow { key: key.clone(), definition, input, script, base, chunks });
        self.cache.put(Arc::clone(&flow));
        Ok(flow)
    }
}
