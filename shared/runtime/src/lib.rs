//! What a process needs before it can work: configuration, telemetry, clock and randomness, connected ports.
//!
//! The only place (with the embedded stack) that reads the environment, the clock and the machine's randomness. What
//! decides or stores isn't here.

pub mod config;
pub mod connect;
pub mod models;
pub mod system;
pub mod telemetry;

pub use connect::{Clients, StartError, platform, start};
pub use system::SystemEnv;
