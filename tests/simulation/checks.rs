//! What has to hold: at every moment, and at the end.

use std::collections::{BTreeMap, BTreeSet};

use convoke_app::ports::{Manifest, Payload, StepRecord};
use convoke_app::script::Script;
use convoke_domain::decide::is_committed;
use convoke_domain::group::{Balance, Group};
use convoke_domain::ids::{GroupId, JobId, JobKey, SlotId, StepId};
use convoke_domain::money::Cost;
use convoke_domain::slot::Slot;
use convoke_domain::status::{JobStatus, StopReason};
use convoke_tests::engine::shapes::{LEFT_LATE_MS, LEFT_MS, Shape, Simple};
use convoke_tests::fakes::{Changed, FakeTable};
use serde_json::{Value, json};
use sha2::{Digest, Sha256};

use crate::client::{Told, budget, tenant};
use crate::model::SimModel;
use crate::plan::{Funds, JobPlan};
use crate::reference;
use crate::world::World;

/// Looks at every change of the table.
#[derive(Default)]
pub struct Watch {
    budgets: BTreeMap<JobKey, Balance>,
    ended_ms: BTreeMap<JobKey, u64>,
    closed: Vec<Closed>,
    calls_seen: usize,
}

/// A review that isn't open any more.
struct Closed {
    key: JobKey,
    slot: SlotId,
    since_ms: u64,
    at_ms: u64,
}

impl Watch {
    /// Looks at what has changed since the last look.
    pub fn look(&mut self, table: &FakeTable, model: &SimModel, is_orderly: bool) {
        if is_orderly {
            self.check_new_calls(table, model);
        }
        let mut touched = BTreeSet::new();
        for Changed { key, old, new } in table.take_stream() {
            match &old {
                None if new.id == GroupId::Root => drop(self.budgets.insert(key.clone(), new.left)),
                None => {}
                Some(old) => {
                    assert_eq!(new.ver, old.ver + 1, "{key}: versions rise by one");
                    self.check_step(&key, old, &new);
                }
            }
            touched.insert(key);
        }
        for key in touched {
            self.check_money(&key, table, model);
        }
    }

    /// What is journaled isn't asked again. (Where a lease looks run out while its worker is at work, two may ask.)
    fn check_new_calls(&mut self, table: &FakeTable, model: &SimModel) {
        let ledger = model.ledger();
        for call in &ledger[self.calls_seen..] {
            let key = table.jobs().into_iter().find(|key| key.job.as_str() == call.job).expect("a job asks");
            let once = StepId { round: None, ..call.step.clone() };
            let journaled = [&call.step, &once].map(|step| table.journaled_turns(&key, &step.sort_key()));
            let journaled = journaled.into_iter().max().unwrap_or(0);
            assert!(journaled < call.turn, "{key}: turn {} of {} was asked again", call.turn, call.step);
        }
        self.calls_seen = ledger.len();
    }

    fn check_step(&mut self, key: &JobKey, old: &Group, new: &Group) {
        let status = |group: &Group| group.root().map(|root| root.status);
        if let (Some(before), Some(after)) = (status(old), status(new)) {
            assert!(!before.is_terminal() || before == after, "{key} left {before:?} for {after:?}");
            if after.is_terminal() && !before.is_terminal() {
                self.ended_ms.insert(key.clone(), new.at_ms);
                assert_eq!(new.held(), Cost::ZERO, "{key} ended with money held");
            }
        }
        if let Some(job) = new.root().filter(|_| new.rests_since_ms().is_some()) {
            assert_eq!(job.status, JobStatus::AwaitingReview, "{key} rests and is something else");
            assert!(new.run.values().all(|slot| slot.asked().is_some()), "{key} rests although there is work");
        }
        for slot in new.run.values().filter(|slot| slot.asked().is_some()) {
            assert!(slot.claim.is_none(), "{key}: a review holds a lease");
        }
        for (&slot, run) in &old.run {
            let still = new.run.get(&slot).and_then(Slot::asked);
            let Some(asked) = run.asked().filter(|asked| still.is_none_or(|still| still.since_ms != asked.since_ms))
            else {
                continue;
            };
            self.closed.push(Closed { key: key.clone(), slot, since_ms: asked.since_ms, at_ms: new.at_ms });
        }
        match (&old.ending, &new.ending) {
            (Some(before), Some(after)) => assert_eq!(before, after, "{key}: the first ending stands"),
            (None, Some(ending)) if old.rests_since_ms().is_some() => {
                assert_ne!(ending.reason, StopReason::Deadline, "{key} rests: its time stands still");
            }
            _ => {}
        }
        assert_eq!(
            new.done.words().len(),
            old.done.words().len(),
            "{key}: a thread has ended that the group doesn't have"
        );
        for (slot, run) in &new.run {
            assert!(run.attempt <= 31, "{key} {slot}: attempt {}", run.attempt);
        }
    }

    /// Once faults cease, every job ends in bounded time: a message's visibility, the sweep's longest pause, a lease,
    /// two ticks, how far a clock is ahead and how long a worker stands still at most, and the work itself.
    fn check_times(&self, world: &World) {
        let ahead_ms = world.plan.ahead_ms.iter().max().expect("a machine");
        let work_ms = 600_000;
        let bound_ms = world.plan.visibility_ms + 900_000 + 150_000 + 120_000 + ahead_ms + 400_000 + work_ms;
        for (key, ended_ms) in &self.ended_ms {
            let began_ms = world.root(key).root().expect("a root").created_ms;
            let from_ms = began_ms.max(world.calm_at_ms());
            let bound_ms = bound_ms + people_ms(world, key, LATE);
            assert!(*ended_ms <= from_ms + bound_ms, "{key} took {} s more", (ended_ms - from_ms) / 1_000);
        }
        for Closed { key, slot, since_ms, at_ms } in &self.closed {
            let bound_ms = (*since_ms).max(world.calm_at_ms()) + ahead_ms + people_ms(world, key, slot.index());
            assert!(*at_ms <= bound_ms, "{key}: {slot:?} was overslept by {} s", (at_ms - bound_ms) / 1_000);
        }
    }

    /// What is left, held, spent and lent is the budget, at every moment; and the model's own meter is below it.
    fn check_money(&self, key: &JobKey, table: &FakeTable, model: &SimModel) {
        let groups: BTreeMap<GroupId, Group> =
            table.groups_of(key).into_iter().map(|group| (group.id, group)).collect();
        let Some(root) = groups.get(&GroupId::Root) else { return };
        let job = root.root().expect("a root");
        let mut sum = Balance::of(root.spent + root.held()).plus(root.left);
        let mut known = root.spent + root.held();
        for (id, loan) in &job.groups {
            sum = sum.plus(Balance::of(loan.lent));
            let Some(fan) = groups.get(id) else { continue };
            known = known + fan.spent + fan.held();
            let drawn = fan.fan().expect("a fan").drawn;
            assert_eq!(Balance::of(fan.spent + fan.held()).plus(fan.left), Balance::of(drawn), "{key}: money of {id}");
            assert!(fan.left.covers(Balance::default()), "{key}: {id} is overdrawn: {:?}", fan.left);
        }
        assert_eq!(sum, self.budgets[key], "{key}: money of the job");
        assert!(root.left.covers(Balance::default()), "{key} is overdrawn: {:?}", root.left);
        let metered = model.metered(key.job.as_str());
        assert!(metered <= known.usd, "{key}: the meter says {metered}, the job knows of {}", known.usd);
    }
}

/// The node of the review that is left for longest.
const LATE: usize = 3;

/// How long people may take at most for a node's review: where nobody decides, a look of the sweep more than the review's
/// time; where somebody does, a message's life for each round, and the sweep's longest pause, should what they did get
/// lost.
fn people_ms(world: &World, key: &JobKey, node: usize) -> u64 {
    let plans = world.plan.jobs.iter().enumerate().find(|(index, _)| tenant(*index) == key.tenant);
    match plans.map(|(_, plan)| plan.shape) {
        Some(Shape::Reviewed { is_left: true, .. }) if node == LATE => LEFT_LATE_MS + 1_000_000,
        Some(Shape::Reviewed { is_left: true, .. }) => LEFT_MS + 1_000_000,
        Some(Shape::Reviewed { rounds, .. }) => u64::from(rounds) * (world.plan.visibility_ms + 1_500_000),
        _ => 0,
    }
}

/// What has to hold when everything is over.
pub fn at_the_end(world: &World) {
    let jobs = told_jobs(world);
    assert_eq!(
        jobs.keys().collect::<BTreeSet<_>>(),
        world.table.jobs().iter().map(|key| &key.job).collect::<BTreeSet<_>>(),
        "each job was told to somebody, and each that was told exists\n{}",
        world.tail()
    );
    world.watch.check_times(world);
    for (job, (plan, parent)) in &jobs {
        Job { world, key: &world.key_of(job).expect("it exists"), plan: *plan, parent: parent.as_ref() }.check();
    }
    check_endings(world);
    check_decisions(world);
}

/// Of each review one person's decision counts, all who ask are told the same, and it is the one that the job went on
/// with.
fn check_decisions(world: &World) {
    let mut counted: BTreeMap<(JobId, String), String> = BTreeMap::new();
    for told in &world.told {
        if let Told::Decided { job, review, by } = told {
            let first = counted.entry((job.clone(), review.clone())).or_insert_with(|| by.clone());
            assert_eq!(first, by, "{job}: two decisions on {review} count");
        }
    }
    for ((job, review), by) in &counted {
        let results = world.table.results_of(&world.key_of(job).expect("it exists"));
        let result = results.iter().find(|record| record.step.to_string() == *review);
        let Some(Payload::Inline(output)) = result.map(|record| &record.output) else { continue };
        assert_eq!(output["by"].as_str(), Some(by.as_str()), "{job}: {review} went on with another decision");
        assert_eq!(output["comment"], json!(format!("{by} says so")));
    }
}

/// The jobs that clients know of: which plan each is of, and of which job it is another try.
fn told_jobs(world: &World) -> BTreeMap<JobId, (usize, Option<JobId>)> {
    let mut jobs: BTreeMap<JobId, (usize, Option<JobId>)> = BTreeMap::new();
    for told in &world.told {
        if let Told::Accepted { plan, job } = told {
            jobs.insert(job.clone(), (*plan, None));
        }
    }
    assert_eq!(jobs.len(), world.plan.jobs.len(), "one job per idempotency key");
    for told in &world.told {
        if let Told::Retried { parent, job } = told {
            let plan = jobs[parent].0;
            jobs.insert(job.clone(), (plan, Some(parent.clone())));
        }
    }
    jobs
}

/// Whoever was told that a job is being cancelled finds it ended, and for a reason.
fn check_endings(world: &World) {
    for told in &world.told {
        if let Told::Cancelling { job } = told {
            let root = world.root(&world.key_of(job).expect("it exists"));
            assert!(root.ending.is_some(), "{job} was cancelled, and has no ending");
        }
    }
}

struct Job<'w> {
    world: &'w World,
    key: &'w JobKey,
    plan: usize,
    parent: Option<&'w JobId>,
}

impl Job<'_> {
    fn plan(&self) -> JobPlan {
        self.world.plan.jobs[self.plan]
    }

    fn name(&self) -> String {
        format!("seed {}: job {} ({:?})", self.world.plan.seed, self.key, self.plan().shape)
    }

    fn check(&self) {
        let name = self.name();
        assert_eq!(self.key.tenant, tenant(self.plan), "{name}: its tenant");
        let groups = self.world.groups(self.key);
        let root = &groups[&GroupId::Root];
        let job = root.root().expect("a root");
        assert!(job.groups.is_empty(), "{name}: open groups: {:?}", job.groups);
        assert!(job.due_ms.is_none(), "{name}: still due");
        self.check_reason(root);
        self.check_calls();
        let results = self.world.table.results_of(self.key);
        if job.status == JobStatus::Completed {
            self.check_results(&results);
        }
        self.check_files(&groups, &results);
    }

    fn check_reason(&self, root: &Group) {
        let (name, plan) = (self.name(), self.plan());
        let reason = root.ending.as_ref().map(|ending| ending.reason);
        let is_meant = match reason {
            Some(StopReason::Completed) => true,
            Some(StopReason::BudgetExhausted) => plan.funds == Funds::Half && self.parent.is_none(),
            Some(StopReason::Cancelled) => plan.cancelled_after_ms.is_some(),
            Some(StopReason::Deadline) => plan.deadline_ms.is_some(),
            _ => false,
        };
        assert!(is_meant, "{name} ended: {:?}\n{}", root.ending, self.world.tail());
        let undisturbed = self.world.losses + self.world.faults.count() + self.world.model.mishaps() == 0;
        if undisturbed && self.world.plan.is_orderly() {
            assert_eq!(root.spent.usd, self.world.model.metered(self.key.job.as_str()), "{name}: spent as metered");
        }
        let budget = Balance::of(if self.parent.is_some() { root.spent } else { budget(plan) });
        if self.parent.is_none() {
            assert_eq!(Balance::of(root.spent).plus(root.left), budget, "{name}: what was lent came back");
        }
    }

    /// Each call asked what the reference says, and nothing that was journaled was asked again.
    fn check_calls(&self) {
        let (name, world) = (self.name(), self.world);
        let input = json!(format!("input of {}", self.plan));
        let expected: BTreeMap<String, Value> = reference::steps(self.plan().shape)
            .iter()
            .map(|step| (reference::said(step.0), reference::question(step, &input)))
            .collect();
        let ledger = world.model.ledger();
        let mut calls = 0;
        let mut turns = BTreeSet::new();
        for call in ledger.iter().filter(|call| call.job == self.key.job.as_str()) {
            let mut asked = call.asked.clone();
            asked.as_object_mut().expect("an object").remove("job");
            let said = format!("{}-{}-{}", call.step.task, asked["item"], asked["round"]);
            assert_eq!(Some(&asked), expected.get(&said), "{name}: what {said} was asked");
            turns.insert((call.step.clone(), call.turn));
            calls += 1;
        }
        drop(ledger);
        let faults = world.losses + world.faults.count() + world.model.mishaps();
        let excused = if world.plan.is_orderly() { faults } else { u64::MAX };
        assert!(
            calls <= (turns.len() as u64).saturating_add(excused),
            "{name}: {calls} calls for {} turns and {faults} faults",
            turns.len()
        );
    }

    /// One result for each step of the reference, and it says what it should.
    fn check_results(&self, results: &[StepRecord]) {
        let name = self.name();
        let mut outputs: BTreeMap<String, Value> = BTreeMap::new();
        for record in results.iter().filter(|record| record.model.is_some()) {
            let Payload::Inline(output) = &record.output else { panic!("{name}: {} is large", record.step) };
            outputs.insert(output.as_str().unwrap_or_default().to_owned(), output.clone());
        }
        let said: BTreeSet<String> =
            reference::steps(self.plan().shape).iter().map(|step| reference::said(step.0)).collect();
        assert_eq!(outputs.into_keys().collect::<BTreeSet<_>>(), said, "{name}: what its steps said");
    }

    /// The manifest names committed files alone, they exist, and they are what it says they are.
    fn check_files(&self, groups: &BTreeMap<GroupId, Group>, results: &[StepRecord]) {
        let (name, world) = (self.name(), self.world);
        let record = results.iter().find(|record| record.step == StepId::finish()).expect("a finish");
        let Payload::Inline(manifest) = &record.output else { return };
        let manifest: Manifest = serde_json::from_value(manifest.clone()).expect("a manifest");
        let simple = Simple::new(self.plan().shape);
        let mut paths = BTreeSet::new();
        for file in &manifest.files {
            assert!(paths.insert(file.path.clone()), "{name}: {} is there twice", file.path);
            let bytes = world.blobs.bytes(&file.key).unwrap_or_else(|| panic!("{name}: {} is missing", file.path));
            assert_eq!(hex::encode(Sha256::digest(&bytes)), file.sha256, "{name}: {}", file.path);
            if file.step == "(finish)" {
                continue;
            }
            let record = results.iter().find(|record| record.step.to_string() == file.step).expect("its step");
            assert!(is_committed(simple.graph(), groups, &record.step), "{name}: {} isn't committed", file.path);
        }
        if groups[&GroupId::Root].root().is_some_and(|root| root.status == JobStatus::Completed) {
            for (step, ..) in reference::steps(self.plan().shape) {
                let path = format!("{}/{}.txt", step.0, step.1.unwrap_or(0));
                assert!(paths.contains(&path), "{name}: {path} isn't delivered");
            }
        }
    }
}
