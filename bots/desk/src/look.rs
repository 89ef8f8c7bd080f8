//! Looking at jobs; nothing changes here.

use convoke_api::job::JobView;
use convoke_app::failure::Failure;
use convoke_chat::answer;
use convoke_chat::button::Token;
use convoke_chat::command::{JobName, Verb};
use convoke_chat::notice::{Subject, card};
use convoke_chat::page::Page;
use convoke_chat::reply::Reply;
use convoke_chat::words;
use convoke_domain::ids::JobKey;
use convoke_domain::status::JobStatus;

use crate::Desk;
use crate::here::Here;
use crate::trouble::{Answer, Trouble};

/// Steps of a job that are asked for.
const STEPS: u32 = 50;

/// A job as it is shown, with what its buttons need.
pub(crate) struct Shown {
    pub job: JobView,
    pub token: Token,
    pub asked_by: Option<String>,
}

impl Shown {
    pub fn subject(&self) -> Subject<'_> {
        Subject { job: &self.job, token: &self.token, asked_by: self.asked_by.as_deref() }
    }
}

impl Desk {
    /// The job with a new token for its buttons.
    pub(crate) async fn shown(&self, here: &Here<'_>, key: &JobKey) -> Result<Shown, Failure> {
        let token = self.token(here, key).await?;
        self.shown_with(key, token).await
    }

    /// The job with a token that there is.
    pub(crate) async fn shown_with(&self, key: &JobKey, token: Token) -> Result<Shown, Failure> {
        let job = self.platform.job_view(key).await?;
        let outline = self.platform.job_outline(key).await?;
        let requester = outline.and_then(|outline| outline.definition.requester.clone());
        Ok(Shown { job, token, asked_by: requester.map(|requester| requester.name) })
    }

    pub(crate) async fn token(&self, here: &Here<'_>, key: &JobKey) -> Result<Token, Failure> {
        let token = self.platform.new_button(key, &here.caller.chat, None).await?;
        token.parse().map_err(|_| corrupt(key))
    }

    pub(crate) async fn status(&self, here: &Here<'_>, job: Option<&JobName>) -> Answer {
        let key = self.find(here, (Verb::Status, job), |_| true).await?;
        let shown = self.shown(here, &key).await?;
        Ok(Reply::private(card(&shown.subject(), self.platform.ports.env.now_ms())))
    }

    pub(crate) async fn details(&self, here: &Here<'_>, key: &JobKey) -> Answer {
        let shown = self.shown(here, key).await?;
        let steps = self.platform.steps(key, None, Some(STEPS)).await?.steps;
        Ok(Reply::private(answer::details(&shown.subject(), &steps, self.platform.ports.env.now_ms())))
    }

    pub(crate) async fn list(&self, here: &Here<'_>, status: Option<JobStatus>) -> Answer {
        let jobs = self.jobs_here(here, status).await?;
        let none_fits = jobs.is_empty() && status.is_some();
        Ok(Reply::private(if none_fits { answer::no_job_fits() } else { answer::jobs(words::JOBS, &jobs) }))
    }

    pub(crate) async fn cost(&self, here: &Here<'_>, job: Option<&JobName>) -> Answer {
        Ok(Reply::private(self.costs(here, job).await?))
    }

    async fn costs(&self, here: &Here<'_>, job: Option<&JobName>) -> Result<Page, Trouble> {
        if job.is_none() {
            return Ok(answer::costs(&self.jobs_here(here, None).await?));
        }
        let key = self.find(here, (Verb::Cost, job), |_| true).await?;
        Ok(answer::cost(&self.platform.job_view(&key).await?))
    }
}

pub(crate) fn corrupt(key: &JobKey) -> Failure {
    let detail = "a token that was just made can't be read".to_owned();
    convoke_app::work::WorkError::Corrupt { job: key.to_string(), detail }.into()
}
