//! Convoke on one machine: the embedded stack, and a host that runs the Lambda handlers on it.

#![expect(clippy::disallowed_methods, reason = "the host of one machine has that machine's clock and randomness")]

pub mod bots;
pub mod cli;
pub mod host;
mod ids;
pub mod local;
mod loopback;
pub mod metrics;
pub mod resources;
pub mod routes;
pub mod settings;
mod shelf;
pub mod stack;
