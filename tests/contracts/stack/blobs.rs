//! The objects: put, get, list, copy, and what a presigned URL lets through.

use std::time::{Duration, SystemTime};

use aws_sdk_s3::error::ProvideErrorMetadata;
use aws_sdk_s3::presigning::PresigningConfig;
use aws_sdk_s3::primitives::ByteStream;
use aws_sdk_s3::types::{ChecksumMode, MetadataDirective};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use futures_util::future::join_all;
use sha2::{Digest, Sha256};

use crate::rig::{Rig, both_ways};

both_ways!(
    an_object_comes_back_as_it_was_put,
    a_range_is_a_part,
    a_large_object_streams,
    large_and_small_objects_take_each_others_place,
    one_of_sixteen_puts_if_absent_wins,
    a_wrong_digest_is_refused_and_leaves_nothing,
    odd_keys_stay_in_their_bucket_and_apart,
    a_listing_has_order_pages_and_common_prefixes,
    a_copy_keeps_or_replaces_what_is_said_of_it,
    a_deleted_object_is_gone_and_a_repeat_is_no_error,
    an_absent_bucket_or_key_is_a_typed_error,
);

const BUCKET: &str = "artifacts";

async fn bucket(rig: &Rig) -> aws_sdk_s3::Client {
    rig.clients.s3.create_bucket().bucket(BUCKET).send().await.unwrap();
    rig.clients.s3.clone()
}

async fn put(s3: &aws_sdk_s3::Client, key: &str, body: &[u8]) {
    s3.put_object().bucket(BUCKET).key(key).body(ByteStream::from(body.to_vec())).send().await.unwrap();
}

async fn get(s3: &aws_sdk_s3::Client, key: &str) -> Vec<u8> {
    let got = s3.get_object().bucket(BUCKET).key(key).send().await.unwrap();
    got.body.collect().await.unwrap().to_vec()
}

async fn an_object_comes_back_as_it_was_put(rig: Rig) {
    let s3 = bucket(&rig).await;
    let sha256 = STANDARD.encode(Sha256::digest(b"# Report"));
    let put = s3.put_object().bucket(BUCKET).key("t/j/report").body(ByteStream::from_static(b"# Report"));
    let put = put.content_type("text/markdown").metadata("step", "write@2").checksum_sha256(&sha256);
    let put = put.send().await.unwrap();
    assert_eq!(put.checksum_sha256(), Some(sha256.as_str()));
    let got =
        s3.get_object().bucket(BUCKET).key("t/j/report").checksum_mode(ChecksumMode::Enabled).send().await.unwrap();
    assert_eq!(got.content_type(), Some("text/markdown"));
    assert_eq!(got.metadata().unwrap()["step"], "write@2");
    assert_eq!(got.e_tag(), put.e_tag());
    assert_eq!(got.checksum_sha256(), Some(sha256.as_str()));
    assert_eq!(got.body.collect().await.unwrap().to_vec(), b"# Report");
    let head = s3.head_object().bucket(BUCKET).key("t/j/report").send().await.unwrap();
    assert_eq!((head.content_length(), head.content_type()), (Some(8), Some("text/markdown")));
}

async fn a_range_is_a_part(rig: Rig) {
    let s3 = bucket(&rig).await;
    put(&s3, "digits", b"0123456789").await;
    let range = |range: &str| s3.get_object().bucket(BUCKET).key("digits").range(range).send();
    let part = range("bytes=2-4").await.unwrap();
    assert_eq!(part.content_range(), Some("bytes 2-4/10"));
    assert_eq!(part.body.collect().await.unwrap().to_vec(), b"234");
    assert_eq!(range("bytes=-3").await.unwrap().body.collect().await.unwrap().to_vec(), b"789");
    let beyond = range("bytes=10-").await.unwrap_err().into_service_error();
    assert_eq!(beyond.code(), Some("InvalidRange"));
}

async fn a_large_object_streams(rig: Rig) {
    let s3 = bucket(&rig).await;
    let body: Vec<u8> = (0..5_000_000_u32).map(|number| (number % 251).to_le_bytes()[0]).collect();
    put(&s3, "large", &body).await;
    assert!(get(&s3, "large").await == body);
}

async fn large_and_small_objects_take_each_others_place(rig: Rig) {
    let s3 = bucket(&rig).await;
    let files = || std::fs::read_dir(rig.folder.path().join("blobs/large")).unwrap().count();
    for (size, large) in [(65_536, 0), (65_537, 1), (700_000, 1), (0, 0), (65_537, 1)] {
        let body = vec![u8::try_from(size % 251).unwrap(); size];
        put(&s3, "one", &body).await;
        assert!(get(&s3, "one").await == body, "{size}");
        assert_eq!(files(), large, "{size}");
    }
    let refused =
        s3.put_object().bucket(BUCKET).key("one").if_none_match("*").body(vec![1; 70_000].into()).send().await;
    assert_eq!(refused.unwrap_err().into_service_error().code(), Some("PreconditionFailed"));
    let open = s3.get_object().bucket(BUCKET).key("one").send().await.unwrap();
    s3.delete_object().bucket(BUCKET).key("one").send().await.unwrap();
    assert_eq!(files(), 0);
    assert_eq!(open.body.collect().await.unwrap().to_vec().len(), 65_537, "who has it open reads on");
    let incoming = rig.folder.path().join("blobs/incoming");
    assert_eq!(std::fs::read_dir(incoming).unwrap().count(), 0);
}

async fn one_of_sixteen_puts_if_absent_wins(rig: Rig) {
    let s3 = bucket(&rig).await;
    let puts = (0..16_u8).map(|number| {
        let put = s3.put_object().bucket(BUCKET).key("one").if_none_match("*").body(ByteStream::from(vec![number]));
        tokio::spawn(async move { put.send().await.map(|_| number) })
    });
    let outcomes: Vec<_> = join_all(puts).await.into_iter().map(Result::unwrap).collect();
    let winners: Vec<u8> = outcomes.iter().filter_map(|outcome| outcome.as_ref().ok().copied()).collect();
    assert_eq!(winners.len(), 1);
    for lost in outcomes.into_iter().filter_map(Result::err) {
        assert_eq!(lost.into_service_error().code(), Some("PreconditionFailed"));
    }
    assert_eq!(get(&s3, "one").await, winners);
}

async fn a_wrong_digest_is_refused_and_leaves_nothing(rig: Rig) {
    let s3 = bucket(&rig).await;
    let put = s3.put_object().bucket(BUCKET).key("wrong").body(ByteStream::from_static(b"body"));
    let refused = put.content_md5("AAAAAAAAAAAAAAAAAAAAAA==").send().await.unwrap_err().into_service_error();
    assert_eq!(refused.code(), Some("BadDigest"));
    let absent = s3.head_object().bucket(BUCKET).key("wrong").send().await.unwrap_err();
    assert!(absent.into_service_error().is_not_found());
    for folder in ["incoming", "large"] {
        assert_eq!(std::fs::read_dir(rig.folder.path().join("blobs").join(folder)).unwrap().count(), 0);
    }
}

async fn odd_keys_stay_in_their_bucket_and_apart(rig: Rig) {
    let s3 = bucket(&rig).await;
    let long = "k".repeat(1_000);
    let keys = ["../../escape", "dir", "dir/child", "dir//child", "a b+c%2Fd&e=ü", "con.txt:stream", &long];
    for key in keys {
        put(&s3, key, key.as_bytes()).await;
    }
    for key in keys {
        assert_eq!(get(&s3, key).await, key.as_bytes(), "{key}");
    }
    let listed = s3.list_objects_v2().bucket(BUCKET).send().await.unwrap();
    assert_eq!(listed.contents().len(), keys.len());
    for entry in std::fs::read_dir(rig.folder.path().join("blobs")).unwrap() {
        let name = entry.unwrap().file_name();
        let ours =
            name.to_str().is_some_and(|name| matches!(name, "incoming" | "large") || name.starts_with("objects."));
        assert!(ours, "{}", name.display());
    }
}

async fn a_listing_has_order_pages_and_common_prefixes(rig: Rig) {
    let s3 = bucket(&rig).await;
    for key in ["t/j1/b", "t/j1/a", "t/j1/c/d", "t/j1/c/e", "t/j2/a", "u/j1/a", "top"] {
        put(&s3, key, b"x").await;
    }
    let keys = |listed: &aws_sdk_s3::operation::list_objects_v2::ListObjectsV2Output| {
        listed.contents().iter().map(|object| object.key().unwrap().to_owned()).collect::<Vec<_>>()
    };
    let list = || s3.list_objects_v2().bucket(BUCKET);
    let job = list().prefix("t/j1/").send().await.unwrap();
    assert_eq!(keys(&job), ["t/j1/a", "t/j1/b", "t/j1/c/d", "t/j1/c/e"]);
    let tenant = list().prefix("t/j").send().await.unwrap();
    assert_eq!(keys(&tenant).len(), 5);
    let folded = list().prefix("t/j1/").delimiter("/").send().await.unwrap();
    assert_eq!(keys(&folded), ["t/j1/a", "t/j1/b"]);
    assert_eq!(folded.common_prefixes()[0].prefix(), Some("t/j1/c/"));
    let (mut seen, mut pages) = (Vec::new(), list().max_keys(3).into_paginator().send());
    while let Some(page) = pages.next().await {
        let page = page.unwrap();
        assert!(page.contents().len() <= 3);
        seen.extend(keys(&page));
    }
    assert_eq!(seen, ["t/j1/a", "t/j1/b", "t/j1/c/d", "t/j1/c/e", "t/j2/a", "top", "u/j1/a"]);
}

async fn a_copy_keeps_or_replaces_what_is_said_of_it(rig: Rig) {
    let s3 = bucket(&rig).await;
    let put = s3.put_object().bucket(BUCKET).key("from").body(ByteStream::from_static(b"body"));
    put.content_type("text/plain").metadata("step", "one").send().await.unwrap();
    let copy = |key: &str| s3.copy_object().bucket(BUCKET).key(key).copy_source(format!("{BUCKET}/from"));
    copy("kept").send().await.unwrap();
    let replaced = copy("replaced").metadata_directive(MetadataDirective::Replace).content_type("text/html");
    replaced.send().await.unwrap();
    let head = |key: &str| s3.head_object().bucket(BUCKET).key(key).send();
    let (kept, replaced) = (head("kept").await.unwrap(), head("replaced").await.unwrap());
    assert_eq!((kept.content_type(), kept.metadata().unwrap()["step"].as_str()), (Some("text/plain"), "one"));
    assert_eq!(replaced.content_type(), Some("text/html"));
    assert!(replaced.metadata().is_none_or(std::collections::HashMap::is_empty));
    assert_eq!(get(&s3, "replaced").await, b"body");
}

async fn a_deleted_object_is_gone_and_a_repeat_is_no_error(rig: Rig) {
    let s3 = bucket(&rig).await;
    put(&s3, "once", b"x").await;
    let full = s3.delete_bucket().bucket(BUCKET).send().await.unwrap_err().into_service_error();
    assert_eq!(full.code(), Some("BucketNotEmpty"));
    for _ in 0..2 {
        s3.delete_object().bucket(BUCKET).key("once").send().await.unwrap();
    }
    let gone = s3.get_object().bucket(BUCKET).key("once").send().await.unwrap_err().into_service_error();
    assert!(gone.is_no_such_key(), "{gone:?}");
    s3.delete_bucket().bucket(BUCKET).send().await.unwrap();
}

async fn an_absent_bucket_or_key_is_a_typed_error(rig: Rig) {
    let get = rig.clients.s3.get_object().bucket("nowhere").key("x").send().await.unwrap_err().into_service_error();
    assert_eq!(get.code(), Some("NoSuchBucket"));
    let s3 = bucket(&rig).await;
    let head = s3.head_object().bucket(BUCKET).key("absent").send().await.unwrap_err().into_service_error();
    assert!(head.is_not_found(), "{head:?}");
}

/// What a plain HTTP client gets from a URL that was presigned `ago` for `lives`.
#[expect(clippy::disallowed_methods, reason = "a presigned URL counts from the time of its making")]
async fn presigned(rig: &Rig, ago: Duration, lives: Duration) -> String {
    let config = PresigningConfig::builder().start_time(SystemTime::now() - ago).expires_in(lives).build().unwrap();
    let get = rig.clients.s3.get_object().bucket(BUCKET).key("t/j/a file.txt");
    let get = get.response_content_disposition("attachment; filename=\"a file.txt\"");
    get.presigned(config).await.unwrap().uri().to_owned()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_presigned_get_works_until_it_expires_and_only_as_signed() {
    let rig = Rig::start(crate::rig::Way::InProcess).await;
    let s3 = bucket(&rig).await;
    put(&s3, "t/j/a file.txt", b"hello").await;
    put(&s3, "t/j/b file.txt", b"secret").await;
    let hour = Duration::from_hours(1);
    let url = presigned(&rig, Duration::ZERO, hour).await;
    assert!(url.starts_with(&rig.stack.blobs_url()), "{url}");
    let http = reqwest::Client::new();
    let answer = http.get(&url).send().await.unwrap();
    assert_eq!(answer.status(), 200);
    assert_eq!(answer.headers()["content-disposition"], "attachment; filename=\"a file.txt\"");
    assert_eq!(answer.text().await.unwrap(), "hello");
    let part = http.get(&url).header("range", "bytes=1-2").send().await.unwrap();
    assert_eq!((part.status().as_u16(), part.text().await.unwrap().as_str()), (206, "el"));
    let (start, last) = url.split_at(url.len() - 1);
    let tampered = format!("{start}{}", if last == "0" { "1" } else { "0" });
    let refused = [
        http.get(presigned(&rig, hour * 2, hour).await),
        http.get(url.replace("a%20file", "b%20file")),
        http.get(url.replace("X-Amz-Expires=3600", "X-Amz-Expires=7200")),
        http.get(&tampered),
        http.delete(&url),
        http.get(url.split('?').next().unwrap()),
    ];
    for request in refused {
        let answer = request.send().await.unwrap();
        assert_eq!(answer.status(), 403, "{}", answer.url());
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_presigned_put_takes_the_body_it_was_signed_for() {
    let rig = Rig::start(crate::rig::Way::InProcess).await;
    let s3 = bucket(&rig).await;
    let config = PresigningConfig::expires_in(Duration::from_mins(1)).unwrap();
    let put = s3.put_object().bucket(BUCKET).key("upload").content_type("text/csv").presigned(config).await.unwrap();
    let http = reqwest::Client::new();
    let other = http.put(put.uri()).header("content-type", "text/html").body("a,b").send().await.unwrap();
    assert_eq!(other.status(), 403);
    let taken = http.put(put.uri()).header("content-type", "text/csv").body("a,b").send().await.unwrap();
    assert_eq!(taken.status(), 200);
    assert_eq!(get(&s3, "upload").await, b"a,b");
}
