//! Turns: a model is asked, its answer is journaled, then acted on.

use std::time::Duration;

use convoke_domain::decide::{self, Refusal};
use convoke_domain::money::Cost;
use convoke_domain::slot::Slot;
use convoke_domain::status::StopReason;
use serde_json::Value;
use tracing::field::Empty;
use tracing::{Instrument, Span};

use super::ask::Session;
use super::ending::{Retry, Setback};
use super::shift::{Held, Shift};
use super::{WorkError, store_value, unexpected};
use crate::model::{Finish, Message, ModelAnswer, ModelError, ToolCall};
use crate::ports::{Applied, FileRef, StepRecord, TurnRecord};
use crate::script::{Accepted, Rejected};

/// Answers that are sent back with findings, per attempt.
const SENT_BACK_MAX: u32 = 2;
/// First pause after a failed attempt; doubled with each.
const PAUSE_MS: u64 = 2_000;
/// Pause where a provider throttles and doesn't say how long.
const THROTTLE_MS: u64 = 5_000;

/// What a conversation came to.
pub(super) enum Worked {
    /// A result, and what its last turn cost (not settled yet).
    Result(Box<StepRecord>, Cost),
    /// The attempt is over without a result.
    Setback(Setback),
    /// The claim is lost: somebody else goes on.
    Lost,
}

/// What an answer amounts to.
enum Judged {
    Accepted(Accepted),
    /// It stayed wrong; what could be made of it holds.
    Mended {
        accepted: Accepted,
        reason: String,
    },
    Replies(Vec<Message>),
    Rejected {
        feedback: String,
        reason: String,
    },
}

impl Shift<'_> {
    /// Converses until there is a result, a setback, or the claim is lost.
    pub async fn converse(&self, held: &mut Held, session: &mut Session) -> Result<Worked, WorkError> {
        loop {
            if session.turn > self.platform.limits.turns_max {
                let cause = format!("the step took {} turns without an answer", session.turn - 1);
                return Ok(Worked::Setback(Setback::last(Cost::ZERO, StopReason::LoopDetected, cause)));
            }
            let answer = match self.call(session).await {
                Ok(answer) => answer,
                Err(error) => return Ok(Worked::Setback(model_setback(&held.mine, &error))),
            };
            let cost = session.model.profile().cost_of(&answer.usage);
            match self.judge(session, &answer) {
                Judged::Accepted(accepted) => {
                    session.count(&answer, cost);
                    let record = self.result(held, session, (accepted, &answer), cost).await?;
                    return Ok(Worked::Result(Box::new(record), cost));
                }
                Judged::Mended { accepted, reason } => {
                    session.count(&answer, cost);
                    let mut record = self.result(held, session, (accepted, &answer), cost).await?;
                    record
                        .progress
                        .warnings
                        .push(format!("{}: the answer stayed wrong and was mended: {reason}", held.step));
                    return Ok(Worked::Result(Box::new(record), cost));
                }
                Judged::Rejected { feedback, reason } => {
                    // The next attempt goes on with it.
                    self.journal(held, session, (&answer, &[Message::User { text: feedback }]), cost).await?;
                    let pause_ms = PAUSE_MS << held.mine.attempt.min(6);
                    return Ok(Worked::Setback(Setback {
                        actual: cost,
                        reason: StopReason::GuardrailFailed,
                        cause: format!("the answer didn't pass: {reason}"),
                        retry: Retry::Counted { pause_ms },
                    }));
                }
                Judged::Replies(replies) => {
                    let replies = self.journal(held, session, (&answer, &replies), cost).await?;
                    session.record(&answer, replies, cost);
                    if let Some(over) = self.go_on(held, session, cost).await? {
                        return Ok(over);
                    }
                }
            }
        }
    }

    async fn call(&self, session: &Session) -> Result<ModelAnswer, ModelError> {
        let timeout = Duration::from_millis(self.timeout_ms());
        let cancel = self.platform.closing.calls.clone();
        let span = chat_span(&session.model.profile().name, session.turn);
        let done = session.model.complete(&session.request(timeout, cancel), None).instrument(span.clone()).await;
        match &done {
            Ok(ModelAnswer { usage, .. }) => {
                span.record("gen_ai.usage.input_tokens", usage.input_tokens);
                span.record("gen_ai.usage.output_tokens", usage.output_tokens);
            }
            Err(error) => drop(span.record("error", error as &dyn std::error::Error)),
        }
        done
    }

    fn judge(&self, session: &mut Session, answer: &ModelAnswer) -> Judged {
        if !answer.tool_calls.is_empty() {
            let mut act = |call: &ToolCall| tool_span(&call.name).in_scope(|| session.toolbox.call(call));
            return Judged::Replies(answer.tool_calls.iter().map(&mut act).collect());
        }
        let verdict = self.job.script.accept(&session.task, &session.inputs, (&answer.text, &*session.toolbox));
        let Rejected { feedback, reason, repaired } = match verdict {
            Ok(accepted) => return Judged::Accepted(accepted),
            Err(rejected) => rejected,
        };
        if session.sent_back < SENT_BACK_MAX {
            session.sent_back += 1;
            let cut = if answer.finish == Finish::Length { "The answer was cut off: be shorter.\n" } else { "" };
            return Judged::Replies(vec![Message::User { text: format!("{cut}{feedback}") }]);
        }
        match repaired {
            Some(accepted) => Judged::Mended { accepted: *accepted, reason },
            None => Judged::Rejected { feedback, reason },
        }
    }

    /// Journals a turn before it is acted on; answers what was replied in the stored one.
    async fn journal(
        &self,
        held: &Held,
        session: &Session,
        (answer, replies): (&ModelAnswer, &[Message]),
        cost: Cost,
    ) -> Result<Vec<Message>, WorkError> {
        let (blobs, step) = (&*self.platform.ports.blobs, held.step.to_string());
        let name = |part: &str| format!("turn-{}-{part}", session.turn);
        let attempt = held.mine.attempt;
        let record = TurnRecord {
            v: 1,
            step: held.step.clone(),
            turn: session.turn,
            attempt,
            answer: store_value(blobs, self.key(), (&step, attempt, &name("answer")), answer).await?,
            replies: store_value(blobs, self.key(), (&step, attempt, &name("replies")), &replies).await?,
            cost,
            at_ms: self.now_ms(),
        };
        self.platform.ports.steps.put_turn(self.key(), &record).await?;
        Ok(replies.to_vec())
    }

    /// Settles the journaled turn, reserves the next one and renews the lease; something where the attempt ends here.
    async fn go_on(&self, held: &mut Held, session: &Session, cost: Cost) -> Result<Option<Worked>, WorkError> {
        if !self.has_time() {
            return Ok(Some(Worked::Setback(Setback::pause(cost, "the invocation's time is over"))));
        }
        for _ in 0..super::shift::RACES_MAX {
            let next = (session.hold(), self.lease_until_ms());
            match decide::renew(&self.view(&held.group), held.slot, &held.mine, cost, next) {
                Ok((change, mine)) => match self.platform.ports.groups.apply(self.key(), &change).await? {
                    Applied::Done(group) => {
                        (held.group, held.mine) = (group, mine);
                        return Ok(None);
                    }
                    Applied::Conflict(group) if group.run.get(&held.slot) == Some(&held.mine) => held.group = group,
                    Applied::Conflict(_) | Applied::Missing => return Ok(Some(Worked::Lost)),
                },
                Err(Refusal::Ending) => {
                    return Ok(Some(Worked::Setback(Setback::pause(cost, "the job is ending"))));
                }
                Err(Refusal::Unaffordable) => {
                    return Ok(Some(Worked::Setback(Setback::broke(cost))));
                }
                Err(refusal) => return Err(unexpected(self.key(), &refusal)),
            }
        }
        Err(WorkError::Contended { job: self.key().to_string() })
    }

    /// Stores an accepted answer's files and makes the step's record; putting it is the commit's first part.
    async fn result(
        &self,
        held: &Held,
        session: &Session,
        (accepted, answer): (Accepted, &ModelAnswer),
        turn_cost: Cost,
    ) -> Result<StepRecord, WorkError> {
        let (blobs, step) = (&*self.platform.ports.blobs, held.step.to_string());
        let attempt = held.mine.attempt;
        let mut files: Vec<FileRef> = Vec::with_capacity(accepted.files.len());
        for file in &accepted.files {
            match session.unchanged(file) {
                Some(earlier) => files.push(earlier.clone()),
                None => files.push(self.platform.store_file(self.key(), (&step, attempt), file).await?),
            }
        }
        let mut record = self.blank(held);
        record.output = store_value(blobs, self.key(), (&step, attempt, "output"), &accepted.output).await?;
        record.answer_is_output = is_output(&answer.text, &accepted.output);
        let text = if record.answer_is_output { String::new() } else { answer.text.clone() };
        let answer = ModelAnswer { text, ..answer.clone() };
        record.answer = Some(store_value(blobs, self.key(), (&step, attempt, "answer"), &answer).await?);
        record.files = files;
        record.turn = session.turn;
        record.turn_cost = turn_cost;
        record.cost = session.cost;
        record.usage = session.usage;
        record.model = Some(session.model.profile().name.clone());
        Ok(record)
    }
}

/// A call of a model, as OpenTelemetry's conventions for generative AI name what it is about.
fn chat_span(model: &str, turn: u32) -> Span {
    let (provider, model) = model.split_once('/').unwrap_or(("", model));
    // Names that the conventions give; others stand as they are.
    let provider = match provider {
        "bedrock" => "aws.bedrock",
        "azure" => "azure.ai.openai",
        "vertex" => "gcp.vertex_ai",
        other => other,
    };
    tracing::info_span!(
        "chat",
        gen_ai.operation.name = "chat",
        gen_ai.provider.name = provider,
        gen_ai.request.model = model,
        gen_ai.usage.input_tokens = Empty,
        gen_ai.usage.output_tokens = Empty,
        turn,
        error = Empty
    )
}

/// A call of a tool.
fn tool_span(name: &str) -> Span {
    tracing::info_span!("execute_tool", gen_ai.operation.name = "execute_tool", gen_ai.tool.name = name)
}

/// Whether an answer says what came of it, and nothing else.
fn is_output(text: &str, output: &Value) -> bool {
    match output {
        Value::String(output) => output.trim() == text.trim(),
        output => serde_json::from_str::<Value>(text).is_ok_and(|said| said == *output),
    }
}

fn model_setback(mine: &Slot, error: &ModelError) -> Setback {
    let hold = mine.claim.as_ref().map_or(Cost::ZERO, |claim| claim.hold);
    let actual = if error.may_have_been_billed() { hold } else { Cost::ZERO };
    let retry = match error {
        ModelError::Throttled { retry_after, .. } => {
            let asked = retry_after.map(|time| u64::try_from(time.as_millis()).unwrap_or(u64::MAX));
            Retry::Uncounted { pause_ms: asked.unwrap_or(THROTTLE_MS).clamp(1_000, 900_000) }
        }
        // Nobody but this process cancels, because it ends.
        ModelError::Cancelled => Retry::Uncounted { pause_ms: 0 },
        error if error.is_retryable() => Retry::Counted { pause_ms: PAUSE_MS << mine.attempt.min(6) },
        _ => Retry::Never,
    };
    Setback { actual, reason: StopReason::ModelUnavailable, cause: error.to_string(), retry }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::is_output;

    #[test]
    fn an_answer_that_is_the_output_is_told_from_one_that_was_mended() {
        assert!(is_output("A text.\n", &json!("A text.")));
        assert!(is_output("{\n \"a\": 1, \"b\": [] }", &json!({"b": [], "a": 1})));
        for (text, output) in [("Sure! {\"a\": 1}", json!({"a": 1})), ("1", json!("one")), ("", json!(null))] {
            assert!(!is_output(text, &output), "{text}");
        }
    }
}
