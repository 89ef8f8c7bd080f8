//! Contracts of the embedded stack and of the host, held by unmodified SDK clients: one suite, against the connectors in
//! the process and over HTTP on 127.0.0.1.

#![expect(clippy::unwrap_used, reason = "a test that can't go on has failed")]

#[path = "stack/blobs.rs"]
mod blobs;
#[path = "stack/folder.rs"]
mod folder;
#[path = "stack/queues.rs"]
mod queues;
#[path = "stack/redrive.rs"]
mod redrive;
#[path = "stack/rig.rs"]
mod rig;
#[path = "stack/table.rs"]
mod table;
