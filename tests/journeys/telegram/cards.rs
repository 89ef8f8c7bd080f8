//! A job from what somebody says to its files, as a person sees it: the whole installation, asking for updates, with cards.

use std::collections::BTreeMap;

use convoke::bots::Bots;
use convoke_app::ports::WhoMay;
use convoke_telegram::settings::Settings;
use convoke_tests::scripted::team::{Team, Temper};
use convoke_tests::served::Served;
use convoke_tests::telegram::{BotApi, Call, Mask, Updates};
use serde_json::Value;

use super::rig::{ALONE, ANN};
use super::talk::steady;

fn bots(telegram: &BotApi) -> Bots {
    let settings = telegram.settings().map(|(name, value)| (name.to_owned(), value.to_owned()));
    Bots { telegram: Settings::read(&BTreeMap::from(settings)).expect("settings"), ..Bots::default() }
}

/// The calls of a method that say something.
fn of<'calls>(calls: &'calls [Call], method: &'static str, part: &'static str) -> impl Iterator<Item = &'calls Call> {
    calls.iter().filter(move |call| call.method == method && call.text().contains(part))
}

/// Ann, whose bot it is, and all of it.
struct Site {
    telegram: BotApi,
    served: Served,
    updates: Updates,
    code: String,
    mask: Mask,
}

impl Site {
    async fn start() -> Self {
        let telegram = BotApi::start().await;
        let served = Served::with_bots(Team(Temper::Reasonable), bots(&telegram)).await;
        let tenant = "local".parse().expect("a tenant");
        let code = served.platform().new_link_code(&tenant, WhoMay::Everybody).await.expect("a code");
        let site = Self { telegram, served, updates: Updates::default(), code, mask: Mask::default() };
        site.says(&format!("/start {}", site.code));
        site
    }

    fn says(&self, text: &str) {
        self.telegram.queue(self.updates.says(ALONE, ANN, text));
    }

    /// A press of a button of a message of the bot.
    fn press(&self, (number, label): (i32, &str)) -> Value {
        let message = self.telegram.message(ALONE.id(), number).expect("it stands there");
        let rows = message["markup"]["inline_keyboard"].as_array().expect("buttons");
        let mut buttons = rows.iter().flat_map(|row| row.as_array().into_iter().flatten());
        let button = buttons.find(|button| button["text"] == label).expect("the button");
        self.updates.presses(ALONE, ANN, (number, &message), button["callback_data"].as_str().expect("data"))
    }

    /// Ann presses a button, so often at once; waits for all answers.
    async fn presses(&self, button: (i32, &str), times: usize) {
        let answered = of(&self.telegram.calls(), "answerCallbackQuery", "").count();
        for _ in 0..times {
            self.telegram.queue(self.press(button));
        }
        self.telegram.wait_for(|calls| of(calls, "answerCallbackQuery", "").count() == answered + times).await;
    }

    /// Waits for so many messages that say something; the number of the last one.
    async fn asks(&self, part: &'static str, count: usize) -> i32 {
        self.telegram.wait_for(|calls| of(calls, "sendMessage", part).count() == count).await;
        self.telegram.last_message(ALONE.id())
    }

    /// Waits for the end and the card's last state; both.
    async fn end(&self) -> [Call; 2] {
        let is_told = |calls: &[Call]| {
            of(calls, "sendDocument", "Done").count() == 1 && of(calls, "editMessageText", "Done").count() == 1
        };
        let calls = self.telegram.wait_for(is_told).await;
        let one = |method| of(&calls, method, "Done").next().cloned().expect("it is told");
        [one("editMessageText"), one("sendDocument")]
    }

    /// Calls without what changes from run to run.
    async fn show(&mut self, calls: &[Call]) -> String {
        let jobs = self.served.get("/v1/jobs").await.json();
        self.mask.know(jobs["jobs"][0]["id"].as_str().expect("an id"));
        let shown = self.mask.show(calls).replace(&self.code, "CODE");
        shown.lines().map(steady).collect::<Vec<_>>().join("\n")
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_job_is_asked_for_watched_and_received() {
    let mut site = Site::start().await;
    site.says("/run --budget 5 Create a REST API for a todo application");
    let at_last = site.end().await;
    let calls = site.telegram.calls();

    // How often the card is edited on the way is a matter of time; what it says at last isn't.
    let edited: Vec<&Value> = of(&calls, "editMessageText", "").map(|call| call.get("message_id")).collect();
    assert!(edited.iter().all(|number| *number == edited[0]), "there is one card: {edited:?}");
    let card = edited[0].as_i64().and_then(|number| number.try_into().ok()).expect("a number");
    let end = site.telegram.last_message(ALONE.id());
    assert_eq!(end, 4, "link, answer, card, end");
    let mut told: Vec<Call> = of(&calls, "sendMessage", "").filter(|call| call.buttons().is_empty()).cloned().collect();
    told.extend(at_last);

    // Hours later.
    for button in [(card, "Details"), (end, "Zip"), (end, "Follow up")] {
        site.presses(button, 1).await;
    }
    told.extend(site.telegram.calls_after(calls.len()));
    insta::assert_snapshot!(site.show(&told).await);
    site.served.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_person_has_a_plan_changed_and_approves_it() {
    let mut site = Site::start().await;
    site.asks("Connected", 1).await;
    site.says("/run --budget 5 --input review_plan=true Create a REST API for a todo application");
    let first = site.asks("decision is needed", 1).await;
    site.presses((first, "Request changes"), 1).await;
    let question = site.telegram.last_message(ALONE.id());
    let asked = site.telegram.message(ALONE.id(), question).expect("a question");
    site.telegram.queue(site.updates.replies(ALONE, ANN, (question, &asked), "Ids are to be numbers."));
    let second = site.asks("decision is needed", 2).await;
    site.presses((second, "Approve"), 2).await;
    let at_last = site.end().await;

    // Of what is edited again and again, as it is at last: what was asked, and by whom it was decided.
    let calls = site.telegram.calls();
    let mut told: Vec<Call> = of(&calls, "sendMessage", "").filter(|call| !is_card(call)).cloned().collect();
    for number in [first, second] {
        let edits = of(&calls, "editMessageText", "").filter(|call| *call.get("message_id") == number);
        told.push(edits.last().cloned().expect("it says what was decided"));
    }
    told.extend(of(&calls, "answerCallbackQuery", "").cloned());
    told.extend(at_last);
    insta::assert_snapshot!(site.show(&told).await);
    site.served.stop().await;
}

fn is_card(call: &Call) -> bool {
    call.buttons().iter().any(|(label, _)| label == "Stop")
}
