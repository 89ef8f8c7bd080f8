//! Queues: SQS's JSON protocol over queues in memory. Standard queues only, no FIFO.
//!
//! They live in memory on purpose. A message is a doorbell: whatever it rang for stands in the table, and whoever sweeps
//! the table rings again. So a restart empties the queues and loses nothing.
//!
//! | as on AWS | different |
//! |---|---|
//! | delay, visibility, receive counts, redrive to a dead-letter queue, retention, long polls, MD5 digests, limits of size and batch | delivered in order and exactly once per receive; faults come from whoever wraps the connector |
//! | a delete with an older receipt succeeds and changes nothing | a dead letter starts with a receive count of its own |
//! | a purge, an absent queue, a bad receipt answer with SQS's codes | a purge may follow another at once |

mod api;
mod digest;
mod error;
mod messages;
mod receive;
mod settings;
mod store;
mod wire_types;

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use aws_smithy_runtime_api::client::http::{HttpConnector, HttpConnectorFuture};
use aws_smithy_runtime_api::client::orchestrator::HttpRequest;

use super::clock::Clock;
use super::wire;
use error::Refusal;
pub use store::Depth;
use store::Queue;

/// Account and region in the queues' ARNs.
const ARN_PREFIX: &str = "arn:aws:sqs:us-east-1:000000000000:";

/// What a queue's URL starts with. Nothing listens there: the request goes where the client's endpoint points.
const URL_PREFIX: &str = "http://queues.invalid/000000000000/";

/// A handle on the embedded queues. Clones share them.
#[derive(Clone, Debug)]
pub struct Queues {
    all: Arc<Mutex<BTreeMap<String, Queue>>>,
    clock: Arc<dyn Clock>,
}

impl Queues {
    /// No queue yet; time comes from `clock`.
    pub(super) fn new(clock: Arc<dyn Clock>) -> Self {
        Self { all: Arc::default(), clock }
    }

    /// How many messages a queue holds, or `None` if there is no such queue. Its time is looked at first.
    pub fn depth(&self, name: &str) -> Option<Depth> {
        let now_ms = self.clock.now_ms();
        self.lock().get_mut(name).map(|queue| {
            queue.surface(now_ms);
            queue.depth()
        })
    }

    fn lock(&self) -> MutexGuard<'_, BTreeMap<String, Queue>> {
        self.all.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Runs `work` on the queue that a URL names.
    fn on<T>(&self, url: &str, work: impl FnOnce(&mut Queue, u64) -> Result<T, Refusal>) -> Result<T, Refusal> {
        let now_ms = self.clock.now_ms();
        let mut all = self.lock();
        let queue = all.get_mut(name_of(url)).ok_or_else(Refusal::no_queue)?;
        work(queue, now_ms)
    }
}

impl HttpConnector for Queues {
    fn call(&self, request: HttpRequest) -> HttpConnectorFuture {
        let operation = wire::operation(&request).unwrap_or_default().to_owned();
        // Only a receive waits; everything else is answered on the spot.
        if operation != "ReceiveMessage"
            && let Some(body) = request.body().bytes()
        {
            return HttpConnectorFuture::ready(api::answer(self, &operation, body));
        }
        let queues = self.clone();
        HttpConnectorFuture::new(async move {
            let body = wire::body_of(request).await?;
            if operation == "ReceiveMessage" {
                return api::finish(receive::receive(&queues, &body).await);
            }
            api::answer(&queues, &operation, &body)
        })
    }
}

fn arn(name: &str) -> String {
    format!("{ARN_PREFIX}{name}")
}

fn url(name: &str) -> String {
    format!("{URL_PREFIX}{name}")
}

/// A queue's name is what follows the last slash of its URL.
fn name_of(url: &str) -> &str {
    url.rsplit('/').next().unwrap_or_default()
}
