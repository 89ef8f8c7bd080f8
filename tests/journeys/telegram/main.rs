//! Telegram from outside: updates in, calls out, against a Bot API that keeps what it is told.

mod api;
mod cards;
mod dialogue;
mod dialogues;
mod host;
mod inbound;
mod rig;
mod setup;
mod talk;
mod world;
