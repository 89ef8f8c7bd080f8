//! The official suite, `json-schema-org/JSON-Schema-Test-Suite`, as the source distribution of the Python package
//! `jsonschema` carries it: all that it asks of drafts 4, 6, 7, 2019-09 and 2020-12.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use convoke_schema::Schema;
use serde_json::Value;

/// The package, and with it the suite's state.
const PACKAGE: &str = "jsonschema==4.26.0";
/// The drafts, by their folders, and what each must come to: values that were judged as they should, and schemas that
/// lead out of themselves.
const DRAFTS: [(&str, &str, usize, usize); 5] = [
    ("draft4", "http://json-schema.org/draft-04/schema#", 589, 10),
    ("draft6", "http://json-schema.org/draft-06/schema#", 802, 13),
    ("draft7", "http://json-schema.org/draft-07/schema#", 886, 13),
    ("draft2019-09", "https://json-schema.org/draft/2019-09/schema", 1187, 19),
    ("draft2020-12", "https://json-schema.org/draft/2020-12/schema", 1204, 24),
];

/// The suite's folder; fetched once for each target folder.
fn suite() -> PathBuf {
    let home = Path::new(env!("CARGO_TARGET_TMPDIR")).join("json-schema-suite").join(PACKAGE);
    let suite = home.join("suite");
    if suite.is_dir() {
        return suite;
    }
    let fresh = home.join(format!("fetching-{}", std::process::id()));
    fs::create_dir_all(&fresh).expect("a folder");
    let arguments =
        ["-m", "pip", "download", "--quiet", "--no-deps", "--no-input", "--no-binary", "jsonschema", PACKAGE];
    run(Command::new("python3").args(arguments).current_dir(&fresh));
    let archive = fs::read_dir(&fresh).expect("a folder").next().expect("a package").expect("a package").path();
    run(Command::new("python3").args(["-m", "tarfile", "-e"]).arg(&archive).arg(&fresh));
    let unpacked = archive.with_extension("").with_extension("").join("json");
    // Another test may have been there first.
    drop(fs::rename(unpacked, &suite));
    fs::remove_dir_all(&fresh).expect("a folder of ours");
    suite
}

fn run(command: &mut Command) {
    let done = command.output().unwrap_or_else(|error| panic!("{command:?}: {error}"));
    assert!(done.status.success(), "{command:?}: {}", String::from_utf8_lossy(&done.stderr));
}

fn read(path: &Path) -> Value {
    serde_json::from_slice(&fs::read(path).expect("a file")).expect("JSON")
}

/// What came of a draft's tests.
#[derive(Default)]
struct Tally {
    judged: usize,
    led_out: usize,
    wrong: Vec<String>,
}

impl Tally {
    fn group(&mut self, file: &str, draft: &str, group: &Value) {
        let mut schema = group["schema"].clone();
        if let Some(schema) = schema.as_object_mut() {
            schema.entry("$schema").or_insert_with(|| draft.into());
        }
        let what = format!("{file}: {}", group["description"]);
        match Schema::compile(&schema) {
            // Nothing is fetched, not even a draft's own schema.
            Err(error) if error.problem.contains("points out of the schema") || error.problem.contains("no draft") => {
                let text = schema.to_string();
                let leads_out = text.contains("localhost:1234") || text.contains("\"$ref\":\"http");
                self.led_out += 1;
                if !leads_out {
                    self.wrong.push(format!("{what} at {}: {error}", error.pointer));
                }
            }
            Err(error) => self.wrong.push(format!("{what} at {}: {error}", error.pointer)),
            Ok(schema) => self.values(&what, &schema, group),
        }
    }

    fn values(&mut self, what: &str, schema: &Schema, group: &Value) {
        for test in group["tests"].as_array().expect("tests") {
            let expected = test["valid"].as_bool().expect("a judgement");
            let violations = schema.violations(&test["data"], 8);
            if violations.is_empty() == expected && schema.is_valid(&test["data"]) == expected {
                self.judged += 1;
            } else {
                let told: Vec<String> = violations.first.iter().map(ToString::to_string).collect();
                self.wrong.push(format!("{what}: {}: {told:?}", test["description"]));
            }
        }
    }
}

#[test]
fn every_draft_is_judged_as_the_official_suite_has_it() {
    let suite = suite();
    let (mut came, mut wrong) = (Vec::new(), Vec::new());
    for (folder, draft, ..) in DRAFTS {
        let mut tally = Tally::default();
        let mut files: Vec<PathBuf> = fs::read_dir(suite.join("tests").join(folder))
            .expect("a folder")
            .map(|entry| entry.expect("a file").path())
            .collect();
        files.sort();
        for file in files.iter().filter(|file| file.extension().is_some_and(|kind| kind == "json")) {
            for group in read(file).as_array().expect("groups") {
                tally.group(&file.file_name().unwrap_or_default().to_string_lossy(), draft, group);
            }
        }
        wrong.extend(tally.wrong.into_iter().map(|what| format!("{folder}: {what}")));
        came.push((folder, draft, tally.judged, tally.led_out));
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    assert_eq!(came, DRAFTS);
}
