//! The installation that is measured.

use std::sync::Arc;

use convoke::host::{Host, HttpOptions, StreamSource};
use convoke::local::{functions, sources};
use convoke::resources;
use convoke::routes::routes;
use convoke::stack::{Stack, StackOptions};
use convoke_app::platform::Limits;
use convoke_domain::ids::{JobKey, TenantId};
use convoke_tests::workload::flows::Shape;
use convoke_tests::workload::model::{Instantly, Only};
use futures_util::stream::{self, StreamExt};
use serde_json::Value;
use tempfile::TempDir;

use crate::ends::Ends;

/// An installation with one tenant.
pub struct Rig {
    pub model: Arc<Instantly>,
    ends: Arc<Ends>,
    tenant: TenantId,
    url: String,
    key: String,
    http: reqwest::Client,
    stack: Stack,
    host: Host,
    _folder: TempDir,
}

impl Rig {
    pub async fn start() -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        let stack = Stack::start(StackOptions::new(folder.path())).await.expect("a stack");
        let clients = stack.clients();
        let stores = resources::ensure(&clients).await.expect("resources");
        let model = Arc::new(Instantly::default());
        let connected = convoke_runtime::Clients {
            dynamodb: clients.dynamodb.clone(),
            sqs: clients.sqs.clone(),
            s3: clients.s3.clone(),
        };
        let behind = (Limits::default(), convoke_tools::compiler());
        let mut platform = convoke_runtime::platform(connected, &stores, Arc::new(Only(model.clone())), behind);
        let ends = Arc::new(Ends::new(Arc::clone(&platform.ports.groups)));
        platform.ports.groups = Arc::clone(&ends) as _;
        let http = HttpOptions { port: 0, routes: routes().expect("routes") };
        let host = functions(&platform).http(http).stream(StreamSource::new(&stores.table, "notify"));
        let host = sources(host, &stores).start(&stack, &clients).await.expect("a host");
        let tenant: TenantId = "bench".parse().expect("valid");
        let made = platform.create_key(&tenant, "bench").await.expect("a key");
        Self {
            model,
            tenant,
            url: host.url().expect("it listens"),
            key: made.key.expose().to_owned(),
            http: reqwest::Client::new(),
            ends,
            stack,
            host,
            _folder: folder,
        }
    }

    /// Runs so many jobs, some of them side by side.
    pub async fn run(&self, shape: Shape, jobs: u64, side_by_side: u64) {
        let one = |_| async move {
            let key = self.submit(shape).await;
            self.wait(&key).await;
        };
        let side_by_side = usize::try_from(side_by_side).expect("few");
        stream::iter(0..jobs).map(one).buffer_unordered(side_by_side).collect::<Vec<()>>().await;
    }

    /// Submits a job over HTTP.
    pub async fn submit(&self, shape: Shape) -> JobKey {
        let request = self.http.post(format!("{}/v1/jobs", self.url)).bearer_auth(&self.key).json(&shape.submission());
        let answer = request.send().await.expect("an answer");
        assert_eq!(answer.status(), 202, "{}", answer.text().await.unwrap_or_default());
        let body: Value = answer.json().await.expect("json");
        JobKey { tenant: self.tenant.clone(), job: body["id"].as_str().expect("an id").parse().expect("a job's id") }
    }

    /// Waits until the job has completed.
    pub async fn wait(&self, key: &JobKey) {
        self.ends.wait(key).await;
    }

    pub async fn stop(self) {
        self.host.shutdown().await;
        self.stack.shutdown().await;
    }
}
