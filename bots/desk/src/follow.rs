//! Follow-ups: a job that goes on from the files of another. While that one still runs, whoever asks decides by buttons what
//! is to happen; what they want is kept with the buttons.

use convoke_app::failure::{Failure, Refused};
use convoke_app::ports::{Button, Wish};
use convoke_app::submit::IdempotencyKey;
use convoke_chat::answer;
use convoke_chat::button::{Ask, Press};
use convoke_chat::command::{JobName, Verb};
use convoke_chat::page::Page;
use convoke_chat::reply::Reply;
use convoke_domain::ids::JobKey;
use convoke_domain::money::MicroUsd;

use crate::Desk;
use crate::here::Here;
use crate::look::corrupt;
use crate::submit::{accepted, title};
use crate::trouble::{Answer, Trouble};

impl Desk {
    pub(crate) async fn follow_up(
        &self,
        here: &Here<'_>,
        job: Option<&JobName>,
        (prompt, budget): (Option<String>, Option<MicroUsd>),
    ) -> Answer {
        let key = self.find(here, (Verb::FollowUp, job), |_| true).await?;
        match prompt {
            Some(prompt) => self.follow_up_job(here, &key, Wish { prompt, budget }).await,
            None => Ok(Reply::Ask(answer::ask_follow_up(Ask::FollowUp { job: key.job, budget }))),
        }
    }

    /// Goes on from a job's files, or asks what to do while it still makes them.
    pub(crate) async fn follow_up_job(&self, here: &Here<'_>, key: &JobKey, wish: Wish) -> Answer {
        if !self.platform.job_view(key).await?.status.is_terminal() {
            let token = self.platform.new_wish(key, &here.caller.chat, wish).await?;
            let token = token.parse().map_err(|_| corrupt(key))?;
            return Ok(Reply::private(answer::still_runs(&token)));
        }
        self.may_submit(here).await?;
        Ok(Reply::private(self.go_on(here, key, &wish).await?))
    }

    /// Goes on once the job has ended, or at once where it has meanwhile. One wish makes one job, however often and by
    /// whichever button it is granted.
    pub(crate) async fn queue(&self, here: &Here<'_>, about: &Button, press: &Press) -> Answer {
        let Some(wish) = &about.wish else {
            return Ok(Reply::Ask(answer::ask_follow_up(Ask::Press(press.clone()))));
        };
        let mark = mark_of(about, press)?;
        self.may_submit_once(here, Some(&mark)).await?;
        if self.platform.job_view(&about.key).await?.status.is_terminal() {
            return Ok(Reply::Update { page: self.carry_on(here, &about.key, (wish, Some(&mark))).await? });
        }
        let (notify, by) = (here.notify(), here.requester());
        let waits = self.platform.queue_follow_up(&about.key, (wish, &notify), (&mark, by)).await?;
        Ok(Reply::Update { page: answer::queued(&waits) })
    }

    /// Ends the job, and starts what it was asked for again, with what is wanted added; one that has ended meanwhile is gone
    /// on from.
    pub(crate) async fn restart(&self, here: &Here<'_>, about: &Button, press: &Press) -> Answer {
        let Some(wish) = &about.wish else {
            return Ok(Reply::Ask(answer::ask_restart(Ask::Press(press.clone()))));
        };
        let mark = mark_of(about, press)?;
        Ok(Reply::Update { page: self.restart_with(here, &about.key, (wish, Some(&mark))).await? })
    }

    pub(crate) async fn restart_with(
        &self,
        here: &Here<'_>,
        key: &JobKey,
        (wish, repeat): (&Wish, Option<&IdempotencyKey>),
    ) -> Result<Page, Trouble> {
        self.owns(here, key).await?;
        let notify = here.notify();
        if !self.platform.job_view(key).await?.status.is_terminal() {
            // Nothing is stopped for what can't be started.
            self.platform.check_again(key, (wish, &notify)).await?;
        }
        self.may_submit_once(here, repeat).await?;
        match self.platform.cancel(key).await {
            Ok(_) => {}
            Err(Failure::Refused(Refused::JobAlreadyEnded { .. })) => {
                return self.carry_on(here, key, (wish, repeat)).await;
            }
            Err(failure) => return Err(failure.into()),
        }
        let again = self.platform.run_again_from_chat(key, (Some(wish), &notify), repeat, here.requester());
        Ok(accepted(&again.await?, title(&wish.prompt)))
    }

    async fn go_on(&self, here: &Here<'_>, key: &JobKey, wish: &Wish) -> Result<Page, Trouble> {
        let (body, repeat) = (wish.follow_up(&here.notify()), here.repeat());
        let answered = self.platform.follow_up_from_chat(key, &body, repeat.as_ref(), here.requester()).await?;
        Ok(accepted(&answered, title(&wish.prompt)))
    }

    async fn carry_on(
        &self,
        here: &Here<'_>,
        key: &JobKey,
        (wish, repeat): (&Wish, Option<&IdempotencyKey>),
    ) -> Result<Page, Trouble> {
        let notify = here.notify();
        let answered = self.platform.carry_on_from_chat(key, (wish, &notify), repeat, here.requester()).await?;
        Ok(accepted(&answered, title(&wish.prompt)))
    }
}

/// What the wish of a button is known by.
fn mark_of(about: &Button, press: &Press) -> Result<IdempotencyKey, Failure> {
    format!("wish-{}", press.token).parse().map_err(|_| corrupt(&about.key))
}
