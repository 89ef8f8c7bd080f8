//! Showing a chat what happens to a job: a card that is edited, a message for each review, one at the end.
//!
//! Unlike a webhook, a chat isn't told events but the newest state: whoever claims the delivery looks at the job, compares
//! with what is shown ([`Shown`](convoke_domain::delivery::Shown)), and sends what differs, each message on three
//! conditions, so that no platform's limit is ever broken: the bot isn't to be silent, its second has a call left, and the
//! room has space ([`room`]). What finds no space leaves the delivery alone until then; nobody waits in a process.
//!
//! Ends that find none wait in their chat and are told together ([`together`]): the room's digest, stored before it is
//! sent, names the jobs, so each is told by one message.

mod alone;
mod notices;
mod outcome;
mod room;
mod shift;
mod todo;
mod together;

use convoke_domain::chat::{ChatId, RealmId};
use convoke_domain::delivery::{Delivery, Shown};
use convoke_domain::ids::TenantId;

use super::round::Next;
use super::{DeliverError, held};
use crate::chat::MOVES_MAX;
use crate::failure::Failure;
use crate::platform::Platform;
use crate::ports::{DeliveryBell, Saved};
use crate::work::Until;

pub(crate) use alone::Told;
use notices::Subject;
use shift::Shift;
use todo::todo;

/// Where a delivery leads.
enum Place {
    /// To a chat of this realm.
    At(ChatId, RealmId),
    /// To a chat that takes nothing until somebody uses the bot there.
    Dead(ChatId),
    /// Nowhere: nobody knows whose it is, or it isn't the tenant's.
    Nowhere,
}

/// Looks at a delivery to a chat once.
pub(super) async fn round(
    platform: &Platform,
    bell: &DeliveryBell,
    (target, until): (&ChatId, Until),
) -> Result<Next, DeliverError> {
    let Some(delivery) = held::open(platform, bell).await? else { return Ok(Next::Rest) };
    let Some(host) = platform.ports.chat_hosts.of(target.bot()) else {
        let Some(mut shift) = claim(platform, (bell, until), delivery, (*target, *target)).await? else {
            return Ok(Next::Rest);
        };
        return shift.look_later().await;
    };
    let (shown, now_ms) = (delivery.shown.clone().unwrap_or_default(), platform.ports.env.now_ms());
    let subject = Subject::load(platform, &bell.key).await?;
    let todo = todo(&shown, &subject, (host.as_ref(), target.bot(), now_ms));
    if todo.steps.is_empty() && !todo.is_over || shown.paced_until_ms > now_ms && !todo.is_urgent() {
        return Ok(Next::Rest);
    }
    let place = place(platform, &bell.key.tenant, target).await?;
    let chat = match &place {
        Place::At(chat, _) | Place::Dead(chat) => *chat,
        Place::Nowhere => *target,
    };
    let Some(mut shift) = claim(platform, (bell, until), delivery, (*target, chat)).await? else {
        return Ok(Next::Look);
    };
    match place {
        Place::Nowhere => shift.give_up("the chat isn't linked any more").await,
        Place::Dead(_) => shift.look_later().await,
        Place::At(_, realm) => shift.show_all(host, &subject, (todo, realm)).await,
    }
}

/// Claims a delivery; `None` where somebody else was first.
async fn claim<'s>(
    platform: &'s Platform,
    (bell, until): (&'s DeliveryBell, Until),
    delivery: Delivery,
    (target, chat): (ChatId, ChatId),
) -> Result<Option<Shift<'s>>, DeliverError> {
    let nonce = platform.ports.env.nonce();
    let Ok(mut claimed) = delivery.claim(platform.ports.env.now_ms(), &nonce) else { return Ok(None) };
    let shown: &mut Shown = claimed.shown.get_or_insert_default();
    if shown.token.is_none() {
        // An orphan, if the claim is lost, which expires.
        shown.token = Some(platform.new_button(&bell.key, &chat, None).await.map_err(failed)?);
    }
    match platform.ports.deliveries.save_delivery(&bell.key, &claimed).await? {
        Saved::Done => Ok(Some(Shift { platform, key: &bell.key, nonce, delivery: claimed, until, target, chat })),
        Saved::Conflict(_) | Saved::Missing => Ok(None),
    }
}

/// Where a target is by now, if it is linked to the tenant, and whether it takes anything.
async fn place(platform: &Platform, tenant: &TenantId, target: &ChatId) -> Result<Place, DeliverError> {
    let mut chat = *target;
    for _ in 0..=MOVES_MAX {
        let room = platform.ports.rooms.standing(tenant, &chat.room()).await?.room;
        if let Some(to) = room.as_ref().and_then(|room| room.moved_to) {
            // Whoever noted the move may not have come so far as to take the link along.
            platform.chat_moved(&chat.room(), &to).await.map_err(failed)?;
            chat = to;
            continue;
        }
        let is_dead = room.as_ref().is_some_and(|room| room.dead.is_some());
        let Some(realm) = chat.own_realm().or(room.map(|room| room.realm)) else { return Ok(Place::Nowhere) };
        let link = platform.ports.links.link(&realm).await?;
        let is_own = link.is_some_and(|link| link.tenant == *tenant);
        return Ok(if is_own && is_dead {
            Place::Dead(chat)
        } else if is_own {
            Place::At(chat, realm)
        } else {
            Place::Nowhere
        });
    }
    Ok(Place::Nowhere)
}

/// What keeps a delivery from being made.
fn failed(failure: Failure) -> DeliverError {
    DeliverError::Job(failure)
}
