//! What every delivery has in common, wherever it leads: it is open or not, and changes while it is held.

use convoke_domain::delivery::{Delivery, NotNow};
use convoke_domain::ids::JobKey;

use super::DeliverError;
use crate::platform::Platform;
use crate::ports::{DeliveryBell, Saved};
use crate::webhooks::RACES_MAX;

/// The delivery that a bell is about, unless somebody is at it, or it has to wait.
pub(super) async fn open(platform: &Platform, bell: &DeliveryBell) -> Result<Option<Delivery>, DeliverError> {
    let Some(delivery) = platform.ports.deliveries.delivery(&bell.key, &bell.target).await? else {
        tracing::warn!("a bell for a delivery that doesn't exist");
        return Ok(None);
    };
    Ok(Some(delivery).filter(|delivery| delivery.open(platform.ports.env.now_ms()).is_ok()))
}

/// Replaces a delivery as `change` says, also when others have changed it meanwhile; `false` where it is no longer ours.
pub(super) async fn save(
    platform: &Platform,
    (key, delivery): (&JobKey, &mut Delivery),
    change: impl Fn(&Delivery) -> Result<Delivery, NotNow>,
) -> Result<bool, DeliverError> {
    for _ in 0..RACES_MAX {
        let Ok(next) = change(delivery) else { return Ok(false) };
        match platform.ports.deliveries.save_delivery(key, &next).await? {
            Saved::Done => {
                *delivery = next;
                return Ok(true);
            }
            Saved::Conflict(now) => *delivery = now,
            Saved::Missing => return Ok(false),
        }
    }
    // So many at once: the lease runs out, and the clock looks.
    Ok(false)
}
