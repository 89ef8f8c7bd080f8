//! The data folder: one holder, a known format, everything back after a restart.

use aws_sdk_dynamodb::types::AttributeValue;
use aws_sdk_s3::primitives::ByteStream;
use convoke::stack::{FolderError, Stack, StackError, StackOptions};

use crate::rig::{TABLE, create_table};

#[tokio::test]
async fn a_held_folder_is_refused_by_name_until_it_is_given_back() {
    let folder = tempfile::tempdir().unwrap();
    let first = Stack::start(StackOptions::new(folder.path())).await.unwrap();
    let error = Stack::start(StackOptions::new(folder.path())).await.unwrap_err();
    assert!(matches!(error, StackError::Folder(FolderError::Held { .. })), "{error}");
    let says = format!("is in use by process {}", std::process::id());
    assert!(error.to_string().ends_with(&says), "{error}");
    first.shutdown().await;
    Stack::start(StackOptions::new(folder.path())).await.unwrap();
}

#[tokio::test]
async fn a_newer_format_is_refused_and_left_alone() {
    let folder = tempfile::tempdir().unwrap();
    let format = folder.path().join("format");
    std::fs::write(&format, "99\n").unwrap();
    let error = Stack::start(StackOptions::new(folder.path())).await.unwrap_err();
    assert!(matches!(error, StackError::Folder(FolderError::Newer { found: 99, .. })), "{error}");
    assert!(error.to_string().contains("made by a newer version of convoke"), "{error}");
    assert_eq!(std::fs::read_to_string(format).unwrap(), "99\n");
    assert!(!folder.path().join("table.sqlite").exists());
}

#[tokio::test]
async fn what_a_crash_left_of_an_upload_is_thrown_away() {
    let folder = tempfile::tempdir().unwrap();
    let stack = Stack::start(StackOptions::new(folder.path())).await.unwrap();
    let s3 = stack.clients().s3;
    s3.create_bucket().bucket("artifacts").send().await.unwrap();
    for (key, size) in [("small", 10), ("large", 100_000)] {
        s3.put_object().bucket("artifacts").key(key).body(vec![7; size].into()).send().await.unwrap();
    }
    stack.shutdown().await;
    let left = ["blobs/incoming/3", "blobs/large/1", "blobs/large/99", "blobs/large/none"];
    for path in left {
        std::fs::write(folder.path().join(path), "half").unwrap();
    }
    let stack = Stack::start(StackOptions::new(folder.path())).await.unwrap();
    for path in left {
        assert!(!folder.path().join(path).exists(), "{path}");
    }
    for (key, size) in [("small", 10), ("large", 100_000)] {
        let got = stack.clients().s3.get_object().bucket("artifacts").key(key).send().await.unwrap();
        assert_eq!(got.body.collect().await.unwrap().to_vec(), vec![7; size]);
    }
    stack.shutdown().await;
}

#[cfg(unix)]
#[tokio::test]
async fn nobody_else_on_the_machine_can_look_into_it() {
    use std::os::unix::fs::PermissionsExt;
    let parent = tempfile::tempdir().unwrap();
    let folder = parent.path().join("data");
    let stack = Stack::start(StackOptions::new(&folder)).await.unwrap();
    let mode = |path: &std::path::Path| std::fs::metadata(path).unwrap().permissions().mode() & 0o777;
    assert_eq!((mode(&folder), mode(&folder.join("keys"))), (0o700, 0o600));
    stack.shutdown().await;
}

#[tokio::test]
async fn table_and_objects_are_back_after_a_restart_and_old_urls_still_signed() {
    let folder = tempfile::tempdir().unwrap();
    let stack = Stack::start(StackOptions::new(folder.path())).await.unwrap();
    let clients = stack.clients();
    create_table(&clients.dynamodb).await;
    let text = |value: &str| AttributeValue::S(value.to_owned());
    let put = clients.dynamodb.put_item().table_name(TABLE).item("pk", text("a")).item("sk", text("b"));
    put.send().await.unwrap();
    clients.s3.create_bucket().bucket("artifacts").send().await.unwrap();
    let put = clients.s3.put_object().bucket("artifacts").key("k").body(ByteStream::from_static(b"kept"));
    put.send().await.unwrap();
    // No shutdown: as after a kill, nothing gets a chance to be written.
    drop((clients, stack));
    let stack = Stack::start(StackOptions::new(folder.path())).await.unwrap();
    let clients = stack.clients();
    let item = clients.dynamodb.get_item().table_name(TABLE).key("pk", text("a")).key("sk", text("b")).send().await;
    assert!(item.unwrap().item.is_some());
    let object = clients.s3.get_object().bucket("artifacts").key("k").send().await.unwrap();
    assert_eq!(object.body.collect().await.unwrap().to_vec(), b"kept");
}
