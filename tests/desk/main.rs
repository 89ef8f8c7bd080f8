//! What people say to the desk, and what they hear: dialogues, as both platforms show them.

mod rig;
mod wishes;

use convoke_app::ports::WhoMay;
use convoke_chat::button::{Action, Press};
use convoke_desk::Caller;
use convoke_domain::chat::Bot;
use convoke_domain::ids::JobId;

use rig::{Talk, Who, acme, attached};

const BOTS: [Bot; 2] = [Bot::Discord, Bot::Telegram];

fn end(id: &JobId) -> String {
    let id = id.as_str();
    id[id.len() - 6..].to_owned()
}

fn keep(name: &str, bot: Bot, talk: &Talk) {
    insta::assert_snapshot!(format!("{name}_{bot}"), talk.said);
}

#[tokio::test]
async fn a_chat_is_connected() {
    for bot in BOTS {
        let mut talk = Talk::new(bot);
        talk.say(Who::Bob, "/run a poem").await;
        talk.say(Who::Ann, "/start").await;
        talk.say(Who::Ann, "/help").await;
        talk.say(Who::Bob, "/link ABCDEFGHJK").await;
        talk.say(Who::Ann, "/link ABCDEFGHJK").await;
        let code = talk.platform.new_link_code(&acme(), WhoMay::Everybody).await.expect("a code");
        let caller = talk.caller(Who::Ann);
        let said = talk.said.len();
        talk.say_as(&caller, &format!("/start {code}"), Vec::new()).await;
        talk.say_as(&caller, &format!("/start {code}"), Vec::new()).await;
        talk.said = talk.said[..said].to_owned() + &talk.said[said..].replace(&code, "CODE");
        talk.say(Who::Bob, "/start").await;
        talk.say(Who::Ann, "/link").await;
        let other = "globex".parse().expect("a tenant");
        let foreign = talk.platform.new_link_code(&other, WhoMay::Everybody).await.expect("a code");
        let said = talk.said.len();
        talk.say(Who::Ann, &format!("/link {foreign}")).await;
        talk.note("others have seen it: it links nothing any more");
        talk.say(Who::AnnAlone, &format!("/link {foreign}")).await;
        talk.said = talk.said[..said].to_owned() + &talk.said[said..].replace(&foreign, "CODE");
        talk.say(Who::Bob, "/unlink").await;
        talk.say(Who::Ann, "/unlink").await;
        talk.say(Who::Ann, "/unlink").await;
        talk.say(Who::Ann, "/jobs").await;
        keep("connect", bot, &talk);
    }
}

#[tokio::test]
async fn a_job_is_asked_for_watched_and_stopped() {
    for bot in BOTS {
        let mut talk = Talk::linked(bot).await;
        talk.say(Who::Bob, "/jobs").await;
        talk.say(Who::Bob, "/run").await;
        talk.answer(Who::Bob, "Create a REST API\nfor todos").await;
        let caller = talk.caller(Who::Bob);
        talk.say_as(&caller, "/run --budget 0.50 A *second* <one>", vec![attached("notes.md", "Notes")]).await;
        talk.note("the same update comes again");
        talk.say_as(&caller, "/run --budget 0.50 A *second* <one>", vec![attached("notes.md", "Notes")]).await;
        talk.say_with(Who::Bob, "/run", vec![attached("wish.txt", "What the file says")]).await;
        talk.say(Who::Bob, "/run --budget 5000 too dear").await;
        talk.say(Who::Bob, "/run --flow nothing x").await;
        talk.say_with(
            Who::Bob,
            "/run x",
            vec![convoke_chat::command::Attached { bytes: 99, ..attached("big.bin", "") }],
        )
        .await;
        talk.say(Who::Bob, "/jobs").await;
        talk.say(Who::Bob, "/status").await;
        talk.press(Who::Bob, Action::Details).await;
        talk.say(Who::Bob, "/cancel").await;
        let jobs = talk.platform.jobs(&acme(), &convoke_app::read::JobsAsked::default()).await.expect("jobs").jobs;
        let first = end(&jobs.last().expect("a job").id);
        talk.say(Who::Bob, &format!("/cancel {first}")).await;
        talk.work().await;
        talk.say(Who::Bob, &format!("/cancel {first}")).await;
        talk.say(Who::Bob, &format!("/status {first}")).await;
        talk.say(Who::Bob, "/status 0000").await;
        talk.say(Who::Bob, "/status ?").await;
        talk.say(Who::Bob, "/dance").await;
        keep("run", bot, &talk);
    }
}

#[tokio::test]
async fn files_are_handed_over() {
    for bot in BOTS {
        let mut talk = Talk::linked(bot).await;
        let poem = talk.poem(Who::Bob, "a poem").await;
        talk.say(Who::Bob, "/artifacts").await;
        talk.work().await;
        talk.say(Who::Bob, "/artifacts").await;
        talk.press(Who::Ann, Action::Zip).await;
        talk.say(Who::Bob, &format!("/artifacts {} poem.md", end(&poem.job))).await;
        talk.say(Who::Bob, "/artifacts ../secret.md").await;
        talk.say(Who::Bob, "/cost").await;
        talk.say(Who::Bob, &format!("/cost {}", end(&poem.job))).await;
        keep("files", bot, &talk);
    }
}

#[tokio::test]
async fn links_to_this_machine_are_never_said() {
    for bot in BOTS {
        let mut talk = Talk::at(bot, "http://127.0.0.1:8787");
        talk.link(Who::Ann, WhoMay::Everybody).await;
        talk.poem(Who::Ann, "a poem").await;
        talk.work().await;
        talk.say(Who::Ann, "/artifacts").await;
        talk.press(Who::Ann, Action::Zip).await;
        talk.poem(Who::Ann, "a long poem").await;
        talk.work().await;
        talk.say(Who::Ann, "/artifacts poem.md").await;
        assert!(!talk.said.contains("127.0.0.1"), "{}", talk.said);
        keep("files_on_host", bot, &talk);
    }
}

#[tokio::test]
async fn what_failed_is_tried_again() {
    for bot in BOTS {
        let mut talk = Talk::linked(bot).await;
        talk.say(Who::Bob, "/retry").await;
        let failed = talk.poem(Who::Bob, "the impossible").await;
        talk.work().await;
        talk.say(Who::Bob, "/status").await;
        talk.say(Who::Ann, "/retry --budget 0").await;
        talk.say(Who::Ann, "/retry").await;
        talk.work().await;
        let fine = talk.poem(Who::Bob, "a poem").await;
        talk.work().await;
        talk.say(Who::Bob, &format!("/retry {}", end(&fine.job))).await;
        let chat = talk.caller(Who::Bob).chat;
        let token = talk.platform.new_button(&failed, &chat, None).await.expect("a token");
        let token: convoke_chat::button::Token = token.parse().expect("a token");
        for action in [Action::RaiseBudget, Action::RunAgain, Action::Retry] {
            talk.press_this(Who::Bob, Press { action, token: token.clone() }).await;
        }
        let jobs = talk.platform.jobs(&acme(), &convoke_app::read::JobsAsked::default()).await.expect("jobs").jobs;
        let mut budgets = Vec::new();
        for job in &jobs {
            let view = talk.platform.job_view(&rig_key(&job.id)).await.expect("a job");
            budgets.push((view.budget.usd, view.budget.tokens));
        }
        assert!(budgets.contains(&("2.00".to_owned(), 1_000_000)), "{budgets:?}");
        keep("retry", bot, &talk);
    }
}

fn rig_key(job: &JobId) -> convoke_domain::ids::JobKey {
    convoke_domain::ids::JobKey { tenant: acme(), job: job.clone() }
}

#[tokio::test]
async fn a_job_is_followed_up() {
    for bot in BOTS {
        let mut talk = Talk::linked(bot).await;
        talk.say(Who::Bob, "/followup longer").await;
        let poem = talk.poem(Who::Bob, "a poem").await;
        talk.say(Who::Bob, "/followup").await;
        talk.answer(Who::Bob, "make it rhyme").await;
        let still_runs = (talk.button(Action::Queue), talk.button(Action::Restart));
        talk.press_this(Who::Ann, still_runs.0.clone()).await;
        talk.say(Who::Ann, "/schedule list").await;
        talk.minute().await;
        talk.press_this(Who::Bob, still_runs.1.clone()).await;
        talk.work().await;
        let earlier = talk.platform.job_view(&poem).await.expect("a job");
        assert_eq!(earlier.status.as_str(), "cancelled");
        talk.note("the restarted job has ended; it was the same wish that waited, so nothing waits any more");
        talk.minute().await;
        talk.work().await;
        talk.say(Who::Bob, "/schedule list").await;
        talk.say(Who::Bob, "/jobs").await;
        talk.say(Who::Bob, "/followup --budget 0.30 shorter").await;
        talk.work().await;
        talk.say(Who::Bob, "/status").await;
        let token = talk.button(Action::Details).token;
        talk.press_this(Who::Ann, Press { action: Action::FollowUp, token }).await;
        talk.answer(Who::Ann, "and in French").await;
        talk.work().await;
        talk.say(Who::Ann, "/jobs").await;
        keep("follow_up", bot, &talk);
    }
}

#[tokio::test]
async fn some_may_and_others_may_not() {
    for bot in BOTS {
        let mut talk = Talk::linked(bot).await;
        let of_ann = talk.poem(Who::Ann, "a poem of Ann").await;
        talk.poem_from_elsewhere("something private").await;
        talk.say(Who::Bob, &format!("/cancel {}", end(&of_ann.job))).await;
        talk.say(Who::Bob, "/jobs").await;
        talk.note("in direct messages, linked to the same");
        talk.link(Who::AnnAlone, WhoMay::Everybody).await;
        talk.say(Who::AnnAlone, "/jobs").await;
        talk.note("the group is linked anew: only admins may");
        talk.link(Who::Ann, WhoMay::Admins).await;
        talk.say(Who::Bob, "/run a poem").await;
        talk.say(Who::Ann, "/run a poem").await;
        for _ in 0..9 {
            let caller = talk.caller(Who::Ann);
            let said = talk.said.len();
            talk.say_as(&caller, "/run more", Vec::new()).await;
            talk.said.truncate(said);
        }
        talk.note("nine more, and then");
        talk.say(Who::Ann, "/run one too many").await;
        keep("who_may", bot, &talk);
    }
}

#[tokio::test]
async fn a_code_that_somebody_typed_who_may_not_link_links_nothing_any_more() {
    for bot in BOTS {
        let mut talk = Talk::new(bot);
        let code = talk.platform.new_link_code(&acme(), WhoMay::Everybody).await.expect("a code");
        talk.say(Who::Bob, &format!("/link {code}")).await;
        talk.say(Who::Ann, &format!("/link {code}")).await;
        let realm = talk.caller(Who::Ann).realm;
        assert_eq!(talk.platform.link_of(&realm).await.expect("up"), None, "{}", talk.said);
    }
}

#[tokio::test]
async fn what_was_asked_for_alone_stays_so() {
    let mut talk = Talk::linked(Bot::Discord).await;
    talk.link(Who::AnnAlone, WhoMay::Everybody).await;
    talk.poem(Who::AnnAlone, "something private").await;
    let (alone, in_guild) = (talk.caller(Who::AnnAlone), talk.caller(Who::Ann));
    let here = Caller { chat: alone.chat, ..in_guild };
    talk.note("in a channel of the guild where the bot can't post, so that the answers come alone");
    talk.say_as(&here, "/jobs", Vec::new()).await;
    talk.say(Who::Bob, "/jobs").await;
    assert!(!talk.said.contains("private"), "{}", talk.said);
    talk.say(Who::AnnAlone, "/jobs").await;
    assert!(talk.said.contains("something private"), "{}", talk.said);
    talk.platform.unlink(&acme(), &alone.realm).await.expect("up");
    talk.poem_of(here.clone(), "of the guild").await;
    talk.say(Who::Bob, "/jobs").await;
    assert!(talk.said.contains("of the guild"), "nobody else's any more: {}", talk.said);
}

#[tokio::test]
async fn a_job_of_the_chat_is_found_behind_many_of_others() {
    let mut talk = Talk::linked(Bot::Discord).await;
    let first = talk.poem(Who::Bob, "the first poem").await;
    for _ in 0..120 {
        talk.poem_from_elsewhere("something else").await;
    }
    for text in ["/jobs", &format!("/status {}", end(&first.job)), "/status", "/cancel"] {
        let said = talk.said.len();
        talk.say(Who::Bob, text).await;
        assert!(talk.said[said..].contains(&end(&first.job)), "{text}: {}", &talk.said[said..]);
    }
}

#[tokio::test]
async fn people_decide() {
    for bot in BOTS {
        let mut talk = Talk::linked(bot).await;
        let asked = talk.asks(Who::Bob, "a garden").await;
        talk.work().await;
        let press = talk.buttons_of(&asked, "approve@1").await;
        talk.say(Who::Bob, "/status").await;
        talk.note("somebody whom the flow doesn't name");
        talk.press_this(Who::Ann, press(Action::Approve)).await;
        talk.press_this(Who::Ann, press(Action::Changes)).await;
        talk.press_this(Who::Bob, press(Action::Changes)).await;
        talk.answer(Who::Bob, "more *roses*, @everyone").await;
        talk.press_this(Who::Bob, press(Action::Approve)).await;
        talk.press_this(Who::Bob, press(Action::Changes)).await;
        talk.work().await;
        talk.note("a week later, in the second round");
        talk.env.wind(6 * 86_400_000);
        let press = talk.buttons_of(&asked, "approve@2").await;
        talk.press_this(Who::Bob, press(Action::Approve)).await;
        talk.press_this(Who::Bob, press(Action::Approve)).await;
        talk.press_this(Who::Bob, press(Action::Reject)).await;
        talk.work().await;
        talk.say(Who::Bob, "/status").await;
        keep("review", bot, &talk);
    }
}

#[tokio::test]
async fn buttons_grow_old() {
    for bot in BOTS {
        let mut talk = Talk::linked(bot).await;
        let poem = talk.poem(Who::Ann, "a poem").await;
        let chat = talk.caller(Who::Ann).chat;
        let token = talk.platform.new_button(&poem, &chat, None).await.expect("a token");
        let press = |action| Press { action, token: token.parse().expect("a token") };
        talk.press_this(Who::Ann, press(Action::Approve)).await;
        talk.press_this(
            Who::Ann,
            Press { action: Action::Stop, token: "neverGivenOut0123456".parse().expect("a token") },
        )
        .await;
        talk.note("the chat is linked to somebody else now");
        talk.say(Who::Ann, "/unlink").await;
        talk.press_this(Who::Ann, press(Action::Details)).await;
        let other = "globex".parse().expect("a tenant");
        let code = talk.platform.new_link_code(&other, WhoMay::Everybody).await.expect("a code");
        let caller = talk.caller(Who::Ann);
        let said = talk.said.len();
        talk.say_as(&caller, &format!("/link {code}"), Vec::new()).await;
        talk.said.truncate(said);
        talk.press_this(Who::Ann, press(Action::Details)).await;
        keep("old_buttons", bot, &talk);
    }
}

#[tokio::test]
async fn work_is_scheduled() {
    for bot in BOTS {
        let mut talk = Talk::linked(bot).await;
        talk.say(Who::Bob, "/schedule list").await;
        let caller = talk.caller(Who::Bob);
        let text = "/schedule weekdays 06:00 --zone Europe/Berlin --budget 0.20 Report what is new";
        talk.say_as(&caller, text, Vec::new()).await;
        talk.note("the same update comes again");
        talk.say_as(&caller, text, Vec::new()).await;
        talk.say(Who::Bob, "/schedule daily 25:00 x").await;
        talk.say(Who::Bob, "/schedule daily 05:00 --zone Mars/Base x").await;
        talk.say(Who::Ann, "/schedule every 6h Look after the plants").await;
        talk.say(Who::Bob, "/schedule list").await;
        let made = talk.platform.schedules(&acme()).await.expect("schedules").schedules;
        assert_eq!(made.len(), 2, "a repeat makes no other");
        let short = |index: usize| made[index].id[made[index].id.len() - 6..].to_owned();
        let (of_bob, of_ann) = if made[0].job["labels"]["made_by"].as_str().is_some_and(|by| by.ends_with('8')) {
            (short(0), short(1))
        } else {
            (short(1), short(0))
        };
        talk.say(Who::Bob, &format!("/schedule pause {of_ann}")).await;
        talk.say(Who::Bob, &format!("/schedule pause {of_bob}")).await;
        talk.say(Who::Bob, &format!("/schedule resume {of_bob}")).await;
        talk.say(Who::Ann, &format!("/schedule delete {of_bob}")).await;
        talk.say(Who::Bob, &format!("/schedule delete {of_bob}")).await;
        talk.note("two days later");
        talk.env.wind(2 * 86_400_000);
        talk.platform.tick_schedules(convoke_app::ports::Env::now_ms(&talk.env)).await.expect("ticked");
        talk.say(Who::Bob, "/jobs").await;
        talk.say(Who::Bob, "/cancel").await;
        talk.say(Who::Ann, "/cancel").await;
        keep("schedules", bot, &talk);
    }
}

#[tokio::test]
async fn options_are_completed() {
    let mut talk = Talk::linked(Bot::Discord).await;
    talk.poem(Who::Bob, "a poem").await;
    talk.poem_from_elsewhere("something private").await;
    talk.work().await;
    talk.poem(Who::Bob, "the impossible").await;
    talk.work().await;
    assert_eq!(talk.offered(Who::Bob, &["run"], "flow", "soft").await, ["software"]);
    assert_eq!(talk.offered(Who::Bob, &["schedule", "create"], "zone", "tok").await, ["Asia/Tokyo"]);
    let names = |offers: Vec<String>| {
        offers.iter().map(|name| name.rsplit(" · ").next().expect("a title").to_owned()).collect::<Vec<_>>()
    };
    assert_eq!(names(talk.offered(Who::Bob, &["status"], "job", "").await), ["the impossible", "a poem"]);
    assert_eq!(names(talk.offered(Who::Bob, &["status"], "job", "POEM").await), ["a poem"]);
    assert_eq!(names(talk.offered(Who::Bob, &["retry"], "job", "").await), ["the impossible"]);
    assert!(talk.offered(Who::Bob, &["cancel"], "job", "").await.is_empty());
    assert!(talk.offered(Who::Bob, &["run"], "prompt", "").await.is_empty());
    assert!(talk.offered(Who::AnnAlone, &["status"], "job", "").await.is_empty(), "not linked");
}
