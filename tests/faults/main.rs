//! What AWS, machines and time do to a whole installation, and what has to hold all the same: real handlers over the
//! embedded stack, driven over HTTP, with a scripted model behind and faults under the SDK.

mod books;
mod client;
mod clock;
mod deliveries;
mod fail_points;
mod shapes;
mod storms;
