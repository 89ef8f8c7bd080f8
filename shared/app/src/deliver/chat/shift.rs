//! Somebody who has claimed a chat's delivery: shows what there is to show, message by message.

use std::sync::Arc;

use convoke_api::review::ReviewView;
use convoke_domain::chat::{ChatId, MessageRef, RealmId};
use convoke_domain::delivery::{Card, Delivery, EndTold, NotNow, QUIET_MS, Shown, ShownReview, crowded_ms, refresh_ms};
use convoke_domain::ids::JobKey;
use convoke_domain::room::{Urgency, slot_ms};
use sha2::{Digest, Sha256};

use super::super::round::Next;
use super::super::{DeliverError, PASS_ON_MS, fits_queue, held};
use super::failed;
use super::notices::Subject;
use super::room::{Rooms, Space};
use super::todo::{Step, Todo};
use crate::platform::Platform;
use crate::ports::{ChatError, ChatHost, Form, Notice, PostedMessage, Rendered};
use crate::work::Until;

/// No message is begun unless so much time is left: one call, and the writes after it.
const ROOM_MS: u64 = 15_000;

/// Whether the next step comes.
pub(super) enum Done {
    /// It does.
    Go,
    /// It does, without this one: the platform takes it in no form.
    Refused,
    /// Not now.
    Stop(Next),
}

/// Who has claimed a delivery.
pub(super) struct Shift<'s> {
    pub platform: &'s Platform,
    pub key: &'s JobKey,
    pub nonce: String,
    pub delivery: Delivery,
    pub until: Until,
    /// The target.
    pub target: ChatId,
    /// What it is called now.
    pub chat: ChatId,
}

/// What a step works with.
pub(super) struct Scene<'s> {
    pub host: &'s Arc<dyn ChatHost>,
    pub subject: &'s Subject,
    pub rooms: Rooms<'s>,
}

impl Shift<'_> {
    pub(super) fn now_ms(&self) -> u64 {
        self.platform.ports.env.now_ms()
    }

    pub(super) fn mark(&self) -> String {
        self.platform.ports.env.nonce()
    }

    pub(super) fn chance(&self) -> u64 {
        let secret = self.platform.ports.env.secret();
        secret.iter().take(8).fold(0, |chance, &byte| chance << 8 | u64::from(byte))
    }

    pub(super) fn shown(&self) -> Shown {
        self.delivery.shown.clone().unwrap_or_default()
    }

    /// Of the card's buttons, and the end's.
    pub(super) fn token(&self) -> String {
        self.shown().token.unwrap_or_default()
    }

    /// Where new messages about the job go.
    pub(super) fn talk(&self) -> ChatId {
        self.shown().talk.unwrap_or(self.chat)
    }

    pub(super) fn form(&self) -> Form {
        if self.shown().is_plain { Form::Plain } else { Form::Rich }
    }

    /// The name of a message, the same whoever sends it: 24 hexadecimal digits.
    pub(super) fn nonce_of(&self, what: &str) -> String {
        let mut hash = Sha256::new();
        for part in [self.key.tenant.as_str(), self.key.job.as_str(), &self.delivery.target.to_string(), what] {
            hash.update(part.len().to_be_bytes());
            hash.update(part);
        }
        hex::encode(&hash.finalize()[..12])
    }

    /// Replaces the delivery as `change` says, also when others have changed it meanwhile; `false` where it is no longer
    /// ours.
    pub(super) async fn save(
        &mut self,
        change: impl Fn(&Delivery) -> Result<Delivery, NotNow>,
    ) -> Result<bool, DeliverError> {
        held::save(self.platform, (self.key, &mut self.delivery), change).await
    }

    /// Notes what is shown now; goes on where the delivery is still ours.
    pub(super) async fn note(&mut self, change: impl Fn(&mut Shown)) -> Result<Done, DeliverError> {
        let (nonce, mark, now_ms) = (self.nonce.clone(), self.mark(), self.now_ms());
        let saved = self.save(|now| now.showing(&nonce, (mark.clone(), now_ms), &change)).await?;
        Ok(if saved { Done::Go } else { Done::Stop(Next::Rest) })
    }

    /// Nobody is at it for a while, and that is no failure.
    pub(super) async fn rest(&mut self, for_ms: u64) -> Result<Next, DeliverError> {
        let (nonce, mark, due_ms) = (self.nonce.clone(), self.mark(), self.now_ms() + for_ms);
        self.save(|now| now.resting(&nonce, mark.clone(), due_ms)).await?;
        Ok(Next::Rest)
    }

    /// There is no room for `wait_ms`: a bell comes back then.
    pub(super) async fn wait(&mut self, wait_ms: u64, change: impl Fn(&mut Shown)) -> Result<Next, DeliverError> {
        let (nonce, mark, until_ms) = (self.nonce.clone(), self.mark(), self.now_ms() + wait_ms);
        let saved = self.save(|now| now.waiting(&nonce, (mark.clone(), until_ms), &change)).await?;
        if saved && fits_queue(wait_ms) {
            self.platform.ring_delivery(self.key, &self.delivery.target, wait_ms).await?;
        }
        Ok(Next::Rest)
    }

    /// The same for `wait_ms` and some, the more the oftener there was no room.
    pub(super) async fn wait_in_crowd(&mut self, wait_ms: u64) -> Result<Done, DeliverError> {
        let wait_ms = crowded_ms(wait_ms, self.shown().waits, slot_ms(&self.chat), self.chance());
        Ok(Done::Stop(self.wait(wait_ms, |_| ()).await?))
    }

    /// Looks again at once, at what others may have changed.
    pub(super) async fn look(&mut self) -> Result<Done, DeliverError> {
        self.rest(QUIET_MS).await?;
        Ok(Done::Stop(Next::Look))
    }

    pub(super) async fn give_up(&mut self, why: &str) -> Result<Next, DeliverError> {
        let (nonce, mark) = (self.nonce.clone(), self.mark());
        self.save(|now| now.given_up(&nonce, mark.clone())).await?;
        tracing::info!(target = %self.delivery.target, why, "a delivery is given up");
        Ok(Next::Rest)
    }

    /// Shows all that isn't shown, as far as there is room and time.
    pub(super) async fn show_all(
        &mut self,
        host: &Arc<dyn ChatHost>,
        subject: &Subject,
        (todo, realm): (Todo, RealmId),
    ) -> Result<Next, DeliverError> {
        let rooms = Rooms { platform: self.platform, tenant: &self.key.tenant, realm };
        let scene = Scene { host, subject, rooms };
        for step in &todo.steps {
            if self.now_ms() + ROOM_MS >= self.until.deadline_ms {
                // The time is over: somebody else goes on, and others come first.
                self.rest(QUIET_MS).await?;
                self.platform.ring_delivery(self.key, &self.delivery.target, PASS_ON_MS).await?;
                return Ok(Next::Rest);
            }
            if let Done::Stop(next) = self.show(&scene, step).await? {
                return Ok(next);
            }
        }
        if todo.is_over {
            let (nonce, mark, at) = (self.nonce.clone(), self.mark(), (0, self.now_ms()));
            self.save(|now| now.told(&nonce, mark.clone(), at)).await?;
            return Ok(Next::Rest);
        }
        let running_ms = self.now_ms().saturating_sub(subject.job.created_at.0);
        // What has changed meanwhile is seen at the next look, although its bell found the delivery taken.
        self.rest(refresh_ms(self.chat.bot(), running_ms).unwrap_or(QUIET_MS)).await?;
        Ok(Next::Look)
    }

    async fn show(&mut self, scene: &Scene<'_>, step: &Step) -> Result<Done, DeliverError> {
        match self.try_to_show(scene, step).await? {
            Done::Refused => self.leave_out(scene, step).await,
            done => Ok(done),
        }
    }

    async fn try_to_show(&mut self, scene: &Scene<'_>, step: &Step) -> Result<Done, DeliverError> {
        match step {
            Step::Ask(review) => self.ask(scene, review).await,
            Step::Remind(review) => self.remind(scene, review).await,
            Step::Close(review) => self.close(scene, review).await,
            Step::End => self.end(scene).await,
            Step::Card(hash) => match self.shown().card {
                Some(card) => self.edit_card(scene, (card, hash)).await,
                None => self.post_card(scene, hash).await,
            },
        }
    }

    async fn ask(&mut self, scene: &Scene<'_>, review: &ReviewView) -> Result<Done, DeliverError> {
        let chat = self.talk();
        match scene.rooms.take(&chat, Urgency::Soon, None).await? {
            Space::In(wait_ms) => return self.wait_in_crowd(wait_ms).await,
            Space::Closed => return self.closed(chat).await,
            Space::Free => {}
        }
        let token = self.platform.new_button(self.key, &chat, Some(&review.id)).await.map_err(failed)?;
        let notice = Notice::Review(scene.subject.review(review.clone(), token.clone()));
        let nonce = self.nonce_of(&format!("review {}", review.id));
        match self.post(scene, (&chat, &notice, &nonce)).await {
            Ok(posted) => {
                let message = Some(posted.message);
                let open = ShownReview { token, message, reminder: None, reminded: review.reminded };
                self.note(|shown| drop(shown.reviews.insert(review.id.clone(), open.clone()))).await
            }
            Err(error) => self.outcome(scene, (chat, &error), None).await,
        }
    }

    /// Reminds people by a message of its own, since an edit notifies nobody.
    async fn remind(&mut self, scene: &Scene<'_>, review: &ReviewView) -> Result<Done, DeliverError> {
        let Some(open) = self.shown().reviews.remove(&review.id) else { return Ok(Done::Go) };
        let chat = self.talk();
        match scene.rooms.take(&chat, Urgency::Soon, None).await? {
            Space::In(wait_ms) => return self.wait_in_crowd(wait_ms).await,
            Space::Closed => return self.closed(chat).await,
            Space::Free => {}
        }
        let notice = Notice::Reminder(scene.subject.review(review.clone(), open.token));
        let nonce = self.nonce_of(&format!("reminder {}", review.id));
        match self.post(scene, (&chat, &notice, &nonce)).await {
            Ok(posted) => self.reminded(review, Some(posted.message)).await,
            Err(error) => self.outcome(scene, (chat, &error), None).await,
        }
    }

    /// People were reminded, by that message.
    pub(super) async fn reminded(
        &mut self,
        review: &ReviewView,
        reminder: Option<MessageRef>,
    ) -> Result<Done, DeliverError> {
        self.note(|shown| {
            if let Some(open) = shown.reviews.get_mut(&review.id) {
                open.reminded = true;
                open.reminder.clone_from(&reminder);
            }
        })
        .await
    }

    /// Writes into a review's messages how it was decided, into the one that reminded people first.
    async fn close(&mut self, scene: &Scene<'_>, review: &ReviewView) -> Result<Done, DeliverError> {
        while let Some(open) = self.shown().reviews.remove(&review.id) {
            let is_reminder = open.reminder.is_some();
            if let Some(message) = open.reminder.or(open.message) {
                let notice = Notice::Review(scene.subject.review(review.clone(), open.token));
                let rendered = scene.host.render(&notice, self.form());
                // What is gone shows nothing wrong.
                if let Edited::Not(done) = self.edit(scene, (&message, &rendered), Urgency::Soon).await? {
                    return Ok(done);
                }
            }
            let closed = self.note(|shown| match shown.reviews.get_mut(&review.id) {
                Some(open) if is_reminder => open.reminder = None,
                _ => drop(shown.reviews.remove(&review.id)),
            });
            if let Done::Stop(next) = closed.await? {
                return Ok(Done::Stop(next));
            }
        }
        Ok(Done::Go)
    }

    async fn post_card(&mut self, scene: &Scene<'_>, hash: &str) -> Result<Done, DeliverError> {
        // A thread hangs under the card; a topic that is gone doesn't come back.
        let chat = self.shown().talk.filter(|talk| talk.room() == self.chat.room()).unwrap_or(self.chat);
        let (shown, now_ms) = (self.shown(), self.now_ms());
        let notice = Notice::Card(scene.subject.card(&self.token(), now_ms));
        let rendered = scene.host.render(&notice, self.form());
        let calls = scene.host.calls(&chat, &rendered);
        match scene.rooms.take_for(&chat, (Urgency::Soon, calls), None).await? {
            Space::In(wait_ms) => return self.wait_in_crowd(wait_ms).await,
            Space::Closed => return self.closed(chat).await,
            Space::Free => {}
        }
        let nonce = self.nonce_of(&format!("card {}", shown.cards));
        match self.send(scene, (&chat, &rendered, &nonce)).await {
            Ok(PostedMessage { message, talk }) => {
                let card = Card { message, hash: hash.to_owned(), at_ms: now_ms, is_final: false };
                self.note(|shown| {
                    shown.card = Some(card.clone());
                    shown.cards += 1;
                    shown.talk = talk.or(shown.talk);
                })
                .await
            }
            Err(ChatError::Unknown { detail }) if !scene.host.knows_nonces() => self.card_unknown(&detail).await,
            Err(error) => self.outcome(scene, (chat, &error), None).await,
        }
    }

    async fn edit_card(&mut self, scene: &Scene<'_>, (card, hash): (Card, &str)) -> Result<Done, DeliverError> {
        let now_ms = self.now_ms();
        let is_final = scene.subject.job.status.is_terminal();
        let notice = Notice::Card(scene.subject.card(&self.token(), now_ms));
        let rendered = scene.host.render(&notice, self.form());
        match self.edit(scene, (&card.message, &rendered), Urgency::Progress).await? {
            Edited::Done => {
                let card = Card { hash: hash.to_owned(), at_ms: now_ms, is_final, ..card };
                self.note(|shown| shown.card = Some(card.clone())).await
            }
            Edited::Gone => {
                let is_elsewhere = card.message.chat.room() != self.chat.room();
                // The next look posts another one, unless the job has ended.
                self.note(|shown| if is_elsewhere { shown.left_behind() } else { shown.card = None }).await?;
                if is_final { Ok(Done::Go) } else { self.look().await }
            }
            Edited::Not(done) => Ok(done),
        }
    }

    /// Posts a message; what goes wrong is the caller's.
    pub(super) async fn post(
        &self,
        scene: &Scene<'_>,
        (chat, notice, nonce): (&ChatId, &Notice, &str),
    ) -> Result<PostedMessage, ChatError> {
        self.send(scene, (chat, &scene.host.render(notice, self.form()), nonce)).await
    }

    /// The same of one that is written. A chat that takes no files may take text: that is tried before it is closed.
    pub(super) async fn send(
        &self,
        scene: &Scene<'_>,
        (chat, rendered, nonce): (&ChatId, &Rendered, &str),
    ) -> Result<PostedMessage, ChatError> {
        match scene.host.post(chat, rendered, nonce).await {
            Err(ChatError::Dead { detail }) if !rendered.files.is_empty() => Err(ChatError::Rejected { detail }),
            posted => posted,
        }
    }

    async fn edit(
        &mut self,
        scene: &Scene<'_>,
        (message, rendered): (&MessageRef, &Rendered),
        urgency: Urgency,
    ) -> Result<Edited, DeliverError> {
        match scene.rooms.take(&message.chat, urgency, None).await? {
            Space::In(wait_ms) => return Ok(Edited::Not(self.wait_in_crowd(wait_ms).await?)),
            // Where it moved to, it can't be edited.
            Space::Closed if message.chat.room() != self.chat.room() => return Ok(Edited::Gone),
            Space::Closed => return Ok(Edited::Not(self.closed(message.chat).await?)),
            Space::Free => {}
        }
        match scene.host.edit(message, rendered).await {
            Ok(()) => Ok(Edited::Done),
            Err(ChatError::Gone) => Ok(Edited::Gone),
            // Closing a thread doesn't close the chat.
            Err(ChatError::Dead { .. }) if message.chat.room() != self.chat.room() => Ok(Edited::Gone),
            Err(error) => Ok(Edited::Not(self.outcome(scene, (message.chat, &error), None).await?)),
        }
    }

    /// The end was told by a message of its own.
    pub(super) async fn end_is_told(&mut self) -> Result<Done, DeliverError> {
        self.note(|shown| shown.end = EndTold::Told).await
    }
}

/// What came of an edit.
enum Edited {
    Done,
    Gone,
    Not(Done),
}
