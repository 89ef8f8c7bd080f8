//! What the bots say and understand, and nothing else: texts in, commands out; views in, cards out. No clock, no network.
//!
//! | module | what is there |
//! |---|---|
//! | [`command`] | the one table of commands; what people type, as a [`command::Command`] |
//! | [`button`] | buttons, and what pressing one means |
//! | [`words`] | every sentence that the bots say |

pub mod button;
pub mod command;
pub mod words;
