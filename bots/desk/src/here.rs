//! Where something is asked, by whom, and what that person may do there.

use convoke_api::request::{DiscordTarget, NotifyTarget, TelegramTarget};
use convoke_app::chat::{Leave, Rank, Whose};
use convoke_app::ports::{Button, Link, MADE_BY, Requester};
use convoke_app::submit::IdempotencyKey;
use convoke_app::work::JobOutline;
use convoke_chat::answer;
use convoke_chat::button::Token;
use convoke_chat::text::duration;
use convoke_chat::words;
use convoke_domain::chat::ChatId;
use convoke_domain::ids::{JobId, JobKey};
use serde_json::{Value, json};

use crate::trouble::Trouble;
use crate::{Caller, Desk};

/// A caller in a chat that is linked.
pub(crate) struct Here<'of> {
    pub caller: &'of Caller,
    pub link: Link,
}

impl Here<'_> {
    /// The job of that id, if it is the tenant's.
    pub fn key(&self, job: JobId) -> JobKey {
        JobKey { tenant: self.link.tenant.clone(), job }
    }

    /// Who asks, as jobs note it.
    pub fn requester(&self) -> Requester {
        Requester { person: self.caller.person, name: self.caller.name.clone() }
    }

    /// Names what came in, among all that comes in from chats.
    pub fn mark(&self) -> String {
        format!("{}-{}", self.caller.chat.bot(), self.caller.update)
    }

    /// What makes a repeat of the same update the same request.
    pub fn repeat(&self) -> Option<IdempotencyKey> {
        self.mark().chars().filter(char::is_ascii_graphic).take(200).collect::<String>().parse().ok()
    }

    /// The chat, as a submission's `notify` names it.
    pub fn notify(&self) -> Value {
        let target = match self.caller.chat {
            ChatId::Discord(channel) => NotifyTarget::Discord(DiscordTarget { channel: channel.to_string() }),
            ChatId::Telegram { chat, thread } => {
                NotifyTarget::Telegram(TelegramTarget { chat, thread: thread.map(i64::from) })
            }
        };
        json!([target])
    }

    const fn rank(&self) -> Rank {
        if self.caller.is_admin { Rank::Admin } else { Rank::Member }
    }
}

impl Desk {
    /// Whoever asks, in a chat that is linked; it is said where it isn't.
    pub(crate) async fn enter<'of>(&self, caller: &'of Caller) -> Result<Here<'of>, Trouble> {
        let link = self.platform.enter_chat(&caller.chat, &caller.realm).await?;
        let link = link.ok_or_else(answer::not_linked)?;
        Ok(Here { caller, link })
    }

    /// What a button is about. A token of another tenant's, from before the chat was linked anew, is as old as one that
    /// is gone.
    pub(crate) async fn about(&self, here: &Here<'_>, token: &Token) -> Result<Button, Trouble> {
        let button = self.platform.button(token.as_str()).await?;
        let button = button.filter(|button| button.key.tenant == here.link.tenant);
        Ok(button.ok_or_else(answer::old_button)?)
    }

    /// Counts a submission; it is said why where there may be none. What an earlier try of the same update has submitted was
    /// counted then.
    pub(crate) async fn may_submit(&self, here: &Here<'_>) -> Result<(), Trouble> {
        self.may_submit_once(here, here.repeat().as_ref()).await
    }

    /// The same for what is the same by that key, rather than by the update.
    pub(crate) async fn may_submit_once(
        &self,
        here: &Here<'_>,
        repeat: Option<&IdempotencyKey>,
    ) -> Result<(), Trouble> {
        if let Some(repeat) = repeat
            && self.platform.is_repeat(&here.link.tenant, repeat).await?
        {
            return Ok(());
        }
        let refused = match self.platform.may_submit(&here.link, here.caller.person, here.rank()).await? {
            Leave::Granted => return Ok(()),
            Leave::AdminsOnly => words::ADMINS_ONLY.to_owned(),
            Leave::TooMany { whose, most, retry_after_s } => {
                words::too_many(whose == Whose::Person, most, &duration(retry_after_s * 1_000))
            }
        };
        Err(answer::cant([refused]).into())
    }

    /// Whether the caller may end a job or what a schedule starts: whoever asked for it, or an admin.
    pub(crate) async fn owns(&self, here: &Here<'_>, key: &JobKey) -> Result<(), Trouble> {
        if here.caller.is_admin {
            return Ok(());
        }
        let outline = self.platform.job_outline(key).await.map_err(convoke_app::failure::Failure::from)?;
        let is_own = outline.is_some_and(|outline| is_of(here.caller, &outline));
        if is_own { Ok(()) } else { Err(answer::cant([words::NOT_YOURS.to_owned()]).into()) }
    }
}

fn is_of(caller: &Caller, outline: &JobOutline) -> bool {
    let definition = &outline.definition;
    let is_requester = definition.requester.as_ref().is_some_and(|requester| requester.person == caller.person);
    is_requester || definition.labels.get(MADE_BY).is_some_and(|person| *person == caller.person.to_string())
}
