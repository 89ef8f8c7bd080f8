//! One look at a delivery: claim it, tell what there is, release it.

use convoke_domain::delivery::{Delivery, NotNow, pause_ms};
use convoke_domain::ids::{JobKey, WebhookId};

use tracing::Instrument;
use tracing::field::Empty;

use super::message::{About, Message};
use super::{DeliverError, PASS_ON_MS, fits_queue, held};
use crate::platform::Platform;
use crate::ports::{Attempt, DeliveryBell, Event, EventKind, OutboundError, Outgoing, Posted, Reads, Saved, Webhook};
use crate::webhooks::ATTEMPTS_KEPT_S;
use crate::work::Until;

/// Events of a page.
const PAGE: u32 = 200;
/// No request is begun unless so much time is left: one request, and the writes after it.
const ROOM_MS: u64 = 15_000;
/// The place is gone for good.
pub(crate) const GONE: u16 = 410;

/// What comes after a look.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Next {
    /// Nothing, or somebody else sees to it.
    Rest,
    /// Another look.
    Look,
}

/// What an event is sent for.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Why {
    /// It is the next.
    New,
    /// A person asked for it.
    Again,
}

/// Looks at a delivery once.
pub(super) async fn round(
    platform: &Platform,
    bell: &DeliveryBell,
    (id, until): (&WebhookId, Until),
) -> Result<Next, DeliverError> {
    let Some(delivery) = held::open(platform, bell).await? else { return Ok(Next::Rest) };
    let (ports, now_ms) = (&platform.ports, platform.ports.env.now_ms());
    let events = page(platform, &bell.key, &delivery).await?;
    if events.is_empty() && delivery.again.is_empty() {
        return Ok(Next::Rest);
    }
    let webhook = ports.webhooks.webhook(&bell.key.tenant, id).await?;
    let nonce = ports.env.nonce();
    let Ok(claimed) = delivery.claim(now_ms, &nonce) else { return Ok(Next::Rest) };
    match ports.deliveries.save_delivery(&bell.key, &claimed).await? {
        Saved::Done => {}
        Saved::Conflict(_) => return Ok(Next::Look),
        Saved::Missing => return Ok(Next::Rest),
    }
    let mut shift = Shift { platform, key: &bell.key, id, nonce, delivery: claimed, until };
    match webhook {
        Some(webhook) if webhook.disabled.is_none() => shift.tell_all(&webhook, events).await,
        Some(_) => shift.turn_away(&events).await,
        None => shift.give_up().await,
    }
}

/// The events that come next.
async fn page(platform: &Platform, key: &JobKey, delivery: &Delivery) -> Result<Vec<Event>, DeliverError> {
    if delivery.over.is_some() {
        return Ok(Vec::new());
    }
    Ok(platform.ports.events.events(key, delivery.acked, PAGE).await?.events)
}

const fn is_end(event: &Event) -> bool {
    matches!(event.kind, EventKind::Ended { .. })
}

/// Somebody who has claimed a delivery.
struct Shift<'s> {
    platform: &'s Platform,
    key: &'s JobKey,
    id: &'s WebhookId,
    nonce: String,
    delivery: Delivery,
    until: Until,
}

impl Shift<'_> {
    fn now_ms(&self) -> u64 {
        self.platform.ports.env.now_ms()
    }

    fn mark(&self) -> String {
        self.platform.ports.env.nonce()
    }

    fn has_time(&self) -> bool {
        self.now_ms() + ROOM_MS < self.until.deadline_ms
    }

    /// Replaces the delivery as `change` says, also when others have changed it meanwhile; `false` where it is no longer
    /// ours.
    async fn save(&mut self, change: impl Fn(&Delivery) -> Result<Delivery, NotNow>) -> Result<bool, DeliverError> {
        held::save(self.platform, (self.key, &mut self.delivery), change).await
    }

    async fn tell_all(&mut self, webhook: &Webhook, first: Vec<Event>) -> Result<Next, DeliverError> {
        let about = self.about().await?;
        for seq in self.delivery.again.clone() {
            let found = self.platform.ports.events.events(self.key, seq.saturating_sub(1), 1).await?.events;
            let goes_on = match found.first().filter(|event| event.seq == seq) {
                Some(_) if !self.has_time() => return self.pass_on(0).await,
                Some(event) => self.tell(webhook, (event, &about), Why::Again).await?,
                None => self.sent_again(seq).await?,
            };
            if !goes_on {
                return Ok(Next::Rest);
            }
        }
        let mut events = first;
        loop {
            let mut passed = 0;
            for event in &events {
                if webhook.events.wants(event.kind.type_name()) {
                    if !self.has_time() {
                        return self.pass_on(passed).await;
                    }
                    if !self.tell(webhook, (event, &about), Why::New).await? {
                        return Ok(Next::Rest);
                    }
                }
                passed = event.seq;
            }
            if events.last().is_some_and(is_end) {
                return self.close(passed).await;
            }
            if events.len() < PAGE as usize {
                return self.rest(passed).await;
            }
            events = self.platform.ports.events.events(self.key, passed, PAGE).await?.events;
        }
    }

    /// Nothing more is there to tell for now. What was appended meanwhile is seen at the next look.
    async fn rest(&mut self, passed: u64) -> Result<Next, DeliverError> {
        let (nonce, mark, at) = (self.nonce.clone(), self.mark(), (passed, self.now_ms()));
        self.save(|now| now.released(&nonce, mark.clone(), at)).await?;
        Ok(Next::Look)
    }

    /// Nothing more will ever be there to tell, but for what somebody asks for.
    async fn close(&mut self, passed: u64) -> Result<Next, DeliverError> {
        if self.delivery.lease.is_some() {
            let (nonce, mark, at) = (self.nonce.clone(), self.mark(), (passed, self.now_ms()));
            self.save(|now| now.told(&nonce, mark.clone(), at)).await?;
        }
        Ok(if self.delivery.again.is_empty() { Next::Rest } else { Next::Look })
    }

    /// The time is over: somebody else goes on, and others come first.
    async fn pass_on(&mut self, passed: u64) -> Result<Next, DeliverError> {
        self.rest(passed).await?;
        self.platform.ring_delivery(self.key, &self.delivery.target, PASS_ON_MS).await?;
        Ok(Next::Rest)
    }

    /// What messages say of the job.
    async fn about(&self) -> Result<About, DeliverError> {
        let ports = &self.platform.ports;
        let corrupt = |detail| DeliverError::Corrupt {
            job: self.key.to_string(),
            target: self.delivery.target.to_string(),
            detail,
        };
        let (head, root) = ports.jobs.job(self.key).await?.ok_or_else(|| corrupt("the job is missing"))?;
        let reads = Reads { definition: true, ..Reads::default() };
        let definition = ports.steps.fetch(self.key, &reads).await?.definition;
        let definition = definition.ok_or_else(|| corrupt("the job's definition is missing"))?;
        Ok(About { flow: head.flow, title: head.title, labels: definition.labels, spent: root.spent })
    }

    /// Sends an event; `false` where nothing more is to be sent now.
    async fn tell(
        &mut self,
        webhook: &Webhook,
        (event, about): (&Event, &About),
        why: Why,
    ) -> Result<bool, DeliverError> {
        let message = Message::of_event(self.key, &self.delivery.target, event, about);
        let began_ms = self.now_ms();
        let answer = self.post(message.outgoing(webhook, began_ms), event).await;
        let mut attempt = Attempt {
            job: Some(self.key.job.clone()),
            seq: event.seq,
            attempt: self.delivery.failed + 1,
            ..self.platform.attempt(&message, began_ms, &answer)
        };
        match (&answer, why) {
            (Ok(posted), _) if posted.status == GONE => {
                attempt.gave_up = true;
                self.log(&attempt).await;
                self.platform.disable_webhook(&self.key.tenant, self.id, GONE).await?;
                self.give_up().await.map(|_| false)
            }
            _ if attempt.error.is_some() => self.failed(attempt, &answer).await.map(|()| false),
            (_, Why::Again) => {
                self.log(&attempt).await;
                self.sent_again(event.seq).await
            }
            (_, Why::New) => {
                self.log(&attempt).await;
                self.acknowledged(event).await
            }
        }
    }

    async fn post(&self, outgoing: Outgoing, event: &Event) -> Result<Posted, OutboundError> {
        let name = "http.response.status_code";
        let job = &self.key.job;
        let span = tracing::info_span!(
            "deliver", %job, event = event.kind.type_name(), http.response.status_code = Empty, error = Empty
        );
        let answer = self.platform.ports.outbound.post(outgoing).instrument(span.clone()).await;
        match &answer {
            Ok(posted) => span.record(name, posted.status),
            Err(error) => span.record("error", error as &dyn std::error::Error),
        };
        answer
    }

    async fn acknowledged(&mut self, event: &Event) -> Result<bool, DeliverError> {
        let (nonce, mark, at) = (self.nonce.clone(), self.mark(), (event.seq, self.now_ms()));
        if is_end(event) {
            return self.save(|now| now.told(&nonce, mark.clone(), at)).await;
        }
        self.save(|now| now.acked(&nonce, mark.clone(), at)).await
    }

    async fn sent_again(&mut self, seq: u64) -> Result<bool, DeliverError> {
        let (nonce, mark, at) = (self.nonce.clone(), self.mark(), (seq, self.now_ms()));
        self.save(|now| now.resent(&nonce, mark.clone(), at)).await
    }

    /// A try came to nothing: the next is after a pause, or there is none.
    async fn failed(&mut self, attempt: Attempt, answer: &Result<Posted, OutboundError>) -> Result<(), DeliverError> {
        let asked = answer.as_ref().ok().and_then(|posted| posted.retry_after);
        let asked_ms = asked.map(|asked| u64::try_from(asked.as_millis()).unwrap_or(u64::MAX));
        let secret = self.platform.ports.env.secret();
        let chance = secret.iter().take(8).fold(0_u64, |chance, &byte| chance << 8 | u64::from(byte));
        let pause_ms = pause_ms(attempt.attempt, asked_ms, chance);
        self.log(&Attempt { gave_up: pause_ms.is_none(), ..attempt }).await;
        let (nonce, mark, now_ms) = (self.nonce.clone(), self.mark(), self.now_ms());
        let saved = self.save(|now| now.failed(&nonce, mark.clone(), (pause_ms, now_ms))).await?;
        if let Some(pause_ms) = pause_ms.filter(|pause_ms| saved && fits_queue(*pause_ms)) {
            self.platform.ring_delivery(self.key, &self.delivery.target, pause_ms).await?;
        }
        Ok(())
    }

    /// The webhook takes nothing: that is noted once, by the event that would have been next.
    async fn turn_away(&mut self, events: &[Event]) -> Result<Next, DeliverError> {
        let next = events.first().map(|event| (event.seq, event.kind.type_name()));
        let (seq, event_type) = next.unwrap_or((self.delivery.acked, "-"));
        let now_ms = self.now_ms();
        let attempt = Attempt {
            v: 1,
            id: self.platform.ports.env.ulid(),
            message: super::message_id(self.key, &self.delivery.target, seq),
            job: Some(self.key.job.clone()),
            seq,
            event_type: event_type.to_owned(),
            attempt: self.delivery.failed + 1,
            status: None,
            error: Some("the webhook is disabled: nothing was sent".to_owned()),
            gave_up: true,
            took_ms: 0,
            at_ms: now_ms,
            expires_s: now_ms / 1_000 + ATTEMPTS_KEPT_S,
        };
        self.log(&attempt).await;
        self.give_up().await
    }

    async fn give_up(&mut self) -> Result<Next, DeliverError> {
        let (nonce, mark) = (self.nonce.clone(), self.mark());
        self.save(|now| now.given_up(&nonce, mark.clone())).await?;
        tracing::info!(target = %self.delivery.target, "a delivery is given up");
        Ok(Next::Rest)
    }

    /// The log is for people: what can't be noted holds nothing up.
    async fn log(&self, attempt: &Attempt) {
        self.platform.log_attempt(&self.key.tenant, self.id, attempt).await;
    }
}
