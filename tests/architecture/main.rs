//! What holds of the whole tree: who may depend on whom, what is named where, how long files are. Read from the manifests
//! and sources themselves.

mod manifests;
mod ports;
mod sources;
mod tree;
