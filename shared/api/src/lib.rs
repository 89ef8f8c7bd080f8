//! Wire types of Convoke: what callers send and get. The `OpenAPI` document comes from here.
//!
//! Version 1. Nothing here decides anything: use cases are `convoke_app`'s, routes are the functions'.

pub mod artifact;
pub mod cursor;
pub mod event;
pub mod flow;
pub mod job;
pub mod link;
pub mod money;
pub mod openapi;
pub mod problem;
pub mod request;
pub mod review;
pub mod schedule;
pub mod schema;
pub mod step;
pub mod time;
pub mod webhook;
