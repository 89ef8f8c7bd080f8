//! The table's reviews.

use std::collections::BTreeMap;

use async_trait::async_trait;
use convoke_app::ports::{DecisionRecord, PortError, ReviewRecord, Reviewed, Reviews};
use convoke_domain::ids::{JobKey, StepId};

use super::table::FakeTable;

/// Questions, and decisions by mark.
#[derive(Debug, Default)]
pub(super) struct Stored {
    asked: BTreeMap<(JobKey, String), Reviewed>,
}

#[async_trait]
impl Reviews for FakeTable {
    async fn put_review(&self, key: &JobKey, record: &ReviewRecord) -> Result<ReviewRecord, PortError> {
        let place = (key.clone(), record.step.sort_key());
        self.call("put_review", |state| {
            let new = || Reviewed { asked: record.clone(), decisions: Vec::new() };
            state.reviews.asked.entry(place).or_insert_with(new).asked.clone()
        })
        .await
    }

    async fn put_decision(&self, key: &JobKey, record: &DecisionRecord) -> Result<(), PortError> {
        let place = (key.clone(), record.step.sort_key());
        self.call("put_decision", |state| {
            let Some(review) = state.reviews.asked.get_mut(&place) else { return };
            if review.decisions.iter().all(|other| other.mark != record.mark) {
                review.decisions.push(record.clone());
                review.decisions.sort_by(|a, b| a.mark.cmp(&b.mark));
            }
        })
        .await
    }

    async fn review(&self, key: &JobKey, step: &StepId) -> Result<Option<Reviewed>, PortError> {
        let place = (key.clone(), step.sort_key());
        self.call("review", |state| state.reviews.asked.get(&place).cloned()).await
    }

    async fn reviews(&self, key: &JobKey) -> Result<Vec<Reviewed>, PortError> {
        self.call("reviews", |state| {
            let of_job = state.reviews.asked.iter().filter(|((job, _), _)| job == key);
            of_job.map(|(_, review)| review.clone()).collect()
        })
        .await
    }
}
