//! Telegram: updates in, messages out.

pub mod api;
pub mod update;
