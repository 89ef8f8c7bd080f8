//! Money for a step that what is left in its group doesn't cover.

use convoke_domain::decide::{self, Prior, Refusal};
use convoke_domain::group::{Balance, Ending, Group};
use convoke_domain::ids::{GroupId, SlotId};
use convoke_domain::money::Cost;
use convoke_domain::status::StopReason;

use super::shift::Shift;
use super::{WorkError, unexpected};
use crate::ports::Applied;

impl Shift<'_> {
    /// Looks for `need`: answers the group as it is once the claim may be tried again, or nothing where the slot has to
    /// wait for others' money, or where there is none any more and the job ends.
    pub async fn seek_funds(
        &self,
        group: &Group,
        slot: SlotId,
        (need, prior): (Cost, Prior),
    ) -> Result<Option<Group>, WorkError> {
        if group.root().is_none()
            && let Some(fed) = self.draw(group, need).await?
        {
            return Ok(Some(fed));
        }
        let Some(parked) = self.park(group, slot, prior).await? else { return Ok(None) };
        if parked.left.covers(Balance::of(need)) {
            return Ok(Some(parked));
        }
        if !parked.has_claims() {
            return self.starved(&parked, need).await;
        }
        Ok(None)
    }

    /// Borrows more from the job, if it has it.
    async fn draw(&self, group: &Group, need: Cost) -> Result<Option<Group>, WorkError> {
        let Some(root) = self.group(GroupId::Root).await? else { return Ok(None) };
        let Some(loan) = root.root().and_then(|job| job.groups.get(&group.id)) else { return Ok(None) };
        if decide::is_owed(group, loan.lent) {
            return self.take_in(group, loan.lent).await;
        }
        let missing = need - group.left.available();
        match decide::draw(&self.view(&root), group.id, missing, self.platform.ports.env.nonce()) {
            Ok(change) => match self.platform.ports.groups.apply(self.key(), &change).await? {
                Applied::Done(root) => {
                    let lent = root.root().and_then(|job| job.groups.get(&group.id)).map(|loan| loan.lent);
                    match lent {
                        Some(lent) => self.take_in(group, lent).await,
                        None => Ok(None),
                    }
                }
                Applied::Conflict(_) => self.group(group.id).await,
                Applied::Missing => Ok(None),
            },
            Err(Refusal::Unaffordable | Refusal::Ending | Refusal::Stale) => Ok(None),
            Err(refusal) => Err(unexpected(self.key(), &refusal)),
        }
    }

    async fn take_in(&self, group: &Group, lent: Cost) -> Result<Option<Group>, WorkError> {
        let mark = self.platform.ports.env.nonce();
        let Some(change) = decide::drawn(group, lent, mark, self.now_ms()) else { return Ok(None) };
        match self.platform.ports.groups.apply(self.key(), &change).await? {
            Applied::Done(group) | Applied::Conflict(group) => Ok(Some(group)),
            Applied::Missing => Ok(None),
        }
    }

    /// Marks the slot as waiting for money; nothing where it isn't waiting any more.
    async fn park(&self, group: &Group, slot: SlotId, prior: Prior) -> Result<Option<Group>, WorkError> {
        match decide::park(&self.view(group), slot, prior, self.platform.ports.env.nonce()) {
            Ok(change) => match self.platform.ports.groups.apply(self.key(), &change).await? {
                Applied::Done(group) | Applied::Conflict(group) => Ok(Some(group)),
                Applied::Missing => Ok(None),
            },
            Err(Refusal::Stale) => self.group(group.id).await,
            Err(Refusal::Impossible) => Ok(None),
            Err(refusal) => Err(unexpected(self.key(), &refusal)),
        }
    }

    /// Nobody in the group holds money: notes that, and ends the job where nobody else does either.
    async fn starved(&self, group: &Group, need: Cost) -> Result<Option<Group>, WorkError> {
        let root = if group.root().is_some() { Some(group.clone()) } else { self.mark_starved(group).await? };
        let Some(root) = root else { return Ok(None) };
        let fan = group.root().is_none();
        if fan && root.left.covers(Balance::of(need - group.left.available())) {
            return self.draw(group, need).await;
        }
        if decide::is_broke(&self.view(&root)) {
            let ending = Ending::new(
                StopReason::BudgetExhausted,
                None,
                "what is left of the budget doesn't cover the next call",
            );
            self.platform.end_job(self.key(), &ending).await?;
        }
        Ok(None)
    }

    async fn mark_starved(&self, group: &Group) -> Result<Option<Group>, WorkError> {
        let Some(root) = self.group(GroupId::Root).await? else { return Ok(None) };
        match decide::starve(&self.view(&root), group.id, self.platform.ports.env.nonce()) {
            Ok(change) => match self.platform.ports.groups.apply(self.key(), &change).await? {
                Applied::Done(root) | Applied::Conflict(root) => Ok(Some(root)),
                Applied::Missing => Ok(None),
            },
            Err(Refusal::Stale) => Ok(Some(root)),
            Err(refusal) => Err(unexpected(self.key(), &refusal)),
        }
    }
}
