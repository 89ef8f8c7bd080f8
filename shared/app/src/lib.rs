//! Use cases of Convoke and the ports that they need.

pub mod flow;
pub mod model;
pub mod platform;
pub mod ports;
pub mod script;
pub mod work;
