//! What follows where a platform didn't take a message.

use convoke_domain::chat::ChatId;
use convoke_domain::delivery::{ASKED_MS_MAX, CARDS_MAX, Card, EndTold, QUIET_MS, Shown, ShownReview, chat_pause_ms};
use convoke_domain::room::{Dead, Digest};

use super::super::DeliverError;
use super::super::round::Next;
use super::failed;
use super::room::Whose;
use super::shift::{Done, Scene, Shift};
use super::todo::Step;
use crate::ports::ChatError;

/// How long to wait before another card is posted where it isn't known whether there is one.
const CARD_UNKNOWN_MS: u64 = 60_000;
/// How long a bot keeps silent whose platform doesn't want to know it, or the network in front of it this address.
pub(super) const BOT_SILENCE_MS: u64 = 5 * 60_000;

impl Shift<'_> {
    /// Sees to what went wrong with a message to `chat`; `digest` is what it told together, if it did.
    pub(super) async fn outcome(
        &mut self,
        scene: &Scene<'_>,
        (chat, error): (ChatId, &ChatError),
        digest: Option<&Digest>,
    ) -> Result<Done, DeliverError> {
        tracing::warn!(%chat, error = error as &dyn std::error::Error, "a chat didn't take a message");
        if let Some(digest) = digest {
            self.leave_digest(scene, digest, error).await?;
        }
        match error {
            ChatError::Throttled { after_ms, is_global } => {
                let whose = if *is_global { Whose::Bot(chat.bot()) } else { Whose::Room };
                let after_ms = (*after_ms).min(ASKED_MS_MAX);
                scene.rooms.silence(&chat, whose, self.now_ms() + after_ms).await?;
                self.wait_in_crowd(after_ms).await
            }
            ChatError::Paused { after_ms } => self.wait_in_crowd((*after_ms).min(ASKED_MS_MAX)).await,
            ChatError::Refused { detail } => {
                tracing::error!(bot = %chat.bot(), detail, "a platform refuses the bot itself: see to its token");
                scene.rooms.silence(&chat, Whose::Bot(chat.bot()), self.now_ms() + BOT_SILENCE_MS).await?;
                self.fail().await
            }
            ChatError::Dead { detail } => self.dead(scene, (chat, detail)).await,
            ChatError::Moved { to } => self.moved((chat, *to)).await,
            ChatError::Rejected { detail } => self.rejected(detail).await,
            ChatError::Gone | ChatError::Unsent { .. } | ChatError::Unknown { .. } => self.fail().await,
        }
    }

    /// A room that is closed says why: that is seen at the next look, or it was a place for this job alone.
    pub(super) async fn closed(&mut self, chat: ChatId) -> Result<Done, DeliverError> {
        if chat.room() != self.chat.room() {
            self.note(|shown| shown.talk = None).await?;
        }
        self.look().await
    }

    async fn dead(&mut self, scene: &Scene<'_>, (chat, why): (ChatId, &str)) -> Result<Done, DeliverError> {
        if chat.room() != self.chat.room() {
            // A thread of its own: the talk goes on in the chat itself.
            self.note(|shown| shown.talk = None).await?;
            return self.look().await;
        }
        let dead = Dead { at_ms: self.now_ms(), why: why.to_owned() };
        scene.rooms.change(&chat, |room| room.dead = Some(dead.clone())).await?;
        Ok(Done::Stop(self.look_later().await?))
    }

    /// The chat is called otherwise: the next look follows it there, and posts what can't be edited any more.
    async fn moved(&mut self, (from, to): (ChatId, ChatId)) -> Result<Done, DeliverError> {
        if to == from {
            return self.fail().await;
        }
        if to.room() == from.room() {
            // A topic is gone: its chat isn't.
            self.note(|shown| {
                shown.talk = Some(to);
                shown.card = None;
            })
            .await?;
            return self.look().await;
        }
        self.platform.chat_moved(&from.room(), &to).await.map_err(failed)?;
        self.note(Shown::left_behind).await?;
        self.look().await
    }

    /// A mistake of ours: the message is sent once more, as plain text, and if that isn't taken either, not at all.
    async fn rejected(&mut self, detail: &str) -> Result<Done, DeliverError> {
        tracing::error!(job = %self.key, target = %self.delivery.target, detail, "a platform doesn't accept a message");
        if !self.shown().is_plain {
            self.note(|shown| shown.is_plain = true).await?;
            return self.look().await;
        }
        Ok(Done::Refused)
    }

    /// What the platform takes in no form is left out, so that what follows is told; the last message is the end.
    pub(super) async fn leave_out(&mut self, scene: &Scene<'_>, step: &Step) -> Result<Done, DeliverError> {
        match step {
            Step::End => Ok(Done::Stop(self.give_up("the platform doesn't accept the job's end").await?)),
            Step::Ask(review) => {
                let unshown = ShownReview { reminded: true, ..ShownReview::default() };
                self.note(|shown| drop(shown.reviews.insert(review.id.clone(), unshown.clone()))).await
            }
            Step::Remind(review) => self.reminded(review, None).await,
            Step::Close(review) => self.note(|shown| drop(shown.reviews.remove(&review.id))).await,
            Step::Card(hash) => {
                let is_final = scene.subject.job.status.is_terminal();
                let (hash, at_ms) = (hash.clone(), self.now_ms());
                self.note(|shown| match &mut shown.card {
                    Some(card) => *card = Card { hash: hash.clone(), at_ms, is_final, ..card.clone() },
                    None => shown.cards = CARDS_MAX,
                })
                .await
            }
        }
    }

    /// Nobody knows whether there is a card now: rather none than two, but for a newer state, a little later.
    pub(super) async fn card_unknown(&mut self, detail: &str) -> Result<Done, DeliverError> {
        tracing::warn!(detail, "a card may be there or not");
        let next = self
            .wait(CARD_UNKNOWN_MS, |shown| {
                shown.cards = (shown.cards + 1).min(CARDS_MAX);
            })
            .await?;
        Ok(Done::Stop(next))
    }

    /// A try came to nothing: the next is after a pause, or there is none.
    pub(super) async fn fail(&mut self) -> Result<Done, DeliverError> {
        let pause_ms = chat_pause_ms(self.delivery.failed, self.failing_ms(), self.chance());
        if self.leave_alone(pause_ms).await?
            && let Some(pause_ms) = pause_ms
        {
            self.platform.ring_delivery(self.key, &self.delivery.target, pause_ms).await?;
        }
        Ok(Done::Stop(Next::Rest))
    }

    /// This process can't speak to the chat, or the chat takes nothing: that is looked at again, but not for ever.
    pub(super) async fn look_later(&mut self) -> Result<Next, DeliverError> {
        let goes_on = chat_pause_ms(self.delivery.failed, self.failing_ms(), 0).is_some();
        self.leave_alone(goes_on.then_some(QUIET_MS)).await?;
        Ok(Next::Rest)
    }

    fn failing_ms(&self) -> u64 {
        self.delivery.failing_since_ms.map_or(0, |since_ms| self.now_ms().saturating_sub(since_ms))
    }

    async fn leave_alone(&mut self, pause_ms: Option<u64>) -> Result<bool, DeliverError> {
        let (nonce, mark, now_ms) = (self.nonce.clone(), self.mark(), self.now_ms());
        self.save(|now| now.failed(&nonce, mark.clone(), (pause_ms, now_ms))).await
    }

    /// What was being told together is free for whoever comes next, unless it may have been told: then whoever does sends
    /// the same again, a little later.
    async fn leave_digest(&self, scene: &Scene<'_>, digest: &Digest, error: &ChatError) -> Result<(), DeliverError> {
        let now_ms = self.now_ms();
        let left = match error {
            ChatError::Unknown { .. } => {
                let pause_ms = chat_pause_ms(self.delivery.failed, 0, 0).unwrap_or(QUIET_MS);
                Some(Digest { until_ms: now_ms + pause_ms, ..digest.clone() })
            }
            ChatError::Rejected { .. }
            | ChatError::Throttled { .. }
            | ChatError::Paused { .. }
            | ChatError::Refused { .. }
            | ChatError::Dead { .. }
            | ChatError::Gone
            | ChatError::Moved { .. }
            | ChatError::Unsent { .. } => None,
        };
        scene.rooms.change_digest(digest, |room| room.digest.clone_from(&left)).await
    }

    /// Whether the end is told, or waits to be told together.
    pub(super) fn end_told(&self) -> EndTold {
        self.shown().end
    }
}
