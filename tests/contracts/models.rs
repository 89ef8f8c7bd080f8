//! The model port's implementations against servers that speak their providers' protocols.

#![expect(clippy::disallowed_methods, reason = "time-outs are measured")]

#[path = "models/bedrock.rs"]
mod bedrock;
#[path = "models/openai.rs"]
mod openai;
#[path = "models/openai_failures.rs"]
mod openai_failures;
#[path = "models/openai_schemas.rs"]
mod openai_schemas;
#[path = "models/support.rs"]
mod support;
