//! Puts the built-in flows together: each folder of `flows` becomes one JSON document, so that no process has to read YAML
//! to know them.

#![expect(clippy::disallowed_methods, reason = "cargo tells build scripts everything by the environment")]

use std::env;
use std::error::Error;
use std::fs;
use std::path::Path;

use serde_json::Value;

fn main() -> Result<(), Box<dyn Error>> {
    println!("cargo::rerun-if-changed=build.rs");
    println!("cargo::rerun-if-changed=flows");
    let out = env::var("OUT_DIR")?;
    for folder in fs::read_dir("flows")? {
        let folder = folder?.path();
        let name = folder.file_name().ok_or("a folder has a name")?.to_string_lossy().into_owned();
        fs::write(Path::new(&out).join(format!("{name}.json")), serde_json::to_string(&assembled(&folder)?)?)?;
    }
    Ok(())
}

fn assembled(folder: &Path) -> Result<Value, Box<dyn Error>> {
    let mut flow = serde_saphyr::from_str(&read(folder, "flow.yaml")?)?;
    resolve(&mut flow, folder)?;
    Ok(flow)
}

/// Puts files in the place of `{$file: path}`: JSON as a value, anything else as text.
fn resolve(value: &mut Value, folder: &Path) -> Result<(), Box<dyn Error>> {
    if let Some(path) = value.get("$file").and_then(Value::as_str) {
        let content = read(folder, path)?;
        *value = if path.strip_suffix(".json").is_some() {
            serde_json::from_str(&content)?
        } else {
            content.trim_end().into()
        };
        return Ok(());
    }
    match value {
        Value::Array(items) => items.iter_mut().try_for_each(|item| resolve(item, folder)),
        Value::Object(fields) => fields.values_mut().try_for_each(|field| resolve(field, folder)),
        _ => Ok(()),
    }
}

fn read(folder: &Path, path: &str) -> Result<String, Box<dyn Error>> {
    let path = folder.join(path);
    fs::read_to_string(&path).map_err(|error| format!("{}: {error}", path.display()).into())
}
