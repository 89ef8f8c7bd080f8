use std::sync::Mutex;

use candle_core::quantized::gguf_file::Value;
use candle_core::quantized::{GgmlDType, QTensor};
use candle_core::{Device, Tensor};
use tempfile::TempDir;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;

use super::*;

fn silent() -> ProgressSink {
    Arc::new(|_| {})
}

fn noted() -> (ProgressSink, Arc<Mutex<Vec<Progress>>>) {
    let notes = Arc::new(Mutex::new(Vec::new()));
    let sink = Arc::clone(&notes);
    (Arc::new(move |progress| sink.lock().expect("no panic").push(progress)), notes)
}

/// A GGUF file with one tensor in 4 bits.
fn small_file(folder: &Path) -> Vec<u8> {
    let tensor = Tensor::arange(0.0_f32, 64.0, &Device::Cpu).expect("numbers").reshape((2, 32)).expect("a shape");
    let tensor = QTensor::quantize(&tensor, GgmlDType::Q4_1).expect("4 bits");
    let path = folder.join("small.gguf");
    let mut file = std::fs::File::create(&path).expect("a file");
    let name = Value::String("llama".into());
    let metadata = [("general.architecture", &name)];
    candle_core::quantized::gguf_file::write(&mut file, &metadata, &[("a", &tensor)]).expect("written");
    std::fs::read(path).expect("read again")
}

/// Answers one request after the other with the body, and counts them.
async fn serve(status: &'static str, body: Vec<u8>) -> (String, Arc<Mutex<usize>>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let url = format!("http://{}/file.gguf", listener.local_addr().expect("an address"));
    let count = Arc::new(Mutex::new(0));
    let counted = Arc::clone(&count);
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            *counted.lock().expect("no panic") += 1;
            let mut request = [0; 4096];
            let read = stream.read(&mut request).await.unwrap_or(0);
            assert!(request[..read].starts_with(b"GET /file.gguf"));
            let head = format!("HTTP/1.1 {status}\r\ncontent-length: {}\r\nconnection: close\r\n\r\n", body.len());
            let sent = async {
                stream.write_all(head.as_bytes()).await?;
                stream.write_all(&body).await
            };
            sent.await.expect("the client reads");
        }
    });
    (url, count)
}

fn wanted(url: String, body: &[u8]) -> Wanted {
    let sha256 = hex::encode(Sha256::digest(body));
    Wanted { file: "file.gguf".into(), sha256, package: None, url }
}

fn files(folder: &Path) -> Vec<String> {
    let entries = std::fs::read_dir(folder).expect("a folder").flatten();
    let mut names: Vec<String> = entries.map(|entry| entry.file_name().to_string_lossy().into_owned()).collect();
    names.sort();
    names
}

#[tokio::test]
async fn a_file_is_fetched_once_checked_and_put_in_8_bits() {
    let cache = TempDir::new().expect("a folder");
    let body = small_file(cache.path());
    let (url, count) = serve("200 OK", body.clone()).await;
    let wanted = wanted(url, &body);
    let folder = cache.path().join("models");
    let (progress, notes) = noted();
    let (first, second) = tokio::join!(wanted.fetch(&folder, &progress), wanted.fetch(&folder, &progress));
    let (first, second) = (first.expect("fetched"), second.expect("found"));
    assert_eq!(first, second);
    assert_eq!(*count.lock().expect("no panic"), 1);
    assert!(first.path.to_string_lossy().ends_with("file.q8_0.gguf"));
    assert_eq!(files(&folder).len(), 4, "{:?}", files(&folder));
    let made = |notes: &[Progress]| notes.iter().filter(|note| **note == Progress::Requantizing).count();
    assert_eq!(made(&notes.lock().expect("no panic")), 1);

    std::fs::write(&first.path, b"damaged").expect("written");
    let again = wanted.fetch(&folder, &progress).await.expect("made again");
    assert_eq!(made(&notes.lock().expect("no panic")), 2);
    let file = super::super::gguf::Gguf::open(&again.path).expect("a GGUF file");
    assert_eq!(file.parameters(), 64);
}

#[tokio::test]
async fn a_wrong_file_is_never_kept() {
    let cache = TempDir::new().expect("a folder");
    let (url, _) = serve("200 OK", b"something else".to_vec()).await;
    let wanted = wanted(url, b"what was asked for");
    let error = wanted.fetch(cache.path(), &silent()).await.expect_err("it is another file");
    let WeightsError::WrongHash { expected, got, .. } = &error else { panic!("{error}") };
    assert_eq!((expected, got), (&wanted.sha256, &hex::encode(Sha256::digest(b"something else"))));
    assert!(files(cache.path()).iter().all(|name| name.contains(".lock")));
}

#[tokio::test]
async fn a_damaged_file_in_the_cache_is_fetched_again() {
    let cache = TempDir::new().expect("a folder");
    let body = small_file(cache.path());
    let (url, count) = serve("200 OK", body.clone()).await;
    let wanted = wanted(url, &body);
    let folder = cache.path().join("models");
    std::fs::create_dir(&folder).expect("made");
    std::fs::write(wanted.path(&folder), b"half").expect("written");
    wanted.fetch(&folder, &silent()).await.expect("fetched");
    assert_eq!(*count.lock().expect("no panic"), 1);
}

#[tokio::test]
async fn what_went_wrong_is_said_for_each_way() {
    let cache = TempDir::new().expect("a folder");
    let (url, _) = serve("404 Not Found", Vec::new()).await;
    let wanted = wanted(url, b"x");
    let error = wanted.fetch(cache.path(), &silent()).await.expect_err("there is none");
    assert!(matches!(&error, WeightsError::Unreachable { attempts, .. } if attempts.contains("404")), "{error}");
}

#[tokio::test]
async fn a_users_own_file_has_to_be_there() {
    let cache = TempDir::new().expect("a folder");
    let path = cache.path().join("mine.gguf");
    let source = WeightsSource::File { path: path.clone() };
    let missing = fetch(cache.path(), &source, silent()).await;
    assert!(matches!(missing, Err(WeightsError::Missing { .. })));
    std::fs::write(&path, b"GGUF").expect("written");
    let found = fetch(cache.path(), &source, silent()).await.expect("it is there");
    assert_eq!(found, Weights { path, source_sha256: None });
}

#[test]
fn only_plain_names_become_addresses() {
    let sha256 = "a".repeat(64);
    let hub = |repository: &str, file: &str, sha256: &str| Wanted::hub(repository, "main", file, sha256);
    let good = hub("Qwen/Qwen3-0.6B-GGUF", "sub/Qwen3-0.6B-Q8_0.gguf", &sha256).expect("plain");
    assert!(good.url.ends_with("/Qwen/Qwen3-0.6B-GGUF/resolve/main/sub/Qwen3-0.6B-Q8_0.gguf"));
    assert_eq!(good.file, "Qwen3-0.6B-Q8_0.gguf");
    for (repository, file, sha256) in [
        ("Qwen", "a.gguf", sha256.as_str()),
        ("Qwen/../x", "a.gguf", &sha256),
        ("Qwen/a?b", "a.gguf", &sha256),
        ("Qwen/a", "../a.gguf", &sha256),
        ("Qwen/a", "a.bin", &sha256),
        ("Qwen/a", "a.gguf", "abc"),
    ] {
        assert!(matches!(hub(repository, file, sha256), Err(WeightsError::BadSource { .. })), "{repository} {file}");
    }
}
