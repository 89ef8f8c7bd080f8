//! What people do with Convoke, from outside: through HTTP, on the whole installation, with a scripted model.

mod http;
mod inline;
mod refused;
mod software;
