//! What goes out by itself: cards, reviews, ends; and what becomes of it where Telegram refuses.

use convoke_api::artifact::ArtifactView;
use convoke_app::ports::{ChatError, ChatHost, Form, Notice};
use convoke_domain::chat::{ChatId, MessageRef, PersonId};
use convoke_telegram::api::Api;
use convoke_telegram::send::Telegram;
use convoke_tests::noticed::{HOSTILE, card, end, review};
use convoke_tests::telegram::{BotApi, Fault, Mask, TOKEN};

const ADA: PersonId = PersonId::Telegram(5);
const GROUP: i64 = -1_001;

const fn chat(thread: Option<i32>) -> ChatId {
    ChatId::Telegram { chat: GROUP, thread }
}

fn host(telegram: &BotApi) -> Telegram {
    Telegram::new(Api::new(TOKEN.parse().expect("a token"), &telegram.url).expect("a client"))
}

async fn post(host: &Telegram, to: &ChatId, notice: &Notice) -> Result<MessageRef, ChatError> {
    host.post(to, &host.render(notice, Form::Rich), "n0nce").await.map(|posted| posted.message)
}

#[tokio::test]
async fn a_card_is_posted_and_edited_in_place_and_the_end_comes_with_its_file() {
    let telegram = BotApi::start().await;
    let host = host(&telegram);
    let message = post(&host, &chat(Some(7)), &card("A todo API", ADA)).await.expect("posted");
    for title in ["A better todo API", "A better todo API"] {
        host.edit(&message, &host.render(&card(title, ADA), Form::Rich)).await.expect("edited, or so already");
    }
    post(&host, &chat(Some(7)), &review("Is this the plan?", ADA)).await.expect("posted");
    post(&host, &chat(Some(7)), &end("It works.", ADA)).await.expect("posted");
    insta::assert_snapshot!(Mask::default().show(&telegram.calls()));
}

#[tokio::test]
async fn whatever_models_write_stays_text() {
    let telegram = BotApi::start().await;
    let host = host(&telegram);
    let long = HOSTILE.repeat(10_000 / HOSTILE.len() + 1);
    for text in [HOSTILE, &long, "", "\u{202e}", "👩‍👩‍👧‍👦".repeat(2_000).as_str()] {
        for notice in [card(text, ADA), review(text, ADA), end(text, ADA)] {
            for form in [Form::Rich, Form::Plain] {
                let rendered = host.render(&notice, form);
                host.post(&chat(None), &rendered, "n0nce").await.expect("posted");
            }
        }
    }
    // Each was held against Telegram's limits and its HTML.
    for call in telegram.calls() {
        assert!(!call.text().contains(['\u{202e}', '\u{0}']), "{call:?}");
        assert!(!call.text().contains("@everyone"), "{call:?}");
    }
}

#[tokio::test]
async fn an_end_that_is_too_long_for_a_caption_goes_without_its_file() {
    let telegram = BotApi::start().await;
    let host = host(&telegram);
    let Notice::End(mut notice) = end(&"word ".repeat(400), ADA) else { panic!("an end") };
    let file = |name: usize| ArtifactView {
        path: format!("src/{}/{name}.rs", "long".repeat(40)),
        media_type: "text/plain".into(),
        bytes: 5,
        sha256: String::new(),
        step: "code".into(),
        href: String::new(),
    };
    notice.artifacts = (0..5).map(file).collect();
    notice.artifacts_total = 5;
    post(&host, &chat(None), &Notice::End(notice)).await.expect("posted");
    let calls = telegram.calls();
    assert_eq!((calls[0].method.as_str(), calls[0].files.len()), ("sendMessage", 0));
}

#[tokio::test]
async fn refusals_say_what_they_are_about() {
    let telegram = BotApi::start().await;
    let host = host(&telegram);
    let notice = card("x", ADA);
    for (fault, thread, expected) in [
        (Fault::Throttled(3_600), None, "Throttled { after_ms: 3600000, is_global: false }"),
        (Fault::Said(403, "Forbidden: bot was blocked by the user"), None, "Dead"),
        (Fault::Said(403, "Forbidden: bot was kicked from the group chat"), Some(7), "Dead"),
        (Fault::Said(400, "Bad Request: chat not found"), None, "Dead"),
        // Said of files alone, too: whoever sends them tries text before the chat is taken for closed.
        (Fault::Said(400, "Bad Request: not enough rights to send documents to the chat"), None, "Dead"),
        (
            Fault::Said(400, "Bad Request: message thread not found"),
            Some(7),
            "Moved { to: Telegram { chat: -1001, thread: None } }",
        ),
        (Fault::Moved(-1_002), Some(7), "Moved { to: Telegram { chat: -1002, thread: None } }"),
        (Fault::Said(400, "Bad Request: can't parse entities"), None, "Rejected"),
        (Fault::Said(401, "Unauthorized"), None, "Refused"),
        (Fault::Broken, None, "Unknown"),
        (Fault::Lost, None, "Unknown"),
    ] {
        telegram.fail("sendMessage", fault);
        let error = post(&host, &chat(thread), &notice).await.expect_err(expected);
        assert!(format!("{error:?}").starts_with(expected), "{expected}: {error:?}");
    }
    let nobody = Telegram::new(Api::new(TOKEN.parse().expect("a token"), "http://127.0.0.1:9").expect("a client"));
    let error = post(&nobody, &chat(None), &notice).await.expect_err("nobody listens");
    assert!(matches!(error, ChatError::Unsent { .. }), "{error:?}");
    let error = post(&host, &ChatId::Discord(6), &notice).await.expect_err("no chat of Telegram");
    assert!(matches!(error, ChatError::Rejected { .. }), "{error:?}");
}

#[tokio::test]
async fn a_message_that_is_gone_can_not_be_edited() {
    let telegram = BotApi::start().await;
    let host = host(&telegram);
    let message = post(&host, &chat(Some(7)), &card("x", ADA)).await.expect("posted");
    let edited = host.render(&card("y", ADA), Form::Rich);
    telegram.fail("editMessageText", Fault::Said(400, "Bad Request: TOPIC_CLOSED"));
    assert_eq!(host.edit(&message, &edited).await, Err(ChatError::Gone));
    telegram.fail("editMessageText", Fault::Throttled(64));
    let throttled = Err(ChatError::Throttled { after_ms: 64_000, is_global: false });
    assert_eq!(host.edit(&message, &edited).await, throttled);
    telegram.delete(GROUP, message.message.parse().expect("a number"));
    assert_eq!(host.edit(&message, &edited).await, Err(ChatError::Gone));
    let nothing = MessageRef { message: "no number".to_owned(), ..message };
    assert_eq!(host.edit(&nothing, &edited).await, Err(ChatError::Gone));
}
