//! Connecting a chat to whoever pays, and disconnecting it.

use convoke_app::chat::Redeemed;
use convoke_app::ports::Requester;
use convoke_chat::answer;
use convoke_chat::reply::Reply;
use convoke_chat::words;

use crate::trouble::{Answer, Trouble};
use crate::{Caller, Desk};

impl Desk {
    /// Telegram's first word: with a code it is a link.
    pub(crate) async fn start(&self, caller: &Caller, payload: Option<String>) -> Answer {
        if payload.is_some() {
            return self.link(caller, payload).await;
        }
        let is_linked = self.platform.enter_chat(&caller.chat, &caller.realm).await?.is_some();
        Ok(Reply::private(if is_linked { answer::hello() } else { answer::not_linked() }))
    }

    pub(crate) async fn link(&self, caller: &Caller, code: Option<String>) -> Answer {
        let Some(code) = code else {
            let is_linked = self.platform.link_of(&caller.realm).await?.is_some();
            return Ok(Reply::private(if is_linked { answer::linked() } else { answer::not_linked() }));
        };
        if !caller.is_admin {
            // It stands there for everybody to read, or did for somebody.
            self.platform.burn_link_code(&code).await?;
            return Err(answer::cant([words::ADMINS_LINK, words::CODE_BURNT].map(str::to_owned)).into());
        }
        let by = Requester { person: caller.person, name: caller.name.clone() };
        match self.platform.redeem_link_code(&code, caller.realm, &caller.title, by).await? {
            Redeemed::Linked(_) => {
                self.platform.enter_chat(&caller.chat, &caller.realm).await?;
                Ok(Reply::public(answer::linked()))
            }
            Redeemed::Foreign => Ok(Reply::private(answer::linked_elsewhere())),
            Redeemed::NoCode => Ok(Reply::private(answer::cant([words::NO_SUCH_CODE.to_owned()]))),
        }
    }

    pub(crate) async fn unlink(&self, caller: &Caller) -> Answer {
        only_admins(caller)?;
        let Some(link) = self.platform.link_of(&caller.realm).await? else {
            return Ok(Reply::private(answer::short(words::WAS_NOT_LINKED, "")));
        };
        self.platform.unlink(&link.tenant, &caller.realm).await?;
        Ok(Reply::public(answer::unlinked()))
    }
}

fn only_admins(caller: &Caller) -> Result<(), Trouble> {
    if caller.is_admin { Ok(()) } else { Err(answer::cant([words::ADMINS_LINK.to_owned()]).into()) }
}
