//! One call and what comes of it, whatever Telegram does.

use convoke_telegram::api::payloads::{EditMessageText, GetFile, SendMessage};
use convoke_telegram::api::{Api, CallError, DOWNLOAD_BYTES_MAX, Done, Sent, Upload};
use convoke_tests::telegram::{BotApi, Fault, TOKEN};
use serde::Deserialize;
use serde_json::Map;
use teloxide::types::{ChatId, FileId, LinkPreviewOptions, MessageId};

const CHAT: ChatId = ChatId(5);

fn api(url: &str) -> Api {
    Api::new(TOKEN.parse().expect("a token"), url).expect("a client")
}

fn quiet() -> LinkPreviewOptions {
    LinkPreviewOptions {
        is_disabled: true,
        url: None,
        prefer_small_media: false,
        prefer_large_media: false,
        show_above_text: false,
    }
}

fn message(text: &str) -> SendMessage {
    SendMessage { link_preview_options: Some(quiet()), ..SendMessage::new(CHAT, text) }
}

fn edit(number: i32, text: &str) -> EditMessageText {
    EditMessageText { link_preview_options: Some(quiet()), ..EditMessageText::new(CHAT, MessageId(number), text) }
}

#[tokio::test]
async fn what_is_sent_is_there_and_can_be_edited_until_it_is_gone() {
    let telegram = BotApi::start().await;
    let api = api(&telegram.url);
    let Sent { message_id } = api.call(&message("one")).await.expect("sent");
    assert_eq!(telegram.message(5, message_id).expect("there")["text"], "one");
    let Done = api.call(&edit(message_id, "two")).await.expect("edited");
    let again = api.call::<_, Done>(&edit(message_id, "two")).await;
    assert!(matches!(again, Err(CallError::Unmodified)), "{again:?}");
    telegram.delete(5, message_id);
    let gone = api.call::<_, Done>(&edit(message_id, "three")).await;
    assert!(matches!(gone, Err(CallError::Gone { .. })), "{gone:?}");
    let methods: Vec<String> = telegram.calls().into_iter().map(|call| call.method).collect();
    assert_eq!(methods, ["sendMessage", "editMessageText", "editMessageText", "editMessageText"]);
}

#[tokio::test]
async fn a_document_goes_with_its_caption_and_its_bytes() {
    let telegram = BotApi::start().await;
    let content = b"PK\0\xff\r\n--x";
    let file = Upload {
        field: "document",
        name: "a b.zip".into(),
        media_type: "application/zip".into(),
        bytes: content[..].into(),
    };
    let fields = Map::from_iter([("chat_id".to_owned(), 5.into()), ("caption".to_owned(), "all files".into())]);
    let _: Sent = api(&telegram.url).send("sendDocument", &fields, Some(file)).await.expect("sent");
    let calls = telegram.calls();
    assert_eq!(calls[0].get("caption"), "all files");
    assert_eq!(calls[0].files, [("document".to_owned(), "a b.zip".to_owned(), content.to_vec())]);
}

#[derive(Debug, Deserialize)]
struct Found {
    file_path: String,
}

#[tokio::test]
async fn files_are_fetched_up_to_a_size() {
    let telegram = BotApi::start().await;
    let api = api(&telegram.url);
    telegram.keep_file("F1", b"a,b\n1,2\n");
    let found: Found = api.call(&GetFile { file_id: FileId("F1".into()) }).await.expect("found");
    assert_eq!(api.download(&found.file_path).await.expect("fetched"), b"a,b\n1,2\n");
    telegram.keep_file("F2", &vec![0; usize::try_from(DOWNLOAD_BYTES_MAX).expect("fits") + 1]);
    let too_big = api.download("documents/F2").await;
    assert!(matches!(too_big, Err(CallError::Rejected { .. })), "{too_big:?}");
    let missing = api.call::<_, Found>(&GetFile { file_id: FileId("F3".into()) }).await;
    assert!(matches!(missing, Err(CallError::Rejected { .. })), "{missing:?}");
}

#[tokio::test]
async fn each_way_to_fail_is_told_apart_and_whether_anything_was_done() {
    let telegram = BotApi::start().await;
    let api = api(&telegram.url);
    for (fault, kind, is_undone) in [
        (Fault::Throttled(3_600), "Throttled", true),
        (Fault::Said(403, "Forbidden: bot was kicked from the group chat"), "Dead", false),
        (Fault::Moved(-1_007), "Moved", false),
        (Fault::Said(401, "Unauthorized"), "Refused", true),
        (Fault::Broken, "Unknown", false),
        (Fault::Lost, "Lost", false),
    ] {
        telegram.fail("sendMessage", fault);
        let error = api.call::<_, Sent>(&message("x")).await.expect_err(kind);
        assert!(format!("{error:?}").starts_with(kind), "{kind}: {error:?}");
        assert_eq!(error.is_undone(), is_undone, "{kind}");
    }
    assert_eq!(telegram.calls().len(), 6, "nothing is tried again here");
}

/// An error with its whole chain of causes, both ways to print it.
fn told(error: &dyn std::error::Error) -> String {
    let causes = std::iter::successors(Some(error), |error| error.source());
    causes.map(|cause| format!("{cause} {cause:?} ")).collect::<Vec<_>>().join("; ")
}

#[tokio::test]
async fn no_error_tells_the_token() {
    let telegram = BotApi::start().await;
    telegram.fail("sendMessage", Fault::Lost);
    let lost = api(&telegram.url).call::<_, Sent>(&message("x")).await.expect_err("lost");
    let nobody = api("http://127.0.0.1:9").call::<_, Sent>(&message("x")).await.expect_err("nobody listens");
    assert!(matches!(nobody, CallError::Unsent(_)), "{nobody:?}");
    let no_url = api("no url").call::<_, Sent>(&message("x")).await.expect_err("no URL");
    let elsewhere = api("http://127.0.0.1:9").download("documents/F1").await.expect_err("nobody listens");
    let secret = TOKEN.split_once(':').expect("two parts").1;
    for error in [lost, nobody, no_url, elsewhere] {
        let told = told(&error);
        assert!(!told.contains(secret), "{told}");
    }
    assert!(!format!("{:?}", api("http://x")).contains(secret));
}
