//! Clients that submit and wait, and outlive the process that they talk to.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use reqwest::Client;
use serde_json::Value;
use tokio::sync::{Semaphore, watch};
use tokio::task::JoinSet;

use super::{Kind, Recipe};
use crate::serving::Address;

/// Pause between two looks at a job, and after a request that failed.
const PAUSE: Duration = Duration::from_millis(50);
/// Longest time of one request: the process may be gone.
const TIMEOUT: Duration = Duration::from_secs(5);

/// All clients of a recipe.
pub(super) struct Clients {
    address: watch::Sender<Address>,
    working: JoinSet<(String, (String, Duration))>,
}

impl Clients {
    pub(super) fn start(recipe: &Recipe, address: Address) -> Self {
        let (sender, _) = watch::channel(address);
        let open = Arc::new(Semaphore::new(recipe.open_max));
        let mut working = JoinSet::new();
        for (number, kind) in recipe.jobs.iter().enumerate() {
            let (address, open, kind) = (sender.subscribe(), Arc::clone(&open), *kind);
            working.spawn(async move {
                let _open = open.acquire_owned().await.expect("never closed");
                let one = One { http: Client::builder().timeout(TIMEOUT).build().expect("a client"), address };
                let name = format!("job{number}");
                let ended = one.job(&name, kind).await;
                (name, ended)
            });
        }
        Self { address: sender, working }
    }

    pub(super) fn moved_to(&self, address: Address) {
        self.address.send_replace(address);
    }

    /// How each job ended, and how long after its submission.
    pub(super) async fn all(mut self) -> BTreeMap<String, (String, Duration)> {
        let mut ended = BTreeMap::new();
        while let Some(one) = self.working.join_next().await {
            let (name, how) = one.expect("no client panics");
            ended.insert(name, how);
        }
        ended
    }
}

struct One {
    http: Client,
    address: watch::Receiver<Address>,
}

impl One {
    async fn job(&self, name: &str, kind: Kind) -> (String, Duration) {
        let (started, body) = (Instant::now(), kind.submission(name));
        let id = loop {
            if let Some(accepted) = self.post(&body, name).await {
                break accepted["id"].as_str().expect("an id").to_owned();
            }
            tokio::time::sleep(PAUSE).await;
        };
        loop {
            let view = self.get(&format!("/v1/jobs/{id}")).await.unwrap_or_default();
            if !view["ended_at"].is_null() {
                return (view["status"].as_str().unwrap_or_default().to_owned(), started.elapsed());
            }
            tokio::time::sleep(PAUSE).await;
        }
    }

    /// The answer, if one came; a refusal is the test's mistake.
    async fn post(&self, body: &Value, key: &str) -> Option<Value> {
        let Address { url, key: token } = self.address.borrow().clone();
        let request = self.http.post(format!("{url}/v1/jobs")).bearer_auth(token).header("idempotency-key", key);
        let answer = request.json(body).send().await.ok()?;
        let status = answer.status();
        let text = answer.text().await.ok()?;
        assert!(!status.is_client_error() || status == 409, "{status}: {text}");
        if status.is_success() { serde_json::from_str(&text).ok() } else { None }
    }

    async fn get(&self, path: &str) -> Option<Value> {
        let Address { url, key } = self.address.borrow().clone();
        let answer = self.http.get(format!("{url}{path}")).bearer_auth(key).send().await.ok()?;
        answer.error_for_status().ok()?.json().await.ok()
    }
}
