//! Chats are told: each end once, within every limit, through outages, moves and deletions.

mod faults;
mod inbound;
mod moves;
mod reviews;
mod rig;
mod runs;
mod scale;
mod together;
