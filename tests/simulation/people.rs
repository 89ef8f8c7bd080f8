//! People who are asked: they look now and then, decide what is open, all at once if it so happens, and remember what they
//! were told.

use std::pin::Pin;

use convoke_api::review::{DecisionRequest, ReviewState, ReviewView};
use convoke_app::failure::{Failure, Refused};
use convoke_app::ports::JobFilter;
use convoke_app::reviews::Decider;
use convoke_domain::ids::JobKey;
use convoke_domain::review::Decision;
use convoke_tests::engine::shapes::Shape;
use convoke_tests::fakes::Dice;

use crate::client::{Client, Told, tenant};
use crate::plan::JobPlan;
use crate::world::Done;

/// How many decide.
const PEOPLE: u64 = 3;
/// Longest time between two looks.
const PAUSE_MAX_MS: u64 = 120_000;
/// Where people are punctual, all look whenever so much time has passed: so they decide side by side.
const BEAT_MS: u64 = 60_000;

type Work = Pin<Box<dyn Future<Output = Done> + Send>>;

/// What the people of a job do; nothing where it asks nobody, or nobody cares.
pub fn of(client: &Client, index: usize, job: JobPlan) -> Vec<Work> {
    let Shape::Reviewed { rounds, is_left: false } = job.shape else { return Vec::new() };
    let person = |number: u64| {
        let name = format!("p{number}");
        let who = Decider { who: name.clone(), name, person: None, is_admin: false };
        let person = Person {
            client: client.clone(),
            dice: Dice::new(client.seed ^ (0xBEEF + number)),
            who,
            rounds,
            is_punctual: client.seed.is_multiple_of(2),
        };
        Box::pin(async move { Done::Told(person.attend(index).await) }) as Work
    };
    (0..PEOPLE).map(person).collect()
}

struct Person {
    client: Client,
    dice: Dice,
    who: Decider,
    rounds: u32,
    is_punctual: bool,
}

impl Person {
    /// Decides until the job is over.
    async fn attend(&self, index: usize) -> Vec<Told> {
        let mut told = Vec::new();
        loop {
            let now_ms = self.client.platform.ports.env.now_ms();
            let pause_ms = if self.is_punctual { BEAT_MS - now_ms % BEAT_MS } else { self.dice.below(PAUSE_MAX_MS) };
            self.client.wait(pause_ms).await;
            let jobs = &self.client.platform.ports.jobs;
            let Ok(page) = jobs.list(&tenant(index), &JobFilter::default(), None, 10).await else { continue };
            let Some(row) = page.rows.first() else { continue };
            if row.status.is_terminal() {
                return told;
            }
            let key = JobKey { tenant: tenant(index), job: row.id.clone() };
            let Ok(list) = self.client.platform.reviews(&key).await else { continue };
            for review in list.reviews.iter().filter(|review| review.state == ReviewState::Requested) {
                told.extend(self.decide(&key, review).await);
            }
        }
    }

    async fn decide(&self, key: &JobKey, review: &ReviewView) -> Option<Told> {
        let round = review.id.split_once('@').and_then(|(_, round)| round.parse::<u32>().ok()).expect("a round");
        let decision = if round < self.rounds { Decision::Changes } else { Decision::Approve };
        let comment = Some(format!("{} says so", self.who.name));
        let asked = DecisionRequest { decision, comment };
        loop {
            let told = |by: Option<String>| {
                let by = by.expect("somebody decided");
                Told::Decided { job: key.job.clone(), review: review.id.clone(), by }
            };
            match self.client.platform.decide_review(key, &review.id, &asked, &self.who).await {
                Ok(view) => {
                    assert_eq!(view.decided_by.as_ref(), Some(&self.who.name), "its own decision counts");
                    return Some(told(view.decided_by));
                }
                Err(Failure::Refused(Refused::ReviewDecided { by, .. })) => return Some(told(by)),
                Err(Failure::Refused(Refused::JobAlreadyEnded { .. })) => return None,
                Err(Failure::Refused(refused)) => panic!("a review that was shown can't be decided: {refused:?}"),
                Err(Failure::Internal(_)) => {}
            }
        }
    }
}
