//! What is measured: flows as a caller submits them, a model that answers at once, and functions invoked as Lambda's event
//! sources do it, batch by batch.

pub mod flows;
pub mod model;
pub mod plant;
