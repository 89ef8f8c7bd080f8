//! What the tests share: fakes of the ports, the embedded table, the contract that both have to keep, scripted servers, whole
//! installations.

#![expect(clippy::disallowed_methods, reason = "scripted servers record when they were called")]

pub mod contracts;
pub mod counting;
pub mod discord;
pub mod embedded;
pub mod engine;
pub mod fakes;
pub mod faulty;
pub mod idle;
pub mod kills;
pub mod noticed;
pub mod prices;
pub mod samples;
pub mod scripted;
pub mod served;
pub mod serving;
pub mod sink;
pub mod telegram;
pub mod template;
pub mod time;
pub mod transport;
pub mod workload;
pub mod writer;
