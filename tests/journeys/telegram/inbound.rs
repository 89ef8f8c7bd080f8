//! Updates in, calls out: whose they are, what the desk hears, how it is answered, what goes wrong.

use convoke_app::chat::Redeemed;
use convoke_app::ports::{Requester, WhoMay};
use convoke_chat::button::{Action, Ask, Press};
use convoke_chat::page::{Button, Look, Page, Span, Tone};
use convoke_chat::reply::{Audience, File, Question, Reply};
use convoke_domain::chat::{ChatId, PersonId, RealmId};
use convoke_tests::noticed::{BUTTON, HOSTILE};
use convoke_tests::telegram::{Call, Fault, Mask, Person};
use serde_json::{Value, json};

use super::rig::{ALONE, ANN, BOB, GROUP, Rig, TOPIC};

fn press(action: Action) -> Press {
    Press { action, token: BUTTON.parse().expect("a token") }
}

fn page(title: &str) -> Page {
    Page::new(Tone::Plain, title).text("And a line.").row([Button::new(press(Action::Stop), Look::Danger)])
}

fn question() -> Reply {
    Reply::Ask(a_question())
}

fn a_question() -> Question {
    Question {
        ask: Ask::Run { flow: Some("software".into()), budget: None },
        title: "What should the crew do?".into(),
        label: "In your own words".into(),
        placeholder: "Build a todo API".into(),
    }
}

/// A message of the bot that stands in a chat, to reply to and to press buttons under.
async fn stands(rig: &Rig, page: Page) -> (i32, Value) {
    rig.desk.say(Reply::public(page));
    assert_eq!(rig.tell(&rig.updates.says(TOPIC, ANN, "/help")).await, 200);
    rig.desk.heard();
    let number = rig.telegram.last_message(TOPIC.id());
    (number, rig.telegram.message(TOPIC.id(), number).expect("it stands there"))
}

#[tokio::test]
async fn nobody_but_telegram_is_listened_to() {
    let rig = Rig::start().await;
    let update = rig.updates.says(ALONE, ANN, "/help").to_string();
    for secret in [None, Some(""), Some("a-secret-of-the-webhoo"), Some("another-secret-of-mine")] {
        assert_eq!(rig.send(&update, secret).await, 401, "{secret:?}");
    }
    assert_eq!((rig.heard().as_str(), rig.telegram.calls().len()), ("", 0));
    assert_eq!(rig.tell(&serde_json::from_str(&update).expect("JSON")).await, 200);
    rig.stop().await;
}

#[tokio::test]
async fn what_nobody_understands_is_answered_and_forgotten() {
    let rig = Rig::start().await;
    assert_eq!(rig.tell(&rig.updates.of_tomorrow()).await, 200);
    for body in ["", "not JSON", "{}", "[]", r#"{"update_id": "seven"}"#] {
        assert_eq!(rig.send(body, Some(super::rig::SECRET)).await, 200, "{body}");
    }
    // In a group nobody is disturbed by what isn't for the bot.
    for text in ["hello", "/run@other_bot x", "/unheard_of"] {
        assert_eq!(rig.tell(&rig.updates.says(GROUP, ANN, text)).await, 200, "{text}");
    }
    assert_eq!(rig.heard(), "");
    let methods: Vec<String> = rig.telegram.calls().into_iter().map(|call| call.method).collect();
    assert_eq!(methods, ["getMe"], "the bot asks for its name, and says nothing");
    rig.stop().await;
}

#[tokio::test]
async fn an_update_is_heard_once_however_often_it_comes() {
    let rig = Rig::start().await;
    let update = rig.updates.says(ALONE, ANN, "/run Build a todo API");
    for _ in 0..3 {
        assert_eq!(rig.tell(&update).await, 200);
    }
    assert_eq!(rig.desk.heard().len(), 1);
    let at_once = rig.updates.says(ALONE, ANN, "/run Build another");
    let (one, other) = tokio::join!(rig.tell(&at_once), rig.tell(&at_once));
    assert_eq!(rig.desk.heard().len(), 1);
    assert!([one, other].contains(&200) && [200, 503].contains(&one.max(other)), "{one} {other}");
    assert_eq!(rig.tell(&at_once).await, 200, "it is done");
    assert_eq!(rig.desk.heard().len(), 0);
    rig.stop().await;
}

#[tokio::test]
async fn the_desk_hears_who_asks_where_and_for_what() {
    let rig = Rig::start().await;
    rig.telegram.admit(-1_001, ANN.0);
    rig.telegram.keep_file("F1", b"a,b\n");
    for update in [
        rig.updates.says(ALONE, ANN, "/start"),
        rig.updates.says(ALONE, ANN, "/start CODE12345"),
        rig.updates.says(ALONE, ANN, "good morning"),
        rig.updates.says(ALONE, ANN, "/unheard_of"),
        rig.updates.says(ALONE, ANN, "/run software --budget 1.50 Build a todo API"),
        rig.updates.says(TOPIC, ANN, "/run@crew_bot Build a todo API"),
        rig.updates.says(TOPIC, BOB, "/RUN@Crew_Bot Build a todo API"),
        rig.updates.says(GROUP, BOB, "/status"),
        rig.updates.says(GROUP, BOB, "/jobs failed"),
        rig.updates.says(GROUP, ANN, "/cancel W9YBC1"),
        rig.updates.says(GROUP, BOB, "/retry W9YBC1"),
        rig.updates.says(GROUP, BOB, "/artifacts"),
        rig.updates.says(GROUP, BOB, "/cost"),
        rig.updates.says(GROUP, ANN, "/link CODE12345"),
        rig.updates.says(GROUP, BOB, "/unlink"),
        rig.updates.says(GROUP, BOB, "/help"),
        rig.updates.says(GROUP, ANN, "/schedule"),
        rig.updates.sends(GROUP, ANN, ("F1", "a.csv", 4), "/run Sum it up"),
        rig.updates.sends(ALONE, ANN, ("F1", "a.csv", 4), "Sum it up"),
        rig.updates.sends(ALONE, ANN, ("F1", "a.csv", 4), ""),
        rig.updates.sends(GROUP, ANN, ("F1", "a.csv", 4), "/followup Sum it up"),
        rig.updates.sends(GROUP, ANN, ("F1", "a.csv", 4), "/status"),
    ] {
        assert_eq!(rig.tell(&update).await, 200, "{update}");
    }
    insta::assert_snapshot!(rig.heard());
    let names = rig.telegram.calls().iter().filter(|call| call.method == "getMe").count();
    assert_eq!(names, 1, "a name is asked for once");
    rig.stop().await;
}

#[tokio::test]
async fn answers_to_the_bots_messages_are_heard_and_answers_to_others_are_not() {
    let rig = Rig::start().await;
    rig.telegram.admit(-1_001, ANN.0);
    let card = stands(&rig, page("A card")).await;
    rig.desk.say(question());
    assert_eq!(rig.tell(&rig.updates.says(TOPIC, ANN, "/run")).await, 200);
    rig.desk.heard();
    let asked = rig.telegram.last_message(TOPIC.id());
    let asked = (asked, rig.telegram.message(TOPIC.id(), asked).expect("it stands there"));
    let reply = |message: &(i32, Value), text: &str| rig.updates.replies(TOPIC, ANN, (message.0, &message.1), text);
    let changes = Question { ask: Ask::Press(press(Action::Changes)), ..a_question() };
    rig.desk.say(Reply::Ask(changes));
    assert_eq!(rig.tell(&rig.updates.says(TOPIC, ANN, "/run")).await, 200);
    rig.desk.heard();
    let changes = rig.telegram.last_message(TOPIC.id());
    let changes = (changes, rig.telegram.message(TOPIC.id(), changes).expect("it stands there"));
    let sends = |message: &(i32, Value), caption: &str| {
        let mut update = reply(message, "");
        let message = update["message"].as_object_mut().expect("a message");
        message.remove("text");
        if !caption.is_empty() {
            message.insert("caption".into(), caption.into());
        }
        let file = json!({"file_id": "F1", "file_unique_id": "F1", "file_name": "a.csv", "file_size": 4});
        message.insert("document".into(), file);
        update
    };
    let of_another = {
        let mut update = reply(&asked, "Build a todo API");
        update["message"]["reply_to_message"]["from"]["id"] = 77.into();
        update
    };
    for update in [
        reply(&asked, "Build a todo API"),
        reply(&card, "Now with tests"),
        reply(&changes, "Ids are to be numbers."),
        sends(&asked, "Sum it up"),
        sends(&asked, ""),
        // Neither takes files: that is said, and nothing else comes of it.
        sends(&card, "Sum it up"),
        sends(&card, ""),
        sends(&changes, "Like this"),
        sends(&changes, ""),
        of_another,
    ] {
        assert_eq!(rig.tell(&update).await, 200, "{update}");
    }
    insta::assert_snapshot!(rig.heard());
    rig.stop().await;
}

#[tokio::test]
async fn each_kind_of_answer_is_given_in_its_way() {
    let rig = Rig::start().await;
    let card = stands(&rig, page("A card")).await;
    let before = rig.telegram.calls().len();
    let report = File { name: "REPORT.md".into(), media_type: "text/markdown".into(), bytes: b"# It works".to_vec() };
    let with = |page: Page, count: usize| Reply::Say {
        page,
        audience: Audience::Everybody,
        files: vec![report.clone(); count],
    };
    let says = || rig.updates.says(TOPIC, ANN, "/status");
    let presses = || rig.updates.presses(TOPIC, ANN, (card.0, &card.1), &press(Action::Details).to_string());
    for (update, reply) in [
        (says(), Reply::public(page("Said to all"))),
        (rig.updates.says(ALONE, ANN, "/status"), Reply::private(page("Said in private"))),
        (says(), with(page("With a file"), 1)),
        (says(), with(page("With two files"), 2)),
        (says(), question()),
        (says(), Reply::Quiet),
        (presses(), Reply::private(Page::new(Tone::Plain, "A note").text("That fits."))),
        (presses(), Reply::private(page("A note with buttons is a message"))),
        (presses(), Reply::private(Page::new(Tone::Plain, "A long note").text("word ".repeat(60)))),
        (presses(), Reply::Update { page: page("Decided") }),
        (presses(), Reply::Update { page: page("Decided") }),
        (presses(), question()),
        (presses(), Reply::Quiet),
        (rig.updates.presses(TOPIC, ANN, (card.0, &card.1), "?what"), Reply::Quiet),
    ] {
        rig.desk.say(reply);
        assert_eq!(rig.tell(&update).await, 200, "{update}");
    }
    insta::assert_snapshot!(Mask::default().show(&rig.telegram.calls_after(before)));
    rig.stop().await;
}

#[tokio::test]
async fn what_others_must_not_see_is_said_to_whoever_asked_or_not_at_all() {
    let rig = Rig::start().await;
    let card = stands(&rig, page("A card")).await;
    let before = rig.telegram.calls().len();
    let link = Span::Link { label: "archive.zip".into(), url: "https://files.example/k?signature=s".into() };
    let presses = |chat| rig.updates.presses(chat, ANN, (card.0, &card.1), &press(Action::Zip).to_string());
    for (update, may_write) in [
        (rig.updates.says(TOPIC, ANN, "/artifacts x"), true),
        (presses(TOPIC), true),
        (rig.updates.says(TOPIC, ANN, "/artifacts x"), false),
        (presses(TOPIC), false),
        (rig.updates.says(ALONE, ANN, "/artifacts x"), true),
        (presses(ALONE), true),
    ] {
        if !may_write {
            rig.telegram
                .fail("sendMessage", Fault::Said(403, "Forbidden: bot can't initiate conversation with a user"));
        }
        rig.desk.say(Reply::secret(Page::new(Tone::Plain, "Here it is").line([link.clone()])));
        assert_eq!(rig.tell(&update).await, 200, "{update}");
    }
    let calls = rig.telegram.calls_after(before);
    let tells_all = |call: &&Call| *call.get("chat_id") == TOPIC.id() && call.text().contains("signature");
    assert_eq!(calls.iter().filter(tells_all).count(), 0);
    insta::assert_snapshot!(Mask::default().show(&calls));
    rig.stop().await;
}

#[tokio::test]
async fn a_press_under_a_message_that_is_gone_is_answered_anew() {
    let rig = Rig::start().await;
    let card = stands(&rig, page("A card")).await;
    let before = rig.telegram.calls().len();
    rig.telegram.delete(TOPIC.id(), card.0);
    rig.desk.say(Reply::Update { page: page("Decided") });
    let data = press(Action::Approve).to_string();
    assert_eq!(rig.tell(&rig.updates.presses(TOPIC, ANN, (card.0, &card.1), &data)).await, 200);
    let mut old = rig.updates.presses(TOPIC, ANN, (card.0, &card.1), &data);
    old["callback_query"]["message"] =
        json!({"message_id": card.0, "date": 0, "chat": {"id": -1_001, "type": "supergroup"}});
    rig.desk.say(Reply::private(Page::new(Tone::Plain, "Too late")));
    rig.telegram
        .fail("answerCallbackQuery", Fault::Said(400, "Bad Request: query is too old and response timeout expired"));
    assert_eq!(rig.tell(&old).await, 200, "nobody waits for it any more");
    insta::assert_snapshot!(Mask::default().show(&rig.telegram.calls_after(before)));
    rig.stop().await;
}

#[tokio::test]
async fn what_goes_wrong_with_an_answer_costs_no_more_than_the_answer() {
    let rig = Rig::start().await;
    for (fault, status) in [
        (Fault::Throttled(5), 503),
        (Fault::Throttled(3_600), 200),
        (Fault::Said(401, "Unauthorized"), 503),
        (Fault::Said(403, "Forbidden: bot was kicked from the supergroup chat"), 200),
        (Fault::Said(400, "Bad Request: chat not found"), 200),
        (Fault::Broken, 200),
        (Fault::Lost, 200),
    ] {
        rig.telegram.fail("sendMessage", fault.clone());
        rig.desk.say(Reply::public(page("An answer")));
        let update = rig.updates.says(ALONE, ANN, "/run x");
        assert_eq!(rig.tell(&update).await, status, "{fault:?}");
        assert_eq!(rig.desk.heard().len(), 1, "{fault:?}");
        // What isn't done is still this one's, whose lease runs; what is done is done.
        assert_eq!(rig.tell(&update).await, status, "{fault:?}");
        assert_eq!(rig.desk.heard().len(), 0, "{fault:?}");
    }
    let before = rig.telegram.calls().len();
    rig.telegram.fail("sendMessage", Fault::Said(400, "Bad Request: can't parse entities"));
    rig.desk.say(Reply::public(page("Plainly")));
    assert_eq!(rig.tell(&rig.updates.says(ALONE, ANN, "/run x")).await, 200);
    insta::assert_snapshot!(Mask::default().show(&rig.telegram.calls_after(before)));
    assert_eq!(rig.desk.heard().len(), 1);
    rig.telegram.fail("getChatMember", Fault::Throttled(5));
    assert_eq!(rig.tell(&rig.updates.says(GROUP, BOB, "/cancel")).await, 503, "nobody knows who asks");
    assert_eq!(rig.heard(), "");
    rig.stop().await;
}

#[tokio::test]
async fn names_and_answers_break_nothing() {
    let rig = Rig::start().await;
    let rogue = Person(9, HOSTILE);
    let card = stands(&rig, page("A card")).await;
    for reply in [
        question(),
        Reply::public(Page::new(Tone::Bad, HOSTILE).quote(HOSTILE.repeat(200))),
        Reply::private(Page::new(Tone::Bad, HOSTILE.repeat(50))),
        Reply::Update { page: Page::new(Tone::Bad, HOSTILE).text(HOSTILE) },
    ] {
        rig.desk.say(reply);
        let data = press(Action::FollowUp).to_string();
        let update = rig.updates.presses(TOPIC, rogue, (card.0, &card.1), &data);
        assert_eq!(rig.tell(&update).await, 200);
    }
    // Each was held against Telegram's limits and its HTML; and this Telegram loses none of them.
    assert!(rig.telegram.calls().iter().all(|call| call.error.is_none()), "{:#?}", rig.telegram.calls());
    rig.stop().await;
}

#[tokio::test]
async fn a_group_that_moves_takes_its_link_along_and_one_that_throws_the_bot_out_is_told_no_more() {
    let rig = Rig::start().await;
    let (platform, tenant) = (rig.served.platform(), "local".parse().expect("a tenant"));
    let code = platform.new_link_code(&tenant, WhoMay::Everybody).await.expect("a code");
    let by = Requester { person: PersonId::Telegram(5), name: "Ann".into() };
    let linked = platform.redeem_link_code(&code, RealmId::Group(-5), "Tea", by).await.expect("linked");
    assert!(matches!(linked, Redeemed::Linked(_)), "{linked:?}");
    assert_eq!(rig.tell(&rig.updates.moves(-5, -1_001)).await, 200);
    assert!(platform.link_of(&RealmId::Group(-5)).await.expect("up").is_none());
    assert!(platform.link_of(&RealmId::Group(-1_001)).await.expect("up").is_some());
    let room = ChatId::Telegram { chat: -1_001, thread: None };
    for status in ["kicked", "left"] {
        assert_eq!(rig.tell(&rig.updates.member(GROUP, ANN, status)).await, 200);
    }
    let standing = platform.ports.rooms.standing(&tenant, &room).await.expect("up");
    assert!(standing.room.expect("a room").dead.is_some());
    assert_eq!(rig.tell(&rig.updates.member(GROUP, ANN, "member")).await, 200);
    // Whoever uses the bot there is told again.
    platform.enter_chat(&room, &RealmId::Group(-1_001)).await.expect("up");
    let standing = platform.ports.rooms.standing(&tenant, &room).await.expect("up");
    assert!(standing.room.expect("a room").dead.is_none());
    rig.stop().await;
}
