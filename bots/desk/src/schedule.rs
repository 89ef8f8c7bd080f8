//! Work by the clock: what is made in a chat is told there.

use convoke_api::schedule::{ScheduleRequest, ScheduleView};
use convoke_app::ports::MADE_BY;
use convoke_chat::answer;
use convoke_chat::command::{Run, When};
use convoke_chat::reply::Reply;
use convoke_chat::text::clip;
use convoke_chat::words;
use convoke_domain::schedule::Overlap;
use serde_json::{Value, json};

use crate::Desk;
use crate::here::Here;
use crate::jobs::sees_all;
use crate::submit::title;
use crate::trouble::{Answer, Trouble};

/// Label of what a schedule starts: the update that made it, so that a repeat of that makes no other.
const MADE_IN: &str = "made_in";
/// Longest value of a label, in characters.
const LABEL_CHARS_MAX: usize = 64;
/// Longest name of a schedule, in units.
const NAME_UNITS_MAX: usize = 80;

impl Desk {
    pub(crate) async fn create_schedule(
        &self,
        here: &Here<'_>,
        (when, zone): (When, Option<String>),
        run: Run,
    ) -> Answer {
        if let Some(made) = self.made_before(here).await? {
            return Ok(Reply::public(answer::schedule(words::SCHEDULED, words::SCHEDULED_NEXT, &made)));
        }
        self.may_submit(here).await?;
        let mut job = self.body(here, run).await?;
        job["labels"] = json!({MADE_BY: here.caller.person.to_string(), MADE_IN: made_in(here)});
        let name = clip(title(job["input"]["prompt"].as_str().unwrap_or_default()), NAME_UNITS_MAX);
        let body = serde_json::to_value(request(name, (when, zone), job)).unwrap_or_default();
        let made = self.platform.create_schedule(&here.link.tenant, &body).await?;
        Ok(Reply::public(answer::schedule(words::SCHEDULED, words::SCHEDULED_NEXT, &made)))
    }

    async fn made_before(&self, here: &Here<'_>) -> Result<Option<ScheduleView>, Trouble> {
        let (mark, schedules) = (made_in(here), self.platform.schedules(&here.link.tenant).await?.schedules);
        Ok(schedules.into_iter().find(|schedule| label(schedule, MADE_IN) == Some(&mark)))
    }

    pub(crate) async fn list_schedules(&self, here: &Here<'_>) -> Answer {
        Ok(Reply::private(answer::schedules(&self.schedules_here(here).await?)))
    }

    pub(crate) async fn pause_schedule(&self, here: &Here<'_>, id: &str) -> Answer {
        let schedule = self.own_schedule(here, id).await?;
        let paused = self.platform.pause_schedule(&here.link.tenant, &schedule.id).await?;
        Ok(Reply::public(answer::schedule(words::PAUSED, "", &paused)))
    }

    pub(crate) async fn resume_schedule(&self, here: &Here<'_>, id: &str) -> Answer {
        let schedule = self.own_schedule(here, id).await?;
        let resumed = self.platform.resume_schedule(&here.link.tenant, &schedule.id).await?;
        Ok(Reply::public(answer::schedule(words::RESUMED, "", &resumed)))
    }

    pub(crate) async fn delete_schedule(&self, here: &Here<'_>, id: &str) -> Answer {
        let schedule = self.own_schedule(here, id).await?;
        self.platform.delete_schedule(&here.link.tenant, &schedule.id).await?;
        Ok(Reply::public(answer::schedule(words::DELETED, "", &schedule)))
    }

    /// Those that can be seen from here: a guild or a group sees what is told in it.
    pub(crate) async fn schedules_here(&self, here: &Here<'_>) -> Result<Vec<ScheduleView>, Trouble> {
        let schedules = self.platform.schedules(&here.link.tenant).await?.schedules;
        if sees_all(&here.link.realm) {
            return Ok(schedules);
        }
        let mut seen = Vec::new();
        for schedule in schedules {
            if self.platform.tells_in(&here.link.tenant, &schedule.job, &here.link.realm).await? {
                seen.push(schedule);
            }
        }
        Ok(seen)
    }

    /// A schedule that the caller may change: their own, or any of here for an admin.
    async fn own_schedule(&self, here: &Here<'_>, id: &str) -> Result<ScheduleView, Trouble> {
        let id = id.trim().to_ascii_uppercase();
        let mut named = self.schedules_here(here).await?;
        named.retain(|schedule| schedule.id.ends_with(&id));
        if named.len() > 1 {
            return Err(answer::schedules(&named).into());
        }
        let schedule = named.pop().ok_or_else(answer::no_schedule)?;
        let made_by = label(&schedule, MADE_BY).or(schedule.made_by.as_deref());
        let is_own = made_by == Some(here.caller.person.to_string().as_str());
        if here.caller.is_admin || is_own {
            return Ok(schedule);
        }
        Err(answer::cant([words::NOT_YOUR_SCHEDULE.to_owned()]).into())
    }
}

fn request(name: String, (when, zone): (When, Option<String>), job: Value) -> ScheduleRequest {
    let (cron, every_s) = match when {
        When::Cron(fields) => (Some(fields), None),
        When::Every(seconds) => (None, Some(seconds)),
    };
    ScheduleRequest {
        name: Some(name).filter(|name| !name.is_empty()),
        cron,
        time_zone: zone,
        every_s,
        jitter_s: 0,
        overlap: Overlap::default(),
        paused: false,
        job,
        batch: None,
    }
}

fn made_in(here: &Here<'_>) -> String {
    here.mark().chars().take(LABEL_CHARS_MAX).collect()
}

fn label<'of>(schedule: &'of ScheduleView, name: &str) -> Option<&'of str> {
    schedule.job["labels"][name].as_str()
}
