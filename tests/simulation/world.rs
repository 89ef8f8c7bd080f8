//! A world: machines that run invocations of the step function and the clock, a queue, a table, a bucket, a model; one
//! thing happens at a time, drawn by the plan's seed.

use std::collections::BTreeMap;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use convoke_app::platform::{Compile, Limits, Platform, Ports};
use convoke_app::ports::Env;
use convoke_app::work::Until;
use convoke_domain::group::Group;
use convoke_domain::ids::{GroupId, JobId, JobKey};
use convoke_tests::engine::meter::OneModel;
use convoke_tests::engine::shapes::{Shape, Simple};
use convoke_tests::fakes::{Dice, FakeBlobs, FakeEnv, FakeQueue, FakeTable, Faults, Lane, ports};
use serde_json::Value;

use crate::checks::Watch;
use crate::client::{self, Client, Told};
use crate::model::{Bedside, SimModel};
use crate::plan::Plan;

const START_MS: u64 = 1_700_000_000_000;
const TICK_MS: u64 = 60_000;
/// Invocations side by side.
const INVOCATIONS_MAX: usize = 6;
/// Turns after which a world counts as stuck.
const TURNS_MAX: u64 = 400_000;

type Work = Pin<Box<dyn Future<Output = Done> + Send>>;

/// What a task comes to.
pub enum Done {
    /// The message is acknowledged, if it came from one.
    Acknowledge(Option<u64>),
    /// It isn't: it comes again.
    Again,
    /// A client was told these things.
    Told(Vec<Told>),
}

struct Task {
    invocation: u64,
    asleep_until_ms: u64,
    work: Work,
}

/// Where the tasks of clients run: nobody kills them.
const CLIENTS: u64 = 0;

pub struct World {
    pub plan: Plan,
    pub env: FakeEnv,
    pub table: FakeTable,
    pub queue: FakeQueue,
    pub blobs: FakeBlobs,
    pub model: Arc<SimModel>,
    pub faults: Faults,
    pub watch: Watch,
    pub told: Vec<Told>,
    /// Workers that were killed or stood still.
    pub losses: u64,
    machines: Vec<Platform>,
    compile: Compile,
    bedside: Bedside,
    dice: Dice,
    tasks: Vec<Task>,
    invocations: u64,
    next_tick_ms: u64,
    turns: u64,
    /// How often tasks have waited for something.
    pub pauses: u64,
    calm: bool,
    trace: Vec<String>,
}

impl World {
    pub fn new(plan: Plan) -> Self {
        let faults = Faults::seeded(plan.seed, plan.rates);
        Self::with_faults(plan, faults)
    }

    pub fn with_faults(plan: Plan, faults: Faults) -> Self {
        let env = FakeEnv::new(START_MS, plan.seed);
        let bedside = Bedside::default();
        let shapes: Vec<Shape> = plan.jobs.iter().map(|job| job.shape).collect();
        let compile: Compile = Arc::new(move |flow: &Value, _: &Value, _| {
            let index = flow["shape"].as_u64().and_then(|index| usize::try_from(index).ok());
            let shape = index.and_then(|index| shapes.get(index)).ok_or("no such shape")?;
            Ok(Box::new(Simple::new(*shape)) as _)
        });
        let mut world = Self {
            table: FakeTable::new(faults.clone()),
            queue: FakeQueue::new(env.clone(), faults.clone()),
            blobs: FakeBlobs::new(env.clone(), faults.clone()),
            model: Arc::new(SimModel::new(env.clone(), bedside.clone(), plan.seed, plan.model)),
            watch: Watch::default(),
            told: Vec::new(),
            losses: 0,
            machines: Vec::new(),
            dice: Dice::new(plan.seed ^ 0xD1CE),
            tasks: Vec::new(),
            invocations: CLIENTS,
            next_tick_ms: START_MS + TICK_MS,
            turns: 0,
            pauses: 0,
            calm: false,
            trace: Vec::new(),
            faults,
            env,
            compile,
            bedside,
            plan,
        };
        world.machines = (0..world.plan.ahead_ms.len()).map(|machine| world.machine(machine)).collect();
        world
    }

    /// A process that has just started: it remembers nothing.
    fn machine(&self, machine: usize) -> Platform {
        let env = self.env.ahead(self.plan.ahead_ms[machine]);
        let blobs = Arc::new(self.blobs.clone());
        let models = OneModel(self.model.clone());
        let ports = Ports { blobs, ..ports(&self.table, &self.queue, models, &env) };
        let limits = Limits { in_place_max: Duration::from_millis(self.plan.in_place_ms), ..Limits::default() };
        Platform::new(ports, limits, Arc::clone(&self.compile))
    }

    /// Runs everything to its end, and checks what has to hold.
    pub fn run(&mut self) {
        self.begin();
        while !self.is_over() {
            self.step();
        }
        self.check();
    }

    /// Brings in the clients.
    pub fn begin(&mut self) {
        let (platform, env, bedside) = (self.machines[0].clone(), self.env.clone(), self.bedside.clone());
        let client = Client { platform, env, bedside, seed: self.plan.seed };
        for (index, job) in self.plan.jobs.clone().into_iter().enumerate() {
            for work in client::of(&client, index, job) {
                self.tasks.push(Task { invocation: CLIENTS, asleep_until_ms: 0, work });
            }
        }
    }

    /// One thing happens, and nothing is wrong after it.
    pub fn step(&mut self) {
        self.turns += 1;
        assert!(self.turns < TURNS_MAX, "it doesn't end: {:?}\n{}", self.open_jobs(), self.tail());
        self.turn();
        self.watch.look(&self.table, &self.model, self.plan.is_orderly());
    }

    /// What has to hold when everything is over.
    pub fn check(&self) {
        crate::checks::at_the_end(self);
    }

    /// Whether nothing more is to be done.
    pub fn is_over(&self) -> bool {
        let ends = |key: &JobKey| self.root(key).root().is_some_and(|root| root.status.is_terminal());
        self.tasks.is_empty() && self.queue.is_empty() && self.table.jobs().iter().all(ends)
    }

    fn open_jobs(&self) -> Vec<Group> {
        let jobs = self.table.jobs();
        let open = jobs.iter().flat_map(|key| self.table.groups_of(key));
        open.filter(|group| group.root().is_none_or(|root| !root.status.is_terminal())).collect()
    }

    pub fn root(&self, key: &JobKey) -> Group {
        self.groups(key).remove(&GroupId::Root).expect("the job exists")
    }

    pub fn groups(&self, key: &JobKey) -> BTreeMap<GroupId, Group> {
        self.table.groups_of(key).into_iter().map(|group| (group.id, group)).collect()
    }

    /// When faults cease.
    pub fn calm_at_ms(&self) -> u64 {
        START_MS + self.plan.calm_after_ms
    }

    /// The last things that happened.
    pub fn tail(&self) -> String {
        let from = self.trace.len().saturating_sub(60);
        self.trace[from..].join("\n")
    }

    fn note(&mut self, what: impl FnOnce() -> String) {
        let at_ms = self.env.now_ms() - START_MS;
        if self.trace.len() >= 4_000 {
            self.trace.drain(..2_000);
        }
        self.trace.push(format!("{at_ms:>9} ms  {}", what()));
    }

    /// One thing happens.
    fn turn(&mut self) {
        self.env.wind(self.dice.below(3));
        let now_ms = self.env.now_ms();
        if !self.calm && now_ms >= self.calm_at_ms() {
            self.calm = true;
            self.faults.cease();
            self.model.cease();
        }
        if now_ms >= self.next_tick_ms {
            return self.tick();
        }
        if !self.calm && self.mischief() {
            return;
        }
        let awake: Vec<usize> = (0..self.tasks.len()).filter(|&i| self.tasks[i].asleep_until_ms <= now_ms).collect();
        let may_receive = self.may_receive(now_ms);
        if may_receive && (awake.is_empty() || self.dice.below(4) == 0) {
            return self.receive();
        }
        if awake.is_empty() {
            return self.wait();
        }
        let chosen = usize::try_from(self.dice.below(awake.len() as u64)).expect("few");
        self.poll(awake[chosen]);
    }

    /// Kills, if the plan says so.
    fn mischief(&mut self) -> bool {
        let busy: Vec<u64> = self.tasks.iter().map(|task| task.invocation).filter(|i| *i != CLIENTS).collect();
        if busy.is_empty() {
            return false;
        }
        if self.dice.below(1_000) < self.plan.kill {
            let killed = busy[usize::try_from(self.dice.below(busy.len() as u64)).expect("few")];
            self.losses += busy.iter().filter(|i| **i == killed).count() as u64;
            self.tasks.retain(|task| task.invocation != killed);
            let machine = self.machine_of(killed);
            self.machines[machine] = self.machine(machine);
            self.note(|| format!("invocation {killed} is killed"));
            return true;
        }
        if self.dice.below(10_000) < self.plan.kill_all {
            self.kill_all();
            return true;
        }
        false
    }

    /// Ends every process but those of the clients.
    pub fn kill_workers(&mut self) {
        self.losses += self.tasks.iter().filter(|task| task.invocation != CLIENTS).count() as u64;
        self.tasks.retain(|task| task.invocation == CLIENTS);
        self.machines = (0..self.machines.len()).map(|machine| self.machine(machine)).collect();
        self.note(|| "all workers are killed".into());
    }

    /// Ends every process at once; messages that were kept in memory are gone.
    fn kill_all(&mut self) {
        self.kill_workers();
        self.queue.lose_all();
        self.note(|| "all messages are lost".into());
        // On one machine the next start knows that nobody else is at work; on AWS the leases run out.
        if self.dice.below(2) == 0 {
            let (platform, invocation) = self.invoke();
            let work = Box::pin(async move {
                drop(platform.resume().await);
                Done::Acknowledge(None)
            });
            self.tasks.push(Task { invocation, asleep_until_ms: 0, work });
        }
    }

    fn machine_of(&self, invocation: u64) -> usize {
        usize::try_from(invocation).expect("few") % self.machines.len()
    }

    fn tick(&mut self) {
        self.next_tick_ms += TICK_MS;
        let platform = self.invoke();
        self.note(|| format!("invocation {} looks around", platform.1));
        let work = Box::pin(async move {
            // A tick that fails is followed by another.
            drop(platform.0.tick(platform.0.ports.env.now_ms()).await);
            Done::Acknowledge(None)
        });
        self.tasks.push(Task { invocation: self.invocations, asleep_until_ms: 0, work });
    }

    fn invoke(&mut self) -> (Platform, u64) {
        self.invocations += 1;
        (self.machines[self.machine_of(self.invocations)].clone(), self.invocations)
    }

    fn may_receive(&self, now_ms: u64) -> bool {
        let mut busy: Vec<u64> = self.tasks.iter().map(|task| task.invocation).collect();
        busy.dedup();
        busy.len() < INVOCATIONS_MAX && self.queue.next_visible_ms().is_some_and(|at_ms| at_ms <= now_ms)
    }

    fn receive(&mut self) {
        let visibility_ms = self.plan.visibility_ms;
        let max = 1 + usize::try_from(self.dice.below(10)).expect("few");
        let mut deliveries = self.queue.receive(Lane::Solo, 1, visibility_ms);
        if deliveries.is_empty() {
            deliveries = self.queue.receive(Lane::Steps, max, visibility_ms);
        }
        let (platform, invocation) = self.invoke();
        let until = Until { deadline_ms: platform.ports.env.now_ms() + self.plan.invocation_ms };
        for delivery in deliveries {
            self.note(|| format!("invocation {invocation} gets {} {:?}", delivery.bell.group, delivery.bell.slot));
            let platform = platform.clone();
            let work = Box::pin(async move {
                match platform.answer(&delivery.bell, until).await {
                    Ok(()) => Done::Acknowledge(Some(delivery.id)),
                    Err(error) if error.is_retryable() => Done::Again,
                    Err(error) => panic!("a bell can't be answered: {error:?}"),
                }
            });
            self.tasks.push(Task { invocation, asleep_until_ms: 0, work });
        }
    }

    fn wait(&mut self) {
        let now_ms = self.env.now_ms();
        let wakes = self.tasks.iter().map(|task| task.asleep_until_ms);
        let visible = self.queue.next_visible_ms().filter(|at_ms| *at_ms > now_ms);
        let next_ms = wakes.chain(visible).chain([self.next_tick_ms]).min().expect("the next tick");
        self.env.wind(next_ms.saturating_sub(now_ms).max(1));
    }

    fn poll(&mut self, index: usize) {
        let mut context = Context::from_waker(Waker::noop());
        let polled = self.tasks[index].work.as_mut().poll(&mut context);
        let slept = self.bedside.take();
        let invocation = self.tasks[index].invocation;
        match polled {
            Poll::Pending => {
                let mut until_ms = slept.unwrap_or(0);
                if let Some(ms) = self.stall(invocation) {
                    self.losses += 1;
                    self.note(|| format!("a task of invocation {invocation} stands still for {ms} ms"));
                    until_ms = until_ms.max(self.env.now_ms() + ms);
                }
                self.tasks[index].asleep_until_ms = until_ms;
            }
            Poll::Ready(done) => {
                self.tasks.swap_remove(index);
                self.done(invocation, done);
            }
        }
    }

    /// For how long a task stands still at this pause, if it does.
    fn stall(&mut self, invocation: u64) -> Option<u64> {
        self.pauses += 1;
        if let Some(overtaken) = self.plan.overtaken.filter(|overtaken| overtaken.pause == self.pauses) {
            return Some(overtaken.ms);
        }
        let is_drawn = !self.calm && invocation != CLIENTS && self.dice.below(1_000) < self.plan.stall;
        is_drawn.then(|| self.dice.below(400_000))
    }

    fn done(&mut self, invocation: u64, done: Done) {
        match done {
            Done::Acknowledge(Some(id)) => self.queue.delete(id),
            Done::Acknowledge(None) => {}
            Done::Again => self.note(|| format!("invocation {invocation} fails")),
            Done::Told(told) => {
                self.note(|| format!("{told:?}"));
                self.told.extend(told);
            }
        }
    }

    /// The key of a job by its id.
    pub fn key_of(&self, job: &JobId) -> Option<JobKey> {
        self.table.jobs().into_iter().find(|key| key.job == *job)
    }
}
