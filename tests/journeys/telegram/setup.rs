//! Webhook and long polling: one or the other, and nobody takes updates away from somebody else.

use std::time::Duration;

use convoke_chat::page::{Page, Tone};
use convoke_chat::reply::Reply;
use convoke_runtime::Secret;
use convoke_telegram::polling::{PollError, Standing, poll, prepare};
use convoke_telegram::setup::{delete_webhook, me, offer_commands, set_webhook, webhook};
use convoke_tests::telegram::{BOT_NAME, BotApi, Call, Fault, Mask};

use super::rig::{ALONE, ANN, GROUP, Rig, api};

const URL: &str = "https://example.com/telegram/updates";

#[tokio::test]
async fn a_webhook_is_set_shown_and_deleted() {
    let telegram = BotApi::start().await;
    let api = api(&telegram);
    assert_eq!(me(&api).await.expect("somebody").username, BOT_NAME);
    assert_eq!(webhook(&api).await.expect("told").url, "");
    set_webhook(&api, URL, &Secret::new("a-secret-of-the-webhook")).await.expect("set");
    offer_commands(&api).await.expect("offered");
    assert_eq!(webhook(&api).await.expect("told").url, URL);
    delete_webhook(&api).await.expect("deleted");
    assert_eq!(webhook(&api).await.expect("told").url, "");
    insta::assert_snapshot!(Mask::default().show(&telegram.calls()));
}

#[tokio::test]
async fn polling_takes_a_webhook_over_only_when_it_is_told_to() {
    let telegram = BotApi::start().await;
    let api = api(&telegram);
    telegram.set_webhook(URL);
    let refused = prepare(&api, Standing::Respect).await;
    assert!(matches!(&refused, Err(PollError::WebhookStands { url }) if url == URL), "{refused:?}");
    assert!(telegram.webhook().is_some(), "it is left alone");
    prepare(&api, Standing::TakeOver).await.expect("taken over");
    assert_eq!(telegram.webhook(), None);
    prepare(&api, Standing::Respect).await.expect("nothing stands");
}

#[tokio::test]
async fn whoever_polls_hears_every_update_once_though_telegram_is_in_trouble() {
    let rig = Rig::start().await;
    let api = api(&rig.telegram);
    rig.telegram.fail("getUpdates", Fault::Throttled(1));
    for text in ["/run one", "/run two"] {
        rig.desk.say(Reply::public(Page::new(Tone::Plain, text)));
        rig.telegram.queue(rig.updates.says(ALONE, ANN, text));
    }
    rig.telegram.queue(rig.updates.of_tomorrow());
    let answered = rig.telegram.wait_for(|calls| calls.len() == 2);
    tokio::select! {
        never = poll(&api, &rig.inbound) => match never {},
        calls = answered => {
            let texts: Vec<&str> = calls.iter().map(Call::text).collect();
            assert_eq!(texts, ["<b>/run one</b>", "<b>/run two</b>"]);
        }
    }
    assert_eq!(rig.desk.heard().len(), 2);
    // It goes on where it left off: nothing is heard twice, whether it had said so or not.
    let again = tokio::time::timeout(Duration::from_millis(300), poll(&api, &rig.inbound)).await;
    assert!(again.is_err());
    assert_eq!(rig.desk.heard().len(), 0);
    rig.stop().await;
}

#[tokio::test]
async fn a_chat_whose_answer_has_to_wait_holds_up_no_other() {
    let rig = Rig::start().await;
    let api = api(&rig.telegram);
    rig.telegram.fail("sendMessage", Fault::Throttled(59));
    let says = |chat, text: &str| {
        rig.desk.say(Reply::public(Page::new(Tone::Plain, text)));
        rig.telegram.queue(rig.updates.says(chat, ANN, text));
    };
    says(GROUP, "/status");
    let talk = async {
        rig.telegram.wait_for(|calls| calls.len() == 1).await;
        rig.telegram.queue(rig.updates.says(GROUP, ANN, "/help"));
        says(ALONE, "/cost");
        rig.telegram.wait_for(|calls| calls.iter().any(|call| *call.get("chat_id") == ALONE.id())).await
    };
    let calls = tokio::select! {
        never = poll(&api, &rig.inbound) => match never {},
        calls = talk => calls,
    };
    // What is said after it in its own chat waits.
    let said: Vec<&str> = calls.iter().map(Call::text).collect();
    assert_eq!(said, ["<b>/status</b>", "<b>/cost</b>"]);
    // Should this process die, whoever polls next gets what isn't done.
    assert_eq!(rig.telegram.waiting(), 3);
    rig.stop().await;
}
