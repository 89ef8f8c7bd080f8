//! Discord, as far as tests need it: a server of its API that notes calls and checks them against the official description,
//! and interactions as it sends and signs them.

pub mod clicks;
pub mod description;
pub mod gateway;
pub mod server;

pub use clicks::{Clicks, KEY_HEX};
pub use description::Description;
pub use gateway::Gateway;
pub use server::{Call, DiscordServer, Fault};
