//! `Groups`.

use std::future::Future;

use convoke_app::ports::Applied;
use convoke_domain::change::{Change, Field, Set, When};
use convoke_domain::group::{Balance, Group};
use convoke_domain::ids::{GroupId, SlotId};
use convoke_domain::money::Cost;
use futures_util::future::join_all;

use super::Table;
use crate::samples::{self, NOW_MS, cost, held, job, root};

/// Runs all at once, on as many threads as there are.
pub(super) async fn at_once<T: Send + 'static>(
    calls: impl Iterator<Item = impl Future<Output = T> + Send + 'static>,
) -> Vec<T> {
    let tasks: Vec<_> = calls.map(tokio::spawn).collect();
    join_all(tasks).await.into_iter().map(|done| done.expect("no panic")).collect()
}

pub(super) fn done(applied: Applied) -> Group {
    match applied {
        Applied::Done(group) => group,
        other => panic!("not applied: {other:?}"),
    }
}

/// Of 16 claims of one slot one wins; the others see the winner's.
pub async fn one_of_racing_claims_wins(table: &impl Table) {
    let key = job("acme", 1);
    table.put_group(&key, &root()).await.expect("put");
    let claims = (0..16).map(|n| {
        let (table, key) = (table.clone(), key.clone());
        async move { table.apply(&key, &samples::claim(GroupId::Root, SlotId(0), &format!("n{n}"))).await.expect("up") }
    });
    let answers = at_once(claims).await;
    let winners: Vec<_> = answers.iter().filter(|answer| matches!(answer, Applied::Done(_))).collect();
    let [Applied::Done(winner)] = winners.as_slice() else { panic!("{} winners", winners.len()) };
    assert_eq!(winner.left, Balance { usd: 998_500, tokens: 499_100 });
    assert_eq!(winner.ver, 2);
    for answer in &answers {
        let (Applied::Done(seen) | Applied::Conflict(seen)) = answer else { panic!("{answer:?}") };
        assert_eq!(seen, winner);
    }
}

/// Eight ends in one moment don't conflict, and each sees all that went before it.
pub async fn concurrent_commits_add_up(table: &impl Table) {
    let key = job("acme", 1);
    let mut group = root();
    for n in 0..8 {
        group.run.insert(SlotId(n), held(&format!("n{n}")));
    }
    table.put_group(&key, &group).await.expect("put");
    let commits = (0..8).map(|n| {
        let (table, key) = (table.clone(), key.clone());
        async move { done(table.apply(&key, &commit(n)).await.expect("up")) }
    });
    let mut seen = at_once(commits).await;
    seen.sort_by_key(|group| group.ver);
    let counts: Vec<_> = seen.iter().map(|group| (group.ver, group.done.count(), group.run.len())).collect();
    assert_eq!(counts, (1..9).map(|n| (1 + u64::from(n), n, 8 - n as usize)).collect::<Vec<_>>());
    let last = seen.last().expect("eight");
    assert_eq!(last.spent, cost(8_000, 3_200));
    assert_eq!(last.left, Balance { usd: 1_000_000 + 8 * 500, tokens: 500_000 + 8 * 500 });
    assert_eq!((0..8).filter(|n| last.done.has(n * 9)).count(), 8);
}

fn commit(n: u16) -> Change {
    Change::new(GroupId::Root, format!("c{n}"), NOW_MS)
        .when(When::Slot(SlotId(n), Some(held(&format!("n{n}")))))
        .set(Set::Slot(SlotId(n), None))
        .set(Set::Bit(Field::Done, usize::from(n) * 9))
        .money(cost(1_500, 900), cost(1_000, 400), cost(1_000, 400))
}

/// A change that was applied is answered with success, also where its conditions would still hold.
pub async fn a_mark_is_applied_once(table: &impl Table) {
    let key = job("acme", 1);
    table.put_group(&key, &root()).await.expect("put");
    let spend = Change::new(GroupId::Root, "once".into(), NOW_MS + 1).money(Cost::ZERO, Cost::ZERO, cost(5, 6));
    let first = done(table.apply(&key, &spend).await.expect("up"));
    assert_eq!((first.spent, first.ver, first.at_ms, first.last.as_str()), (cost(5, 6), 2, NOW_MS + 1, "once"));
    assert_eq!(done(table.apply(&key, &spend).await.expect("up")), first);
    let claim = samples::claim(GroupId::Root, SlotId(3), "mine");
    let claimed = done(table.apply(&key, &claim).await.expect("up"));
    assert_eq!(done(table.apply(&key, &claim).await.expect("up")), claimed, "its own slot is in its way, and it knows");
}

/// A failed condition changes nothing and shows why.
pub async fn a_conflict_answers_the_group(table: &impl Table) {
    let key = job("acme", 1);
    let group = root();
    table.put_group(&key, &group).await.expect("put");
    for when in [
        When::Ver(7),
        When::Slot(SlotId(0), Some(held("other"))),
        When::Covers(Balance { usd: 1_000_001, tokens: 0 }),
        When::Covers(Balance { usd: 0, tokens: 500_001 }),
        When::Word(Field::Done, 0, 1),
        When::Word(Field::No, 9, 1),
    ] {
        let change = Change::new(GroupId::Root, "x".into(), NOW_MS).when(When::Live).when(when.clone());
        let answer = table.apply(&key, &change.set(Set::Bit(Field::Done, 1))).await.expect("up");
        assert_eq!(answer, Applied::Conflict(group.clone()), "{when:?}");
    }
    let stored = table.load_groups(&key, &[GroupId::Root]).await.expect("up");
    assert_eq!(stored[&GroupId::Root], group);
}

/// No group is made by a change.
pub async fn a_missing_group_is_missing(table: &impl Table) {
    let key = job("acme", 1);
    let fan = GroupId::Fan { node: 2, part: 1 };
    table.put_group(&key, &root()).await.expect("put");
    let change = samples::claim(fan, SlotId(0), "n");
    assert_eq!(table.apply(&key, &change).await.expect("up"), Applied::Missing);
    let without_conditions = Change::new(fan, "n".into(), NOW_MS).set(Set::Bit(Field::Done, 1));
    assert_eq!(table.apply(&key, &without_conditions).await.expect("up"), Applied::Missing);
    assert!(table.load_groups(&key, &[fan]).await.expect("up").is_empty());
}

/// Of racing puts one is stored, and all answer it.
pub async fn a_put_loser_gets_the_winners(table: &impl Table) {
    let key = job("acme", 1);
    let puts = (0..8).map(|n| {
        let (table, key, group) = (table.clone(), key.clone(), Group { last: format!("p{n}"), ..root() });
        async move { table.put_group(&key, &group).await.expect("up") }
    });
    let answers = at_once(puts).await;
    let stored = table.load_groups(&key, &[GroupId::Root]).await.expect("up");
    assert!(answers.iter().all(|answer| *answer == stored[&GroupId::Root]), "{answers:?}");
}

/// More groups than one request takes; those that aren't there are left out, those asked for twice come once.
pub async fn groups_are_loaded_in_any_number(table: &impl Table) {
    let key = job("acme", 1);
    let fan = |part| GroupId::Fan { node: 3, part };
    let sample = samples::fan(fan(0));
    for part in 0..120 {
        table.put_group(&key, &Group { id: fan(part), ..sample.clone() }).await.expect("put");
    }
    let asked: Vec<_> = (0..130).chain(0..5).map(fan).collect();
    let loaded = table.load_groups(&key, &asked).await.expect("up");
    assert_eq!(loaded.keys().copied().collect::<Vec<_>>(), (0..120).map(fan).collect::<Vec<_>>());
    assert!(loaded.iter().all(|(id, group)| group.id == *id && group.fan() == sample.fan()));
    assert!(table.load_groups(&key, &[]).await.expect("up").is_empty());
}
