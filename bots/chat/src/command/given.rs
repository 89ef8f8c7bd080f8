//! From named values to a command: the same for both platforms.

use std::collections::BTreeMap;
use std::str::FromStr;

use convoke_api::schema::JOB_STATUSES;
use convoke_domain::money::MicroUsd;
use convoke_domain::status::JobStatus;
use serde_json::Value as Json;

use super::table::{FLOW_CHARS_MAX, Kind, Opt};
use super::{Attached, COMMANDS, Command, FollowUp, JobName, Misread, Run, Schedule, Spec, Verb, When};
use crate::words;

/// A value that was given for an option.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Given {
    /// The option's name.
    pub name: String,
    /// Its value.
    pub value: Value,
}

/// What an option was given.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Value {
    /// A text.
    Text(String),
    /// A file.
    File(Attached),
}

/// The command of Discord's words after `/crew`, e.g. `["schedule", "create"]`, and the options under the last.
pub fn from_options(path: &[&str], given: Vec<Given>) -> Result<Command, Misread> {
    let spec = COMMANDS.iter().find(|spec| !spec.discord.is_empty() && spec.discord == path);
    let spec = spec.ok_or_else(|| Misread { what: words::unknown_command(&path.join(" ")), verb: None })?;
    command(spec, given)
}

/// The values of one command, taken out one by one.
struct Values {
    spec: &'static Spec,
    given: Vec<Given>,
}

impl Values {
    fn text(&mut self, name: &str) -> Option<String> {
        let index = self.given.iter().position(|given| given.name == name)?;
        match self.given.swap_remove(index).value {
            Value::Text(text) => Some(text.trim().to_owned()).filter(|text| !text.is_empty()),
            Value::File(_) => None,
        }
    }

    fn parsed<T: FromStr>(&mut self, name: &str) -> Result<Option<T>, Misread>
    where
        T::Err: std::fmt::Display,
    {
        let Some(text) = self.text(name) else { return Ok(None) };
        text.parse().map(Some).map_err(|error: T::Err| self.wrong(name, &text, &error.to_string()))
    }

    fn must(&mut self, name: &str) -> Result<String, Misread> {
        self.text(name).ok_or_else(|| self.misread(words::missing_option(name, self.about(name))))
    }

    fn money(&mut self) -> Result<Option<MicroUsd>, Misread> {
        let Some(text) = self.text("budget") else { return Ok(None) };
        let number = text.trim_start_matches('$').trim_end_matches('$').replace(',', ".");
        match number.trim().parse() {
            Ok(MicroUsd::ZERO) => Err(self.wrong("budget", &text, words::BUDGET_OF_NOTHING)),
            Ok(usd) => Ok(Some(usd)),
            Err(_) => Err(self.wrong("budget", &text, words::WRITE_DOLLARS)),
        }
    }

    fn flow(&mut self) -> Result<Option<String>, Misread> {
        let Some(flow) = self.text("flow") else { return Ok(None) };
        let is_name = flow.len() <= FLOW_CHARS_MAX
            && flow.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-' || b == b'_' || b == b'.');
        if is_name { Ok(Some(flow)) } else { Err(self.wrong("flow", &flow, words::WRITE_FLOW)) }
    }

    fn status(&mut self) -> Result<Option<JobStatus>, Misread> {
        let Some(text) = self.text("status") else { return Ok(None) };
        let asked = text.to_lowercase().replace([' ', '-'], "_");
        let status = JOB_STATUSES.into_iter().find(|status| status.as_str() == asked);
        status.map(Some).ok_or_else(|| self.wrong("status", &text, &words::write_state(&JOB_STATUSES)))
    }

    /// What else a flow takes: JSON where it is some, else a text.
    fn inputs(&mut self) -> Result<BTreeMap<String, Json>, Misread> {
        let mut inputs = BTreeMap::new();
        while let Some(text) = self.text("input") {
            for pair in text.split(',') {
                let Some((name, value)) = pair.split_once('=').filter(|(name, _)| is_input(name.trim())) else {
                    return Err(self.wrong("input", pair, words::WRITE_INPUT));
                };
                let value = value.trim();
                let value = serde_json::from_str(value).unwrap_or_else(|_| value.into());
                inputs.insert(name.trim().to_owned(), value);
            }
        }
        Ok(inputs)
    }

    fn files(&mut self) -> Vec<Attached> {
        let given = std::mem::take(&mut self.given);
        let files = given.into_iter().filter_map(|given| match given.value {
            Value::File(file) => Some(file),
            Value::Text(_) => None,
        });
        files.collect()
    }

    fn run(&mut self) -> Result<Run, Misread> {
        let (flow, budget, inputs) = (self.flow()?, self.money()?, self.inputs()?);
        let (prompt, files) = (self.text("prompt"), self.files());
        if prompt.is_none() && files.is_empty() && !inputs.is_empty() {
            return Err(self.misread(words::missing_option("prompt", self.about("prompt"))));
        }
        Ok(Run { flow, prompt, budget, inputs, files })
    }

    fn about(&self, name: &str) -> &'static str {
        self.spec.options.iter().find(|option| option.name == name).map_or("", |option| option.about)
    }

    fn wrong(&self, name: &str, text: &str, instead: &str) -> Misread {
        self.misread(words::wrong_option(name, text, instead))
    }

    fn misread(&self, what: String) -> Misread {
        Misread { what, verb: Some(self.spec.verb) }
    }
}

/// Whether an input can be called so: prompt and files have ways of their own.
fn is_input(name: &str) -> bool {
    !matches!(name, "" | "prompt" | "files")
        && name.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_' || b == b'-')
}

/// What is asked for by these values.
pub(super) fn command(spec: &'static Spec, given: Vec<Given>) -> Result<Command, Misread> {
    let unknown = |given: &&Given| !spec.options.iter().any(|option: &Opt| takes(option, given));
    if let Some(given) = given.iter().find(unknown) {
        let what = words::unknown_option(&given.name, spec);
        return Err(Misread { what, verb: Some(spec.verb) });
    }
    let mut values = Values { spec, given };
    Ok(match spec.verb {
        Verb::Run => Command::Run(values.run()?),
        Verb::Status => Command::Status { job: values.parsed::<JobName>("job")? },
        Verb::List => Command::List { status: values.status()? },
        Verb::Cancel => Command::Cancel { job: values.parsed("job")? },
        Verb::Retry => Command::Retry { job: values.parsed("job")?, budget: values.money()? },
        Verb::Artifacts => Command::Artifacts { job: values.parsed("job")?, path: values.text("path") },
        Verb::Cost => Command::Cost { job: values.parsed("job")? },
        Verb::FollowUp => Command::FollowUp(FollowUp {
            job: values.parsed("job")?,
            prompt: values.text("prompt"),
            budget: values.money()?,
        }),
        Verb::ScheduleCreate => Command::Schedule(create(&mut values)?),
        Verb::ScheduleList => Command::Schedule(Schedule::List),
        Verb::SchedulePause => Command::Schedule(Schedule::Pause { id: values.must("schedule")? }),
        Verb::ScheduleResume => Command::Schedule(Schedule::Resume { id: values.must("schedule")? }),
        Verb::ScheduleDelete => Command::Schedule(Schedule::Delete { id: values.must("schedule")? }),
        Verb::Link => Command::Link { code: values.text("code") },
        Verb::Unlink => Command::Unlink,
        Verb::Help => Command::Help,
        Verb::Start => Command::Start { payload: values.text("payload") },
    })
}

fn create(values: &mut Values) -> Result<Schedule, Misread> {
    let when = values.must("when")?;
    let when: When = when.parse().map_err(|error: super::WhenError| values.wrong("when", &when, &error.to_string()))?;
    let zone = values.text("zone");
    let run = values.run()?;
    if run.prompt.is_none() {
        return Err(values.misread(words::missing_option("prompt", values.about("prompt"))));
    }
    Ok(Schedule::Create { when, zone, run })
}

fn takes(option: &Opt, given: &Given) -> bool {
    let is_file = matches!(given.value, Value::File(_));
    is_file == (option.kind == Kind::File) && (is_file || option.name == given.name)
}
