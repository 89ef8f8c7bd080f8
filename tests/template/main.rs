//! What `template.yaml` has to hold, read from the file itself: it fits the code that it deploys, nothing in it may do
//! more than it needs, and the numbers that depend on each other agree. What linters of templates find isn't looked for
//! again (`infra/rig` runs those).

mod access;
mod routes;
mod settings;
mod shape;
mod watched;
