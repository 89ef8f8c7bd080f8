//! `Schedules`.

use convoke_app::ports::{Awaited, DueSchedule, Requester, RunJob, RunRecord, RunTarget, ScheduleRecord, Timing};
use convoke_domain::chat::PersonId;
use convoke_domain::schedule::{Overlap, Tally};
use serde_json::json;

use super::Table;
use super::jobs::tenant;
use crate::samples::{NOW_MS, job};

fn schedule(id: &str, due_ms: Option<u64>) -> ScheduleRecord {
    ScheduleRecord {
        v: 1,
        id: id.into(),
        ver: 1,
        name: "nightly".into(),
        timing: Timing::Cron { expression: "0 6 * * *".into(), zone: "Europe/Berlin".into() },
        jitter_s: 5,
        overlap: Overlap::Queue,
        paused: false,
        job: json!({"flow": "software", "input": {"prompt": "x", "b": 1.0, "a": [null]}}),
        batch: None,
        after: Some(Awaited {
            job: job("acme", 2).job,
            requester: Requester { person: PersonId::Discord(7), name: "Ann".into() },
            mark: "discord-1".into(),
        }),
        created_ms: NOW_MS,
        next_ms: due_ms,
        due_ms,
        open_ms: None,
        last_ms: Some(7),
        skipped: 2,
        refusal: Some("no".into()),
    }
}

fn run(tick_ms: u64, due_ms: Option<u64>) -> RunRecord {
    RunRecord {
        v: 1,
        tick_ms,
        ver: 1,
        started_ms: NOW_MS,
        total: 3,
        next: 1,
        running: vec![RunJob { job: job("acme", 1).job, index: 0 }],
        tally: Tally { completed: 1, ..Tally::default() },
        refusal: Some("no".into()),
        ended_ms: None,
        tell: vec![RunTarget {
            target: "wh_01KAJ0X5T3ZQ4V8N2M6R7W9YBC".parse().expect("an id"),
            failed: 1,
            not_before_ms: 9,
            nonce: Some("n".into()),
            is_plain: true,
        }],
        due_ms,
    }
}

/// A schedule is stored over the version before it alone, comes back as it was, and is its tenant's.
pub async fn schedules_are_stored_over_their_version(table: &impl Table) {
    let (acme, zen) = (tenant("acme"), tenant("zen"));
    let first = schedule("a", Some(9));
    assert!(table.put_schedule(&acme, &first).await.expect("up"));
    assert!(table.put_schedule(&acme, &first).await.expect("up"), "a repeat");
    assert!(!table.put_schedule(&acme, &schedule("a", None)).await.expect("up"), "another first version");
    let second = ScheduleRecord { ver: 2, paused: true, due_ms: None, ..first.clone() };
    let third = ScheduleRecord { ver: 3, ..second.clone() };
    assert!(!table.put_schedule(&acme, &third).await.expect("up"), "a version is missing");
    assert!(table.put_schedule(&acme, &second).await.expect("up"));
    assert!(!table.put_schedule(&acme, &first).await.expect("up"), "too late");
    assert_eq!(table.schedule(&acme, "a").await.expect("up"), Some(second.clone()));
    assert_eq!(table.schedule(&zen, "a").await.expect("up"), None);
    assert!(table.put_schedule(&acme, &schedule("b", None)).await.expect("up"));
    assert_eq!(table.schedules(&acme).await.expect("up"), [second, schedule("b", None)]);
    assert_eq!(table.schedules(&zen).await.expect("up"), []);
    assert!(!table.delete_schedule(&zen, "a").await.expect("up"));
    assert!(table.delete_schedule(&acme, "a").await.expect("up"));
    assert!(!table.delete_schedule(&acme, "a").await.expect("up"), "it is gone");
    assert_eq!(table.schedules(&acme).await.expect("up"), [schedule("b", None)]);
}

/// Runs come newest first, page by page, each stored over the version before it.
pub async fn runs_are_kept_newest_first(table: &impl Table) {
    let (acme, zen) = (tenant("acme"), tenant("zen"));
    for tick_ms in [900, 1_000, 20] {
        assert!(table.put_run(&acme, "a", &run(tick_ms, Some(1)), None).await.expect("up"));
    }
    assert!(table.put_run(&acme, "b", &run(5, None), None).await.expect("up"));
    let ended = RunRecord { ver: 2, running: Vec::new(), ended_ms: Some(8), due_ms: None, ..run(900, None) };
    assert!(table.put_run(&acme, "a", &ended, Some(NOW_MS)).await.expect("up"));
    assert!(!table.put_run(&acme, "a", &run(900, Some(1)), None).await.expect("up"), "too late");
    assert_eq!(table.run(&acme, "a", 900).await.expect("up"), Some(ended.clone()));
    assert_eq!(table.run(&zen, "a", 900).await.expect("up"), None);
    let page = async |before_ms, limit| table.runs(&acme, "a", before_ms, limit).await.expect("up");
    assert_eq!(page(u64::MAX, 2).await, [run(1_000, Some(1)), ended.clone()]);
    assert_eq!(page(900, 5).await, [run(20, Some(1))]);
    assert_eq!(page(0, 5).await, []);
}

/// What is due comes by time, schedules and runs of all tenants; what isn't due, or no more, doesn't.
pub async fn due_schedules_come_by_time(table: &impl Table) {
    let (acme, zen) = (tenant("acme"), tenant("zen"));
    let due = |tenant: &convoke_domain::ids::TenantId, schedule: &str, tick_ms| DueSchedule {
        tenant: tenant.clone(),
        schedule: schedule.into(),
        tick_ms,
    };
    table.put_schedule(&acme, &schedule("a", Some(30))).await.expect("up");
    table.put_schedule(&zen, &schedule("z", Some(10))).await.expect("up");
    table.put_schedule(&zen, &schedule("later", Some(101))).await.expect("up");
    table.put_schedule(&zen, &schedule("never", None)).await.expect("up");
    table.put_run(&acme, "a", &run(7, Some(20)), None).await.expect("up");
    let all = [due(&zen, "z", None), due(&acme, "a", Some(7)), due(&acme, "a", None)];
    assert_eq!(table.due_schedules(100, 10).await.expect("up"), all);
    assert_eq!(table.due_schedules(100, 1).await.expect("up"), all[..1]);
    table.put_schedule(&zen, &ScheduleRecord { ver: 2, ..schedule("z", None) }).await.expect("up");
    table.delete_schedule(&acme, "a").await.expect("up");
    assert_eq!(table.due_schedules(100, 10).await.expect("up"), all[1..2]);
}
