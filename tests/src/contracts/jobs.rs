//! `Jobs` and `Sweeps`.

use convoke_app::ports::{JobFilter, Submission, Submitted};
use convoke_domain::change::{Change, Set};
use convoke_domain::group::{Ending, Group, Root, Scope};
use convoke_domain::ids::{GroupId, JobId, JobKey, TenantId};
use convoke_domain::money::Cost;
use convoke_domain::status::{JobStatus, StopReason};

use super::Table;
use super::groups::{at_once, done};
use crate::samples::{NOW_MS, cost, definition, idempotency, job, root, submission};

const UNFILTERED: JobFilter = JobFilter { status: None, flow: None, created_after_ms: None };

/// A job is made once; a repeat, also of one with a caller's key, changes nothing and says the same.
pub async fn submission_is_idempotent(table: &impl Table) {
    let key = job("acme", 1);
    let plain = submission(&key);
    assert_eq!(table.submit(&plain).await.expect("up"), Submitted::Created);
    let change = Change::new(GroupId::Root, "m".into(), NOW_MS).set(Set::Status(JobStatus::Working));
    let moved = done(table.apply(&key, &change).await.expect("up"));
    assert_eq!(table.submit(&plain).await.expect("up"), Submitted::Created);
    assert_eq!(table.job(&key).await.expect("up"), Some((plain.head, moved)), "not begun again");

    let keyed = |n, body: &str| Submission { idempotency: Some(idempotency("k", body)), ..submission(&job("acme", n)) };
    assert_eq!(table.submit(&keyed(2, "b")).await.expect("up"), Submitted::Created);
    assert_eq!(table.submit(&keyed(2, "b")).await.expect("up"), Submitted::Created);
    let earlier = Submitted::Earlier { job: job("acme", 2).job, body_hash: "b".into() };
    assert_eq!(table.submit(&keyed(3, "b")).await.expect("up"), earlier);
    assert_eq!(table.submit(&keyed(3, "other")).await.expect("up"), earlier, "the caller compares the bodies");
    assert_eq!(table.job(&job("acme", 3)).await.expect("up"), None);
    let made = async |key: JobKey| table.submitted(&key.tenant, &idempotency("k", "b").key_hash).await.expect("up");
    assert_eq!(made(job("acme", 3)).await, Some(job("acme", 2).job));
    assert_eq!(made(job("zen", 3)).await, None);
    let other_tenant = Submission { key: job("zen", 3), ..keyed(3, "b") };
    assert_eq!(table.submit(&other_tenant).await.expect("up"), Submitted::Created);
}

/// 16 identical submissions at once make one job, and all learn which.
pub async fn racing_submissions_make_one_job(table: &impl Table) {
    let calls = (0..16).map(|n| {
        let (table, submission) =
            (table.clone(), Submission { idempotency: Some(idempotency("k", "b")), ..submission(&job("acme", n)) });
        async move { (submission.key.job.clone(), table.submit(&submission).await.expect("up")) }
    });
    let answers = at_once(calls).await;
    let made: Vec<&JobId> =
        answers.iter().filter(|(_, answer)| *answer == Submitted::Created).map(|(id, _)| id).collect();
    let [made] = made.as_slice() else { panic!("{} were made", made.len()) };
    for (_, answer) in answers.iter().filter(|(id, _)| id != *made) {
        assert_eq!(*answer, Submitted::Earlier { job: (*made).clone(), body_hash: "b".into() });
    }
    let tenant = tenant("acme");
    assert_eq!(ids(table, &tenant, &UNFILTERED).await, [(*made).clone()]);
}

/// A caller's key that has expired is as good as new, whether or not the table has forgotten it.
pub async fn expired_keys_make_new_jobs(table: &impl Table) {
    let made_at = |n, created_ms| {
        let mut submission = submission(&job("acme", n));
        let Scope::Root(root) = &mut submission.root.scope else { panic!("a root") };
        root.created_ms = created_ms;
        Submission { idempotency: Some(idempotency("k", "b")), ..submission }
    };
    let day_ms = 86_400_000;
    assert_eq!(table.submit(&made_at(1, NOW_MS)).await.expect("up"), Submitted::Created);
    let earlier = Submitted::Earlier { job: job("acme", 1).job, body_hash: "b".into() };
    assert_eq!(table.submit(&made_at(2, NOW_MS + day_ms)).await.expect("up"), earlier);
    assert_eq!(table.submit(&made_at(3, NOW_MS + day_ms + 1_000)).await.expect("up"), Submitted::Created);
}

/// Newest first, in pages, each job once, and an end.
pub async fn jobs_are_listed_newest_first(table: &impl Table) {
    for n in [3, 1, 5, 2, 4] {
        table.submit(&submission(&job("acme", n))).await.expect("up");
    }
    table.submit(&submission(&job("zen", 9))).await.expect("up");
    let tenant = tenant("acme");
    let mut cursor = None;
    let mut pages = Vec::new();
    loop {
        let page = table.list(&tenant, &UNFILTERED, cursor.as_ref(), 2).await.expect("up");
        pages.push(page.rows.iter().map(|row| row.id.clone()).collect::<Vec<_>>());
        cursor = page.next;
        if cursor.is_none() {
            break;
        }
    }
    let id = |n| job("acme", n).job;
    assert_eq!(pages, [vec![id(5), id(4)], vec![id(3), id(2)], vec![id(1)]]);
    let exact = table.list(&tenant, &UNFILTERED, None, 5).await.expect("up");
    assert_eq!((exact.rows.len(), exact.next), (5, None));
    let row = &exact.rows[0];
    let Submission { head, .. } = submission(&job("acme", 5));
    assert_eq!((row.status, row.stop_reason, row.cost), (JobStatus::Queued, None, None));
    assert_eq!((&row.flow, &row.title, row.created_ms), (&head.flow, &head.title, NOW_MS));
    assert_eq!(table.job(&job("acme", 5)).await.expect("up"), Some((head, root())));
    let reads = convoke_app::ports::Reads { definition: true, ..Default::default() };
    assert_eq!(table.fetch(&job("acme", 5), &reads).await.expect("up").definition, Some(definition()));
}

/// By state, flow and time, also where pages have nothing to show.
pub async fn jobs_are_filtered(table: &impl Table) {
    for n in 0..30 {
        let mut submission = submission(&job("acme", n));
        submission.head.flow = if n % 10 == 0 { "rare".into() } else { "fan".into() };
        let Scope::Root(root) = &mut submission.root.scope else { panic!("a root") };
        root.created_ms = NOW_MS + u64::from(n);
        table.submit(&submission).await.expect("up");
    }
    let work = Change::new(GroupId::Root, "m".into(), NOW_MS).set(Set::Status(JobStatus::Working));
    table.apply(&job("acme", 7), &work).await.expect("up");
    let tenant = tenant("acme");
    let numbers = |numbers: &[u32]| numbers.iter().map(|n| job("acme", *n).job).collect::<Vec<_>>();
    let rare = JobFilter { flow: Some("rare".into()), ..UNFILTERED };
    assert_eq!(ids(table, &tenant, &rare).await, numbers(&[20, 10, 0]));
    let working = JobFilter { status: Some(JobStatus::Working), ..UNFILTERED };
    assert_eq!(ids(table, &tenant, &working).await, numbers(&[7]));
    let late = JobFilter { created_after_ms: Some(NOW_MS + 28), ..UNFILTERED };
    assert_eq!(ids(table, &tenant, &late).await, numbers(&[29, 28]));
    let both = JobFilter { created_after_ms: Some(NOW_MS + 10), ..rare };
    assert_eq!(ids(table, &tenant, &both).await, numbers(&[20, 10]));
    let future = JobFilter { created_after_ms: Some(NOW_MS + 86_400_000), ..UNFILTERED };
    assert_eq!(table.list(&tenant, &future, Some(&job("acme", 3).job), 5).await.expect("up").rows, []);
}

/// The list shows what a job cost and why it ended once it has ended, whether the ending came before or with that.
pub async fn ended_jobs_show_cost_and_reason(table: &impl Table) {
    let ending = Set::Ending(Ending::new(StopReason::Deadline, Some("write[3]".into()), "too late"));
    let change = |mark: &str| Change::new(GroupId::Root, mark.into(), NOW_MS);
    let over = |mark: &str| change(mark).set(Set::Status(JobStatus::Failed)).money(Cost::ZERO, Cost::ZERO, cost(2, 20));
    let (before, together) = (job("acme", 1), job("acme", 2));
    for key in [&before, &together] {
        table.submit(&submission(key)).await.expect("up");
    }
    let spent = change("a").money(Cost::ZERO, Cost::ZERO, cost(1, 10)).set(ending.clone());
    done(table.apply(&before, &spent).await.expect("up"));
    let tenant = tenant("acme");
    let open = table.list(&tenant, &UNFILTERED, None, 9).await.expect("up").rows;
    assert!(open.iter().all(|row| row.cost.is_none() && row.stop_reason.is_none()), "{open:?}");
    done(table.apply(&before, &over("b")).await.expect("up"));
    done(table.apply(&together, &over("c").set(ending)).await.expect("up"));
    let rows = table.list(&tenant, &UNFILTERED, None, 9).await.expect("up").rows;
    let told: Vec<_> = rows.iter().map(|row| (row.status, row.stop_reason, row.cost)).collect();
    let ended = |cost| (JobStatus::Failed, Some(StopReason::Deadline), Some(cost));
    assert_eq!(told, [ended(cost(2, 20)), ended(cost(3, 30))]);
}

/// In each of 16 shards by time, each job in one of them, with a bound.
pub async fn due_jobs_come_by_time(table: &impl Table) {
    for n in 0..40 {
        let mut submission = submission(&job("acme", n));
        set_due(&mut submission.root, Some(NOW_MS + u64::from(40 - n)));
        table.submit(&submission).await.expect("up");
    }
    table.submit(&submission(&job("zen", 1))).await.expect("up");
    let mut seen = Vec::new();
    for shard in 0..16 {
        let due = table.due(shard, NOW_MS + 30, 100).await.expect("up");
        assert!(due.is_sorted_by(|a, b| a.job > b.job), "later ids are due earlier: {due:?}");
        assert_eq!(
            table.due(shard, NOW_MS + 30, 1).await.expect("up"),
            due.iter().take(1).cloned().collect::<Vec<_>>()
        );
        seen.extend(due);
    }
    seen.sort();
    assert_eq!(seen, (10..40).map(|n| job("acme", n)).collect::<Vec<_>>());
    let tomorrow = all_due(table, NOW_MS + 86_400_000).await;
    assert_eq!(tomorrow.len(), 41, "of all tenants");
}

/// The due time moves with a change, and goes with it.
pub async fn ended_jobs_are_never_due(table: &impl Table) {
    let key = job("acme", 1);
    table.submit(&submission(&key)).await.expect("up");
    let due = |mark: &str, due_ms| {
        Change::new(GroupId::Root, mark.into(), NOW_MS).set(Set::Due { due_ms, swept_ver: 3, pause_ms: 4 })
    };
    assert_eq!(all_due(table, NOW_MS + 60_000).await, std::slice::from_ref(&key));
    done(table.apply(&key, &due("a", Some(NOW_MS + 90_000))).await.expect("up"));
    assert_eq!(all_due(table, NOW_MS + 60_000).await, []);
    assert_eq!(all_due(table, NOW_MS + 90_000).await, std::slice::from_ref(&key));
    let ended = done(table.apply(&key, &due("b", None)).await.expect("up"));
    assert_eq!(ended.root().map(|root: &Root| (root.due_ms, root.swept_ver, root.pause_ms)), Some((None, 3, 4)));
    assert_eq!(all_due(table, u64::MAX >> 1).await, []);
}

fn set_due(group: &mut Group, due_ms: Option<u64>) {
    let Scope::Root(root) = &mut group.scope else { panic!("a root") };
    root.due_ms = due_ms;
}

async fn all_due(table: &impl Table, now_ms: u64) -> Vec<JobKey> {
    let mut all = Vec::new();
    for shard in 0..16 {
        all.extend(table.due(shard, now_ms, 1_000).await.expect("up"));
    }
    all.sort();
    all
}

pub(super) fn tenant(name: &str) -> TenantId {
    name.parse().expect("a tenant")
}

async fn ids(table: &impl Table, tenant: &TenantId, filter: &JobFilter) -> Vec<JobId> {
    let mut ids = Vec::new();
    let mut cursor = None;
    for _ in 0..50 {
        let page = table.list(tenant, filter, cursor.as_ref(), 2).await.expect("up");
        assert!(page.rows.len() <= 2);
        ids.extend(page.rows.into_iter().map(|row| row.id));
        cursor = page.next;
        if cursor.is_none() {
            return ids;
        }
    }
    panic!("the list has no end");
}
