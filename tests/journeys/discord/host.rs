//! What goes out by itself: cards, reviews, ends; and what becomes of it where Discord refuses.

use convoke_app::ports::{ChatError, ChatHost, Form, Notice};
use convoke_discord::host::DiscordHost;
use convoke_discord::rest::Rest;
use convoke_discord::settings::Settings;
use convoke_domain::chat::{ChatId, MessageRef, PersonId};
use convoke_tests::discord::{Call, DiscordServer, Fault};
use convoke_tests::noticed::{self, HOSTILE};
use serde_json::json;

use crate::told;

const CHANNEL: ChatId = ChatId::Discord(6);
const ADA: PersonId = PersonId::Discord(42);

pub fn settings(server: &DiscordServer) -> Settings {
    let strings = server.settings().into_iter().map(|(name, value)| (name.to_owned(), value.to_owned()));
    Settings::read(&strings.collect::<std::collections::BTreeMap<_, _>>()).expect("settings")
}

fn host(server: &DiscordServer) -> DiscordHost {
    DiscordHost::new(Rest::new(&settings(server)).expect("a client"))
}

fn card(title: &str) -> Notice {
    noticed::card(title, ADA)
}

fn end(summary: &str) -> Notice {
    noticed::end(summary, ADA)
}

async fn post(host: &DiscordHost, notice: &Notice) -> Result<(MessageRef, Option<ChatId>), ChatError> {
    let rendered = host.render(notice, Form::Rich);
    host.post(&CHANNEL, &rendered, "n0nce").await.map(|posted| (posted.message, posted.talk))
}

fn is_post(call: &Call) -> bool {
    call.method == "POST" && call.path.ends_with("/messages")
}

#[tokio::test]
async fn a_card_is_posted_with_a_thread_under_it_and_edited_in_place() {
    let server = DiscordServer::start().await;
    let host = host(&server);
    let (message, talk) = post(&host, &card("A todo API")).await.expect("posted");
    assert_eq!(talk.map(|talk| talk.to_string()), Some(format!("dc_{}", message.message)));
    host.edit(&message, &host.render(&card("A todo API"), Form::Rich)).await.expect("edited");
    let ended = host.render(&end("It works."), Form::Rich);
    host.post(&talk.expect("a thread"), &ended, "n0nce2").await.expect("posted");
    told::nothing_is_wrong(&server);
    insta::assert_snapshot!(told::calls(&server.calls()));
}

#[tokio::test]
async fn a_repeat_finds_the_message_and_the_thread_that_there_are() {
    let server = DiscordServer::start().await;
    let host = host(&server);
    server.next(is_post, Fault::Lose);
    let lost = post(&host, &card("x")).await.expect_err("lost");
    assert!(matches!(lost, ChatError::Unknown { .. }), "{lost:?}");
    let first = post(&host, &card("x")).await.expect("posted");
    let again = post(&host, &card("x")).await.expect("posted");
    assert_eq!(first, again);
    assert!(
        server
            .calls()
            .iter()
            .filter(|call| is_post(call))
            .all(|call| { call.body["nonce"] == "n0nce" && call.body["enforce_nonce"] == true })
    );
}

#[tokio::test]
async fn where_there_are_no_threads_nobody_asks_twice() {
    let server = DiscordServer::start().await;
    server.has_no_threads(6);
    let host = host(&server);
    for _ in 0..3 {
        let (_, talk) = post(&host, &card("x")).await.expect("posted all the same");
        assert_eq!(talk, None);
    }
    assert_eq!(host.calls(&CHANNEL, &host.render(&card("x"), Form::Rich)), 1);
    let asked = server.calls().into_iter().filter(|call| call.path.ends_with("/threads")).count();
    assert_eq!(asked, 1);
}

#[tokio::test]
async fn refusals_say_what_they_are_about() {
    let server = DiscordServer::start().await;
    let host = host(&server);
    let throttled = |after_ms| ChatError::Throttled { after_ms, is_global: false };
    server.next(is_post, Fault::Throttle("3600.5"));
    assert_eq!(post(&host, &card("x")).await.expect_err("throttled"), throttled(3_600_500));
    server.next(is_post, Fault::Refuse(403, 50_001));
    assert!(matches!(post(&host, &card("x")).await.expect_err("refused"), ChatError::Dead { .. }));
    server.next(is_post, Fault::Refuse(400, 50_035));
    assert!(matches!(post(&host, &card("x")).await.expect_err("refused"), ChatError::Rejected { .. }));
    server.next(is_post, Fault::Trouble);
    assert!(matches!(post(&host, &card("x")).await.expect_err("in trouble"), ChatError::Unknown { .. }));
    let (message, _) = post(&host, &card("x")).await.expect("posted");
    let edited = host.render(&card("y"), Form::Rich);
    server.next(|call| call.method == "PATCH", Fault::Refuse(404, 10_008));
    assert_eq!(host.edit(&message, &edited).await, Err(ChatError::Gone));
    server.next(|call| call.method == "PATCH", Fault::Throttle("64"));
    assert_eq!(host.edit(&message, &edited).await, Err(throttled(64_000)));
    told::nothing_is_wrong(&server);
}

#[tokio::test]
async fn who_cannot_be_reached_has_surely_not_taken_it_and_no_error_has_the_token() {
    let server = DiscordServer::start().await;
    let unreachable = Settings { url: "http://127.0.0.1:9/api/v10".into(), ..settings(&server) };
    let host = DiscordHost::new(Rest::new(&unreachable).expect("a client"));
    let error = post(&host, &card("x")).await.expect_err("nobody is there");
    assert!(matches!(error, ChatError::Unsent { .. }), "{error:?}");
    assert!(!format!("{error:?} {host:?}").contains("t0k3n"), "{error:?} {host:?}");
}

#[tokio::test]
async fn whatever_is_in_it_nobody_is_called_and_nothing_is_broken_out_of() {
    let server = DiscordServer::start().await;
    let host = host(&server);
    for text in
        [HOSTILE.to_owned(), "x".repeat(10_000), HOSTILE.repeat(300), "\u{1f468}\u{200d}\u{1f469}".repeat(3_000)]
    {
        post(&host, &card(&text)).await.expect("posted");
        post(&host, &end(&text)).await.expect("posted");
        let plain = host.render(&end(&text), Form::Plain);
        host.post(&CHANNEL, &plain, "plain").await.expect("posted");
    }
    told::nothing_is_wrong(&server);
    let messages: Vec<Call> = server.calls().into_iter().filter(is_post).collect();
    assert_eq!(messages.len(), 12, "a card, an end and a plain end of each");
    for call in messages {
        assert_eq!(call.body["allowed_mentions"], json!({"parse": []}), "{call:#?}");
        let text = call.body.to_string();
        assert!(!text.contains('\u{202e}'), "the direction of writing can't be turned: {text}");
    }
}

#[tokio::test]
async fn a_thread_that_has_to_wait_is_opened_by_the_next_try() {
    let server = DiscordServer::start().await;
    let host = host(&server);
    server.next(|call| call.path.ends_with("/threads"), Fault::Throttle("5"));
    assert_eq!(post(&host, &card("x")).await.expect_err("not yet"), ChatError::Paused { after_ms: 5_000 });
    let (message, talk) = post(&host, &card("x")).await.expect("posted");
    assert_eq!(talk.map(|talk| talk.to_string()), Some(format!("dc_{}", message.message)));
    let rendered = host.render(&card("x"), Form::Rich);
    assert_eq!(host.calls(&CHANNEL, &rendered), 3, "the card, its thread, and who asked");
    assert_eq!(host.calls(&CHANNEL, &host.render(&end("x"), Form::Rich)), 1);
    // After a long one the talk stays in the channel.
    server.next(|call| call.path.ends_with("/threads"), Fault::Throttle("3600"));
    let rendered = host.render(&card("another"), Form::Rich);
    assert_eq!(host.post(&CHANNEL, &rendered, "n0nce3").await.expect("posted").talk, None);
    told::nothing_is_wrong(&server);
}
