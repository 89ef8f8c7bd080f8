//! A compiled flow as the engine's [`Script`]: which results to load for a step, and what the flow makes of them.

use std::collections::BTreeMap;
use std::error::Error;
use std::sync::Arc;

use bytes::Bytes;
use convoke_domain::graph::Graph;
use convoke_domain::path::ArtifactPath;
use convoke_domain::status::StopReason;
use serde_json::{Map, Value};

use super::accept::{self, accept, repair};
use super::evaluate::{
    ListError, TaskError, evaluate_condition, evaluate_join, evaluate_over, evaluate_until, evaluate_warnings,
    write_scope,
};
use super::finding::{feedback, summary};
use super::inputs::{self, conflicts};
use super::prompt::{answer_path, prompt};
use super::question::question;
use super::spec::{Capability, CompiledFlow, MapSpec, Read, ReadKind, TaskSpec};
use super::tools::{NewFile, Scope};
use super::{compile, from_value};
use crate::model::ModelProfile;
use crate::platform::Compile;
use crate::ports::FileRef;
use crate::script::{self, Ask, Broken, Inputs, ItemList, Known, Question, ReadScope, Rejected, Script, Toolbox};

/// Opens the tools of a step; implemented where the tools are.
pub trait ToolKit: Send + Sync {
    /// Tools over the files that the step may read, by path, writing within `scope`. Those of `own` the step wrote in an
    /// earlier round: they count as written, so that a round that mends one file keeps the others.
    fn open(&self, visible: BTreeMap<String, Bytes>, own: &[String], scope: Scope) -> Box<dyn Toolbox>;
}

/// Compiles stored jobs' flows into scripts whose tools are `kit`'s.
pub fn job_compiler(kit: Arc<dyn ToolKit>) -> Compile {
    Arc::new(move |document, input, capable| {
        let capability = if capable { Capability::Capable } else { Capability::Small };
        let script = JobScript::compile(document, input, capability, Arc::clone(&kit))?;
        Ok(Box::new(script) as Box<dyn Script>)
    })
}

/// A job's flow, compiled with its input.
pub struct JobScript {
    flow: CompiledFlow,
    kit: Arc<dyn ToolKit>,
}

impl JobScript {
    /// Compiles a stored document for a (validated) input. The error is the author's, and final.
    pub fn compile(
        document: &Value,
        input: &Value,
        capability: Capability,
        kit: Arc<dyn ToolKit>,
    ) -> Result<Self, String> {
        let compiled =
            from_value(document).and_then(|doc| compile(&doc, capability)).and_then(|flow| flow.for_input(input));
        let joined = |issues: Vec<_>| issues.iter().map(ToString::to_string).collect::<Vec<_>>().join("; ");
        Ok(Self { flow: compiled.map_err(|issues: Vec<convoke_api::flow::FlowIssue>| joined(issues))?, kit })
    }

    /// The flow.
    pub const fn flow(&self) -> &CompiledFlow {
        &self.flow
    }

    fn task(&self, task: &str) -> Result<&TaskSpec, Broken> {
        self.flow.task(task).ok_or_else(|| broken(&TaskError::Missing(format!("task {task}"))))
    }

    fn map_of(&self, task: &str) -> Option<(usize, &MapSpec)> {
        let node = self.flow.graph.index_of(task)?;
        Some((node, self.flow.map(node)?))
    }

    /// What the flow's rules see of what the engine loaded for `reads`.
    fn inputs(&self, reads: &[Read], loaded: &Inputs) -> inputs::Inputs {
        let mut seen = inputs::Inputs {
            input: Arc::clone(&loaded.input),
            item: loaded.item.clone(),
            round: loaded.round,
            job_id: loaded.job.clone(),
            model: loaded.model.clone(),
            base: loaded.base.clone(),
            ..inputs::Inputs::default()
        };
        if self.flow.capability == Capability::Small {
            let text = |bytes: &Bytes| String::from_utf8_lossy(bytes).into_owned();
            seen.texts = loaded.contents.iter().map(|(path, bytes)| (path.clone(), text(bytes))).collect();
        }
        for read in reads {
            match read.kind {
                ReadKind::Map => self.map_into(read, loaded, &mut seen),
                ReadKind::After => {
                    let awaited = loaded.awaited.get(&read.task).into_iter().flatten();
                    seen.after_files.extend(awaited.flat_map(|known| known.files.clone()));
                }
                ReadKind::Thread | ReadKind::SameLoop | ReadKind::SameItem => {
                    if let Some(known) = loaded.known.get(&read.task).and_then(|known| known.last()) {
                        seen.outputs.insert(read.task.clone(), known.output.clone());
                        seen.files.insert(read.task.clone(), known.files.clone());
                    }
                }
            }
        }
        seen
    }

    /// Items in order; one that is missing between others is null.
    fn map_into(&self, read: &Read, loaded: &Inputs, seen: &mut inputs::Inputs) {
        let thread = self.flow.graph.nodes[read.node].thread();
        let known = |task: &str| loaded.known.get(task).map(Vec::as_slice).unwrap_or_default();
        let mut outputs = Vec::new();
        for task in &thread.tasks {
            for (position, Known { item, output, .. }) in known(&task.id).iter().enumerate() {
                let index = item.map_or(position, |item| item as usize);
                if outputs.len() <= index {
                    outputs.resize(index + 1, Value::Null);
                }
                if !thread.looped {
                    outputs[index] = output.clone();
                } else if !output.is_null() {
                    if outputs[index].is_null() {
                        outputs[index] = Value::Object(Map::new());
                    }
                    outputs[index][&task.id] = output.clone();
                }
            }
        }
        let files = thread.tasks.iter().flat_map(|task| known(&task.id)).flat_map(|known| known.files.clone());
        seen.files.insert(read.task.clone(), files.collect());
        let omitted = thread.tasks.iter().filter_map(|task| loaded.omitted.get(&task.id)).max();
        seen.omitted.insert(read.task.clone(), omitted.copied().unwrap_or(0));
        seen.outputs.insert(read.task.clone(), Value::Array(outputs));
    }

    fn task_inputs(&self, spec: &TaskSpec, loaded: &Inputs) -> inputs::Inputs {
        let mut seen = self.inputs(&self.all_reads(spec), loaded);
        if spec.reads_conflicts {
            for read in spec.reads.iter().filter(|read| read.kind == ReadKind::Map) {
                let needs = evaluate_over(&self.flow, read.node, &seen).ok().and_then(|items| items.needs);
                let files = self.files_by_item(read, loaded);
                seen.conflicts.extend(conflicts(&files, &needs.unwrap_or_default()));
            }
        }
        seen
    }

    fn files_by_item(&self, read: &Read, loaded: &Inputs) -> Vec<(u32, FileRef)> {
        let tasks = &self.flow.graph.nodes[read.node].thread().tasks;
        let known = tasks.iter().filter_map(|task| loaded.known.get(&task.id)).flatten();
        let files = known.flat_map(|known| known.files.iter().map(|file| (known.item.unwrap_or(0), file.clone())));
        files.collect()
    }

    /// What the task's step of the round before wrote with tools; the file that its answer became isn't among that, nor is
    /// the one that this round's answer becomes.
    fn own_files(&self, spec: &TaskSpec, loaded: &Inputs, mut inputs: inputs::Inputs) -> Vec<String> {
        if self.flow.capability == Capability::Small || loaded.round < 2 {
            return Vec::new();
        }
        let answers = [loaded.round - 1, loaded.round].map(|round| {
            inputs.round = round;
            answer_path(spec, &inputs)
        });
        let known = loaded.known.get(&spec.id).and_then(|known| known.last());
        let files = known.map(|known| known.files.as_slice()).unwrap_or_default();
        let paths = files.iter().map(|file| file.path.clone());
        paths
            .filter(|path| !answers.iter().flatten().any(|answer| answer.as_str().eq_ignore_ascii_case(path)))
            .collect()
    }

    /// The task's own reads, those of the loop that may end after it, and those that tell in what order the items stood
    /// whose conflicts it looks at.
    fn all_reads(&self, spec: &TaskSpec) -> Vec<Read> {
        let mut reads = spec.reads.clone();
        if let Some(ends) = self.flow.loop_of(spec.node).filter(|ends| ends.until_after == spec.id) {
            reads.extend(ends.reads.iter().cloned());
        }
        if spec.reads_conflicts {
            let maps = spec.reads.iter().filter(|read| read.kind == ReadKind::Map);
            let lists = maps.filter_map(|read| self.flow.map(read.node));
            reads.extend(lists.flat_map(|map| map.reads.iter().cloned()));
        }
        reads.sort();
        reads.dedup();
        reads
    }

    /// A read as the engine loads it: a map's results are those of each of its tasks.
    fn loads(&self, read: &Read) -> Vec<(String, ReadScope)> {
        let one = |scope| vec![(read.task.clone(), scope)];
        match read.kind {
            ReadKind::Thread => one(ReadScope::Node(read.node)),
            ReadKind::SameLoop | ReadKind::SameItem => one(ReadScope::Thread),
            ReadKind::After => one(ReadScope::Awaited),
            ReadKind::Map => {
                let tasks = self.flow.graph.nodes[read.node].thread().tasks.iter();
                tasks.map(|task| (task.id.clone(), ReadScope::Map(read.node))).collect()
            }
        }
    }
}

impl Script for JobScript {
    fn graph(&self) -> &Graph {
        &self.flow.graph
    }

    fn reads(&self, task: &str) -> Vec<script::Read> {
        let mut loads: BTreeMap<(String, ReadScope), bool> = BTreeMap::new();
        if let Some(spec) = self.flow.task(task) {
            for read in self.all_reads(spec) {
                for load in self.loads(&read) {
                    *loads.entry(load).or_default() |= spec.files.contains(&read);
                }
            }
        }
        if let Some((_, map)) = self.map_of(task) {
            for load in map.reads.iter().flat_map(|read| self.loads(read)) {
                loads.entry(load).or_default();
            }
        }
        let reads = loads.into_iter().map(|((task, scope), with_files)| script::Read { task, scope, with_files });
        reads.collect()
    }

    fn model(&self, task: &str) -> Option<&str> {
        self.flow.task(task).and_then(TaskSpec::model)
    }

    fn ask(&self, task: &str, loaded: &Inputs, profile: &ModelProfile) -> Result<Ask, Broken> {
        let spec = self.task(task)?;
        let inputs = self.task_inputs(spec, loaded);
        let asked = prompt(&self.flow, spec, &inputs, profile).map_err(|error| broken(&error))?;
        Ok(Ask {
            messages: asked.messages,
            schema: asked.schema,
            tools: asked.tools,
            output_tokens_max: asked.output_tokens_max,
            temperature: asked.temperature,
        })
    }

    fn toolbox(&self, task: &str, loaded: &Inputs) -> Box<dyn Toolbox> {
        let Ok(spec) = self.task(task) else { return self.kit.open(BTreeMap::new(), &[], Scope::Nowhere) };
        let inputs = self.task_inputs(spec, loaded);
        // A scope that can't be made has failed the step when it was asked.
        let scope = write_scope(spec, &inputs).unwrap_or(Scope::Nowhere);
        let mut visible = loaded.contents.clone();
        for conflict in &inputs.conflicts {
            let versions = conflict.steps.iter().filter_map(|step| {
                let content = loaded.versions.get(&(conflict.path.clone(), step.clone()))?;
                Some((version_name(&conflict.path, step), content.clone()))
            });
            visible.extend(versions);
        }
        let own = if scope == Scope::Nowhere { Vec::new() } else { self.own_files(spec, loaded, inputs) };
        self.kit.open(visible, &own, scope)
    }

    fn accept(
        &self,
        task: &str,
        loaded: &Inputs,
        (text, toolbox): (&str, &dyn Toolbox),
    ) -> Result<script::Accepted, Rejected> {
        let spec = self.task(task).map_err(|broken| Rejected {
            feedback: broken.cause.clone(),
            reason: broken.cause,
            repaired: None,
        })?;
        let inputs = self.task_inputs(spec, loaded);
        let written: Vec<NewFile> = toolbox.written().into_iter().filter_map(written).collect();
        let findings = match accept(&self.flow, spec, &inputs, text, &written) {
            Ok(accepted) => return Ok(accepted.into()),
            Err(findings) => findings,
        };
        let reason = summary(&findings);
        tracing::debug!(task, reason, "an answer is sent back");
        let repaired = repair(&self.flow, spec, &inputs, text, &written).map(|accepted| Box::new(accepted.into()));
        Err(Rejected { feedback: feedback(&findings), reason, repaired })
    }

    fn until(&self, task: &str, loaded: &Inputs) -> Result<Option<bool>, Broken> {
        let spec = self.task(task)?;
        match self.flow.loop_of(spec.node) {
            Some(ends) if ends.until_after == task => {
                let inputs = self.inputs(&self.all_reads(spec), loaded);
                evaluate_until(&self.flow, spec.node, &inputs).map(Some).map_err(|error| broken(&error))
            }
            _ => Ok(None),
        }
    }

    fn warnings(&self, task: &str, loaded: &Inputs) -> Result<Vec<String>, Broken> {
        let spec = self.task(task)?;
        let inputs = self.inputs(&self.all_reads(spec), loaded);
        evaluate_warnings(&self.flow, spec.node, &inputs).map_err(|error| broken(&error))
    }

    fn condition(&self, task: &str, loaded: &Inputs) -> Result<bool, Broken> {
        let spec = self.task(task)?;
        evaluate_condition(spec, &self.inputs(&spec.reads, loaded)).map_err(|error| broken(&error))
    }

    fn join(&self, task: &str, loaded: &Inputs) -> Value {
        let spec = self.flow.task(task);
        spec.map_or(Value::Null, |spec| evaluate_join(spec, &self.inputs(&spec.reads, loaded)))
    }

    fn review(&self, task: &str, loaded: &Inputs) -> Result<Option<Question>, Broken> {
        let spec = self.task(task)?;
        let inputs = self.inputs(&self.all_reads(spec), loaded);
        question(spec, &inputs, &|path| loaded.contents.get(path)).map_err(|error| broken(&error))
    }

    fn list(&self, map: &str, loaded: &Inputs) -> Result<ItemList, Broken> {
        let (node, spec) = self.map_of(map).ok_or_else(|| broken(&TaskError::Missing(format!("map {map}"))))?;
        let items =
            evaluate_over(&self.flow, node, &self.inputs(&spec.reads, loaded)).map_err(|error| match error {
                ListError::Task(error) => broken(&error),
                ListError::Findings(_) => Broken { reason: StopReason::GuardrailFailed, cause: error.to_string() },
            })?;
        let keys = spec.key.is_some().then_some(items.keys);
        Ok(ItemList { items: items.items, needs: items.needs, keys })
    }
}

impl From<accept::Accepted> for script::Accepted {
    fn from(accepted: accept::Accepted) -> Self {
        let files = accepted.files.into_iter().map(|file| script::NewFile {
            path: file.path.into(),
            media_type: file.media_type.to_owned(),
            bytes: file.bytes,
        });
        Self { output: accepted.output, files: files.collect() }
    }
}

/// What a version of a path in conflict is called among the files to read.
fn version_name(path: &str, step: &str) -> String {
    format!("{path} ({step})")
}

/// Tools write safe paths alone.
fn written(file: script::NewFile) -> Option<NewFile> {
    ArtifactPath::new(file.path).ok().map(|path| NewFile::new(path, file.bytes))
}

fn broken(error: &TaskError) -> Broken {
    let reason = match error {
        TaskError::ContextTooSmall { .. } => StopReason::ModelUnavailable,
        TaskError::Missing(_) => StopReason::Internal,
        TaskError::Template { .. }
        | TaskError::Expression { .. }
        | TaskError::Type { .. }
        | TaskError::Path { .. }
        | TaskError::OwnFile { .. } => StopReason::InvalidDefinition,
    };
    let source = error.source().map(|source| format!(": {source}")).unwrap_or_default();
    Broken { reason, cause: format!("{error}{source}") }
}
