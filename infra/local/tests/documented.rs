//! What README.md and docs/ say of the command line: every command is in the table, and each that is named anywhere is one
//! that there is, with options that it takes.

use std::collections::BTreeSet;
use std::path::Path;

use clap::{Command, CommandFactory};
use convoke::cli::args::Cli;

const PAGES: [&str; 3] = ["README.md", "docs/AWS.md", "docs/CHAT.md"];

fn page(name: &str) -> String {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..").join(name);
    std::fs::read_to_string(path).expect("a page")
}

/// The commands without commands of their own, each as the words that one types.
fn leaves(command: &Command, path: &[&str]) -> Vec<Vec<String>> {
    let below = |below: &Command| leaves(below, &[path, &[below.get_name()]].concat());
    if command.has_subcommands() {
        return command.get_subcommands().filter(|below| below.get_name() != "help").flat_map(below).collect();
    }
    vec![path.iter().map(|word| (*word).to_owned()).collect()]
}

/// What stands between backticks, and the lines of code blocks: those that begin with the program.
fn examples(text: &str) -> Vec<String> {
    let mut in_block = false;
    let mut found = Vec::new();
    for line in text.lines() {
        if line.trim_start().starts_with("```") {
            in_block = !in_block;
        } else if in_block {
            let line = line.trim_start_matches("$ ").split("  #").next().unwrap_or_default();
            found.extend(line.split('|').map(|part| part.trim().to_owned()));
        } else {
            found.extend(line.split('`').skip(1).step_by(2).map(|code| code.replace("\\|", "|")));
        }
    }
    let ours = |code: String| Some(code.replace("cargo run -- ", "convoke ").strip_prefix("convoke ")?.to_owned());
    found.into_iter().filter_map(ours).collect()
}

/// The commands that an example names, `list|show` two, and what of it follows them.
fn named(example: &str) -> (Vec<Vec<String>>, String) {
    let root = Cli::command();
    let mut paths: Vec<Vec<String>> = vec![Vec::new()];
    let mut words = example.split_whitespace().peekable();
    loop {
        let at = paths.iter().map(|path| found(&root, path)).next().expect("one at least");
        let Some(word) = words.next_if(|_| at.has_subcommands()) else { break };
        if word == ".." {
            break;
        }
        let next = word
            .split('|')
            .flat_map(|word| paths.iter().map(move |path| [path.as_slice(), &[word.to_owned()]].concat()));
        paths = next.collect();
    }
    (paths, words.collect::<Vec<_>>().join(" "))
}

fn found<'a>(root: &'a Command, path: &[String]) -> &'a Command {
    path.iter().fold(root, |at, word| {
        at.find_subcommand(word).unwrap_or_else(|| panic!("there is no `convoke {}`", path.join(" ")))
    })
}

/// The long options in a text.
fn options(text: &str) -> impl Iterator<Item = &str> {
    text.split(|c: char| c != '-' && !c.is_ascii_alphanumeric())
        .filter_map(|word| word.strip_prefix("--"))
        .filter(|name| !name.is_empty())
}

#[test]
fn what_is_documented_is_a_command_with_options_that_it_takes() {
    let root = Cli::command();
    let mut seen = 0;
    for name in PAGES {
        for example in examples(&page(name)) {
            let (paths, rest) = named(&example);
            for path in &paths {
                let command = found(&root, path);
                seen += 1;
                for option in options(&rest) {
                    let is_known = command
                        .get_arguments()
                        .chain(root.get_arguments())
                        .any(|known| known.get_long() == Some(option));
                    // Of several commands the options are those of each.
                    assert!(is_known || command.has_subcommands(), "{name}: `convoke {example}`: --{option}");
                }
            }
        }
    }
    assert!(seen > 60, "{seen}");
}

#[test]
fn every_command_is_in_the_table() {
    let readme = page("README.md");
    let (_, table) = readme.split_once("\n## Command line\n").expect("a table");
    let rows = table.lines().filter(|line| line.starts_with("| `")).take_while(|line| line.contains("convoke"));
    let table: Vec<&str> = rows.filter_map(|row| row.split(" | ").next()).collect();
    let told: BTreeSet<Vec<String>> = examples(&table.join("\n")).iter().flat_map(|example| named(example).0).collect();
    let there: BTreeSet<Vec<String>> = leaves(&Cli::command(), &[]).into_iter().collect();
    assert_eq!(told, there);
}

#[test]
fn the_commands_that_go_elsewhere_are_told() {
    let root = Cli::command();
    let takes_a_key = |path: &Vec<String>| found(&root, path).get_arguments().any(|arg| arg.get_long() == Some("key"));
    let there: BTreeSet<String> =
        leaves(&root, &[]).iter().filter(|path| takes_a_key(path)).map(|path| path[0].clone()).collect();
    let readme = page("README.md");
    let line = readme.lines().find(|line| line.contains(" take `--url` and `--key`")).expect("it says which");
    let (names, _) = line.split_once(" take ").expect("names");
    let told: BTreeSet<String> = names.split('`').skip(1).step_by(2).map(str::to_owned).collect();
    assert_eq!(told, there);
}
