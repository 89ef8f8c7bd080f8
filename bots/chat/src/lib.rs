//! What the bots say and understand, and nothing else: texts in, commands out; views in, cards out. No clock, no network.
//!
//! | module | what is there |
//! |---|---|
//! | [`command`] | the one table of commands; what people type, as a [`command::Command`] |
//! | [`button`] | buttons, and what pressing one means |
//! | [`words`] | every sentence that the bots say |
//! | [`page`] | a message, before it is one of a platform |
//! | [`notice`] | what chats are told of a job by themselves: cards, reviews, ends |
//! | [`answer`] | what is said to commands and buttons |
//! | [`reply`] | what answers a command or a press |
//! | [`discord`], [`telegram`] | pages as these show them: limits, escaping, buttons |

pub mod answer;
pub mod button;
pub mod command;
pub mod discord;
pub mod notice;
pub mod page;
mod render;
pub mod reply;
pub mod telegram;
pub mod text;
pub mod words;
