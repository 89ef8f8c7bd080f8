//! Calls and answers as text, for snapshots.

use convoke_tests::discord::{Call, DiscordServer};
use serde_json::Value;

/// Calls, one after the other: method, path, who, body, files.
pub fn calls(calls: &[Call]) -> String {
    calls.iter().map(call).collect::<Vec<_>>().join("\n")
}

fn call(call: &Call) -> String {
    let by = if call.by_bot { "bot" } else { "token" };
    let files: Vec<String> = call.files.iter().map(|(name, bytes)| format!("\n  file {name}, {bytes} bytes")).collect();
    let body = if call.body.is_null() { String::new() } else { format!("\n{}", indented(&call.body)) };
    format!("{} {} ({by}){body}{}", call.method, call.path, files.concat())
}

/// JSON, two spaces in.
pub fn indented(value: &Value) -> String {
    format!("{value:#}").lines().map(|line| format!("  {line}")).collect::<Vec<_>>().join("\n")
}

/// Nothing that was called so far is wrong.
#[track_caller]
pub fn nothing_is_wrong(server: &DiscordServer) {
    assert_eq!(server.wrong(), Vec::<String>::new());
}
