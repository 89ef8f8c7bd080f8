//! `Events`.

use convoke_app::ports::{Event, EventKind};
use convoke_domain::ids::{GroupId, JobKey};

use super::Table;
use super::groups::at_once;
use crate::samples::{NOW_MS, job};

const FAN: GroupId = GroupId::Fan { node: 1, part: 0 };

fn started(step: &str) -> EventKind {
    EventKind::StepStarted { step: step.into(), attempt: 1 }
}

fn happened(group: GroupId, ver: u64) -> (GroupId, u64, u64, Vec<EventKind>) {
    (group, ver, NOW_MS + ver, vec![started(&format!("{group}/{ver}")), EventKind::Working])
}

async fn all(table: &impl Table, key: &JobKey) -> Vec<Event> {
    table.events(key, 0, 10_000).await.expect("up").events
}

/// Several writers append overlapping changes, each twice: every change once, numbers without gaps, each group in order.
pub async fn events_are_numbered_without_gaps(table: &impl Table) {
    let key = job("acme", 1);
    assert_eq!(all(table, &key).await, []);
    table.append(&key, &[]).await.expect("up");
    let writers = (0..6_u64).map(|n| {
        let (table, key) = (table.clone(), key.clone());
        async move {
            // Writer n knows of the versions up to n + 1.
            let changes: Vec<_> =
                (1..=n + 1).flat_map(|ver| [happened(GroupId::Root, ver), happened(FAN, ver)]).collect();
            for _ in 0..2 {
                table.append(&key, &changes).await.expect("up");
            }
        }
    });
    at_once(writers).await;
    let events = all(table, &key).await;
    assert_eq!(events.iter().map(|event| event.seq).collect::<Vec<_>>(), (1..=24).collect::<Vec<_>>());
    for group in [GroupId::Root, FAN] {
        let own: Vec<_> = events.iter().filter(|event| event.group == group).collect();
        let expected = (1..=6).flat_map(|ver| {
            let (_, _, at_ms, kinds) = happened(group, ver);
            kinds.into_iter().map(move |kind| (ver, at_ms, kind))
        });
        let told: Vec<_> = own.into_iter().map(|event| (event.ver, event.at_ms, event.kind.clone())).collect();
        assert_eq!(told, expected.collect::<Vec<_>>());
    }
}

/// More than a transaction takes, in one call.
pub async fn many_events_are_appended_whole(table: &impl Table) {
    let key = job("acme", 1);
    let changes: Vec<_> = (1..=150).map(|ver| happened(GroupId::Root, ver)).collect();
    table.append(&key, &changes[..20]).await.expect("up");
    table.append(&key, &changes).await.expect("up");
    let nothing = (GroupId::Root, 151, NOW_MS, Vec::new());
    table.append(&key, &[nothing]).await.expect("up");
    let events = all(table, &key).await;
    let told: Vec<_> = events.iter().map(|event| (event.seq, event.ver)).collect();
    assert_eq!(told, (1..=300_u64).map(|seq| (seq, seq.div_ceil(2))).collect::<Vec<_>>());
}

/// After any number, at most so many.
pub async fn events_are_paged(table: &impl Table) {
    let key = job("acme", 1);
    let changes: Vec<_> = (1..=6).map(|ver| happened(GroupId::Root, ver)).collect();
    table.append(&key, &changes).await.expect("up");
    for (after, limit, expected) in
        [(0, 3, vec![1, 2, 3]), (3, 3, vec![4, 5, 6]), (10, 9, vec![11, 12]), (12, 9, vec![]), (u64::MAX, 9, vec![])]
    {
        let page = table.events(&key, after, limit).await.expect("up");
        assert_eq!(page.events.iter().map(|event| event.seq).collect::<Vec<_>>(), expected, "after {after}");
    }
}
