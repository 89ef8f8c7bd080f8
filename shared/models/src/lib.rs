//! Language models behind one port: `OpenAI`'s chat completions and what speaks like it, Amazon Bedrock, and the
//! embedded one; what they cost, and the JSON in what they say.
//!
//! No clock, no randomness and no environment here: settings come in as data. Retries and money are the use cases'.

pub mod bedrock;
mod bounded;
#[cfg(feature = "embedded")]
pub mod embedded;
pub mod openai;
pub mod prices;
pub mod registry;
pub mod secret;
pub mod structured;
mod text;
