//! Convoke on one machine: the embedded stack, and a host that runs the Lambda handlers on it.

pub mod cli;
pub mod host;
mod ids;
pub mod local;
mod loopback;
pub mod resources;
pub mod routes;
pub mod stack;
