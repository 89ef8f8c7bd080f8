//! The finish step: what was made is delivered, however the job ended; then the job is over.

use std::collections::BTreeMap;
use std::io::{Cursor, Write};

use bytes::Bytes;
use convoke_domain::decide;
use convoke_domain::graph::Work as NodeWork;
use convoke_domain::group::{Fan, Group, LANES_PER_GROUP, Order, Scope};
use convoke_domain::ids::{GroupId, StepId};
use futures_util::future::try_join_all;
use zip::CompressionMethod;
use zip::write::{SimpleFileOptions, ZipWriter};

use super::harvest::{Harvest, Harvester};
use super::report;
use super::shift::{Held, Lead, Shift};
use super::{WorkError, load_value, store_value, unexpected};
use crate::base;
use crate::ports::{Applied, FileRef, Manifest, StepRecord};
use crate::script::NewFile;

/// Results per page.
const PAGE: u32 = 200;
/// Objects that are fetched side by side.
const FETCHES: usize = 8;
/// Content of an archive; a larger job is delivered file by file.
const ARCHIVE_BYTES_MAX: u64 = 256 * 1024 * 1024;
/// The pause after which a finish that failed is tried again, at first.
const RETRY_MS: u64 = 5_000;

impl Shift<'_> {
    /// Delivers and ends the job. A finish that fails is tried again, with growing pauses, until it succeeds.
    pub async fn finish(&mut self, held: &Held) -> Result<Vec<Lead>, WorkError> {
        match self.deliver(held).await {
            Ok(()) => Ok(Vec::new()),
            Err(error) => {
                tracing::error!(error = &error as &dyn std::error::Error, "the finish failed and is tried again");
                self.retry_finish(held).await?;
                Ok(Vec::new())
            }
        }
    }

    async fn retry_finish(&self, held: &Held) -> Result<(), WorkError> {
        let pause_ms = (RETRY_MS << held.mine.attempt.min(8)).min(900_000);
        let retry = (decide::Attempt::Counts, self.now_ms() + pause_ms);
        let change =
            decide::give_back(&self.view(&held.group), held.slot, &held.mine, convoke_domain::money::Cost::ZERO, retry)
                .map_err(|refusal| unexpected(self.key(), &refusal))?;
        if let Applied::Done(_) = self.platform.ports.groups.apply(self.key(), &change).await? {
            let ring = self.ring_of((GroupId::Root, held.slot), pause_ms);
            self.platform.ports.bells.ring(&[ring]).await?;
        }
        Ok(())
    }

    async fn deliver(&mut self, held: &Held) -> Result<(), WorkError> {
        if !self.is_delivered(held).await? {
            let record = self.final_record(held).await?;
            self.platform.ports.steps.put_result(self.key(), &record).await?;
        }
        let change = decide::finish(&self.view(&held.group), &held.mine).map_err(|r| unexpected(self.key(), &r))?;
        match self.platform.ports.groups.apply(self.key(), &change).await? {
            Applied::Done(root) => {
                let reason = root.ending.as_ref().map_or("", |ending| ending.reason.as_str());
                tracing::info!(stop_reason = reason, usd = %root.spent.usd, tokens = root.spent.tokens, "job ended");
                self.tell_run().await;
                Ok(())
            }
            Applied::Conflict(_) | Applied::Missing => Ok(()),
        }
    }

    /// A job that a schedule started makes room for the next one of its batch. Where that fails, the clock does it.
    async fn tell_run(&self) {
        let Some(tick) = &self.job.definition.tick else { return };
        let looked = self.platform.look_at_run(&self.key().tenant, &tick.schedule, tick.tick_ms).await;
        if let Err(error) = looked {
            let error = &error as &dyn std::error::Error;
            tracing::warn!(schedule = tick.schedule, error, "the clock will have to look at the run");
        }
    }

    /// Whether an earlier attempt has put the manifest.
    async fn is_delivered(&self, held: &Held) -> Result<bool, WorkError> {
        Ok(held.mine.attempt > 1 && !self.platform.ports.steps.fetch(self.key(), &finished()).await?.results.is_empty())
    }

    async fn final_record(&self, held: &Held) -> Result<StepRecord, WorkError> {
        let groups = self.all_groups(&held.group).await?;
        let harvest = self.harvest(&groups).await?;
        let manifest = self.manifest(held, harvest).await?;
        let mut record = self.blank(held);
        let step = held.step.to_string();
        record.output =
            store_value(&*self.platform.ports.blobs, self.key(), (&step, held.mine.attempt, "manifest"), &manifest)
                .await?;
        Ok(record)
    }

    /// Every group of the job, closed ones, too.
    async fn all_groups(&self, root: &Group) -> Result<BTreeMap<GroupId, Group>, WorkError> {
        let maps = self.job.graph().nodes.iter().enumerate().filter(|(_, node)| matches!(node.work, NodeWork::Map(_)));
        let firsts: Vec<GroupId> = maps.filter_map(|(node, _)| Some(fan(u16::try_from(node).ok()?, 0))).collect();
        let mut groups = self.platform.ports.groups.load_groups(self.key(), &firsts).await?;
        let rest: Vec<GroupId> = groups.values().flat_map(others).collect();
        if !rest.is_empty() {
            groups.extend(self.platform.ports.groups.load_groups(self.key(), &rest).await?);
        }
        groups.insert(GroupId::Root, root.clone());
        Ok(groups)
    }

    async fn harvest(&self, groups: &BTreeMap<GroupId, Group>) -> Result<Harvest, WorkError> {
        let mut harvester = Harvester::new(self.job.graph(), groups);
        let mut after: Option<StepId> = None;
        loop {
            let page = self.platform.ports.steps.results(self.key(), None, after.as_ref(), PAGE).await?;
            let last = page.len() < PAGE as usize;
            after = page.last().map(|record| record.step.clone());
            for record in page.iter().filter(|record| decide::is_committed(self.job.graph(), groups, &record.step)) {
                harvester.take(record);
            }
            if last {
                return Ok(harvester.done());
            }
        }
    }

    async fn manifest(&self, held: &Held, harvest: Harvest) -> Result<Manifest, WorkError> {
        let Harvest { mut files, decisions, keys, lines, sums, last, steps, warnings } = harvest;
        let result: Option<serde_json::Value> = match &last {
            Some(record) => Some(load_value(&*self.platform.ports.blobs, self.key(), &record.output).await?),
            None => None,
        };
        let removed = removed(result.as_ref());
        base::carry_over(&self.job.base, &removed, &mut files);
        let changes = self.job.definition.base.is_some().then(|| base::changes(&self.job.base, &files));
        let tree = report::tree(files.keys().map(String::as_str).chain(["REPORT.md", "PROJECT_TREE.txt"]));
        let facts = report::Facts {
            root: &held.group,
            flow: &self.job,
            keys: &keys,
            lines: &lines,
            decisions: &decisions,
            sums: &sums,
            steps,
            warnings: &warnings,
            files: &files,
            result: result.as_ref(),
            changes: changes.as_ref(),
        };
        let report = report::report(&facts);
        let texts = [("PROJECT_TREE.txt", "text/plain", tree), ("REPORT.md", "text/markdown", report)];
        let mut at_hand = BTreeMap::new();
        for (path, media_type, text) in texts {
            let file = NewFile { path: path.to_owned(), media_type: media_type.to_owned(), bytes: Bytes::from(text) };
            self.add(held, &file, &mut files).await?;
            at_hand.insert(file.path, file.bytes);
        }
        let mut warnings = warnings;
        let size: u64 = files.values().map(|file| file.bytes).sum();
        if size <= ARCHIVE_BYTES_MAX {
            let bytes = self.archive(&files, &at_hand).await?;
            let file = NewFile { path: "archive.zip".to_owned(), media_type: "application/zip".to_owned(), bytes };
            self.add(held, &file, &mut files).await?;
        } else {
            warnings.push(format!("no archive was made: the files have {size} bytes, more than {ARCHIVE_BYTES_MAX}"));
        }
        Ok(Manifest { v: 1, files: files.into_values().collect(), warnings, changes })
    }

    async fn add(&self, held: &Held, file: &NewFile, files: &mut BTreeMap<String, FileRef>) -> Result<(), WorkError> {
        let step = held.step.to_string();
        let stored = self.platform.store_file(self.key(), (&step, held.mine.attempt), file).await?;
        files.insert(file.path.clone(), stored);
        Ok(())
    }

    async fn content(&self, file: &FileRef, at_hand: &BTreeMap<String, Bytes>) -> Result<Bytes, WorkError> {
        if let Some(bytes) = at_hand.get(&file.path) {
            return Ok(bytes.clone());
        }
        let stored = self.platform.ports.blobs.get(&file.key).await?;
        stored.ok_or_else(|| WorkError::Corrupt {
            job: self.key().to_string(),
            detail: format!("object {} is missing", file.key),
        })
    }

    /// All files in one; those that aren't at hand are fetched, some at a time.
    async fn archive(
        &self,
        files: &BTreeMap<String, FileRef>,
        at_hand: &BTreeMap<String, Bytes>,
    ) -> Result<Bytes, WorkError> {
        let corrupt = |detail: String| WorkError::Corrupt { job: self.key().to_string(), detail };
        let mut zip = ZipWriter::new(Cursor::new(Vec::new()));
        let options = SimpleFileOptions::default().compression_method(CompressionMethod::Deflated);
        for page in files.values().collect::<Vec<_>>().chunks(FETCHES) {
            let mut fetching = Vec::with_capacity(page.len());
            for file in page {
                fetching.push(self.content(file, at_hand));
            }
            for (file, content) in page.iter().zip(try_join_all(fetching).await?) {
                zip.start_file(file.path.as_str(), options).map_err(|error| corrupt(error.to_string()))?;
                zip.write_all(&content).map_err(|error| corrupt(error.to_string()))?;
            }
        }
        let cursor = zip.finish().map_err(|error| corrupt(error.to_string()))?;
        Ok(Bytes::from(cursor.into_inner()))
    }
}

/// The files that the last step wants away.
fn removed(result: Option<&serde_json::Value>) -> Vec<&str> {
    let paths = result.and_then(|result| result.get("removed")).and_then(serde_json::Value::as_array);
    paths.into_iter().flatten().filter_map(serde_json::Value::as_str).collect()
}

fn finished() -> crate::ports::Reads {
    crate::ports::Reads { results: vec![StepId::finish()], ..crate::ports::Reads::default() }
}

const fn fan(node: u16, part: u16) -> GroupId {
    GroupId::Fan { node, part }
}

/// The groups of the same map beside its first one.
fn others(first: &Group) -> Vec<GroupId> {
    let (GroupId::Fan { node, .. }, Scope::Fan(Fan { order: Order::Lanes { stride, .. }, .. })) =
        (first.id, &first.scope)
    else {
        return Vec::new();
    };
    (1..stride.div_ceil(LANES_PER_GROUP)).filter_map(|part| Some(fan(node, u16::try_from(part).ok()?))).collect()
}
