//! What others know: the model server, and the data folder while nobody holds it.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::sync::Arc;

use convoke::resources;
use convoke::stack::{Stack, StackOptions};
use convoke_app::platform::{Limits, Platform};
use convoke_app::ports::StepRecord;
use convoke_domain::group::Group;
use convoke_domain::ids::{GroupId, JobKey, StepId};

use super::step_of;
use crate::engine::meter::{Meter, OneModel};
use crate::scripted::ScriptedServer;

/// How often each step was asked for.
#[derive(Clone, Debug, Default)]
pub struct Calls(pub BTreeMap<String, usize>);

impl Calls {
    pub(super) fn of(server: &ScriptedServer) -> Self {
        let mut calls = BTreeMap::new();
        for recorded in server.requests() {
            *calls.entry(step_of(&recorded.request)).or_default() += 1;
        }
        Self(calls)
    }

    pub(super) fn sum(&self) -> usize {
        self.0.values().sum()
    }
}

/// What stands in the data folder, over all jobs.
#[derive(Clone, Debug, Default)]
pub struct Books {
    /// Steps whose answer is kept, as the model server knows them.
    pub journaled: BTreeSet<String>,
    /// Tokens that claims reserve.
    pub held_tokens: u64,
    /// Tokens that are settled.
    pub spent_tokens: u64,
    /// Tokens that are left.
    pub left_tokens: u64,
}

impl Books {
    /// Reads the folder; nobody else may hold it.
    pub(super) async fn read(folder: &Path) -> Self {
        let stack = Stack::start(StackOptions::new(folder)).await.expect("nobody holds the folder");
        let platform = platform(&stack).await;
        let mut books = Self::default();
        for key in jobs(&platform).await {
            books.add(&platform, &key).await;
        }
        stack.shutdown().await;
        books
    }

    async fn add(&mut self, platform: &Platform, key: &JobKey) {
        let (_, root) = platform.ports.jobs.job(key).await.expect("read").expect("a job");
        let flow = platform.job_flow(key).await.expect("read").expect("a flow");
        let name = flow.input["name"].as_str().expect("a name").to_owned();
        let open: Vec<GroupId> = root.root().expect("a root").groups.keys().copied().collect();
        let fans = platform.ports.groups.load_groups(key, &open).await.expect("read");
        self.left_tokens += positive(root.left.tokens);
        for group in fans.values().chain([&root]) {
            self.held_tokens += Group::held(group).tokens;
            self.spent_tokens += group.spent.tokens;
        }
        let results = results(platform, key).await;
        self.journaled.extend(results.iter().map(|record| format!("{name}/{}", record.step)));
    }
}

fn positive(tokens: i64) -> u64 {
    u64::try_from(tokens).expect("never overdrawn")
}

async fn platform(stack: &Stack) -> Platform {
    let clients = stack.clients();
    let stores = resources::ensure(&clients).await.expect("resources");
    let ours = convoke_runtime::Clients { dynamodb: clients.dynamodb, sqs: clients.sqs, s3: clients.s3 };
    let models = Arc::new(OneModel(Arc::new(Meter::default())));
    convoke_runtime::platform(ours, &stores, models, (Limits::default(), convoke_tools::compiler()))
}

async fn jobs(platform: &Platform) -> Vec<JobKey> {
    let tenant = "local".parse().expect("valid");
    let asked = |cursor| convoke_app::read::JobsAsked { cursor, limit: Some(100), ..Default::default() };
    let (mut keys, mut cursor) = (Vec::new(), None);
    loop {
        let page = platform.jobs(&tenant, &asked(cursor)).await.expect("listed");
        keys.extend(page.jobs.into_iter().map(|job| JobKey { tenant: tenant.clone(), job: job.id }));
        cursor = page.next_cursor;
        if cursor.is_none() {
            return keys;
        }
    }
}

async fn results(platform: &Platform, key: &JobKey) -> Vec<StepRecord> {
    let (mut all, mut after): (Vec<StepRecord>, Option<StepId>) = (Vec::new(), None);
    loop {
        let page = platform.ports.steps.results(key, None, after.as_ref(), 100).await.expect("read");
        let last = page.len() < 100;
        after = page.last().map(|record| record.step.clone());
        all.extend(page);
        if last {
            return all;
        }
    }
}
