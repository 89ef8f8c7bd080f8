//! The command line of Convoke.

fn main() {}
