//! A server that speaks chat completions and says what a test wants it to: exact answers, tool calls, errors, and the
//! broken things that real servers send. It binds 127.0.0.1 on a free port, records every request and keeps its own
//! ledger of tokens.
//!
//! It is a server and no model: nothing here knows Convoke's client.

mod by_role;
mod reply;
mod request;
mod serve;
pub mod team;

use std::net::SocketAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Instant;

use tokio::net::TcpListener;
use tokio::sync::watch;
use tokio::task::JoinHandle;

pub use by_role::{ByRole, Sequence};
pub use reply::{Gate, Reply};
pub use request::ChatRequest;

/// Decides what is said to a request. Called once for each, in the order in which they come.
pub trait Script: Send + Sync + 'static {
    /// What to say.
    fn reply(&self, request: &ChatRequest) -> Reply;
}

impl<F: Fn(&ChatRequest) -> Reply + Send + Sync + 'static> Script for F {
    fn reply(&self, request: &ChatRequest) -> Reply {
        self(request)
    }
}

/// A request as it came.
#[derive(Clone, Debug)]
pub struct Recorded {
    /// When it had come whole.
    pub at: Instant,
    /// Path and query.
    pub path: String,
    /// What was asked, with its headers.
    pub request: ChatRequest,
}

/// What the server would bill: whatever it began to answer, whole or not.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Ledger {
    /// Requests that were answered, or begun to be.
    pub answered: u64,
    /// Requests that were refused with an error status.
    pub refused: u64,
    /// Tokens of the prompts of what was answered.
    pub input_tokens: u64,
    /// Tokens of the answers.
    pub output_tokens: u64,
}

/// The running server. It ends when this is dropped.
pub struct ScriptedServer {
    address: SocketAddr,
    shared: Arc<Shared>,
    serving: JoinHandle<()>,
}

struct Shared {
    script: Box<dyn Script>,
    recorded: Mutex<Vec<Recorded>>,
    ledger: Mutex<Ledger>,
    count: watch::Sender<usize>,
}

impl Shared {
    fn recorded(&self) -> MutexGuard<'_, Vec<Recorded>> {
        self.recorded.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn ledger(&self) -> MutexGuard<'_, Ledger> {
        self.ledger.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl ScriptedServer {
    /// Starts a server that follows a script.
    pub async fn start(script: impl Script) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
        let address = listener.local_addr().expect("bound");
        let shared = Arc::new(Shared {
            script: Box::new(script),
            recorded: Mutex::default(),
            ledger: Mutex::default(),
            count: watch::Sender::new(0),
        });
        let router = serve::router(Arc::clone(&shared));
        let serving = tokio::spawn(async move {
            axum::serve(listener, router).await.expect("served until aborted");
        });
        Self { address, shared, serving }
    }

    /// `http://127.0.0.1:PORT/v1`.
    pub fn base_url(&self) -> String {
        format!("{}/v1", self.origin())
    }

    /// `http://127.0.0.1:PORT`.
    pub fn origin(&self) -> String {
        format!("http://{}", self.address)
    }

    /// All requests so far.
    pub fn requests(&self) -> Vec<Recorded> {
        self.shared.recorded().clone()
    }

    /// The bodies of all requests so far.
    pub fn bodies(&self) -> Vec<serde_json::Value> {
        self.shared.recorded().iter().map(|recorded| recorded.request.body().clone()).collect()
    }

    /// What it would bill so far.
    pub fn ledger(&self) -> Ledger {
        *self.shared.ledger()
    }

    /// Waits until at least so many requests have come. Bound it by the test's own time-out.
    pub async fn asked(&self, count: usize) {
        let mut seen = self.shared.count.subscribe();
        seen.wait_for(|&so_far| so_far >= count).await.expect("the server runs");
    }
}

impl Drop for ScriptedServer {
    fn drop(&mut self) {
        self.serving.abort();
    }
}
