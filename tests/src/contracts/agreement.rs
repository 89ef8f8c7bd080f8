//! The adapter agrees with `Change::apply`: on groups and changes that nobody thought of.

use std::cell::Cell;

use convoke_app::ports::{Applied, Groups, JobFilter, Jobs, Submission};
use convoke_aws::due_shard;
use convoke_domain::group::Group;
use convoke_domain::ids::JobKey;
use proptest::collection::vec;
use proptest::prelude::*;
use proptest::test_runner::{Config, TestCaseError, TestCaseResult, TestRunner};
use tokio::runtime::Handle;

use super::Table;
use crate::fakes::FakeTable;
use crate::samples::{Drawn, any_change, any_group, job, submission};

/// Draws cases until one fails; that one is made smaller and shown.
fn check<S: Strategy>(cases: u32, strategy: &S, case: impl Fn(u32, S::Value) -> TestCaseResult) {
    let config = Config { cases, failure_persistence: None, ..Config::default() };
    let numbers = Cell::new(0);
    let run = |value| {
        numbers.set(numbers.get() + 1);
        case(numbers.get(), value)
    };
    // The runner isn't asynchronous; its thread gives its other tasks away.
    if let Err(error) = tokio::task::block_in_place(|| TestRunner::new(config).run(strategy, run)) {
        panic!("{error}");
    }
}

/// A job that no other case has used, of a tenant of its own.
fn fresh(number: u32) -> JobKey {
    job(&format!("t{number}"), number % 10_000)
}

/// Every field of a group comes back as it went in.
pub async fn groups_round_trip(table: &impl Table) {
    let handle = Handle::current();
    let case = |number, group: Group| {
        let key = fresh(number);
        let (put, loaded) = handle.block_on(async {
            let put = table.put_group(&key, &group).await.expect("up");
            (put, table.load_groups(&key, &[group.id]).await.expect("up"))
        });
        prop_assert_eq!(&put, &group);
        prop_assert_eq!(loaded.get(&group.id), Some(&group));
        Ok(())
    };
    check(256, &any_group(), case);
}

/// Random changes, one after another on a random group, are applied or refused alike, and leave alike groups, rows of the
/// list and due times.
pub async fn changes_agree(table: &impl Table) {
    let handle = Handle::current();
    let (applied, refused) = (Cell::new(0), Cell::new(0));
    let case = |number, (group, changes): (Group, Vec<Drawn>)| {
        let pair = Pair { real: table, fake: FakeTable::default(), key: fresh(number) };
        let answers = handle.block_on(pair.compare(&group, &changes))?;
        let done = answers.iter().filter(|answer| matches!(answer, Applied::Done(_))).count();
        applied.set(applied.get() + done);
        refused.set(refused.get() + answers.len() - done);
        Ok(())
    };
    check(600, &(any_group(), vec(any_change(), 1..4)), case);
    let (applied, refused) = (applied.get(), refused.get());
    assert!(applied > 300 && refused > 100, "too one-sided to tell: {applied} applied, {refused} refused");
}

/// A group in both tables.
struct Pair<'a, T> {
    real: &'a T,
    fake: FakeTable,
    key: JobKey,
}

impl<T: Table> Pair<'_, T> {
    async fn compare(&self, group: &Group, changes: &[Drawn]) -> Result<Vec<Applied>, TestCaseError> {
        begin(self.real, &self.key, group).await;
        begin(&self.fake, &self.key, group).await;
        let mut now = group.clone();
        let mut answers = Vec::new();
        for drawn in changes {
            let change = drawn.fit(&now);
            let expected = self.fake.apply(&self.key, &change).await.expect("no faults");
            let answer = self.real.apply(&self.key, &change).await.expect("up");
            prop_assert_eq!(&answer, &expected, "{:?} on {:?}", change, now);
            now = self.fake.groups_of(&self.key).remove(0);
            answers.push(answer);
        }
        let loaded = self.real.load_groups(&self.key, &[group.id]).await.expect("up");
        prop_assert_eq!(loaded.get(&group.id), Some(&now));
        if let Some(root) = now.root() {
            self.compare_row().await?;
            self.compare_due(root.due_ms).await?;
        }
        Ok(answers)
    }

    async fn compare_row(&self) -> TestCaseResult {
        let (tenant, filter) = (&self.key.tenant, JobFilter::default());
        let expected = self.fake.list(tenant, &filter, None, 9).await.expect("no faults");
        let listed = self.real.list(tenant, &filter, None, 9).await.expect("up");
        prop_assert_eq!(expected.rows.len(), 1);
        prop_assert_eq!(listed, expected);
        Ok(())
    }

    /// The real table's index, by its own shard: there from its time on, and not before.
    async fn compare_due(&self, due_ms: Option<u64>) -> TestCaseResult {
        let shard = due_shard(&self.key.job);
        let is_due = async |now_ms| self.real.due(shard, now_ms, 10_000).await.expect("up").contains(&self.key);
        prop_assert_eq!(is_due(due_ms.unwrap_or(u64::MAX >> 1)).await, due_ms.is_some());
        if let Some(before_ms) = due_ms.and_then(|due_ms| due_ms.checked_sub(1)) {
            prop_assert!(!is_due(before_ms).await, "due before {}", before_ms);
        }
        Ok(())
    }
}

/// Stores the group: the job's own as a submission does, with its row in the list.
async fn begin(table: &impl Table, key: &JobKey, group: &Group) {
    if group.root().is_some() {
        table.submit(&Submission { root: group.clone(), ..submission(key) }).await.expect("up");
    } else {
        table.put_group(key, group).await.expect("up");
    }
}
