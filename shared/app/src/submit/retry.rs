//! A new job out of one that failed or was cancelled: the same flow and input; results that count are taken over by the
//! engine as it comes to them.

use convoke_api::flow::FlowIssue;
use convoke_domain::chat::ChatId;
use convoke_domain::ids::JobKey;
use convoke_domain::status::JobStatus;
use serde_json::Value;

use super::follow_up::Earlier;
use super::{Answered, IdempotencyKey, body, corrupt, definition_blob, deliveries, invalid, millis, new_root};
use crate::chat::chat_target;
use crate::failure::{Failure, Part, Refused};
use crate::platform::Platform;
use crate::ports::{Definition, JobHead, Payload, Requester, Submission};
use crate::work::JobFlow;

impl Platform {
    /// Tries a job again. Idempotent by `repeat` for 24 hours; without it each call makes another job.
    ///
    /// [`Refused::JobNotEnded`] and [`Refused::JobNotRetryable`] where there is nothing to try again.
    pub async fn retry(
        &self,
        parent: &JobKey,
        body: &Value,
        repeat: Option<&IdempotencyKey>,
    ) -> Result<Answered, Failure> {
        self.try_again(parent, body, (repeat, None)).await
    }

    /// The same for somebody in a chat, who becomes the new job's requester; the chat is told, also where it wasn't of the
    /// earlier job. Whether it may be told is asked before: [`Platform::enter_chat`].
    pub async fn retry_from_chat(
        &self,
        parent: &JobKey,
        body: &Value,
        repeat: Option<&IdempotencyKey>,
        (requester, chat): (Requester, ChatId),
    ) -> Result<Answered, Failure> {
        self.try_again(parent, body, (repeat, Some((requester, chat)))).await
    }

    async fn try_again(
        &self,
        parent: &JobKey,
        body: &Value,
        (repeat, asked): (Option<&IdempotencyKey>, Option<(Requester, ChatId)>),
    ) -> Result<Answered, Failure> {
        let (head, root) = self.known_job(parent).await?;
        let job = root.root().ok_or_else(|| corrupt(parent, "its item is a map's"))?;
        match job.status {
            JobStatus::Failed | JobStatus::Cancelled => {}
            status @ JobStatus::Completed => return Err(Refused::JobNotRetryable { status }.into()),
            status @ (JobStatus::Queued | JobStatus::Working | JobStatus::AwaitingReview) => {
                return Err(Refused::JobNotEnded { status }.into());
            }
        }
        let budget =
            body::read_retry(body, &self.limits, head.budget).map_err(|issues| invalid(Part::Request, issues))?;
        let flow = self.job_flow(parent).await?.ok_or_else(|| corrupt(parent, "its definition is missing"))?;
        if let Err(error) = self.ports.models.model(&flow.definition.model) {
            let issue = FlowIssue::new("model", error.to_string(), "the job's model has to be configured again");
            return Err(invalid(Part::Request, vec![issue]));
        }
        let key = self.new_key(&parent.tenant)?;
        let mut definition = self.taken_over(parent, &key, &flow).await?;
        if let Some((requester, chat)) = asked {
            definition.requester = Some(requester);
            let target = chat_target(chat);
            if !definition.targets.iter().any(|other| other.id == target.id) {
                definition.targets.push(target);
            }
        }
        let now_ms = self.ports.env.now_ms();
        let deliveries = deliveries(&definition.targets, now_ms);
        // Reviews have moved the deadline on by the time that the job rested.
        let time_ms = definition.time_ms.unwrap_or_else(|| job.deadline_ms.saturating_sub(job.created_ms));
        let time_ms = time_ms.min(millis(self.limits.deadline_max));
        let root = new_root(flow.graph(), budget, now_ms, now_ms + time_ms);
        let head = JobHead { budget, parent: Some(parent.job.clone()), ..head };
        let idempotency = self.stored(repeat, &format!("retry {}", parent.job), body);
        self.accept_job(flow.graph(), Submission { key, head, definition, root, idempotency, deliveries }).await
    }

    async fn taken_over(&self, parent: &JobKey, key: &JobKey, flow: &JobFlow) -> Result<Definition, Failure> {
        let earlier = &flow.definition;
        let base = match Earlier::of(flow) {
            Some(earlier) => Some(self.copy_base(key, &earlier).await?),
            None => None,
        };
        let graph = match &earlier.graph {
            Some(graph) => Some(self.copied(parent, key, ("graph.json", graph)).await?),
            None => None,
        };
        Ok(Definition {
            graph,
            flow: self.copied(parent, key, ("flow.json", &earlier.flow)).await?,
            input: self.copied(parent, key, ("input.json", &earlier.input)).await?,
            targets: self.standing_targets(&key.tenant, &earlier.targets).await?,
            parent: Some(parent.job.clone()),
            tick: None,
            base,
            ..earlier.clone()
        })
    }

    /// A job's objects are its own: those of its parent may go before it does.
    async fn copied(
        &self,
        parent: &JobKey,
        key: &JobKey,
        (name, payload): (&str, &Payload),
    ) -> Result<Payload, Failure> {
        match payload {
            Payload::Inline(_) => Ok(payload.clone()),
            Payload::Blob { key: from, bytes } => {
                let to = definition_blob(key, name);
                if !self.ports.blobs.copy(from, &to).await? {
                    return Err(corrupt(parent, &format!("object {from} is missing")).into());
                }
                Ok(Payload::Blob { key: to, bytes: *bytes })
            }
        }
    }
}
