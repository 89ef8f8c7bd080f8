//! The embedded stack: table, queues and objects of one data folder, in this process, behind unmodified AWS SDK clients.
//!
//! | service | kept | reached |
//! |---|---|---|
//! | `DynamoDB` ([`table`]) | one `SQLite` file | connector in the process |
//! | SQS ([`queue`]) | in memory: a message is a doorbell, what was due is rung again by the clock | connector in the process |
//! | S3 ([`blobs`]) | one `SQLite` file, large objects as files | connector in the process, and 127.0.0.1 for presigned URLs |
//!
//! Deliberately not here: what tables, queues and buckets are called and hold. The caller makes them, with the same SDK
//! calls as on AWS. Nor are there faults (throttles, index lag, lost answers): [`Stack::clients_through`] is where whoever
//! wants them puts them.

pub mod blobs;
mod clients;
pub mod clock;
pub(crate) mod folder;
pub mod queue;
pub mod table;
mod wire;

use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use aws_smithy_runtime_api::client::http::SharedHttpClient;
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::loopback::Server;
use blobs::BlobService;
pub use clients::{Clients, Service};
use clock::{Clock, SystemClock};
pub use folder::FolderError;
use folder::{Folder, Keys};
use queue::Queues;
pub use table::{Durability, Table, TableError};
pub(crate) use wire::operation;

/// How long requests under way get to end at shutdown.
const SHUTDOWN_GRACE: Duration = Duration::from_secs(2);

/// Pause between two sweeps of expired items and old stream records. Each reads whole tables, and AWS itself takes days.
const UPKEEP_MS: u64 = 30 * 60 * 1_000;

/// Stream records are kept for a day, as on AWS.
const STREAM_KEPT_MS: u64 = 24 * 60 * 60 * 1_000;

/// How to start a stack.
#[derive(Clone, Debug)]
pub struct StackOptions {
    /// The folder that holds everything; made if there is none. One process at a time.
    pub data_dir: PathBuf,
    /// Port of 127.0.0.1 for presigned URLs; 0 takes any free one, and then yesterday's URLs lead nowhere.
    pub blobs_port: u16,
    /// Which services other than the objects can be reached through a socket, too.
    pub sockets: Sockets,
    /// What a finished write survives.
    pub durability: Durability,
    /// The time that queues and upkeep go by. Signatures and items' expiry go by the machine's.
    pub clock: Arc<dyn Clock>,
}

impl StackOptions {
    /// The defaults for a folder: any port, no other sockets, writes survive the process, the machine's clock.
    pub fn new(data_dir: impl Into<PathBuf>) -> Self {
        Self {
            data_dir: data_dir.into(),
            blobs_port: 0,
            sockets: Sockets::BlobsOnly,
            durability: Durability::default(),
            clock: Arc::new(SystemClock),
        }
    }
}

/// Which services are served on 127.0.0.1.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Sockets {
    /// The objects, where a signature is checked.
    #[default]
    BlobsOnly,
    /// Table and queues as well, on any free ports, for contracts and for processes apart. Nobody checks a signature
    /// there: every user of the machine may do everything.
    All,
}

/// Why a stack can't be started.
#[derive(Debug, thiserror::Error)]
pub enum StackError {
    /// The folder is held, newer, or unusable.
    #[error(transparent)]
    Folder(#[from] FolderError),
    /// The table's file is unusable.
    #[error(transparent)]
    Table(#[from] TableError),
    /// The objects' folder is unusable.
    #[error("the objects can't be opened")]
    Blobs(#[source] io::Error),
    /// A port can't be bound; another program has it.
    #[error("port {port} of 127.0.0.1 can't be served")]
    Port {
        /// The port.
        port: u16,
        /// What the operating system said.
        #[source]
        source: io::Error,
    },
}

/// A running stack. [`Stack::shutdown`] ends it in order; dropping it ends it at once, and loses nothing that was answered.
#[derive(Debug)]
pub struct Stack {
    folder: Folder,
    keys: Keys,
    clock: Arc<dyn Clock>,
    table: Table,
    queues: Queues,
    blobs: BlobService,
    blobs_server: Server,
    sockets: Option<SocketServers>,
    stop: CancellationToken,
    tasks: TaskTracker,
}

#[derive(Debug)]
struct SocketServers {
    table_url: String,
    queues: Server,
}

impl Stack {
    /// Takes the data folder, opens what is in it, and serves it.
    ///
    /// # Errors
    /// [`StackError`]: only a held folder or a taken port is worth another try.
    pub async fn start(options: StackOptions) -> Result<Self, StackError> {
        let StackOptions { data_dir, blobs_port, sockets, durability, clock } = options;
        let folder = Folder::take(&data_dir)?;
        let keys = folder.keys()?;
        let table = Table::open(&folder.path().join("table.sqlite"), durability)?;
        let queues = Queues::new(Arc::clone(&clock));
        let blobs = BlobService::open(&folder.path().join("blobs"), &keys, Arc::clone(&clock), durability)
            .map_err(StackError::Blobs)?;
        let blobs_server = wire::serve(blobs_port, blobs.clone())
            .await
            .map_err(|source| StackError::Port { port: blobs_port, source })?;
        let (stop, tasks) = (CancellationToken::new(), TaskTracker::new());
        let sockets = match sockets {
            Sockets::BlobsOnly => None,
            Sockets::All => Some(serve_all(&table, &queues, &stop, &tasks).await?),
        };
        tasks.spawn(upkeep(table.clone(), Arc::clone(&clock), stop.clone()));
        Ok(Self { folder, keys, clock, table, queues, blobs, blobs_server, sockets, stop, tasks })
    }

    /// The folder that holds everything.
    pub fn data_dir(&self) -> &Path {
        self.folder.path()
    }

    /// The clock the stack goes by.
    pub fn clock(&self) -> &Arc<dyn Clock> {
        &self.clock
    }

    /// The tables beyond the SDK's calls: streams, sweeps.
    pub fn table(&self) -> &Table {
        &self.table
    }

    /// The queues beyond the SDK's calls: their depth.
    pub fn queues(&self) -> &Queues {
        &self.queues
    }

    /// Where presigned URLs lead: `http://127.0.0.1:PORT`.
    pub fn blobs_url(&self) -> String {
        self.blobs_server.url()
    }

    /// Clients that reach the services inside this process. What `s3` presigns leads to [`Stack::blobs_url`].
    pub fn clients(&self) -> Clients {
        self.clients_through(|_, client| client)
    }

    /// The same, with something between client and service: it gets each service's HTTP client and gives back the one
    /// to use, which may delay, fail, repeat or forget.
    pub fn clients_through(&self, wrap: impl Fn(Service, SharedHttpClient) -> SharedHttpClient) -> Clients {
        let endpoints = clients::Endpoints { sockets: None, blobs: self.blobs_url() };
        clients::connect(&self.keys, endpoints, |service| {
            let client = match service {
                Service::Table => wire::in_process(self.table.clone()),
                Service::Queues => wire::in_process(self.queues.clone()),
                Service::Blobs => wire::in_process(self.blobs.clone()),
            };
            wrap(service, client)
        })
    }

    /// Clients that reach the services over HTTP on 127.0.0.1, if [`Sockets::All`] are served.
    pub fn socket_clients(&self) -> Option<Clients> {
        let sockets = self.sockets.as_ref()?;
        let urls = (sockets.table_url.clone(), sockets.queues.url());
        let endpoints = clients::Endpoints { sockets: Some(urls), blobs: self.blobs_url() };
        let client = aws_smithy_http_client::Builder::new().build_http();
        Some(clients::connect(&self.keys, endpoints, |_| client.clone()))
    }

    /// Where table and queues are served, for processes apart, if [`Sockets::All`] are.
    pub fn socket_urls(&self) -> Option<(String, String)> {
        self.sockets.as_ref().map(|sockets| (sockets.table_url.clone(), sockets.queues.url()))
    }

    /// Takes no new request, lets those under way end (2 s), and gives the folder back.
    pub async fn shutdown(self) {
        self.stop.cancel();
        self.tasks.close();
        self.blobs_server.shutdown(SHUTDOWN_GRACE).await;
        if let Some(sockets) = &self.sockets {
            sockets.queues.shutdown(SHUTDOWN_GRACE).await;
        }
        if tokio::time::timeout(SHUTDOWN_GRACE, self.tasks.wait()).await.is_err() {
            tracing::warn!("a request to the table outlives its server");
        }
    }
}

impl Drop for Stack {
    fn drop(&mut self) {
        self.stop.cancel();
    }
}

async fn serve_all(
    table: &Table,
    queues: &Queues,
    stop: &CancellationToken,
    tasks: &TaskTracker,
) -> Result<SocketServers, StackError> {
    let failed = |source| StackError::Port { port: 0, source };
    let listener = TcpListener::bind((std::net::Ipv4Addr::LOCALHOST, 0)).await.map_err(failed)?;
    let table_url = format!("http://{}", listener.local_addr().map_err(failed)?);
    let (table, stopped) = (table.clone(), stop.clone().cancelled_owned());
    tasks.spawn(async move {
        if let Err(error) = table.serve_apart(listener, stopped).await {
            tracing::error!(error, "the table's server failed");
        }
    });
    let queues = wire::serve(0, queues.clone()).await.map_err(failed)?;
    Ok(SocketServers { table_url, queues })
}

async fn upkeep(table: Table, clock: Arc<dyn Clock>, stop: CancellationToken) {
    loop {
        let due_ms = clock.now_ms() + UPKEEP_MS;
        tokio::select! {
            () = stop.cancelled() => return,
            () = clock.sleep_until(due_ms) => {}
        }
        if let Err(error) = table.sweep_expired().await {
            tracing::error!(error = &error as &dyn std::error::Error, "expired items stay for now");
        }
        if let Err(error) = table.prune_older(clock.now_ms().saturating_sub(STREAM_KEPT_MS)).await {
            tracing::error!(error = &error as &dyn std::error::Error, "old stream records stay for now");
        }
    }
}
