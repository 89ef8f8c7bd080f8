//! `REPORT.md` and `PROJECT_TREE.txt`.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use convoke_api::job::{ChangeKind, ChangesView};
use convoke_domain::group::Group;
use convoke_domain::money::Cost;
use convoke_domain::review::Decision;
use convoke_domain::status::StopReason;
use serde_json::Value;

use super::JobFlow;
use crate::ports::{FileRef, Payload, StepRecord};

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

/// What came of a review that somebody was asked.
pub(super) struct Decided {
    pub step: String,
    pub decision: Decision,
    pub by: String,
    pub comment: String,
}

impl Decided {
    /// Of a step's result; `None` where it is none of a review that somebody was asked.
    pub fn of(record: &StepRecord) -> Option<Self> {
        let judged = record.progress.judged.as_ref()?;
        let said = |name: &str| match &record.output {
            Payload::Inline(output) => output.get(name).and_then(Value::as_str).unwrap_or_default().to_owned(),
            // A long comment: the step shows it.
            Payload::Blob { .. } => String::new(),
        };
        let step = record.step.to_string();
        Some(Self { step, decision: judged.decision, by: said("by"), comment: said("comment") })
    }
}

/// What the steps of a task came to.
pub(super) struct Sum {
    pub task: String,
    pub steps: u64,
    pub turns: u64,
    pub cost: Cost,
}

impl Sum {
    pub fn of(task: &str) -> Self {
        Self { task: task.to_owned(), steps: 0, turns: 0, cost: Cost::ZERO }
    }

    pub fn add(&mut self, record: &StepRecord) {
        self.steps += 1;
        self.turns += u64::from(record.turn);
        self.cost += record.cost;
    }
}

/// What the report tells.
pub(super) struct Facts<'a> {
    pub root: &'a Group,
    pub flow: &'a JobFlow,
    /// What the items of maps are called, by task.
    pub keys: &'a BTreeMap<String, Vec<String>>,
    pub lines: &'a [Line],
    pub decisions: &'a [Decided],
    pub sums: &'a [Sum],
    pub steps: u64,
    pub warnings: &'a [String],
    pub files: &'a BTreeMap<String, FileRef>,
    /// Output of the step that stands last.
    pub result: Option<&'a Value>,
    /// Of a follow-up: what is different.
    pub changes: Option<&'a ChangesView>,
}

/// The report, in Markdown: what to know first, what was asked and made, by whom, at what cost. What people and models
/// wrote is quoted so that it can't pass for markup.
pub(super) fn report(facts: &Facts<'_>) -> String {
    let mut text = String::from("# Report\n");
    warnings(facts, &mut text);
    head(facts, &mut text);
    asked(facts, &mut text);
    changes(facts, &mut text);
    decisions(facts, &mut text);
    files(facts, &mut text);
    sums(facts, &mut text);
    steps(facts, &mut text);
    text
}

fn warnings(facts: &Facts<'_>, text: &mut String) {
    if facts.warnings.is_empty() {
        return;
    }
    // Writing to a String can't fail; what it answers is of no use.
    let _ = writeln!(text, "\n## Warnings\n");
    for warning in facts.warnings {
        let _ = writeln!(text, "- {}", cell(warning));
    }
}

fn head(facts: &Facts<'_>, text: &mut String) {
    let reason = facts.root.ending.as_ref().map_or(StopReason::Internal, |ending| ending.reason);
    let spent = facts.root.spent;
    let _ = writeln!(text, "\n## Job\n\n| | |\n|---|---|");
    let _ = writeln!(text, "| job | `{}` |", facts.flow.key.job);
    let _ = writeln!(text, "| result | {} |", result(reason, facts.warnings.len()));
    if let Some(ending) = facts.root.ending.as_ref().filter(|ending| !ending.cause.is_empty()) {
        let step = ending.step.as_deref().map(|step| format!("{step}: ")).unwrap_or_default();
        let _ = writeln!(text, "| cause | {} |", cell(&format!("{step}{}", ending.cause)));
    }
    let _ = writeln!(text, "| model | {} |", cell(&facts.flow.definition.model));
    let _ = writeln!(text, "| cost | ${} ({} tokens) |", spent.usd, spent.tokens);
    if let Some(root) = facts.root.root() {
        let took_s = facts.root.at_ms.saturating_sub(root.created_ms) / 1_000;
        let _ = writeln!(text, "| time | {took_s} s |");
    }
}

/// `completed`, `completed, with 2 warnings`, `failed (deadline)`.
fn result(reason: StopReason, warnings: usize) -> String {
    let status = reason.status().as_str();
    let because = if status == reason.as_str() { String::new() } else { format!(" ({})", reason.as_str()) };
    let with = match warnings {
        0 => String::new(),
        1 => ", with a warning".to_owned(),
        count => format!(", with {count} warnings"),
    };
    format!("{status}{because}{with}")
}

/// What was asked, and what the last step says of what was made.
fn asked(facts: &Facts<'_>, text: &mut String) {
    if let Some(prompt) = facts.flow.input.get("prompt").and_then(Value::as_str) {
        let _ = writeln!(text, "\n## Asked\n\n{}", quote(prompt));
    }
    let result = facts.result.and_then(|result| result.as_str().or_else(|| result.get("summary")?.as_str()));
    if let Some(result) = result.filter(|result| !result.trim().is_empty()) {
        let _ = writeln!(text, "\n## Made\n\n{}", quote(result));
    }
}

/// What is different from the files that the job goes on from.
fn changes(facts: &Facts<'_>, text: &mut String) {
    let (Some(changes), Some(base)) = (facts.changes, &facts.flow.definition.base) else { return };
    let ChangesView { added, changed, removed, unchanged, files } = changes;
    let _ = writeln!(
        text,
        "\n## Changes\n\nCompared with the files of job `{}`: {added} added, {changed} changed, {removed} removed, {unchanged} as they were.\n",
        base.job
    );
    for file in files {
        let what = match file.change {
            ChangeKind::Added => "added",
            ChangeKind::Changed => "changed",
            ChangeKind::Removed => "removed",
        };
        let _ = writeln!(text, "- {what}: {}", code(&file.path));
    }
    let left_out = (added + changed + removed) as usize - files.len();
    if left_out > 0 {
        let _ = writeln!(text, "- and {left_out} more");
    }
}

fn decisions(facts: &Facts<'_>, text: &mut String) {
    if facts.decisions.is_empty() {
        return;
    }
    let _ = writeln!(text, "\n## Decisions\n\n| review | decision | by | comment |\n|---|---|---|---|");
    for Decided { step, decision, by, comment } in facts.decisions {
        let by = if by.is_empty() { "nobody in time" } else { by };
        let (step, by, comment) = (code(step), cell(by), cell(comment));
        let _ = writeln!(text, "| {step} | {} | {by} | {comment} |", decision.as_str());
    }
}

fn sums(facts: &Facts<'_>, text: &mut String) {
    let _ = writeln!(text, "\n## Tasks\n\n| task | steps | turns | tokens | cost |\n|---|---|---|---|---|");
    for Sum { task, steps, turns, cost } in facts.sums.iter().filter(|sum| sum.turns > 0) {
        let _ = writeln!(text, "| {} | {steps} | {turns} | {} | ${} |", code(task), cost.tokens, cost.usd);
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
            shown(facts, &line.step),
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
        let _ = writeln!(text, "| {} | {} | {} | `{hash}` |", code(&file.path), file.bytes, shown(facts, &file.step));
    }
}

/// A name in a table's cell, as code where that needs no escapes.
fn code(name: &str) -> String {
    let is_plain = name.chars().all(|c| !c.is_control() && !matches!(c, '`' | '|' | '\\'));
    if is_plain { format!("`{name}`") } else { cell(name) }
}

/// A step's name, with what its item is called.
fn shown(facts: &Facts<'_>, step: &str) -> String {
    let key = || {
        let (task, rest) = step.split_once('[')?;
        let item: usize = rest.split(']').next()?.parse().ok()?;
        facts.keys.get(task)?.get(item)
    };
    key().map_or_else(|| code(step), |key| format!("{} ({})", code(step), cell(key)))
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
    fn results_are_told_once() {
        assert_eq!(result(StopReason::Completed, 0), "completed");
        assert_eq!(result(StopReason::Completed, 2), "completed, with 2 warnings");
        assert_eq!(result(StopReason::Deadline, 1), "failed (deadline), with a warning");
    }

    #[test]
    fn names_are_code_unless_they_hold_markup() {
        assert_eq!(code("todo/__init__.py"), "`todo/__init__.py`");
        assert_eq!(code("a`b"), cell("a`b"));
    }

    #[test]
    fn cells_hold_no_markup() {
        assert_eq!(cell("a|b\n<img>"), "a\\|b \\<img\\>");
    }
}
