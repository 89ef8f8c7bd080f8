//! What a process needs before it can work: configuration, telemetry, clock and randomness, connected ports.
//!
//! The only place (with the embedded stack) that reads the environment, the clock and the machine's randomness. What
//! decides or stores isn't here.

#![expect(clippy::disallowed_methods, reason = "here the environment, the clock and the randomness are read")]

mod client;
pub mod config;
pub mod connect;
pub mod emf;
pub mod http;
mod https;
pub mod installation;
pub mod models;
pub mod observe;
pub mod outbound;
pub mod queue;
pub mod secrets;
pub mod signing;
pub mod ssm;
pub mod system;
pub mod telemetry;

/// Reads the image of a table's stream: handlers parse events, but don't know the table.
pub use convoke_aws::group_from_stream_image;

/// Keys and tokens that can't be printed by accident.
pub use convoke_models::secret::Secret;

pub use client::http_client;
pub use connect::{
    Clients, StartError, platform, start_looking, start_looking_with, start_planning, start_planning_with,
    start_working,
};
pub use system::SystemEnv;
