//! Discord: interactions in, messages out.

pub mod api;
pub mod host;
pub mod interaction;
pub mod rest;
pub mod settings;
pub mod verify;
