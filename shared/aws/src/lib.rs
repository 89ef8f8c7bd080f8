//! The ports of `convoke-app` over `DynamoDB`, SQS and S3; one module per port.
//!
//! What is deliberately not here: decisions (they come as data, see `convoke_domain::change`), clocks and randomness
//! (times come in with what is stored, the seed of the pauses between tries with the constructors), and connecting the
//! clients (that is `convoke-runtime`'s).
//!
//! Every call tries again by itself only where trying again is part of the service's protocol (unprocessed keys,
//! transactions that met another, entries of a batch that failed), a few times, with pauses that grow; all else is
//! [`convoke_app::ports::PortError::Unavailable`] for the caller to judge. (The SDK's own retries are the client's
//! configuration.)

mod bells;
mod blobs;
mod error;
mod jitter;
mod table;

pub use bells::{SqsBells, SqsDeliveryBells};
pub use blobs::S3Blobs;
pub use table::{DUE_SHARDS, DynamoTable, TTL_ATTRIBUTE, due_shard, group_from_stream_image, table_definition};
