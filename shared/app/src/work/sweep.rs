//! Looking at a job as a whole: what is overdue is done, what may go on is rung.

use std::collections::BTreeMap;

use convoke_domain::change::{Change, Set, When};
use convoke_domain::decide::{self, Action, Prior, Sweep, View};
use convoke_domain::group::Group;
use convoke_domain::ids::{GroupId, JobKey};
use futures_util::future::join;

use super::shift::Shift;
use super::{Until, WorkError};
use crate::platform::Platform;
use crate::ports::{Applied, Bell, Ring};

/// Shards of the due index.
const SHARDS: u8 = 16;
/// Jobs of a shard that one tick looks at.
const JOBS_PER_SHARD: u32 = 100;
/// Later than any job is ever due (Unix milliseconds), and a number that tables hold exactly.
const DUE_EVER_MS: u64 = 1 << 53;
/// How often one look acts and looks again.
const LOOKS_MAX: u32 = 8;

/// What a tick did.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct TickReport {
    /// Jobs that were due.
    pub jobs: u32,
    /// Jobs that couldn't be looked at; they stay due.
    pub failed: u32,
    /// Deliveries that were due.
    pub deliveries: u32,
}

/// Whether slots that may simply be claimed are rung, too.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Ringing {
    All,
    LostOnly,
}

impl Platform {
    /// Looks at every job that is due (law 8), and rings for every delivery that is, side by side: neither is kept waiting by
    /// the other, nor by a job that can't be looked at.
    pub async fn tick(&self, now_ms: u64) -> Result<TickReport, WorkError> {
        let (jobs, deliveries) = join(self.look_at_due_jobs(now_ms), self.ring_due_deliveries(now_ms)).await;
        Ok(TickReport { deliveries: deliveries?, ..jobs? })
    }

    async fn look_at_due_jobs(&self, now_ms: u64) -> Result<TickReport, WorkError> {
        let deep = self.ports.bells.depth().await? > self.limits.queue_depth_max;
        let ringing = if deep { Ringing::LostOnly } else { Ringing::All };
        let mut report = TickReport::default();
        for shard in 0..SHARDS {
            for key in self.ports.sweeps.due(shard, now_ms, JOBS_PER_SHARD).await? {
                report.jobs += 1;
                if let Err(error) = self.look_and_reschedule(&key, ringing).await {
                    report.failed += 1;
                    tracing::error!(job = %key, error = &error as &dyn std::error::Error, "a job can't be looked at");
                }
            }
        }
        Ok(report)
    }

    /// Takes up what an earlier process left behind, when it is certain that nobody works on any job: at the start of an
    /// installation that holds its data alone, before its first bell. Every lease that still runs is a dead worker's, so
    /// it ends now; then every job that isn't over is looked at, due or not, because its bells are gone, too.
    ///
    /// Attempts are counted and holds settled as where a lease runs out. Idempotent; each lease is one conditional
    /// write. A job that can't be looked at stays due, and its leases run out by themselves.
    pub async fn resume(&self) -> Result<TickReport, WorkError> {
        let mut report = TickReport::default();
        for shard in 0..SHARDS {
            for key in self.ports.sweeps.due(shard, DUE_EVER_MS, u32::MAX).await? {
                report.jobs += 1;
                let resumed = match self.lapse(&key).await {
                    Ok(()) => self.look_and_reschedule(&key, Ringing::All).await,
                    Err(error) => Err(error),
                };
                if let Err(error) = resumed {
                    report.failed += 1;
                    tracing::error!(job = %key, error = &error as &dyn std::error::Error, "a job can't be taken up");
                }
            }
        }
        self.take_up_deliveries().await?;
        Ok(report)
    }

    /// Ends every lease of a job.
    async fn lapse(&self, key: &JobKey) -> Result<(), WorkError> {
        let (Some(job), Some((root, fans))) = (self.job_flow(key).await?, self.state(key).await?) else {
            return Ok(());
        };
        let shift = Shift::new(self, job, Until { deadline_ms: 0 });
        for group in fans.values().chain([&root]) {
            let mut now = group.clone();
            for &slot in group.run.keys() {
                let Ok(change) = decide::lapse(&shift.view(&now), slot, self.ports.env.nonce()) else { continue };
                match self.ports.groups.apply(key, &change).await? {
                    Applied::Done(after) | Applied::Conflict(after) => now = after,
                    Applied::Missing => break,
                }
            }
        }
        Ok(())
    }

    /// Looks at one job now, without moving its next look. Idempotent.
    pub async fn look(&self, key: &JobKey) -> Result<(), WorkError> {
        self.look_with(key, Ringing::All).await.map(drop)
    }

    async fn look_and_reschedule(&self, key: &JobKey, ringing: Ringing) -> Result<(), WorkError> {
        let Some(job) = self.job_flow(key).await? else { return Ok(()) };
        let shift = Shift::new(self, job, Until { deadline_ms: 0 });
        let Some((root, fans)) = self.state(key).await? else { return Ok(()) };
        let sweep = decide::sweep(&shift.view(&root), &fans);
        let due = sweep.map_or(Set::Due { due_ms: None, swept_ver: root.ver, pause_ms: 0 }, |sweep| Set::Due {
            due_ms: Some(sweep.due_ms),
            swept_ver: sweep.swept_ver,
            pause_ms: sweep.pause_ms,
        });
        let over = matches!(due, Set::Due { due_ms: None, .. });
        // `due` moves before anything is rung: a bell that kills its process doesn't ring every minute.
        let seen = When::Due(root.root().and_then(|job| job.due_ms));
        let change = Change::new(GroupId::Root, self.ports.env.nonce(), shift.now_ms()).when(seen).set(due);
        // A job that rests is put off for long: whoever wakes it meanwhile makes it due earlier, and isn't overwritten.
        let change = if root.rests_since_ms().is_some() { change.when(When::Ver(root.ver)) } else { change };
        let applied = self.ports.groups.apply(key, &change).await?;
        // Somebody else looks at it just now, or it has ended meanwhile.
        let is_mine = matches!(applied, Applied::Done(_));
        if over || !is_mine { Ok(()) } else { self.look_with(key, ringing).await.map(drop) }
    }

    async fn look_with(&self, key: &JobKey, ringing: Ringing) -> Result<(), WorkError> {
        let Some(job) = self.job_flow(key).await? else { return Ok(()) };
        let shift = Shift::new(self, job, Until { deadline_ms: 0 });
        for _ in 0..LOOKS_MAX {
            let Some((root, fans)) = self.state(key).await? else { return Ok(()) };
            let Some(Sweep { actions, .. }) = decide::sweep(&shift.view(&root), &fans) else { return Ok(()) };
            let (rings, acts): (Vec<Action>, Vec<Action>) =
                actions.into_iter().partition(|action| matches!(action, Action::Ring(..) | Action::RingSolo(..)));
            if acts.is_empty() {
                return self.ring_all(key, &rings, ringing).await;
            }
            for act in acts {
                shift.act(&root, &fans, act).await?;
            }
        }
        // So much changes at once that others are at work; what is left is due again in a minute.
        Ok(())
    }

    async fn state(&self, key: &JobKey) -> Result<Option<(Group, BTreeMap<GroupId, Group>)>, WorkError> {
        let groups = &self.ports.groups;
        let Some(root) = groups.load_groups(key, &[GroupId::Root]).await?.remove(&GroupId::Root) else {
            return Ok(None);
        };
        let open: Vec<GroupId> = root.root().map(|job| job.groups.keys().copied().collect()).unwrap_or_default();
        let fans = if open.is_empty() { BTreeMap::new() } else { groups.load_groups(key, &open).await? };
        Ok(Some((root, fans)))
    }

    async fn ring_all(&self, key: &JobKey, rings: &[Action], ringing: Ringing) -> Result<(), WorkError> {
        let ring = |action: &Action| match *action {
            Action::RingSolo(group, slot) => Some((group, slot, true)),
            Action::Ring(group, slot) if ringing == Ringing::All => Some((group, slot, false)),
            _ => None,
        };
        let bell = |(group, slot, solo)| Ring {
            bell: Bell { v: 1, key: key.clone(), group, slot: Some(slot) },
            delay_s: 0,
            solo,
        };
        let rings: Vec<Ring> = rings.iter().filter_map(ring).map(bell).collect();
        if rings.is_empty() { Ok(()) } else { Ok(self.ports.bells.ring(&rings).await?) }
    }

    /// Asks for a look at the job.
    pub(super) async fn ring_look(&self, key: &JobKey) -> Result<(), WorkError> {
        let bell = Bell { v: 1, key: key.clone(), group: GroupId::Root, slot: None };
        Ok(self.ports.bells.ring(&[Ring { bell, delay_s: 0, solo: false }]).await?)
    }
}

impl Shift<'_> {
    async fn act(&self, root: &Group, fans: &BTreeMap<GroupId, Group>, act: Action) -> Result<(), WorkError> {
        let env = &self.platform.ports.env;
        let view_of = |id: &GroupId| if *id == GroupId::Root { Some(root) } else { fans.get(id) };
        let change = match act {
            Action::End(ending) => decide::end(&self.view(root), ending, env.nonce()).ok(),
            Action::EndGroup(id, ending) => {
                fans.get(&id).and_then(|fan| decide::end(&self.view(fan), ending, env.nonce()).ok())
            }
            Action::Draw(id) => fans.get(&id).and_then(|fan| {
                let lent = root.root()?.groups.get(&id)?.lent;
                decide::drawn(fan, lent, env.nonce(), self.now_ms())
            }),
            Action::Reap(id, slot) => view_of(&id).and_then(|group| {
                let view: View<'_> = self.view(group);
                decide::reap(&view, slot, Prior::Unknown, None, env.nonce()).ok()
            }),
            Action::PutGroup(id) => {
                self.put_missing_group(id).await?;
                None
            }
            Action::Close(id) => {
                if let Some(fan) = fans.get(&id) {
                    let leads = self.close(fan).await?;
                    self.ring(&leads).await?;
                }
                None
            }
            Action::Remind(slot) => decide::remind(&self.view(root), slot, env.nonce()).ok(),
            Action::Expire(slot) => self.expire(root, slot).await?,
            Action::Rest => decide::rest(&self.view(root), env.nonce()).ok(),
            Action::FanIn(slot) => decide::fan_in(&self.view(root), slot, env.nonce()).ok(),
            Action::Ring(..) | Action::RingSolo(..) => None,
        };
        if let Some(change) = change
            && let Applied::Conflict(_) = self.platform.ports.groups.apply(self.key(), &change).await?
        {
            tracing::debug!(job = %self.key(), "somebody else was faster");
        }
        Ok(())
    }
}
