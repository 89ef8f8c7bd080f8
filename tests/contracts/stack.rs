//! Contracts of the embedded stack and of the host, held by unmodified SDK clients: one suite, against the connectors in
//! the process and over HTTP on 127.0.0.1.

#![expect(clippy::unwrap_used, reason = "a test that can't go on has failed")]

#[path = "stack/blobs.rs"]
mod blobs;
#[path = "stack/folder.rs"]
mod folder;
#[path = "stack/host_http.rs"]
mod host_http;
#[path = "stack/host_limits.rs"]
mod host_limits;
#[path = "stack/host_queue.rs"]
mod host_queue;
#[path = "stack/host_stream.rs"]
mod host_stream;
#[path = "stack/queues.rs"]
mod queues;
#[path = "stack/redrive.rs"]
mod redrive;
#[path = "stack/rig.rs"]
mod rig;
#[path = "stack/table.rs"]
mod table;
