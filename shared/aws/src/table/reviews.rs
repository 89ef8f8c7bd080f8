//! `Reviews`: a question per step, put once, and the decisions on it.

use async_trait::async_trait;
use convoke_app::ports::{DecisionRecord, PortError, ReviewRecord, Reviewed, Reviews};
use convoke_domain::ids::{JobKey, StepId};

use super::DynamoTable;
use super::item::{Fields, Item, document};
use super::requests::PutOnce;
use super::schema::{SK, decision_sk, job_pk, review_sk};

const PUT: &str = "the table (asking for a review)";
const DECIDE: &str = "the table (noting a decision)";
const READ: &str = "the table (reading reviews)";

/// Most questions and decisions that are read at once.
const ITEMS_MAX: usize = 1_000;

#[async_trait]
impl Reviews for DynamoTable {
    async fn put_review(&self, key: &JobKey, record: &ReviewRecord) -> Result<ReviewRecord, PortError> {
        match self.put_once(PUT, document(job_pk(key), review_sk(&record.step), record)?).await? {
            PutOnce::Stored => Ok(record.clone()),
            PutOnce::Found(item) => Fields::of(&item)?.content(),
        }
    }

    async fn put_decision(&self, key: &JobKey, record: &DecisionRecord) -> Result<(), PortError> {
        let item = document(job_pk(key), decision_sk(&record.step, &record.mark), record)?;
        self.put_once(DECIDE, item).await.map(drop)
    }

    async fn review(&self, key: &JobKey, step: &StepId) -> Result<Option<Reviewed>, PortError> {
        let from = review_sk(step);
        // '$' follows '#', so that this is the question and all that begins with its key and '#'.
        let query = self.query(&job_pk(key), &from, &format!("{from}$"));
        Ok(reviews(&self.pages(READ, query, ITEMS_MAX).await?)?.into_iter().next())
    }

    async fn reviews(&self, key: &JobKey) -> Result<Vec<Reviewed>, PortError> {
        let query = self.query(&job_pk(key), "V#", "V$");
        reviews(&self.pages(READ, query, ITEMS_MAX).await?)
    }
}

/// Items in the order of their keys: each question stands before the decisions on it.
fn reviews(items: &[Item]) -> Result<Vec<Reviewed>, PortError> {
    let mut found: Vec<(String, Reviewed)> = Vec::new();
    for item in items {
        let fields = Fields::of(item)?;
        let sk = fields.text(SK)?;
        match found.last_mut() {
            Some((question, review)) if sk.starts_with(&format!("{question}#")) => {
                review.decisions.push(fields.content()?);
            }
            Some(_) | None => {
                let review = Reviewed { asked: fields.content()?, decisions: Vec::new() };
                found.push((sk.to_owned(), review));
            }
        }
    }
    Ok(found.into_iter().map(|(_, review)| review).collect())
}
