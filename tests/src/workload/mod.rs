//! What is measured: flows as a caller submits them, a model that answers at once, functions invoked as Lambda's event
//! sources do it, batch by batch, and what they log.

pub mod flows;
pub mod log;
pub mod model;
pub mod plant;
