//! A Telegram of our own for tests: a Bot API on a port of 127.0.0.1 that keeps messages, goes wrong as told, and holds every
//! call against Telegram's description; and the updates that it would send.

mod bot_api;
mod calls;
mod description;
mod faults;
mod limits;
mod state;
mod updates;

pub use bot_api::{BOT, BOT_NAME, BotApi, TOKEN};
pub use calls::{Call, Mask};
pub use description::wrong_with;
pub use faults::Fault;
pub use updates::{Chat, Person, Updates};
