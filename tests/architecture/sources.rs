//! What stands where in the sources, and what stands nowhere.

use super::tree::{Source, sources};

/// Lines of a file, at most.
const LINES_MAX: usize = 500;
/// Lines of a function's host, at most.
const HOST_LINES_MAX: usize = 30;
/// Macros that stand for work that isn't done, or was left behind.
const UNFINISHED: [&str; 3] = ["todo", "unimplemented", "dbg"];
/// What a handler may take from the runtime: the HTTP edge, and reading the images of a table's stream.
const RUNTIME_FOR_HANDLERS: [&str; 3] = ["http", "queue", "group_from_stream_image"];
/// What decisions have no use for: each is waiting, input, output, time or chance.
const IMPURE: [&str; 9] =
    ["async", "await", "std::env", "std::fs", "std::io", "std::net", "std::process", "std::thread", "std::time"];

/// The lines, counted from 1, on which `found` holds.
fn lines(source: &Source, found: impl Fn(&str) -> bool) -> Vec<String> {
    let numbered = source.text.lines().enumerate();
    numbered.filter(|(_, line)| found(line)).map(|(index, _)| format!("{}:{}", source.path, index + 1)).collect()
}

fn code(line: &str) -> &str {
    line.split("//").next().unwrap_or_default()
}

/// Whether `word` stands in the text by itself, not as a part of another name.
fn names(text: &str, word: &str) -> bool {
    let is_part = |c: char| c.is_alphanumeric() || c == '_';
    text.match_indices(word)
        .any(|(at, _)| !text[..at].ends_with(is_part) && !text[at + word.len()..].starts_with(is_part))
}

fn is_unfinished(line: &str) -> bool {
    UNFINISHED.iter().any(|name| names(line, name) && line.contains(&format!("{name}!")))
}

fn allows_a_lint(line: &str) -> bool {
    let line = line.trim_start();
    (line.starts_with("#[") || line.starts_with("#![")) && names(line, "allow")
}

fn is_impure(line: &str) -> bool {
    IMPURE.iter().any(|word| names(code(line), word))
}

/// Whether a line names one of AWS's crates; in `shared/models` that is for Bedrock's client alone.
fn is_of_aws(line: &str) -> bool {
    ["aws_sdk_", "aws_smithy_", "aws_config", "aws_types", "serde_dynamo"].iter().any(|name| code(line).contains(name))
}

/// What a line takes from the runtime, as far as it is on that line.
fn of_runtime(line: &str) -> Option<&str> {
    let (_, rest) = code(line).split_once("convoke_runtime::")?;
    rest.split(|c: char| !c.is_alphanumeric() && c != '_').next()
}

fn is_beyond_a_handler(line: &str) -> bool {
    of_runtime(line).is_some_and(|name| !RUNTIME_FOR_HANDLERS.contains(&name))
}

fn check(applies: impl Fn(&Source) -> bool, found: impl Fn(&str) -> bool) {
    let sources = sources();
    let chosen: Vec<&Source> = sources.iter().filter(|source| applies(source)).collect();
    assert!(!chosen.is_empty(), "the rule is about no file");
    let places: Vec<String> = chosen.into_iter().flat_map(|source| lines(source, &found)).collect();
    assert_eq!(places, Vec::<String>::new());
}

#[test]
fn no_file_is_longer_than_a_reader_holds() {
    let sources = sources();
    let long = sources.iter().filter(|source| source.text.lines().count() > LINES_MAX);
    assert_eq!(long.map(|source| source.path.as_str()).collect::<Vec<_>>(), Vec::<&str>::new());
}

#[test]
fn a_functions_host_has_no_logic() {
    let sources = sources();
    let is_host = |source: &&Source| source.path.starts_with("functions/") && source.path.ends_with("/src/main.rs");
    let hosts: Vec<&Source> = sources.iter().filter(is_host).collect();
    let functions = sources
        .iter()
        .filter(|source| source.path.starts_with("functions/"))
        .filter(|source| source.path.ends_with("/src/lib.rs"));
    assert_eq!(hosts.len(), functions.count(), "each function has a handler and a host");
    let long = hosts.iter().filter(|source| source.text.lines().count() > HOST_LINES_MAX);
    assert_eq!(long.map(|source| source.path.as_str()).collect::<Vec<_>>(), Vec::<&str>::new());
}

#[test]
fn nothing_is_left_unfinished() {
    check(|_| true, is_unfinished);
}

#[test]
fn no_lint_is_allowed_in_silence() {
    check(|_| true, allows_a_lint);
}

#[test]
fn the_domain_waits_for_nothing_and_reads_nothing() {
    check(|source| source.path.starts_with("shared/domain/src/"), is_impure);
}

#[test]
fn aws_is_named_by_its_adapters_alone() {
    let elsewhere = |source: &Source| {
        let homes = ["shared/aws/", "shared/runtime/", "infra/local/"];
        let bedrock = ["shared/models/src/bedrock", "shared/models/src/registry"];
        source.is_built() && !homes.iter().chain(&bedrock).any(|home| source.path.starts_with(home))
    };
    check(elsewhere, is_of_aws);
}

#[test]
fn handlers_take_nothing_but_the_http_edge_from_the_runtime() {
    let is_handler = |source: &Source| source.path.starts_with("functions/") && !source.path.ends_with("/main.rs");
    check(is_handler, is_beyond_a_handler);
}

#[test]
fn what_breaks_a_rule_is_found() {
    for name in UNFINISHED {
        assert!(is_unfinished(&format!("    {name}!()")), "{name}");
        assert!(!is_unfinished(&format!("    un{name}!()")), "{name}");
    }
    for line in ["#[allow(dead_code)]", "    #![allow(", "#[cfg_attr(test, allow(dead_code))]"] {
        assert!(allows_a_lint(line), "{line}");
    }
    assert!(!allows_a_lint("#[expect(dead_code, reason = \"allowed\")]"));
    for line in ["use std::time::SystemTime;", "pub async fn f() {", "f().await"] {
        assert!(is_impure(line), "{line}");
    }
    assert!(!is_impure("/// Nothing async."));
    assert!(is_of_aws("use aws_sdk_s3::Client;") && !is_of_aws("use aws_lambda_events::sqs::SqsEvent;"));
    assert!(is_beyond_a_handler("use convoke_runtime::config::Config;"));
    assert!(!is_beyond_a_handler("use convoke_runtime::http::service;"));
}
