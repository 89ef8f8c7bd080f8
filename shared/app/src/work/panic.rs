//! A panic is a failed attempt of one step, wherever in a shift it happens.

use std::any::Any;
use std::panic::AssertUnwindSafe;

use convoke_domain::decide::{self, Prior, Worker};
use convoke_domain::group::Group;
use convoke_domain::ids::SlotId;
use convoke_domain::money::Cost;
use convoke_domain::slot::Slot;
use convoke_domain::status::StopReason;
use futures_util::FutureExt;

use super::WorkError;
use super::commit::After;
use super::ending::{Retry, Setback};
use super::shift::{Duty, Held, Lead, Shift};
use crate::ports::Applied;

/// The pause after a panic.
const PAUSE_MS: u64 = 1_000;

impl Shift<'_> {
    /// Claims a slot; what panics while it is prepared fails an attempt.
    pub async fn claim_safely(&mut self, group: Group, slot: SlotId) -> Result<Option<Duty>, WorkError> {
        let lead = (group.id, slot);
        match AssertUnwindSafe(self.claim(group, slot)).catch_unwind().await {
            Ok(claimed) => claimed,
            Err(panic) => {
                let leads = self.panicked(lead, None, said(&*panic)).await?;
                self.ring(&leads).await?;
                Ok(None)
            }
        }
    }

    /// Performs what is held; what panics fails the attempt.
    pub async fn perform_safely(&mut self, duty: Duty) -> Result<After, WorkError> {
        let (lead, nonce) = ((duty.0.group.id, duty.0.slot), duty.0.mine.nonce().map(str::to_owned));
        match AssertUnwindSafe(self.perform(duty)).catch_unwind().await {
            Ok(performed) => performed,
            Err(panic) => Ok((None, self.panicked(lead, nonce, said(&*panic)).await?)),
        }
    }

    /// Fails the attempt of the claim with that nonce, or of a claim made for it: so that what panics before anything is
    /// claimed is counted, too. A claim that is lost is left alone.
    async fn panicked(
        &mut self,
        (group, slot): Lead,
        nonce: Option<String>,
        said: String,
    ) -> Result<Vec<Lead>, WorkError> {
        tracing::error!(panic = said, "a step panicked");
        let Some(group) = self.group(group).await? else { return Ok(Vec::new()) };
        let Some((group, mine)) = self.own(group, slot, nonce).await? else { return Ok(Vec::new()) };
        let Some(step) = group.step(self.job.graph(), slot, mine.at) else { return Ok(Vec::new()) };
        let hold = mine.claim.as_ref().map_or(Cost::ZERO, |claim| claim.hold);
        let held = Held { group, slot, mine, step, claimed_ms: self.now_ms() };
        let cause = format!("the step panicked: {said}");
        let retry = Retry::Counted { pause_ms: PAUSE_MS };
        self.set_back(held, Setback { actual: hold, reason: StopReason::Internal, cause, retry }).await
    }

    /// The slot as this worker holds it.
    async fn own(&self, group: Group, slot: SlotId, nonce: Option<String>) -> Result<Option<(Group, Slot)>, WorkError> {
        let (group, nonce) = if let Some(nonce) = nonce {
            (group, nonce)
        } else {
            let worker = Worker { nonce: self.platform.ports.env.nonce(), lease_until_ms: self.lease_until_ms() };
            let claimed = decide::claim(&self.view(&group), slot, &worker, Self::FREE, Prior::Unknown);
            let Ok(change) = claimed else { return Ok(None) };
            match self.platform.ports.groups.apply(self.key(), &change).await? {
                Applied::Done(after) => (after, worker.nonce),
                Applied::Conflict(_) | Applied::Missing => return Ok(None),
            }
        };
        let mine = group.run.get(&slot).filter(|mine| mine.nonce() == Some(nonce.as_str())).cloned();
        Ok(mine.map(|mine| (group, mine)))
    }
}

/// What a panic says.
fn said(panic: &(dyn Any + Send)) -> String {
    let text = panic.downcast_ref::<&str>().copied();
    let text = text.or_else(|| panic.downcast_ref::<String>().map(String::as_str));
    text.unwrap_or("without a message").to_owned()
}
