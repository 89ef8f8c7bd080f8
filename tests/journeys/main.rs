//! What people do with Convoke, from outside: through HTTP, on the whole installation, with a scripted model.

mod bad_flows;
mod badly;
mod conflicts;
mod follow_up;
mod http;
mod inline;
mod refused;
mod software;
mod trouble;
mod webhooks;
