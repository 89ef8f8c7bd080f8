//! JSON as a person reads it: an outline without braces and quotes.

use serde_json::{Map, Value};

/// Fields that name an object, the first that it has before the others.
const NAMES: [&str; 3] = ["id", "name", "title"];
/// By how much what belongs to a line stands further in.
const INDENT: &str = "    ";

/// A text as it is; else a line for each field, `name: value`, with what is deeper further in. What is empty is left out.
pub(super) fn outline(value: &Value) -> String {
    let mut lines = Vec::new();
    match value {
        Value::Object(fields) => put_fields(fields, "", &mut lines),
        Value::Array(items) if !items.iter().all(is_plain) => put_items(items, "", &mut lines),
        other => lines.extend(line(other)),
    }
    lines.join("\n")
}

/// Whether it fits into a line by itself.
fn is_plain(value: &Value) -> bool {
    match value {
        Value::Object(_) | Value::Array(_) => false,
        Value::String(text) => !text.contains('\n'),
        Value::Null | Value::Bool(_) | Value::Number(_) => true,
    }
}

/// What fits into a line; `None` for what is empty.
fn line(value: &Value) -> Option<String> {
    let text = match value {
        Value::Null | Value::Object(_) => return None,
        Value::Bool(is) => if *is { "yes" } else { "no" }.to_owned(),
        Value::Number(number) => number.to_string(),
        Value::String(text) => text.trim().to_owned(),
        Value::Array(items) => items.iter().filter_map(line).collect::<Vec<_>>().join(", "),
    };
    Some(text).filter(|text| !text.is_empty())
}

fn put_fields(fields: &Map<String, Value>, indent: &str, lines: &mut Vec<String>) {
    for (key, value) in fields {
        put(&key.replace('_', " "), value, indent, lines);
    }
}

fn put(key: &str, value: &Value, indent: &str, lines: &mut Vec<String>) {
    let deeper = format!("{indent}{INDENT}");
    let mut below = Vec::new();
    match value {
        Value::Object(fields) => put_fields(fields, &deeper, &mut below),
        Value::Array(items) if !items.iter().all(is_plain) => put_items(items, indent, &mut below),
        Value::String(text) if text.trim().contains('\n') => {
            below.extend(text.trim().lines().map(|line| format!("{deeper}{line}")));
        }
        other => lines.extend(line(other).map(|line| format!("{indent}{key}: {line}"))),
    }
    if !below.is_empty() {
        lines.push(format!("{indent}{key}:"));
        lines.append(&mut below);
    }
}

/// A bullet for each item: what names it, and what else there is of it further in.
fn put_items(items: &[Value], indent: &str, lines: &mut Vec<String>) {
    for item in items {
        let Value::Object(fields) = item else {
            lines.extend(outline(item).lines().enumerate().map(|(i, line)| {
                let lead = if i == 0 { "• " } else { INDENT };
                format!("{indent}{lead}{line}")
            }));
            continue;
        };
        let named = NAMES.iter().filter(|name| fields.get(**name).is_some_and(is_plain)).take(2);
        let named: Vec<&str> = named.copied().collect();
        let lead: Vec<String> = named.iter().filter_map(|name| line(&fields[*name])).collect();
        let rest = fields.iter().filter(|(name, _)| !named.contains(&name.as_str()));
        let rest: Map<String, Value> = rest.map(|(name, value)| (name.clone(), value.clone())).collect();
        let mut below = Vec::new();
        put_fields(&rest, &format!("{indent}{INDENT}"), &mut below);
        match lead.is_empty() {
            true if below.is_empty() => {}
            true => lines.push(format!("{indent}• {}", below.remove(0).trim_start())),
            false => lines.push(format!("{indent}• {}", lead.join(": "))),
        }
        lines.append(&mut below);
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_plan_reads_like_a_list() {
        let plan = json!({
            "agreed": true,
            "shared_files": ["todo/errors.py"],
            "risks": [],
            "tasks": [
                {"id": "base", "title": "Settings", "depends_on": [], "files": ["pyproject.toml", "todo/settings.py"],
                 "acceptance": "It runs.\nIt says so."},
                {"id": "store", "title": "Storage", "depends_on": ["base"], "files": ["todo/store.py"], "size": 3},
            ],
            "notes": {"why": null, "by": "ada"},
        });
        let expected = "\
agreed: yes
shared files: todo/errors.py
tasks:
• base: Settings
    files: pyproject.toml, todo/settings.py
    acceptance:
        It runs.
        It says so.
• store: Storage
    depends on: base
    files: todo/store.py
    size: 3
notes:
    by: ada";
        assert_eq!(outline(&plan), expected);
    }

    #[test]
    fn what_has_no_names_is_listed_all_the_same() {
        let cases = [
            (json!("as it\nis"), "as it\nis"),
            (json!(["a", 1, false]), "a, 1, no"),
            (json!([["a", "b"], "c\nd", {"x": 1, "y": {"z": 2}}]), "• a, b\n• c\n    d\n• x: 1\n    y:\n        z: 2"),
            (json!({"a": null, "b": "", "c": {}, "d": []}), ""),
            (json!(null), ""),
        ];
        for (value, expected) in cases {
            assert_eq!(outline(&value), expected, "{value}");
        }
    }
}
