//! Chats are told: each end once, within every limit, through outages, moves and deletions.

mod faults;
mod inbound;
mod rig;
mod scale;
