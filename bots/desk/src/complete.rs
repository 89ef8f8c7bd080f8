//! What an option may be completed to, while somebody types.

use convoke_api::schema::JOB_STATUSES;
use convoke_chat::command::{COMMANDS, JobName, Kind, Spec, Verb};
use convoke_chat::reply::Choice;
use convoke_chat::words;
use convoke_domain::status::JobStatus;

use crate::here::Here;
use crate::{Caller, Desk};

/// Most that is offered.
const OFFERS_MAX: usize = 25;
/// Times that a schedule could start at.
const TIMES: [&str; 6] = ["daily 06:00", "weekdays 06:00", "mon 06:00", "hourly", "every 6h", "every 30m"];
/// Some time zones; any other of the database's may be typed.
const ZONES: [&str; 24] = [
    "UTC",
    "Europe/London",
    "Europe/Berlin",
    "Europe/Paris",
    "Europe/Madrid",
    "Europe/Kyiv",
    "Europe/Istanbul",
    "Africa/Lagos",
    "Africa/Nairobi",
    "Asia/Dubai",
    "Asia/Kolkata",
    "Asia/Dhaka",
    "Asia/Jakarta",
    "Asia/Singapore",
    "Asia/Shanghai",
    "Asia/Seoul",
    "Asia/Tokyo",
    "Australia/Sydney",
    "Pacific/Auckland",
    "America/Sao_Paulo",
    "America/New_York",
    "America/Chicago",
    "America/Denver",
    "America/Los_Angeles",
];

impl Desk {
    /// What fits to what was typed so far; nothing where that can't be known.
    pub(crate) async fn offers(&self, caller: &Caller, (path, option): (&[&str], &str), typed: &str) -> Vec<Choice> {
        let Some(spec) = COMMANDS.iter().find(|spec| spec.discord == path) else { return Vec::new() };
        let Some(option) = spec.options.iter().find(|other| other.name == option) else { return Vec::new() };
        let offers = match option.kind {
            Kind::Flow => same(Self::flows()),
            Kind::When => same(&TIMES),
            Kind::Zone => same(&ZONES),
            Kind::Status => JOB_STATUSES.iter().map(|status| choice(words::state(*status), status.as_str())).collect(),
            Kind::Job => self.jobs_offered(caller, spec).await,
            Kind::Schedule => self.schedules_offered(caller).await,
            Kind::Prompt | Kind::Money | Kind::Input | Kind::File | Kind::Code | Kind::Path => Vec::new(),
        };
        fitting(offers, typed)
    }

    async fn jobs_offered(&self, caller: &Caller, spec: &Spec) -> Vec<Choice> {
        let Ok(here) = self.look_in(caller).await else { return Vec::new() };
        let fits = |status: JobStatus| match spec.verb {
            Verb::Cancel => !status.is_terminal(),
            Verb::Retry => matches!(status, JobStatus::Failed | JobStatus::Cancelled),
            Verb::Artifacts => status.is_terminal(),
            _ => true,
        };
        let jobs = self.jobs_here(&here, None).await.unwrap_or_default();
        let named = jobs.iter().filter(|job| fits(job.status)).map(|job| {
            let name = format!("{} {} · {}", words::status_mark(job.status), JobName::short(&job.id), job.title);
            choice(&name, job.id.as_str())
        });
        named.collect()
    }

    async fn schedules_offered(&self, caller: &Caller) -> Vec<Choice> {
        let Ok(here) = self.look_in(caller).await else { return Vec::new() };
        let schedules = self.schedules_here(&here).await.unwrap_or_default();
        schedules.iter().map(|schedule| choice(&schedule.name, &schedule.id)).collect()
    }

    /// As [`Desk::enter`], but notes nothing.
    async fn look_in<'of>(&self, caller: &'of Caller) -> Result<Here<'of>, ()> {
        let link = self.platform.link_of(&caller.realm).await.ok().flatten().ok_or(())?;
        Ok(Here { caller, link })
    }
}

fn choice(name: &str, value: &str) -> Choice {
    Choice { name: name.to_owned(), value: value.to_owned() }
}

fn same(values: &[&str]) -> Vec<Choice> {
    values.iter().map(|value| choice(value, value)).collect()
}

fn fitting(mut offers: Vec<Choice>, typed: &str) -> Vec<Choice> {
    let typed = typed.trim().to_lowercase();
    offers.retain(|offer| offer.name.to_lowercase().contains(&typed) || offer.value.to_lowercase().contains(&typed));
    offers.truncate(OFFERS_MAX);
    offers
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_fits_is_offered() {
        let names = |typed: &str| fitting(same(&ZONES), typed).into_iter().map(|offer| offer.name).collect::<Vec<_>>();
        assert_eq!(names("berlin"), ["Europe/Berlin"]);
        assert_eq!(names("").len(), ZONES.len());
        assert!(names("nowhere").is_empty());
    }
}
