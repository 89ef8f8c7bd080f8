//! A whole installation in this process: every function hosted over the embedded stack, HTTP on a port of 127.0.0.1, and
//! a scripted server in the place of a model's provider.
//!
//! Tests act on it as a client does, through HTTP alone.

mod answer;
mod rigged;

use std::collections::BTreeMap;
use std::io::{Cursor, Read};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant};

use convoke::bots::Bots;
use convoke::local::{Duty, Local, LocalOptions};
use convoke_api::money::Amount;
use convoke_app::platform::Platform;
use convoke_domain::ids::TenantId;
use convoke_domain::money::{Cost, MicroUsd};
use reqwest::{Client, Method, RequestBuilder, redirect};
use serde_json::Value;
use tempfile::TempDir;
use zip::ZipArchive;

use crate::scripted::{Script, ScriptedServer};

pub use answer::Answer;
pub use rigged::{Between, Rigged, Rigging, Sources};

/// The model that jobs work with: a name with a known price, served by the scripted server.
pub const MODEL: &str = "openai/gpt-4.1";
/// What a token of its prompts costs, in micro-dollars.
const INPUT_MICRO_USD: u64 = 2;
/// What a token of its answers costs, in micro-dollars.
const OUTPUT_MICRO_USD: u64 = 8;
/// Longest time that a job of a test may take.
const JOB_TIME_MAX: Duration = Duration::from_mins(2);
/// Longest time until the queues are empty after that.
const DRAIN_TIME_MAX: Duration = Duration::from_secs(10);

/// The installation, and a client of it. [`Served::stop`] ends it in order.
pub struct Served {
    /// The model's provider.
    pub models: ScriptedServer,
    site: Site,
    client: Client,
    folder: TempDir,
}

/// What is installed.
enum Site {
    /// What `convoke` itself starts.
    Whole(Box<Local>),
    /// The same, put together by a test.
    Rigged(Box<Rigged>),
}

impl Served {
    /// Starts one whose model follows a script.
    pub async fn start(script: impl Script) -> Self {
        Self::with(script, &[]).await
    }

    /// The same with bots that listen.
    pub async fn with_bots(script: impl Script, bots: Bots) -> Self {
        Self::whole(script, &[], bots).await
    }

    /// The same with settings beside those that name the model.
    pub async fn with(script: impl Script, more: &[(&str, &str)]) -> Self {
        Self::whole(script, more, Bots::default()).await
    }

    async fn whole(script: impl Script, more: &[(&str, &str)], bots: Bots) -> Self {
        let (models, folder) = (ScriptedServer::start(script).await, tempfile::tempdir().expect("a folder"));
        let settings = settings(&models.base_url(), more);
        let options = LocalOptions {
            bots,
            data_dir: data_dir(&folder),
            cache_dir: folder.path().join("cache"),
            port: 0,
            model: None,
            strings: &settings,
            progress: Arc::new(|_| {}),
            duty: Duty::Work,
        };
        let local = Local::start(options).await.expect("an installation");
        Self { models, site: Site::Whole(Box::new(local)), client: client(), folder }
    }

    /// The same with something between its parts.
    pub async fn rigged(script: impl Script, more: &[(&str, &str)], rigging: Rigging) -> Self {
        let (models, folder) = (ScriptedServer::start(script).await, tempfile::tempdir().expect("a folder"));
        Self::rigged_over(models, folder, more, rigging).await
    }

    /// The same over what an earlier one left in a folder, with the model's provider that it had.
    pub async fn rigged_over(models: ScriptedServer, folder: TempDir, more: &[(&str, &str)], rigging: Rigging) -> Self {
        let rigged = Rigged::start(&data_dir(&folder), &settings(&models.base_url(), more), rigging).await;
        Self { models, site: Site::Rigged(Box::new(rigged)), client: client(), folder }
    }

    /// What stands between its parts.
    pub fn rig(&self) -> &Rigged {
        match &self.site {
            Site::Rigged(rigged) => rigged,
            Site::Whole(_) => panic!("nothing stands between its parts"),
        }
    }

    /// The same, to change it.
    pub fn rig_mut(&mut self) -> &mut Rigged {
        match &mut self.site {
            Site::Rigged(rigged) => rigged,
            Site::Whole(_) => panic!("nothing stands between its parts"),
        }
    }

    /// Its data folder.
    pub fn data_dir(&self) -> PathBuf {
        data_dir(&self.folder)
    }

    /// The use cases, for what the API doesn't offer.
    pub fn platform(&self) -> &Platform {
        match &self.site {
            Site::Whole(local) => &local.platform,
            Site::Rigged(rigged) => rigged.platform(),
        }
    }

    fn address(&self) -> (&str, &str) {
        match &self.site {
            Site::Whole(local) => (&local.url, &local.key),
            Site::Rigged(rigged) => rigged.address(),
        }
    }

    /// Ends it in order.
    pub async fn stop(self) {
        match self.site {
            Site::Whole(local) => local.shutdown().await,
            Site::Rigged(rigged) => rigged.shutdown().await,
        }
    }

    /// The URL of a path.
    pub fn url(&self, path: &str) -> String {
        format!("{}{path}", self.address().0)
    }

    /// A request with the owner's key.
    pub fn request(&self, method: Method, path: &str) -> RequestBuilder {
        self.anonymous(method, path).bearer_auth(self.address().1)
    }

    /// A request without a key.
    pub fn anonymous(&self, method: Method, path: &str) -> RequestBuilder {
        self.client.request(method, self.url(path))
    }

    /// A new key of another tenant.
    pub async fn key_of(&self, tenant: &str) -> String {
        let tenant: TenantId = tenant.parse().expect("a tenant");
        let made = self.platform().create_key(&tenant, "test").await.expect("a key");
        made.key.expose().to_owned()
    }

    /// `GET path`.
    pub async fn get(&self, path: &str) -> Answer {
        Answer::of(self.request(Method::GET, path)).await
    }

    /// `POST path` with a JSON body.
    pub async fn post(&self, path: &str, body: &Value) -> Answer {
        Answer::of(self.request(Method::POST, path).json(body)).await
    }

    /// Submits a job; its id.
    pub async fn submit(&self, body: &Value) -> String {
        let accepted = self.post("/v1/jobs", body).await;
        assert_eq!(accepted.status, 202, "{}", accepted.text());
        accepted.json()["id"].as_str().expect("an id").to_owned()
    }

    /// Submits a job and waits for its end; the job as it stands then.
    pub async fn run(&self, body: &Value) -> Value {
        let id = self.submit(body).await;
        self.ended(&id).await
    }

    /// Waits for a job's last event and for the queues to be empty; the job as it stands then.
    pub async fn ended(&self, id: &str) -> Value {
        let begun = Instant::now();
        let mut after = 0;
        loop {
            let events = self.get(&format!("/v1/jobs/{id}/events?after={after}&wait_s=5&limit=500")).await;
            assert_eq!(events.status, 200, "{}", events.text());
            let events = events.json();
            if events["ended"] == true {
                break;
            }
            after = events["next_after"].as_u64().expect("a number");
            let is_late = begun.elapsed() > JOB_TIME_MAX;
            assert!(!is_late, "the job doesn't end: {:#}", self.get(&format!("/v1/jobs/{id}")).await.json());
        }
        self.drained().await;
        self.get(&format!("/v1/jobs/{id}")).await.json()
    }

    /// Waits until no message waits in the queue.
    async fn drained(&self) {
        let begun = Instant::now();
        loop {
            let depth = self.platform().ports.bells.depth().await.expect("a depth");
            if depth == 0 {
                return;
            }
            assert!(begun.elapsed() < DRAIN_TIME_MAX, "{depth} messages are left");
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }

    /// The files of a job, as listed.
    pub async fn artifacts(&self, id: &str) -> Vec<Value> {
        let list = self.get(&format!("/v1/jobs/{id}/artifacts?limit=100")).await.json();
        assert_eq!(list["next_cursor"], Value::Null, "more files than the test expects");
        list["artifacts"].as_array().expect("a list").clone()
    }

    /// The content of a file, by its presigned URL.
    pub async fn download(&self, id: &str, path: &str) -> Vec<u8> {
        let found = self.get(&format!("/v1/jobs/{id}/artifacts/{path}")).await;
        assert_eq!(found.status, 302, "{path}: {}", found.text());
        let url = found.header("location").expect("a URL").to_owned();
        let answer = Answer::of(self.client.get(url)).await;
        assert_eq!(answer.status, 200, "{path}: {}", answer.text());
        answer.body
    }

    /// The same as text.
    pub async fn text(&self, id: &str, path: &str) -> String {
        String::from_utf8(self.download(id, path).await).expect("text")
    }

    /// The files of a job's archive, by path.
    pub async fn archive(&self, id: &str) -> BTreeMap<String, Vec<u8>> {
        let mut zip = ZipArchive::new(Cursor::new(self.download(id, "archive.zip").await)).expect("a zip");
        let mut files = BTreeMap::new();
        for index in 0..zip.len() {
            let mut file = zip.by_index(index).expect("an entry");
            let mut bytes = Vec::new();
            file.read_to_end(&mut bytes).expect("a whole entry");
            let name = file.name().expect("a name").into_owned();
            assert!(files.insert(name, bytes).is_none(), "two entries of one name");
        }
        files
    }

    /// A step with its output and journal.
    pub async fn step(&self, id: &str, step: &str) -> Value {
        let answer = self.get(&format!("/v1/jobs/{id}/steps/{step}")).await;
        assert_eq!(answer.status, 200, "{step}: {}", answer.text());
        answer.json()
    }

    /// What the model's server bills, at the model's prices, as a job's `cost`.
    pub fn billed(&self) -> Value {
        let ledger = self.models.ledger();
        let usd = MicroUsd(ledger.input_tokens * INPUT_MICRO_USD + ledger.output_tokens * OUTPUT_MICRO_USD);
        let tokens = ledger.input_tokens + ledger.output_tokens;
        serde_json::to_value(Amount::from(Cost { usd, tokens })).expect("json")
    }
}

/// The data folder in a folder of a test.
pub fn data_dir(folder: &TempDir) -> PathBuf {
    folder.path().join("data")
}

/// Settings that name the model behind a URL, and more.
pub fn settings(base_url: &str, more: &[(&str, &str)]) -> BTreeMap<String, String> {
    let named = [("CONVOKE_MODEL", MODEL), ("OPENAI_API_KEY", "sk-scripted"), ("OPENAI_BASE_URL", base_url)];
    named.iter().chain(more).map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect()
}

fn client() -> Client {
    Client::builder().redirect(redirect::Policy::none()).no_proxy().build().expect("a client")
}
