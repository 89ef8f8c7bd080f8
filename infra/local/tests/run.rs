//! `convoke run` as a user starts it: the binary, the embedded model with its real weights, artifacts on disk.

use std::path::Path;
use std::process::{Command, Output};

fn convoke(data: &Path, args: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_convoke")).arg("--data-dir").arg(data).args(args).output().expect("convoke starts")
}

fn run(data: &Path, prompt: &str, out: &Path) {
    let output = convoke(data, &["run", prompt, "--out", out.to_str().expect("a path")]);
    let told = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{}\n{told}", String::from_utf8_lossy(&output.stdout));
    for file in ["architecture.json", "plan.json", "PROJECT_TREE.txt", "REPORT.md", "archive.zip"] {
        assert!(out.join(file).is_file(), "{file} is missing:\n{told}");
    }
    for folder in ["src", "reviews"] {
        let files = out.join(folder).read_dir().map(Iterator::count).unwrap_or_default();
        assert!(files > 0, "{folder} is empty:\n{told}");
    }
    let archive = std::fs::read(out.join("archive.zip")).expect("an archive");
    assert_eq!(&archive[..4], b"PK\x03\x04");
}

#[test]
fn the_main_job_leaves_artifacts_and_other_prompts_lead_to_other_plans() {
    let folder = tempfile::tempdir().expect("a folder");
    let data = folder.path().join("data");
    let (todo, chess) = (folder.path().join("todo"), folder.path().join("chess"));
    run(&data, "Create a REST API for a todo application", &todo);
    run(&data, "Write a chess clock with two timers", &chess);
    let read = |out: &Path, file: &str| std::fs::read_to_string(out.join(file)).expect("text");
    assert_ne!(read(&todo, "plan.json"), read(&chess, "plan.json"));
    assert_ne!(read(&todo, "architecture.json"), read(&chess, "architecture.json"));
    assert!(read(&todo, "REPORT.md").contains("Create a REST API for a todo application"));
    let listed = convoke(&data, &["jobs", "list"]);
    assert!(listed.status.success());
    assert_eq!(String::from_utf8_lossy(&listed.stdout).matches("completed").count(), 2);
}
