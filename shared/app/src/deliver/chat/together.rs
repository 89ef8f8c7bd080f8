//! Telling ends: at once where there is room, else together with others.
//!
//! 1. An end that finds no room notes that it waits (`put_waiting`), then marks its delivery so ([`EndTold::Waits`]): from
//!    then on it is told by a digest alone.
//! 2. Whoever finds room next takes what waits and is marked, and stores it as the room's digest in the write that takes the
//!    room: one message at a time tells, and what was begun is finished as it was begun, by whoever comes.
//! 3. Each job that was told is marked so, and doesn't wait any more; then the digest is taken out of the room.
//!
//! Whoever looks at a job whose end is told leaves it. A crash after the message and before the marks sends the same
//! message again, which Discord recognises by its nonce.

use convoke_api::job::JobView;
use convoke_domain::chat::ChatId;
use convoke_domain::delivery::EndTold;
use convoke_domain::ids::{JobId, JobKey, TargetId};
use convoke_domain::room::{self, Ended, Room, Urgency, slot_ms};
use sha2::{Digest as _, Sha256};

use super::super::DeliverError;
use super::failed;
use super::room::{Begun, Space, others_ms};
use super::shift::{Done, Scene, Shift};
use crate::ports::{ChatError, DIGEST_MAX, FilesMax, Form, Notice, Saved};
use crate::webhooks::RACES_MAX;

/// How long nobody else tells what is being told together, in milliseconds: a call and some.
const DIGEST_MS: u64 = 30_000;
/// How long it is remembered that an end waits, in seconds: longer than a chat is tried.
const WAITING_TTL_S: u64 = 2 * 86_400;
/// How far an end looks for its place in line.
const LINE_MAX: u32 = 200;

impl Shift<'_> {
    pub(super) async fn end(&mut self, scene: &Scene<'_>) -> Result<Done, DeliverError> {
        let chat = self.talk();
        let room = scene.rooms.room(&chat).await?;
        if let Some(room) = &room
            && let Some(begun) = room.digest.clone()
        {
            return self.begun(scene, (room, begun)).await;
        }
        let waiting = self.waiting(&chat).await?;
        if self.end_told() == EndTold::Open && waiting.is_empty() {
            return self.tell_alone(scene, chat).await;
        }
        let (mut jobs, own) = (waiting, self.own());
        if self.end_told() == EndTold::Waits && self.end_of(&own).await? == Some(EndTold::Told) {
            // By somebody else, since this delivery was claimed.
            return self.end_is_told().await;
        }
        self.mark_waiting(&chat).await?;
        if !jobs.contains(&own) {
            jobs.truncate(DIGEST_MAX - 1);
            jobs.push(own);
        }
        let nonce = nonce_of(&chat, &jobs);
        let digest = room::Digest { nonce, chat, jobs, until_ms: self.now_ms() + DIGEST_MS, is_plain: false };
        self.tell_together(scene, (digest, room.map_or(0, |room| room.told))).await
    }

    /// Somebody has begun to tell several together: that is finished first, by whoever comes once their time is over.
    async fn begun(&mut self, scene: &Scene<'_>, (room, digest): (&Room, room::Digest)) -> Result<Done, DeliverError> {
        match others_ms(room, &digest, self.now_ms()) {
            0 if self.is_sent(&digest).await? => self.are_told(scene, &digest).await,
            0 => self.tell_together(scene, (digest, room.told)).await,
            wait_ms => self.stand_in_line(self.talk(), wait_ms).await,
        }
    }

    async fn tell_alone(&mut self, scene: &Scene<'_>, chat: ChatId) -> Result<Done, DeliverError> {
        match scene.rooms.take(&chat, Urgency::Soon, None).await? {
            Space::In(wait_ms) => return self.stand_in_line(chat, wait_ms).await,
            Space::Closed => return self.closed(chat).await,
            Space::Free => {}
        }
        let notice = self.end_notice(scene, self.form()).await?;
        let nonce = self.nonce_of("end");
        match self.post(scene, (&chat, &notice, &nonce)).await {
            Ok(_) => self.end_is_told().await,
            Err(error) => self.outcome(scene, (chat, &error), None).await,
        }
    }

    /// Files go along with the first try alone: what is wrong may be that they aren't taken, or take too long. A button
    /// gives them, too.
    async fn end_notice(&self, scene: &Scene<'_>, form: Form) -> Result<Notice, DeliverError> {
        let is_first = form == Form::Rich && self.delivery.failed == 0;
        let files_max = if is_first { scene.host.files_max() } else { FilesMax::default() };
        Ok(Notice::End(scene.subject.end(self.platform, self.key, (&self.shown(), files_max)).await?))
    }

    /// Tells what was put together when the room had told so often.
    async fn tell_together(
        &mut self,
        scene: &Scene<'_>,
        (digest, told): (room::Digest, u64),
    ) -> Result<Done, DeliverError> {
        let chat = digest.chat;
        let digest = room::Digest { until_ms: self.now_ms() + DIGEST_MS, ..digest };
        match scene.rooms.take(&chat, Urgency::Soon, Some(Begun(&digest, told))).await? {
            Space::In(wait_ms) => return self.stand_in_line(chat, wait_ms).await,
            Space::Closed => return self.closed(chat).await,
            Space::Free => {}
        }
        let form = if digest.is_plain { Form::Plain } else { self.form() };
        let notice = match digest.jobs.as_slice() {
            [ended] if *ended == self.own() => self.end_notice(scene, form).await?,
            jobs => Notice::Digest(self.views(jobs).await?),
        };
        match self.send(scene, (&chat, &scene.host.render(&notice, form), &digest.nonce)).await {
            Ok(_) => self.are_told(scene, &digest).await,
            Err(ChatError::Rejected { detail }) => {
                tracing::error!(%chat, detail, "a platform doesn't accept a digest");
                if digest.is_plain {
                    return self.are_told(scene, &digest).await;
                }
                let plain = room::Digest { until_ms: 0, is_plain: true, ..digest };
                scene.rooms.change_digest(&plain, |room| room.digest = Some(plain.clone())).await?;
                self.look().await
            }
            Err(error) => self.outcome(scene, (chat, &error), Some(&digest)).await,
        }
    }

    /// All of a digest are told: nobody tells them again.
    async fn are_told(&mut self, scene: &Scene<'_>, digest: &room::Digest) -> Result<Done, DeliverError> {
        let own = self.own();
        for ended in digest.jobs.iter().filter(|ended| **ended != own) {
            self.mark_told(ended).await?;
        }
        let is_mine = digest.jobs.contains(&own);
        let done = if is_mine { self.end_is_told().await? } else { Done::Go };
        let jobs: Vec<JobId> = digest.jobs.iter().map(|ended| ended.job.clone()).collect();
        self.platform.ports.rooms.drop_waiting(&self.key.tenant, &digest.chat, &jobs).await?;
        let told = |room: &mut Room| {
            room.digest = None;
            room.told += 1;
        };
        scene.rooms.change_digest(digest, told).await?;
        // One that told others' ends, which were begun before, has its own still to tell.
        if is_mine { Ok(done) } else { self.look().await }
    }

    /// Whether marks say that a digest was sent: only what was is marked.
    async fn is_sent(&self, digest: &room::Digest) -> Result<bool, DeliverError> {
        for ended in &digest.jobs {
            if self.end_of(ended).await? == Some(EndTold::Told) {
                return Ok(true);
            }
        }
        Ok(false)
    }

    /// This delivery among those that are told together.
    fn own(&self) -> Ended {
        Ended { job: self.key.job.clone(), target: self.target }
    }

    fn key_of(&self, job: &JobId) -> JobKey {
        JobKey { tenant: self.key.tenant.clone(), job: job.clone() }
    }

    /// How far an end is told.
    async fn end_of(&self, ended: &Ended) -> Result<Option<EndTold>, DeliverError> {
        let deliveries = &self.platform.ports.deliveries;
        let found = deliveries.delivery(&self.key_of(&ended.job), &TargetId::Chat(ended.target)).await?;
        Ok(found.and_then(|found| found.shown).map(|shown| shown.end))
    }

    async fn mark_told(&self, ended: &Ended) -> Result<(), DeliverError> {
        let (key, target) = (self.key_of(&ended.job), TargetId::Chat(ended.target));
        let deliveries = &self.platform.ports.deliveries;
        for _ in 0..RACES_MAX {
            let Some(found) = deliveries.delivery(&key, &target).await? else { return Ok(()) };
            if deliveries.save_delivery(&key, &found.end_told(self.mark())).await? == Saved::Done {
                return Ok(());
            }
        }
        tracing::warn!(job = %key, "an end that was told couldn't be marked so");
        Ok(())
    }

    /// Jobs whose ends wait in this chat and may be told together, oldest first. What was told meanwhile is taken out.
    async fn waiting(&self, chat: &ChatId) -> Result<Vec<Ended>, DeliverError> {
        let ports = &self.platform.ports;
        let most = u32::try_from(DIGEST_MAX).unwrap_or(u32::MAX);
        let (mut waiting, mut told) = (Vec::new(), Vec::new());
        for ended in ports.rooms.waiting(&self.key.tenant, chat, most).await? {
            match self.end_of(&ended).await? {
                Some(EndTold::Waits) => waiting.push(ended),
                Some(EndTold::Told) => told.push(ended.job),
                // Somebody is about to mark it.
                Some(EndTold::Open) | None => {}
            }
        }
        if !told.is_empty() {
            ports.rooms.drop_waiting(&self.key.tenant, chat, &told).await?;
        }
        Ok(waiting)
    }

    /// From now on the end is told by a digest alone.
    async fn mark_waiting(&mut self, chat: &ChatId) -> Result<(), DeliverError> {
        if self.end_told() == EndTold::Open {
            self.put_waiting(chat).await?;
            self.note(mark_open).await?;
        }
        Ok(())
    }

    /// There is no room for the end: it waits, and comes back when those before it should have been told.
    async fn stand_in_line(&mut self, chat: ChatId, wait_ms: u64) -> Result<Done, DeliverError> {
        if self.end_told() == EndTold::Open {
            self.put_waiting(&chat).await?;
        }
        let line = self.platform.ports.rooms.waiting(&self.key.tenant, &chat, LINE_MAX).await?;
        let place = line.iter().position(|ended| ended.job == self.key.job).unwrap_or(line.len());
        let before_ms = (place / DIGEST_MAX) as u64 * slot_ms(&chat);
        Ok(Done::Stop(self.wait(wait_ms + before_ms, mark_open).await?))
    }

    async fn put_waiting(&self, chat: &ChatId) -> Result<(), DeliverError> {
        let expires_s = self.now_ms() / 1_000 + WAITING_TTL_S;
        Ok(self.platform.ports.rooms.put_waiting(&self.key.tenant, chat, &self.own(), expires_s).await?)
    }

    async fn views(&self, jobs: &[Ended]) -> Result<Vec<JobView>, DeliverError> {
        let mut views = Vec::with_capacity(jobs.len());
        for ended in jobs {
            views.push(self.platform.job_view(&self.key_of(&ended.job)).await.map_err(failed)?);
        }
        Ok(views)
    }
}

/// Marks an end that isn't told.
fn mark_open(shown: &mut convoke_domain::delivery::Shown) {
    if shown.end == EndTold::Open {
        shown.end = EndTold::Waits;
    }
}

/// The name of a message that tells these.
fn nonce_of(chat: &ChatId, jobs: &[Ended]) -> String {
    let mut hash = Sha256::new();
    hash.update(chat.to_string());
    for ended in jobs {
        hash.update(ended.job.as_str());
    }
    hex::encode(&hash.finalize()[..12])
}
