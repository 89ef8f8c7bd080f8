//! Use cases of Convoke and the ports that they need.

pub mod artifacts;
pub mod auth;
pub mod base;
pub mod chat;
pub mod control;
pub mod deliver;
pub mod failure;
pub mod flow;
pub mod model;
pub mod platform;
pub mod ports;
pub mod read;
pub mod reviews;
pub mod schedules;
pub mod script;
pub mod submit;
pub mod uploads;
pub mod webhooks;
pub mod work;
