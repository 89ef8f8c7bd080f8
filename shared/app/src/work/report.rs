//! `REPORT.md` and `PROJECT_TREE.txt`.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use convoke_domain::group::Group;
use convoke_domain::money::Cost;
use convoke_domain::status::StopReason;
use serde_json::Value;

use super::JobFlow;
use crate::ports::{FileRef, StepRecord};

/// A step in the report's table.
pub(super) struct Line {
    pub step: String,
    pub model: Option<String>,
    pub attempt: u32,
    pub turns: u32,
    pub cost: Cost,
    pub started_ms: u64,
    pub took_ms: u64,
    pub files: usize,
}

impl Line {
    pub fn of(record: &StepRecord) -> Self {
        Self {
            step: record.step.to_string(),
            model: record.model.clone(),
            attempt: record.attempt,
            turns: record.turn,
            cost: record.cost,
            started_ms: record.started_ms,
            took_ms: record.ended_ms.saturating_sub(record.started_ms),
            files: record.files.len(),
        }
    }
}

/// What the report tells.
pub(super) struct Facts<'a> {
    pub root: &'a Group,
    pub flow: &'a JobFlow,
    pub lines: &'a [Line],
    pub steps: u64,
    pub warnings: &'a [String],
    pub files: &'a BTreeMap<String, FileRef>,
}

/// The report, in Markdown. What people and models wrote is quoted so that it can't pass for markup.
pub(super) fn report(facts: &Facts<'_>) -> String {
    let mut text = String::from("# Report\n\n");
    head(facts, &mut text);
    warnings(facts, &mut text);
    steps(facts, &mut text);
    files(facts, &mut text);
    text
}

fn head(facts: &Facts<'_>, text: &mut String) {
    let reason = facts.root.ending.as_ref().map_or(StopReason::Internal, |ending| ending.reason);
    let spent = facts.root.spent;
    // Writing to a String can't fail; what it answers is of no use.
    let _ = writeln!(text, "| | |\n|---|---|");
    let _ = writeln!(text, "| job | `{}` |", facts.flow.key.job);
    let _ = writeln!(text, "| result | {} ({}) |", reason.status().as_str(), reason.as_str());
    if let Some(ending) = facts.root.ending.as_ref().filter(|ending| !ending.cause.is_empty()) {
        let step = ending.step.as_deref().map(|step| format!("{step}: ")).unwrap_or_default();
        let _ = writeln!(text, "| cause | {} |", cell(&format!("{step}{}", ending.cause)));
    }
    let _ = writeln!(text, "| model | {} |", cell(&facts.flow.definition.model));
    let _ = writeln!(text, "| steps | {} |", facts.steps);
    let _ = writeln!(text, "| cost | ${} ({} tokens) |", spent.usd, spent.tokens);
    if let Some(root) = facts.root.root() {
        let took_s = facts.root.at_ms.saturating_sub(root.created_ms) / 1_000;
        let _ = writeln!(text, "| time | {took_s} s |");
    }
    if let Some(prompt) = facts.flow.input.get("prompt").and_then(Value::as_str) {
        let _ = writeln!(text, "\n## Asked\n\n{}", quote(prompt));
    }
}

fn warnings(facts: &Facts<'_>, text: &mut String) {
    if facts.warnings.is_empty() {
        return;
    }
    let _ = writeln!(text, "\n## Warnings\n");
    for warning in facts.warnings.iter().take(100) {
        let _ = writeln!(text, "- {}", cell(warning));
    }
}

fn steps(facts: &Facts<'_>, text: &mut String) {
    let _ = writeln!(text, "\n## Steps\n\n| step | model | attempt | turns | tokens | cost | seconds | files |");
    let _ = writeln!(text, "|---|---|---|---|---|---|---|---|");
    for line in facts.lines {
        let model = line.model.as_deref().unwrap_or("-");
        let (seconds, tenths) = (line.took_ms / 1_000, line.took_ms % 1_000 / 100);
        let Cost { usd, tokens } = line.cost;
        let _ = writeln!(
            text,
            "| {} | {} | {} | {} | {tokens} | ${usd} | {seconds}.{tenths} | {} |",
            cell(&line.step),
            cell(model),
            line.attempt,
            line.turns,
            line.files
        );
    }
    let left_out = facts.steps.saturating_sub(facts.lines.len() as u64);
    if left_out > 0 {
        let _ = writeln!(text, "\n{left_out} more steps are not listed here.");
    }
}

fn files(facts: &Facts<'_>, text: &mut String) {
    let _ = writeln!(text, "\n## Files\n\n| path | bytes | made by | SHA-256 |\n|---|---|---|---|");
    for file in facts.files.values() {
        let hash = &file.sha256[..12.min(file.sha256.len())];
        let _ = writeln!(text, "| {} | {} | {} | `{hash}` |", cell(&file.path), file.bytes, cell(&file.step));
    }
}

/// A text in a table's cell: one line, no markup.
fn cell(text: &str) -> String {
    let escaped: String = text.chars().take(300).flat_map(escape).collect();
    escaped
}

fn escape(c: char) -> Vec<char> {
    match c {
        '|' | '`' | '<' | '>' | '[' | ']' | '*' | '_' | '\\' | '!' | '#' => vec!['\\', c],
        c if c.is_control() => vec![' '],
        c => vec![c],
    }
}

/// A text as an indented block: nothing in it is markup.
fn quote(text: &str) -> String {
    let lines: Vec<String> = text.lines().take(200).map(|line| format!("    {line}")).collect();
    lines.join("\n")
}

/// The tree of the files, as a terminal shows it.
pub(super) fn tree<'a>(paths: impl Iterator<Item = &'a str>) -> String {
    let mut root = Dir::default();
    for path in paths {
        root.insert(path);
    }
    let mut text = String::from(".\n");
    root.draw("", &mut text);
    text
}

#[derive(Default)]
struct Dir<'a> {
    entries: BTreeMap<&'a str, Dir<'a>>,
}

impl<'a> Dir<'a> {
    fn insert(&mut self, path: &'a str) {
        let mut dir = self;
        for part in path.split('/') {
            dir = dir.entries.entry(part).or_default();
        }
    }

    fn draw(&self, indent: &str, text: &mut String) {
        for (index, (name, dir)) in self.entries.iter().enumerate() {
            let last = index + 1 == self.entries.len();
            let (branch, deeper) = if last { ("└── ", "    ") } else { ("├── ", "│   ") };
            let _ = writeln!(text, "{indent}{branch}{name}");
            dir.draw(&format!("{indent}{deeper}"), text);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn trees_are_drawn_as_terminals_do() {
        let drawn = tree(["src/main.rs", "README.md", "src/api/mod.rs"].into_iter());
        assert_eq!(drawn, ".\n├── README.md\n└── src\n    ├── api\n    │   └── mod.rs\n    └── main.rs\n");
    }

    #[test]
    fn cells_hold_no_markup() {
        assert_eq!(cell("a|b\n<img>"), "a\\|b \\<img\\>");
    }
}
