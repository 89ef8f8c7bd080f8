//! The contract of the bucket, on the fake and on the embedded stack; and what only a real URL can show.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use bytes::Bytes;
use convoke_app::ports::{BlobKey, Blobs, PresignedUrl};
use convoke_tests::contracts::{Opens, objects_are_kept, presigned_urls_are_followed};
use convoke_tests::embedded::EmbeddedStack;
use convoke_tests::fakes::{FakeBlobs, FakeEnv, Faults};
use convoke_tests::samples::{NOW_MS, job};
use reqwest::StatusCode;

const HOUR: Duration = Duration::from_hours(1);

fn fake() -> (FakeBlobs, FakeEnv) {
    let env = FakeEnv::new(NOW_MS, 1);
    (FakeBlobs::new(env.clone(), Faults::default()), env)
}

fn key() -> BlobKey {
    BlobKey::of_job(&job("acme", 1), "write", 1, "a.txt")
}

#[tokio::test]
async fn the_fake_keeps_the_contract() {
    let (blobs, env) = fake();
    objects_are_kept(&blobs).await;
    presigned_urls_are_followed(&blobs, &blobs).await;
    blobs.put(&key(), Bytes::from_static(b"a"), "text/plain").await.expect("put");
    let url = blobs.presign_get(&key(), "a", "text/plain", HOUR).await.expect("presigned");
    assert_eq!(url.expires_at_ms, NOW_MS + 3_600_000);
    env.wind(3_600_000);
    assert_eq!(blobs.open(&url), None);
}

#[tokio::test]
async fn the_embedded_stack_keeps_the_contract() {
    let stack = EmbeddedStack::start().await;
    objects_are_kept(&stack.blobs).await;
    presigned_urls_are_followed(&stack.blobs, &stack).await;
}

#[tokio::test]
async fn a_url_ends_when_it_says() {
    let stack = EmbeddedStack::start().await;
    stack.blobs.put(&key(), Bytes::from_static(b"a"), "text/plain").await.expect("put");
    let presign = async |ago| {
        let blobs = stack.blobs_signed_ago(ago);
        blobs.presign_get(&key(), "a.txt", "text/plain", HOUR).await.expect("presigned")
    };
    let good = presign(Duration::from_mins(50)).await;
    assert!(stack.open(&good).await.is_some());
    let in_ten_minutes_ms = now_ms() + 600_000;
    assert!(in_ten_minutes_ms.abs_diff(good.expires_at_ms) < 60_000, "{}", good.expires_at_ms);
    assert_eq!(stack.open(&presign(Duration::from_mins(61)).await).await, None);
}

#[expect(clippy::disallowed_methods, reason = "a presigned URL counts from the time of its making")]
fn now_ms() -> u64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).expect("after 1970");
    u64::try_from(since.as_millis()).expect("before the year 500,000,000")
}

#[tokio::test]
async fn a_url_is_good_for_its_object_and_its_headers_alone() {
    let stack = EmbeddedStack::start().await;
    let other = BlobKey::of_job(&job("acme", 2), "write", 1, "a.txt");
    for key in [&key(), &other] {
        stack.blobs.put(key, Bytes::from_static(b"a"), "text/plain").await.expect("put");
    }
    let good = stack.blobs.presign_get(&key(), "dir/a \"b\".txt", "text/plain", HOUR).await.expect("presigned");
    let answer = reqwest::get(&good.url).await.expect("an answer");
    assert_eq!(answer.headers()["content-disposition"], "attachment; filename=\"a _b_.txt\"");
    for forged in [
        good.url.replace(key().as_str(), other.as_str()),
        good.url.replace("text%2Fplain", "text%2Fhtml"),
        good.url.replace("X-Amz-Expires=3600", "X-Amz-Expires=36000"),
    ] {
        assert_ne!(forged, good.url);
        assert_eq!(stack.open(&PresignedUrl { url: forged, ..good.clone() }).await, None);
    }
}

#[tokio::test]
async fn an_upload_has_the_size_and_type_that_it_was_signed_for() {
    let stack = EmbeddedStack::start().await;
    let url = stack.blobs.presign_put(&key(), 5, "text/csv", HOUR).await.expect("presigned").url;
    let put = async |body: &'static str, media_type| {
        let request = reqwest::Client::new().put(&url).header("content-type", media_type).body(body);
        request.send().await.expect("an answer").status()
    };
    assert_eq!(put("1,2,3,4", "text/csv").await, StatusCode::FORBIDDEN);
    assert_eq!(put("1,2,3", "text/html").await, StatusCode::FORBIDDEN);
    assert_eq!(stack.blobs.get(&key()).await.expect("up"), None);
    assert_eq!(put("1,2,3", "text/csv").await, StatusCode::OK);
    assert_eq!(stack.blobs.get(&key()).await.expect("up").as_deref(), Some(b"1,2,3".as_slice()));
}
