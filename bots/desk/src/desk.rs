//! The desk itself: who asks is looked up first, then each command and each button has its one place.

use std::sync::Arc;

use async_trait::async_trait;
use convoke_app::flow::BUILT_IN;
use convoke_app::platform::Platform;
use convoke_app::ports::Wish;
use convoke_chat::answer;
use convoke_chat::button::{Action, Ask, Press};
use convoke_chat::command::{Command, FollowUp, Misread, Schedule};
use convoke_chat::reply::{Choice, Reply};

use crate::here::Here;
use crate::trouble::{Answer, answered};
use crate::{Attachments, Caller, Front, Shelf};

/// Whom both bots ask. Clones are the same desk.
#[derive(Clone)]
pub struct Desk {
    pub(crate) platform: Platform,
    pub(crate) attachments: Arc<dyn Attachments>,
    pub(crate) shelf: Option<Arc<dyn Shelf>>,
}

impl Desk {
    /// A desk over that platform, which has to be one that compiles flows; `attachments` fetches what comes with messages.
    pub fn new(platform: Platform, attachments: Arc<dyn Attachments>) -> Self {
        Self { platform, attachments, shelf: None }
    }

    /// The same, on a machine whose people find files in a folder.
    #[must_use]
    pub fn with_shelf(self, shelf: Arc<dyn Shelf>) -> Self {
        Self { shelf: Some(shelf), ..self }
    }

    /// The names of flows that can be asked for, the default first.
    pub const fn flows() -> &'static [&'static str] {
        &BUILT_IN
    }

    async fn act(&self, caller: &Caller, command: Command) -> Answer {
        match command {
            Command::Help => Ok(Reply::private(answer::help())),
            Command::Start { payload } => self.start(caller, payload).await,
            Command::Link { code } => self.link(caller, code).await,
            Command::Unlink => self.unlink(caller).await,
            command => self.act_here(&self.enter(caller).await?, command).await,
        }
    }

    /// What is only done where the chat is linked.
    async fn act_here(&self, here: &Here<'_>, command: Command) -> Answer {
        match command {
            Command::Run(run) => self.run(here, run).await,
            Command::Status { job } => self.status(here, job.as_ref()).await,
            Command::List { status } => self.list(here, status).await,
            Command::Cancel { job } => self.cancel(here, job.as_ref()).await,
            Command::Retry { job, budget } => self.retry(here, job.as_ref(), budget).await,
            Command::Artifacts { job, path } => self.artifacts(here, job.as_ref(), path.as_deref()).await,
            Command::Cost { job } => self.cost(here, job.as_ref()).await,
            Command::FollowUp(FollowUp { job, prompt, budget }) => {
                self.follow_up(here, job.as_ref(), (prompt, budget)).await
            }
            Command::Schedule(schedule) => self.schedules(here, schedule).await,
            Command::Help | Command::Start { .. } | Command::Link { .. } | Command::Unlink => {
                Ok(Reply::private(answer::help()))
            }
        }
    }

    async fn schedules(&self, here: &Here<'_>, schedule: Schedule) -> Answer {
        match schedule {
            Schedule::Create { when, zone, run } => self.create_schedule(here, (when, zone), run).await,
            Schedule::List => self.list_schedules(here).await,
            Schedule::Pause { id } => self.pause_schedule(here, &id).await,
            Schedule::Resume { id } => self.resume_schedule(here, &id).await,
            Schedule::Delete { id } => self.delete_schedule(here, &id).await,
        }
    }

    /// A button was pressed; where it wants words, they are asked for.
    async fn pressed(&self, caller: &Caller, press: &Press) -> Answer {
        let here = self.enter(caller).await?;
        let about = self.about(&here, &press.token).await?;
        match press.action {
            Action::Stop => self.stop(&here, &about.key).await,
            Action::Details => self.details(&here, &about.key).await,
            Action::Zip => self.zip(&about.key).await,
            Action::RunAgain => self.run_again(&here, &about.key).await,
            Action::Retry => self.retry_job(&here, &about.key, None).await,
            Action::RaiseBudget => self.retry_with_more(&here, &about.key).await,
            Action::FollowUp => Ok(Reply::Ask(answer::ask_follow_up(Ask::Press(press.clone())))),
            Action::Queue => self.queue(&here, &about, press).await,
            Action::Restart => self.restart(&here, &about, press).await,
            Action::Approve | Action::Reject => self.decide(&here, &about, press).await,
            Action::Changes => self.ask_for_changes(&here, &about, press).await,
        }
    }

    async fn answer_of(&self, caller: &Caller, ask: Ask, text: String) -> Answer {
        let here = self.enter(caller).await?;
        match ask {
            Ask::Run { flow, budget } => self.run_prompt(&here, (flow, budget), text).await,
            Ask::FollowUp { job, budget } => {
                let key = self.seen(&here, here.key(job)).await?;
                self.follow_up_job(&here, &key, Wish { prompt: text, budget }).await
            }
            Ask::Press(press) => self.pressed_with(&here, &press, text).await,
        }
    }

    /// A button was pressed, and these are the words that it wanted.
    async fn pressed_with(&self, here: &Here<'_>, press: &Press, text: String) -> Answer {
        let about = self.about(here, &press.token).await?;
        match press.action {
            Action::FollowUp | Action::Queue => self.follow_up_job(here, &about.key, wish(text)).await,
            Action::Restart => {
                let (wish, repeat) = (wish(text), here.repeat());
                Ok(Reply::private(self.restart_with(here, &about.key, (&wish, repeat.as_ref())).await?))
            }
            Action::Changes => self.request_changes(here, &about, text).await,
            Action::Stop
            | Action::Details
            | Action::RunAgain
            | Action::Zip
            | Action::Retry
            | Action::RaiseBudget
            | Action::Approve
            | Action::Reject => Ok(Reply::private(answer::old_button())),
        }
    }
}

const fn wish(prompt: String) -> Wish {
    Wish { prompt, budget: None }
}

#[async_trait]
impl Front for Desk {
    async fn command(&self, caller: &Caller, command: Result<Command, Misread>) -> Reply {
        match command {
            Ok(command) => answered(caller, self.act(caller, command).await),
            Err(misread) => Reply::private(answer::misread(&misread)),
        }
    }

    async fn press(&self, caller: &Caller, press: Press) -> Reply {
        answered(caller, self.pressed(caller, &press).await)
    }

    async fn typed(&self, caller: &Caller, ask: Ask, text: String) -> Reply {
        answered(caller, self.answer_of(caller, ask, text).await)
    }

    async fn complete(&self, caller: &Caller, path: &[&str], option: &str, typed: &str) -> Vec<Choice> {
        self.offers(caller, (path, option), typed).await
    }
}
