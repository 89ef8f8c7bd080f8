//! How a function's bootstrap is linked where it has to be small (`opt-level = "z"`): at a fixed address, which saves the
//! tables that would move it, and without those by which panics unwind, since a panic ends the process. A fifth of its size.

#![expect(clippy::disallowed_methods, reason = "cargo tells build scripts everything by the environment")]

use std::env;
use std::path::Path;

/// Catches the panic of one step of a batch, so that its neighbours go on: it needs the tables.
const UNWINDS: &str = "convoke-step";

fn main() {
    for file in ["build.rs", "no-unwind.ld"] {
        println!("cargo::rerun-if-changed=../../infra/link/{file}");
    }
    let is = |name: &str, value: &str| env::var(name).is_ok_and(|set| set == value);
    // Another linker than the one that comes with the compiler may take other arguments.
    let linkers_own = env::var_os("RUSTC_LINKER").is_none();
    if !is("OPT_LEVEL", "z") || !is("CARGO_CFG_TARGET_OS", "linux") || !linkers_own {
        return;
    }
    link_with("-no-pie");
    if !is("CARGO_PKG_NAME", UNWINDS) {
        let manifest = env::var("CARGO_MANIFEST_DIR").unwrap_or_default();
        link_with("-Wl,--no-eh-frame-hdr");
        link_with(&format!("-Wl,-T,{}", Path::new(&manifest).join("../../infra/link/no-unwind.ld").display()));
    }
}

fn link_with(argument: &str) {
    println!("cargo::rustc-link-arg-bins={argument}");
}
