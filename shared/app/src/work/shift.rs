//! One worker's shift: from a bell to the point where nothing more is to be done in place.

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;

use convoke_domain::decide::{self, Hold, Refusal, View, Worker};
use convoke_domain::group::Group;
use convoke_domain::ids::{GroupId, JobKey, SlotId, StepId};
use convoke_domain::money::Cost;
use convoke_domain::slot::Slot;
use tracing::Instrument;

use super::prepare::{Prepared, Work};
use super::{JobFlow, Until, WorkError};
use crate::platform::Platform;
use crate::ports::{Applied, Bell, Reads, Ring, StepRecord};

/// How often a lost race is run again before the bell is left to come again.
pub(super) const RACES_MAX: u32 = 16;
/// Added to a model's time-out: the time to journal and commit.
const LEASE_MARGIN_MS: u64 = 30_000;
/// No call starts unless its time-out and this remain.
const DEADLINE_MARGIN_MS: u64 = 10_000;

/// A worker at work on one job.
pub(super) struct Shift<'p> {
    pub platform: &'p Platform,
    pub job: Arc<JobFlow>,
    pub until: Until,
    pub started_ms: u64,
    /// Results that this shift has put or loaded.
    pub recent: BTreeMap<StepId, StepRecord>,
}

/// A claimed step.
pub(super) struct Held {
    pub group: Group,
    pub slot: SlotId,
    pub mine: Slot,
    pub step: StepId,
    pub claimed_ms: u64,
}

/// A claimed step and what is to be done.
pub(super) type Duty = (Held, Work);

/// A slot to go on with, and the group as last seen.
pub(super) type Lead = (GroupId, SlotId);

impl<'p> Shift<'p> {
    pub fn new(platform: &'p Platform, job: Arc<JobFlow>, until: Until) -> Self {
        let started_ms = platform.ports.env.now_ms();
        Self { platform, job, until, started_ms, recent: BTreeMap::new() }
    }

    pub fn key(&self) -> &JobKey {
        &self.job.key
    }

    pub fn now_ms(&self) -> u64 {
        self.platform.ports.env.now_ms()
    }

    pub fn view<'a>(&'a self, group: &'a Group) -> View<'a> {
        View { graph: self.job.graph(), group, now_ms: self.now_ms() }
    }

    /// The time that a model call may take, in milliseconds.
    pub fn timeout_ms(&self) -> u64 {
        u64::try_from(self.platform.limits.model_timeout.as_millis()).unwrap_or(u64::MAX)
    }

    pub fn lease_until_ms(&self) -> u64 {
        self.now_ms() + self.timeout_ms() + LEASE_MARGIN_MS
    }

    /// Whether a call that starts now would end, or time out, before the function and its process do.
    pub fn has_time(&self) -> bool {
        let over = self.platform.closing.claims.is_cancelled();
        !over && self.now_ms() + self.timeout_ms() + DEADLINE_MARGIN_MS <= self.until.deadline_ms
    }

    /// Whether the shift may take up another step in place.
    pub fn may_go_on(&self) -> bool {
        let stays_ms = self.now_ms().saturating_sub(self.started_ms);
        self.has_time() && u128::from(stays_ms) < self.platform.limits.in_place_max.as_millis()
    }

    /// Works on a slot and on what follows.
    pub async fn work(&mut self, group: Group, slot: SlotId) -> Result<(), WorkError> {
        let mut held = self.claim_safely(group, slot).await?;
        while let Some(duty) = held {
            let span = self.span(&duty.0);
            held = Box::pin(self.turn(duty).instrument(span)).await?;
        }
        Ok(())
    }

    fn span(&self, held: &Held) -> tracing::Span {
        let JobKey { tenant, job } = self.key();
        tracing::info_span!("step", %tenant, %job, step = %held.step, attempt = held.mine.attempt)
    }

    /// Performs what is held, commits it, and claims the next step, if any.
    async fn turn(&mut self, duty: Duty) -> Result<Option<Duty>, WorkError> {
        let (next, mut leads) = self.perform_safely(duty).await?;
        if next.is_some() {
            self.ring(&leads).await?;
            return Ok(next);
        }
        while self.may_go_on() && !leads.is_empty() {
            let (group, slot) = leads.remove(0);
            let Some(group) = self.group(group).await? else { continue };
            if let Some(next) = self.claim_safely(group, slot).await? {
                self.ring(&leads).await?;
                return Ok(Some(next));
            }
        }
        self.ring(&leads).await?;
        Ok(None)
    }

    /// The group as it is now; a part of a map that isn't there yet is put.
    pub async fn group(&self, id: GroupId) -> Result<Option<Group>, WorkError> {
        let reads = Reads { group: Some(id), ..Reads::default() };
        let found = self.platform.ports.steps.fetch(self.key(), &reads).await?.group;
        self.found(id, found).await
    }

    /// The group as it was found.
    pub async fn found(&self, id: GroupId, found: Option<Group>) -> Result<Option<Group>, WorkError> {
        match found {
            Some(group) => Ok(Some(group)),
            None if id == GroupId::Root => Ok(None),
            None => self.put_missing_group(id).await,
        }
    }

    /// Claims a slot; `None` where somebody else has it, or nothing is to be done.
    pub async fn claim(&mut self, group: Group, slot: SlotId) -> Result<Option<Duty>, WorkError> {
        let mut group = group;
        for _ in 0..RACES_MAX {
            if let Some(refusal) = self.refusal(&group, slot) {
                self.refused(&group, slot, refusal).await?;
                return Ok(None);
            }
            let Some((step, prepared)) = self.prepare(&group, slot, None).await? else { return Ok(None) };
            let worker = Worker { nonce: self.platform.ports.env.nonce(), lease_until_ms: self.lease_until_ms() };
            let (hold, prior) = (prepared.hold, prepared.prior);
            match decide::claim(&self.view(&group), slot, &worker, hold, prior) {
                Ok(change) => match self.platform.ports.groups.apply(self.key(), &change).await? {
                    Applied::Done(after) => return Ok(self.held(after, slot, (step, prepared), &worker)),
                    Applied::Conflict(now) => group = now,
                    Applied::Missing => return Ok(None),
                },
                Err(Refusal::Unaffordable) => match self.seek_funds(&group, slot, (hold.cost, prior)).await? {
                    Some(now) => group = now,
                    None => return Ok(None),
                },
                Err(refusal) => {
                    self.refused(&group, slot, refusal).await?;
                    return Ok(None);
                }
            }
        }
        Err(WorkError::Contended { job: self.key().to_string() })
    }

    /// Why a claim wouldn't apply, whatever it reserves: asked before anything is loaded.
    fn refusal(&self, group: &Group, slot: SlotId) -> Option<Refusal> {
        let worker = Worker { nonce: String::new(), lease_until_ms: 0 };
        let free = decide::claim(&self.view(group), slot, &worker, Self::FREE, decide::Prior::Journaled(Cost::ZERO));
        free.err().filter(|refusal| *refusal != Refusal::Unaffordable)
    }

    /// What a successful claim holds; `None` where the slot isn't this worker's after all.
    pub fn held(&self, group: Group, slot: SlotId, what: (StepId, Prepared), worker: &Worker) -> Option<Duty> {
        let mine = group.run.get(&slot).filter(|s| s.nonce() == Some(worker.nonce.as_str()))?.clone();
        let (step, prepared) = what;
        Some((Held { group, slot, mine, step, claimed_ms: self.now_ms() }, prepared.work))
    }

    async fn refused(&mut self, group: &Group, slot: SlotId, refusal: Refusal) -> Result<(), WorkError> {
        match refusal {
            Refusal::Stale | Refusal::Held { .. } | Refusal::NotYet { .. } | Refusal::Ending | Refusal::Impossible => {
                tracing::debug!(job = %self.key(), %slot, %refusal, "nothing to do");
                Ok(())
            }
            Refusal::Deadline => self.platform.end_overdue(self.key()).await,
            Refusal::Exhausted => self.give_up(group, slot).await,
            Refusal::Unaffordable => Ok(()),
        }
    }

    /// Rings slots of this job.
    pub async fn ring(&self, leads: &[Lead]) -> Result<(), WorkError> {
        let rings: Vec<Ring> = leads.iter().map(|lead| self.ring_of(*lead, 0)).collect();
        if rings.is_empty() { Ok(()) } else { Ok(self.platform.ports.bells.ring(&rings).await?) }
    }

    pub fn ring_of(&self, (group, slot): Lead, delay_ms: u64) -> Ring {
        let bell = Bell { v: 1, key: self.key().clone(), group, slot: Some(slot) };
        let delay_s = u32::try_from(delay_ms.div_ceil(1_000)).unwrap_or(u32::MAX).min(900);
        Ring { bell, delay_s, solo: false }
    }

    /// A claim's hold for nothing: work without a model.
    pub const FREE: Hold = Hold { cost: Cost::ZERO, turn: 0 };
}

/// Leads in order, each once.
pub(super) fn distinct(leads: impl IntoIterator<Item = Lead>) -> Vec<Lead> {
    let mut seen = VecDeque::new();
    for lead in leads {
        if !seen.contains(&lead) {
            seen.push_back(lead);
        }
    }
    seen.into()
}
