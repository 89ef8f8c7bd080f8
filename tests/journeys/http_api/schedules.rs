//! Schedules: made over HTTP, started by the clock.

use convoke_tests::fakes::{Fault, Faults};
use serde_json::{Value, json};

use super::api::{Answer, Api, one_step};

const MINUTE_MS: u64 = 60_000;
const HOUR_MS: u64 = 60 * MINUTE_MS;

/// Every hour, on the hour; the world begins on one.
fn hourly() -> Value {
    json!({"name": "hourly", "cron": "0 * * * *", "job": one_step("rivers")})
}

fn with(mut schedule: Value, fields: Value) -> Value {
    let Value::Object(fields) = fields else { panic!("an object") };
    schedule.as_object_mut().expect("an object").extend(fields);
    schedule
}

async fn created(api: &Api, body: &Value) -> String {
    let answer = api.post("/v1/schedules", body).await;
    assert_eq!(answer.status, 201, "{}", answer.text());
    assert_eq!(answer.header("location"), answer.json()["href"]);
    answer.json()["href"].as_str().expect("a path").to_owned()
}

async fn tick(api: &Api) -> convoke_clock::Ticked {
    convoke_clock::handle(&api.platform).await.expect("a tick")
}

async fn ask(api: &Api, method: &str, path: &str) -> Answer {
    api.send(api.request(method, path, &[], None)).await
}

async fn jobs(api: &Api) -> Vec<Value> {
    api.get("/v1/jobs").await.json()["jobs"].as_array().expect("jobs").clone()
}

async fn runs(api: &Api, schedule: &str) -> Vec<Value> {
    api.get(&format!("{schedule}/runs")).await.json()["runs"].as_array().expect("runs").clone()
}

#[tokio::test]
async fn a_schedule_starts_a_job_at_each_tick() {
    let api = Api::new().await;
    let schedule = created(&api, &hourly()).await;
    let view = api.get(&schedule).await.json();
    assert_eq!(view["next_runs"][0], "2026-11-21T01:00:00.000Z");
    assert_eq!((view["next_runs"].as_array().map(Vec::len), &view["time_zone"]), (Some(5), &json!("UTC")));
    assert_eq!(tick(&api).await.schedules, 0, "it isn't time yet");
    api.env.wind(HOUR_MS);
    assert_eq!(tick(&api).await.schedules, 1);
    assert_eq!(tick(&api).await.schedules, 0, "a tick starts once");
    assert_eq!(jobs(&api).await.len(), 1);
    api.work().await;
    let run = runs(&api, &schedule).await.remove(0);
    assert_eq!((&run["tick"], &run["total"]), (&json!("2026-11-21T01:00:00.000Z"), &json!(1)));
    assert_eq!((&run["completed"], run["running"].as_array().map(Vec::len)), (&json!(1), Some(0)));
    assert!(run["ended_at"].is_string() && run["cost"]["tokens"].as_u64() > Some(0), "{run}");
    let job = jobs(&api).await.remove(0);
    let job = api.get(job["href"].as_str().expect("a path")).await.json();
    assert!(schedule.ends_with(job["schedule"].as_str().expect("its schedule")));
    api.env.wind(HOUR_MS);
    tick(&api).await;
    assert_eq!(runs(&api, &schedule).await.len(), 2);
}

#[tokio::test]
async fn missed_ticks_start_one_job() {
    let api = Api::new().await;
    let schedule = created(&api, &hourly()).await;
    api.env.wind(100 * HOUR_MS + 1);
    for _ in 0..3 {
        tick(&api).await;
    }
    assert_eq!(jobs(&api).await.len(), 1);
    assert_eq!(api.get(&schedule).await.json()["next_runs"][0], "2026-11-25T05:00:00.000Z");
}

#[tokio::test]
async fn what_goes_on_is_passed_over_waited_for_or_joined() {
    for (overlap, started, skipped) in [("skip", 1, 2), ("queue", 1, 0), ("allow", 3, 0)] {
        let api = Api::new().await;
        let schedule = created(&api, &with(hourly(), json!({"overlap": overlap}))).await;
        for _ in 0..3 {
            api.env.wind(HOUR_MS);
            tick(&api).await;
        }
        let view = api.get(&schedule).await.json();
        assert_eq!((jobs(&api).await.len(), &view["skipped"]), (started, &json!(skipped)), "{overlap}");
        api.work().await;
        tick(&api).await;
        let waited = usize::from(overlap == "queue");
        assert_eq!(jobs(&api).await.len(), started + waited, "{overlap}: of those that wait one starts");
    }
}

#[tokio::test]
async fn a_batch_runs_a_few_jobs_at_once_and_sums_them_up() {
    let api = Api::new().await;
    let inputs: Vec<Value> = (0..7).map(|n| json!({"topic": format!("river {n}")})).collect();
    let mut job = one_step("-");
    job["input"] = json!({});
    let batch = json!({"job": job, "batch": {"inputs": inputs, "at_once": 2}});
    let schedule = created(&api, &with(hourly(), batch)).await;
    assert_eq!(api.get(&schedule).await.json()["batch"], json!({"count": 7, "at_once": 2}));
    api.env.wind(HOUR_MS);
    tick(&api).await;
    let run = runs(&api, &schedule).await.remove(0);
    assert_eq!((run["running"].as_array().map(Vec::len), &run["waiting"]), (Some(2), &json!(5)));
    // Ending jobs make room by themselves; the clock isn't needed.
    api.work().await;
    let run = runs(&api, &schedule).await.remove(0);
    assert_eq!((&run["completed"], &run["waiting"], &run["refused"]), (&json!(7), &json!(0), &json!(0)), "{run}");
    assert!(run["ended_at"].is_string());
    let titles: std::collections::BTreeSet<String> = api.table.jobs().iter().map(|key| key.job.to_string()).collect();
    assert_eq!(titles.len(), 7, "each input once");
}

#[tokio::test]
async fn inputs_come_as_a_file_too_and_are_all_checked_first() {
    let api = Api::new().await;
    let upload = api.post("/v1/uploads", &json!({"name": "inputs.jsonl", "bytes": 40})).await.json();
    let id = upload["id"].as_str().expect("an id");
    let of_file = |id: &str| {
        let mut job = one_step("-");
        job["input"] = json!({"prompt": "all"});
        with(hourly(), json!({"job": job, "batch": {"file": id}}))
    };
    api.post("/v1/schedules", &of_file(id)).await.problem(422, "invalid_request");
    api.upload(id, "{\"topic\": \"a\"}\n\n{\"topic\": 5}\nx\n").await;
    assert_eq!(api.post("/v1/schedules", &of_file(id)).await.wrong("invalid_request"), ["batch.file line 4"]);
    api.upload(id, "{\"topic\": \"a\"}\n{\"topic\": 5}\n{}\n").await;
    let wrong = api.post("/v1/schedules", &of_file(id)).await.wrong("invalid_request");
    assert_eq!(wrong, ["batch.inputs[1].topic", "batch.inputs[2]"]);
    api.upload(id, "{\"topic\": \"a\"}\n{\"topic\": \"b\"}").await;
    let schedule = created(&api, &of_file(id)).await;
    assert_eq!(api.get(&schedule).await.json()["batch"]["count"], 2);
    assert_eq!(api.get("/v1/schedules").await.json()["schedules"].as_array().map(Vec::len), Some(1));
}

#[tokio::test]
async fn a_request_that_is_wrong_is_refused_with_all_its_places() {
    let api = Api::new().await;
    let wrong = async |fields: Value| api.post("/v1/schedules", &with(hourly(), fields)).await.wrong("invalid_request");
    assert_eq!(wrong(json!({"cron": "61 * * * *", "name": "", "jitter_s": 9_999})).await, ["cron", "name", "jitter_s"]);
    assert_eq!(wrong(json!({"time_zone": "Mars"})).await, ["time_zone"]);
    assert_eq!(wrong(json!({"cron": null})).await, ["cron"]);
    assert_eq!(wrong(json!({"overlap": "kill"})).await, ["overlap"]);
    assert_eq!(wrong(json!({"crno": 1})).await, ["crno"]);
    assert_eq!(wrong(json!({"job": {"flow": "nope", "input": {}}})).await, ["job.flow"]);
    assert_eq!(wrong(json!({"job": {"flow": "software", "input": {}}})).await, ["job.input"]);
    assert_eq!(wrong(json!({"batch": {"at_once": 0, "inputs": [1]}})).await, ["batch.at_once", "batch.inputs[0]"]);
    assert_eq!(wrong(json!({"batch": {}})).await, ["batch"]);
    let mut filed = one_step("rivers");
    filed["input"]["files"] = json!(["up_eyJ1Ijoi"]);
    assert_eq!(wrong(json!({"job": filed})).await, ["job.input.files"]);
    assert_eq!(api.get("/v1/schedules").await.json(), json!({"schedules": []}));
}

#[tokio::test]
async fn a_schedule_is_paused_resumed_run_at_once_and_deleted() {
    let api = Api::new().await;
    let schedule = created(&api, &hourly()).await;
    for _ in 0..2 {
        let paused = ask(&api, "POST", &format!("{schedule}/pause")).await.json();
        assert_eq!((&paused["paused"], &paused["next_runs"]), (&json!(true), &json!([])));
    }
    api.env.wind(5 * HOUR_MS);
    tick(&api).await;
    assert_eq!(jobs(&api).await.len(), 0);
    let run = ask(&api, "POST", &format!("{schedule}/run")).await;
    assert_eq!((run.status.as_u16(), run.json()["running"].as_array().map(Vec::len)), (202, Some(1)));
    let resumed = ask(&api, "POST", &format!("{schedule}/resume")).await.json();
    assert_eq!(resumed["next_runs"][0], "2026-11-21T06:00:00.000Z", "what was missed meanwhile isn't made up for");
    assert_eq!(ask(&api, "DELETE", &schedule).await.status, 204);
    ask(&api, "DELETE", &schedule).await.problem(404, "schedule_not_found");
    ask(&api, "POST", &format!("{schedule}/run")).await.problem(404, "schedule_not_found");
    api.work().await;
    api.env.wind(5 * HOUR_MS);
    tick(&api).await;
    assert_eq!(jobs(&api).await.len(), 1, "the job that was started goes on, and no other starts");
    assert_eq!(jobs(&api).await[0]["status"], "completed");
}

#[tokio::test]
async fn what_is_started_by_hand_hides_no_work_that_goes_on() {
    let api = Api::new().await;
    let mut job = one_step("rivers");
    let review = json!({"kind": "review", "id": "approve", "needs": ["write"], "question": "Fine?"});
    job["flow"]["nodes"].as_array_mut().expect("nodes").push(review);
    let schedule = created(&api, &with(hourly(), json!({"job": job}))).await;
    let id_of = |run: &Value| run["running"][0]["id"].as_str().expect("a job").to_owned();
    let end = async |job: String| {
        ask(&api, "POST", &format!("/v1/jobs/{job}/cancel")).await;
        api.work().await;
    };
    api.env.wind(HOUR_MS);
    tick(&api).await;
    api.work().await;
    let ticked = id_of(&runs(&api, &schedule).await[0]);
    let by_hand = ask(&api, "POST", &format!("{schedule}/run")).await.json();
    api.work().await;
    end(id_of(&by_hand)).await;
    api.env.wind(HOUR_MS);
    tick(&api).await;
    assert_eq!((jobs(&api).await.len(), &api.get(&schedule).await.json()["skipped"]), (2, &json!(1)));
    ask(&api, "POST", &format!("{schedule}/run")).await;
    api.work().await;
    end(ticked).await;
    api.env.wind(HOUR_MS);
    tick(&api).await;
    assert_eq!((jobs(&api).await.len(), &api.get(&schedule).await.json()["skipped"]), (3, &json!(2)));
}

#[tokio::test]
async fn runs_are_paged() {
    let api = Api::new().await;
    let schedule = created(&api, &with(hourly(), json!({"overlap": "allow"}))).await;
    for _ in 0..3 {
        api.env.wind(HOUR_MS);
        tick(&api).await;
    }
    let first = api.get(&format!("{schedule}/runs?limit=2")).await.json();
    let cursor = first["next_cursor"].as_str().expect("a cursor");
    let second = api.get(&format!("{schedule}/runs?limit=2&cursor={cursor}")).await.json();
    let ticks =
        |page: &Value| page["runs"].as_array().expect("runs").iter().map(|run| run["tick"].clone()).collect::<Vec<_>>();
    assert_eq!(ticks(&first), ["2026-11-21T03:00:00.000Z", "2026-11-21T02:00:00.000Z"]);
    assert_eq!((ticks(&second), &second["next_cursor"]), (vec![json!("2026-11-21T01:00:00.000Z")], &Value::Null));
    api.get(&format!("{schedule}/runs?cursor=x")).await.problem(400, "invalid_cursor");
}

#[tokio::test]
async fn what_can_no_longer_be_submitted_is_counted_and_said() {
    let api = Api::new().await;
    let schedule = created(&api, &hourly()).await;
    let id = schedule.rsplit('/').next().expect("an id");
    let acme = super::api::tenant("acme");
    // The installation changes: the flow is no more.
    let mut record = api.platform.ports.schedules.schedule(&acme, id).await.expect("up").expect("there");
    record.ver += 1;
    record.job["flow"] = json!("gone");
    assert!(api.platform.ports.schedules.put_schedule(&acme, &record).await.expect("up"));
    api.env.wind(HOUR_MS);
    tick(&api).await;
    let run = runs(&api, &schedule).await.remove(0);
    assert_eq!((&run["refused"], run["ended_at"].is_string()), (&json!(1), true), "{run}");
    assert!(run["refusal"].as_str().is_some_and(|refusal| refusal.contains("gone")), "{run}");
    assert_eq!(jobs(&api).await.len(), 0);
}

/// Whichever call fails, and whether it was applied or not: each tick starts each input once, in the end.
#[tokio::test]
async fn a_tick_starts_once_whatever_fails_in_between() {
    for fault in [Fault::Throttled, Fault::AnswerLost] {
        for fails in 0..30_u64 {
            let counter = std::sync::atomic::AtomicU64::new(0);
            let armed = std::sync::Arc::new(std::sync::atomic::AtomicBool::new(false));
            let is_armed = std::sync::Arc::clone(&armed);
            let faults = Faults::by(move |_| {
                let is_on = is_armed.load(std::sync::atomic::Ordering::SeqCst);
                let hit = is_on && counter.fetch_add(1, std::sync::atomic::Ordering::SeqCst) == fails;
                if hit { fault } else { Fault::None }
            });
            let api = Api::with(faults).await;
            let inputs: Vec<Value> = (0..3).map(|n| json!({"topic": format!("{n}")})).collect();
            let schedule = created(&api, &with(hourly(), json!({"batch": {"inputs": inputs, "at_once": 2}}))).await;
            api.env.wind(HOUR_MS);
            armed.store(true, std::sync::atomic::Ordering::SeqCst);
            // A tick may fail; the next one does its work.
            drop(convoke_clock::handle(&api.platform).await);
            armed.store(false, std::sync::atomic::Ordering::SeqCst);
            for _ in 0..4 {
                api.env.wind(2 * MINUTE_MS);
                tick(&api).await;
                api.work().await;
            }
            let run = runs(&api, &schedule).await.remove(0);
            assert_eq!((&run["completed"], run["ended_at"].is_string()), (&json!(3), true), "call {fails}: {run}");
            assert_eq!(api.table.jobs().len(), 3, "call {fails}");
        }
    }
}

/// Answers the bells of runs; how many there were.
async fn deliver_runs(api: &Api) -> usize {
    let bells = api.queue.take_runs();
    for bell in &bells {
        // A bell that rings twice is harmless.
        for _ in 0..2 {
            api.platform.deliver_run(bell).await.expect("answered");
        }
    }
    bells.len()
}

/// A webhook for ends of runs, and a schedule of two inputs that tells it.
async fn told_batch(api: &Api) -> (String, String) {
    let hook = json!({"url": "https://hooks.example.com/", "events": ["run.ended"]});
    let hook = api.post("/v1/webhooks", &hook).await.json()["id"].as_str().expect("an id").to_owned();
    let mut job = with(one_step("-"), json!({"notify": [{"webhook": hook}]}));
    job["input"] = json!({});
    let batch = json!({"job": job, "batch": {"inputs": [{"topic": "Elbe"}, {"topic": "Oder"}], "at_once": 1}});
    (created(api, &with(hourly(), batch)).await, hook)
}

#[tokio::test]
async fn a_webhook_is_told_once_that_all_jobs_of_a_batch_have_ended() {
    let api = Api::new().await;
    let (schedule, hook) = told_batch(&api).await;
    api.env.wind(HOUR_MS);
    tick(&api).await;
    assert_eq!(deliver_runs(&api).await, 0, "it goes on");
    api.work().await;
    assert!(runs(&api, &schedule).await[0]["ended_at"].is_string());
    api.outbound.answer(&[503]);
    tick(&api).await;
    assert_eq!(deliver_runs(&api).await, 1);
    assert_eq!(api.outbound.bodies().len(), 1, "it is left alone for a while");
    for _ in 0..3 {
        api.env.wind(MINUTE_MS);
        tick(&api).await;
        deliver_runs(&api).await;
    }
    let bodies = api.outbound.bodies();
    let ids = api.outbound.headers("webhook-id");
    assert_eq!((bodies.len(), &ids[0]), (2, &ids[1]), "acknowledged at the second try, and then no more");
    let told = &bodies[1];
    assert_eq!((&told["type"], &told["data"]["tick"]), (&json!("run.ended"), &json!("2026-11-21T01:00:00.000Z")));
    assert_eq!((&told["data"]["total"], &told["data"]["completed"]), (&json!(2), &json!(2)));
    assert!(schedule.ends_with(told["data"]["schedule"].as_str().expect("its id")), "{told}");
    assert_eq!(told["data"]["name"], "hourly");
    let log = api.get(&format!("/v1/webhooks/{hook}/deliveries")).await.json();
    let statuses: Vec<&Value> =
        log["deliveries"].as_array().expect("tries").iter().map(|tried| &tried["status"]).collect();
    assert_eq!(statuses, [&json!(200), &json!(503)]);
}

#[tokio::test]
async fn a_webhook_that_is_gone_or_wants_no_ends_is_not_told_of_runs() {
    let api = Api::new().await;
    let (schedule, hook) = told_batch(&api).await;
    api.env.wind(HOUR_MS);
    tick(&api).await;
    api.work().await;
    assert!(runs(&api, &schedule).await[0]["ended_at"].is_string());
    assert_eq!(ask(&api, "DELETE", &format!("/v1/webhooks/{hook}")).await.status, 204);
    for rung in [1, 0] {
        tick(&api).await;
        assert_eq!(deliver_runs(&api).await, rung, "once nobody is left to be told, nobody rings");
        api.env.wind(MINUTE_MS);
    }
    assert_eq!(api.outbound.bodies(), Vec::<Value>::new());
}

#[tokio::test]
async fn bells_that_ring_at_once_tell_a_webhook_once() {
    let api = Api::new().await;
    told_batch(&api).await;
    api.env.wind(HOUR_MS);
    tick(&api).await;
    api.work().await;
    tick(&api).await;
    let bell = api.queue.take_runs().remove(0);
    let (one, other) = tokio::join!(api.platform.deliver_run(&bell), api.platform.deliver_run(&bell));
    assert!(one.is_ok() && other.is_ok());
    assert_eq!(api.outbound.bodies().len(), 1);
}

#[tokio::test]
async fn a_webhook_that_is_gone_for_good_is_disabled_by_the_end_of_a_run() {
    let api = Api::new().await;
    let (_, hook) = told_batch(&api).await;
    api.env.wind(HOUR_MS);
    tick(&api).await;
    api.work().await;
    tick(&api).await;
    api.outbound.answer(&[410]);
    assert_eq!(deliver_runs(&api).await, 1);
    let view = api.get(&format!("/v1/webhooks/{hook}")).await.json();
    assert!(view["disabled_at"].is_string(), "{view}");
    for _ in 0..3 {
        api.env.wind(MINUTE_MS);
        tick(&api).await;
        deliver_runs(&api).await;
    }
    assert_eq!(api.outbound.bodies().len(), 1, "nobody tries again");
}
