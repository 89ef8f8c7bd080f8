//! The workspace as it lies on the disk.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

use toml::{Table, Value};

/// A member of the workspace.
pub struct Package {
    /// Its folder from the root, e.g. `shared/domain`.
    pub folder: String,
    /// What it is built of, tests left out.
    pub dependencies: BTreeSet<String>,
    /// Whether the workspace's lints are its own.
    pub takes_lints: bool,
}

/// A file of Rust.
pub struct Source {
    /// Its path from the root.
    pub path: String,
    /// What stands in it.
    pub text: String,
}

impl Source {
    /// Whether it belongs to what is built and not to tests beside it.
    pub fn is_built(&self) -> bool {
        !self.path.starts_with("tests/") && !self.path.contains("/tests/") && !self.path.ends_with("tests.rs")
    }
}

/// The members of the workspace.
pub fn packages() -> Vec<Package> {
    let workspace = &manifest(&root())["workspace"];
    let members: Vec<&str> =
        workspace["members"].as_array().expect("a list").iter().filter_map(Value::as_str).collect();
    assert!(members.len() >= 10, "the members are listed one by one: {members:?}");
    members.into_iter().map(package).collect()
}

/// All files of Rust.
pub fn sources() -> Vec<Source> {
    let mut sources = Vec::new();
    for folder in packages().iter().map(|package| package.folder.as_str()) {
        collect(&root().join(folder), &mut sources);
    }
    assert!(sources.len() >= 200, "{} files", sources.len());
    sources
}

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("`tests` is a folder of the root").to_owned()
}

fn package(folder: &str) -> Package {
    let manifest = manifest(&root().join(folder));
    let names = |section: &str| {
        let table = manifest.get(section).and_then(Value::as_table);
        table.into_iter().flat_map(Table::keys).cloned().collect::<Vec<_>>()
    };
    let lints = manifest.get("lints").and_then(|lints| lints.get("workspace")).and_then(Value::as_bool);
    assert!(!manifest.contains_key("target"), "{folder} depends by platform: this test doesn't look there");
    Package {
        folder: folder.to_owned(),
        dependencies: [names("dependencies"), names("build-dependencies")].concat().into_iter().collect(),
        takes_lints: lints == Some(true),
    }
}

/// The packages that everything is built of.
pub fn locked() -> Vec<Value> {
    let text = fs::read_to_string(root().join("Cargo.lock")).expect("a lock file");
    let lock: Table = text.parse().expect("TOML");
    lock["package"].as_array().expect("packages").clone()
}

/// A value in the manifest of a folder, by its keys.
pub fn setting(folder: &str, keys: &[&str]) -> Option<Value> {
    let manifest = Value::Table(manifest(&root().join(folder)));
    keys.iter().try_fold(&manifest, |value, key| value.get(key)).cloned()
}

fn manifest(folder: &Path) -> Table {
    let path = folder.join("Cargo.toml");
    let text = fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    text.parse().unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

fn collect(folder: &Path, sources: &mut Vec<Source>) {
    for entry in fs::read_dir(folder).expect("a folder") {
        let path = entry.expect("an entry").path();
        let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
        if path.is_dir() && name != "target" {
            collect(&path, sources);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            let text = fs::read_to_string(&path).expect("text");
            let path = path.strip_prefix(root()).expect("below the root").to_string_lossy().replace('\\', "/");
            sources.push(Source { path, text });
        }
    }
}
