//! What is asked wrongly, or can't be had: exit code 2 and one line that says what is wrong, before anything is done.

use std::ffi::OsStr;
use std::net::TcpListener;
use std::os::unix::ffi::OsStrExt;
use std::path::Path;
use std::process::{Command, Output, Stdio};

use convoke::stack::{Stack, StackOptions};

/// A command without this process's environment; the model that it names is never called.
fn convoke(data: &Path) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_convoke"));
    command
        .env_clear()
        .env("HOME", data)
        .env("CONVOKE_DATA_DIR", data)
        .env("CONVOKE_MODEL", "compatible/none")
        .env("CONVOKE_COMPATIBLE_BASE_URL", "http://127.0.0.1:9")
        .current_dir(data)
        .stdin(Stdio::null());
    command
}

/// The line that it was refused with.
fn refused(output: &Output) -> String {
    let told = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!(output.status.code(), Some(2), "{told}");
    let lines: Vec<&str> = told.lines().collect();
    assert_eq!(lines.len(), 1, "{told}");
    assert!(output.stdout.is_empty(), "{}", String::from_utf8_lossy(&output.stdout));
    lines[0].strip_prefix("convoke: ").expect("the program's name").to_owned()
}

#[track_caller]
fn check(data: &Path, arguments: &[&str], parts: &[&str]) {
    let line = refused(&convoke(data).args(arguments).output().expect("it starts"));
    for part in parts {
        assert!(line.contains(part), "{arguments:?}: {line}");
    }
}

#[test]
fn bad_arguments_are_refused_before_anything_is_started() {
    let folder = tempfile::tempdir().expect("a folder");
    let data = folder.path();
    std::fs::write(data.join("bad.json"), "{\"a\": ").expect("written");
    std::fs::write(data.join("bad.yaml"), "name: x\nnodes: 3\n").expect("written");
    std::fs::write(data.join("binary"), [0xff, 0xfe, 0x00]).expect("written");
    std::fs::write(data.join("empty"), "").expect("written");
    let long = "x".repeat(64 * 1024 + 1);
    for (arguments, parts) in [
        (&["run"][..], &["nothing was asked", "PROMPT"][..]),
        (&["run", "  "], &["nothing was asked"]),
        (&["run", "--flow", "missing.yaml"], &["missing.yaml"]),
        (&["run", &long], &["65537 bytes", "65536", "--file"]),
        (&["run", "a\u{1}b"], &["isn't text"]),
        (&["run", "x", "--budget", "0"], &["--budget", "above 0"]),
        (&["run", "x", "--budget", "-1"], &["--budget", "above 0"]),
        (&["run", "x", "--budget", "abc"], &["--budget", "above 0"]),
        (&["run", "x", "--flow", "hardware"], &["hardware", "software"]),
        (&["run", "x", "--flow", "there-is-none.yaml"], &["there-is-none.yaml"]),
        (&["run", "x", "--flow", "bad.yaml"], &["bad.yaml", "nodes"]),
        (&["run", "--input", "nonsense"], &["nonsense", "key=value"]),
        (&["run", "--input", "@bad.json"], &["bad.json", "line 1"]),
        (&["run", "--input", "@binary"], &["binary", "can't be read"]),
        (&["run", "--input", "@none.json"], &["none.json"]),
        (&["run", "x", "--file", "none.csv"], &["none.csv", "can't be read"]),
        (&["run", "x", "--file", "."], &["is a folder"]),
        (&["run", "x", "--file", "empty"], &["0 bytes"]),
        (&["run", "x", "--url", "http://127.0.0.1:9"], &["--key"]),
        (&["serve", "--port", "high"], &["--port", "high"]),
        (&["serve", "--model", "acme/x"], &["--model", "acme"]),
        (&["serve", "--model", "openai/gpt-4.1"], &["--model", "OPENAI_API_KEY"]),
        (&["serve", "--telegram"], &["TELEGRAM_TOKEN", "BotFather"]),
        (&["bots", "webhook", "show"], &["TELEGRAM_TOKEN", "BotFather"]),
        (&["bots", "webhook", "set", "--url", "https://a.example", "--stack", "b"], &["--stack"]),
        (&["jobs", "show"], &["<JOB>"]),
        (&["schedules", "create", "x"], &["--cron", "--every"]),
        (&["schedules", "create", "x", "--every", "5"], &["--every", "15m"]),
        (&["schedules", "create", "x", "--every", "1h", "--cron", "* * * * *"], &["leave one"]),
        (&["schedules", "create", "x", "--every", "1h", "--overlap", "kill"], &["--overlap", "queue"]),
        (&["schedules", "create", "x", "--every", "1h", "--file", "empty"], &["--file", "uploads"]),
        (&["--config", "none.toml", "doctor"], &["none.toml"]),
    ] {
        check(data, arguments, parts);
    }
    let garbled = convoke(data).arg("run").arg(OsStr::from_bytes(b"a\xff\xfe")).output().expect("it starts");
    assert!(refused(&garbled).contains("UTF-8"));
}

#[test]
fn bad_settings_are_refused_with_their_place() {
    let folder = tempfile::tempdir().expect("a folder");
    let data = folder.path();
    let serve = |text: &str| {
        std::fs::write(data.join("convoke.toml"), text).expect("written");
        let mut command = convoke(data);
        command.env_remove("CONVOKE_MODEL").args(["serve", "--port", "0"]);
        refused(&command.output().expect("it starts"))
    };
    std::fs::write(data.join("prices.json"), "{\"models\": {\n\"a/b\": {\"cheap\": 1}}}").expect("written");
    for (text, parts) in [
        ("\nmodle = \"openai/gpt-4.1\"", &["convoke.toml:2", "`modle`", "take it away"][..]),
        ("port = \"high\"", &["convoke.toml:1", "u16"]),
        ("# mine\nmodel = \"openai/gpt-4.1\"", &["convoke.toml:2", "OPENAI_API_KEY"]),
        ("model = \"gpt\"", &["convoke.toml:1", "gpt"]),
        ("model = \"compatible/x\"\n[budget]\nusd = \"5000\"", &["convoke.toml:3", "CONVOKE_BUDGET_MAX"]),
        ("model = \"compatible/x\"\nprices = \"prices.json\"", &["convoke.toml:2", "prices.json", "`cheap`", "line 2"]),
    ] {
        let line = serve(text);
        for part in parts {
            assert!(line.contains(part), "{text:?}: {line}");
        }
    }
    std::fs::remove_file(data.join("convoke.toml")).expect("removed");
    let mut command = convoke(data);
    command.env("CONVOKE_BUDGET_TOKENS", "many").args(["run", "x"]);
    assert!(refused(&command.output().expect("it starts")).contains("CONVOKE_BUDGET_TOKENS"));
}

#[test]
fn a_taken_port_is_named() {
    let folder = tempfile::tempdir().expect("a folder");
    let taken = TcpListener::bind("127.0.0.1:0").expect("a port");
    let port = taken.local_addr().expect("bound").port().to_string();
    check(folder.path(), &["serve", "--port", &port], &[&port, "--port"]);
}

#[tokio::test]
async fn a_folder_that_another_process_holds_is_named_with_its_holder() {
    let folder = tempfile::tempdir().expect("a folder");
    let stack = Stack::start(StackOptions::new(folder.path())).await.expect("a stack");
    let holder = std::process::id().to_string();
    for (arguments, hint) in [(&["serve", "--port", "0"][..], "--data-dir"), (&["keys", "list"], "while nobody serves")]
    {
        check(folder.path(), arguments, &["in use by process", &holder, hint]);
    }
    stack.shutdown().await;
}

#[test]
fn a_folder_of_another_version_or_of_others_is_left_alone() {
    let folder = tempfile::tempdir().expect("a folder");
    let format = folder.path().join("format");
    for (found, part) in [("99\n", "newer version"), ("1\n", "older version"), ("none of ours", "is")] {
        std::fs::write(&format, found).expect("written");
        check(folder.path(), &["run", "x"], &[part, "--data-dir"]);
        assert_eq!(std::fs::read_to_string(&format).expect("kept"), found);
        assert!(!folder.path().join("table.sqlite").exists());
    }
}

#[test]
fn a_folder_that_cannot_be_written_is_named() {
    let folder = tempfile::tempdir().expect("a folder");
    std::fs::write(folder.path().join("file"), "").expect("written");
    let below = folder.path().join("file/data");
    let mut command = convoke(folder.path());
    let output = command.env("CONVOKE_DATA_DIR", &below).args(["serve", "--port", "0"]).output().expect("it starts");
    let line = refused(&output);
    assert!(line.contains("file/data") && line.contains("--data-dir"), "{line}");
}

/// The system's limit of a file's size stands for a full disk: each write fails beyond it.
#[test]
fn a_full_disk_is_told() {
    let folder = tempfile::tempdir().expect("a folder");
    let limited = "trap '' XFSZ; ulimit -f 4; exec \"$0\" serve --port 0";
    let mut command = Command::new("sh");
    command.args(["-c", limited, env!("CARGO_BIN_EXE_convoke")]).env_clear().env("CONVOKE_DATA_DIR", folder.path());
    command.env("HOME", folder.path()).env("CONVOKE_MODEL", "compatible/none");
    let output = command.env("CONVOKE_COMPATIBLE_BASE_URL", "http://127.0.0.1:9").output().expect("it starts");
    let line = refused(&output);
    assert!(line.contains("can't be used") && line.contains("free space"), "{line}");
}

#[test]
fn a_reader_that_goes_away_ends_a_command_without_a_word() {
    let folder = tempfile::tempdir().expect("a folder");
    let mut command = convoke(folder.path());
    let mut child = command.arg("doctor").stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().expect("it starts");
    drop(child.stdout.take());
    let output = child.wait_with_output().expect("it ends");
    assert_eq!(String::from_utf8_lossy(&output.stderr), "");
    assert_eq!(output.status.code(), Some(141));
}
