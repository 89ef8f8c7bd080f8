//! Convoke on one machine: the embedded stack, and a host that runs the Lambda handlers on it.

pub mod host;
mod ids;
mod loopback;
pub mod resources;
pub mod stack;
