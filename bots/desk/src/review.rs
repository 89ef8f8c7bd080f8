//! Decisions by button.

use convoke_api::review::{DecisionRequest, ReviewState, ReviewView};
use convoke_app::ports::Button;
use convoke_app::reviews::Decider;
use convoke_chat::answer;
use convoke_chat::button::{Action, Ask, Press, Token};
use convoke_chat::notice::{Occasion, review};
use convoke_chat::page::Page;
use convoke_chat::reply::Reply;
use convoke_chat::words;
use convoke_domain::review::Decision;

use crate::Desk;
use crate::here::Here;
use crate::trouble::{Answer, Trouble};

impl Desk {
    /// Decides, and writes into the message what was decided; its buttons go.
    pub(crate) async fn decide(&self, here: &Here<'_>, about: &Button, press: &Press) -> Answer {
        let decision = if press.action == Action::Approve { Decision::Approve } else { Decision::Reject };
        let decided = self.rule(here, about, (decision, None)).await?;
        Ok(Reply::Update { page: self.outcome(about, &decided, &press.token).await? })
    }

    /// Asks what is to be changed, as long as that can still be said, and by whoever may.
    pub(crate) async fn ask_for_changes(&self, here: &Here<'_>, about: &Button, press: &Press) -> Answer {
        let asked = self.platform.review_to_decide(&about.key, name(about)?, &decider(here)).await?;
        if asked.state != ReviewState::Requested {
            return Ok(Reply::private(answer::short(words::ALREADY_DECIDED, &words::outcome(&asked))));
        }
        Ok(Reply::Ask(answer::ask_changes(Ask::Press(press.clone()))))
    }

    pub(crate) async fn request_changes(&self, here: &Here<'_>, about: &Button, wanted: String) -> Answer {
        let decided = self.rule(here, about, (Decision::Changes, Some(wanted))).await?;
        Ok(Reply::private(answer::short(words::CHANGES_TAKEN, &words::outcome(&decided))))
    }

    async fn rule(
        &self,
        here: &Here<'_>,
        about: &Button,
        (decision, comment): (Decision, Option<String>),
    ) -> Result<ReviewView, Trouble> {
        let asked = DecisionRequest { decision, comment };
        Ok(self.platform.decide_review(&about.key, name(about)?, &asked, &decider(here)).await?)
    }

    async fn outcome(&self, about: &Button, decided: &ReviewView, token: &Token) -> Result<Page, Trouble> {
        let shown = self.shown_with(&about.key, token.clone()).await?;
        Ok(review(&shown.subject(), decided, Occasion::News))
    }
}

fn decider(here: &Here<'_>) -> Decider {
    let caller = here.caller;
    Decider {
        who: caller.person.to_string(),
        name: caller.name.clone(),
        person: Some(caller.person),
        is_admin: caller.is_admin,
    }
}

/// Which review a button decides.
fn name(about: &Button) -> Result<&str, Trouble> {
    Ok(about.review.as_deref().ok_or_else(answer::old_button)?)
}
