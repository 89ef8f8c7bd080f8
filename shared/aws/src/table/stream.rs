//! What the table's stream shows.

use convoke_app::ports::PortError;
use convoke_domain::group::Group;
use convoke_domain::ids::JobKey;

use super::group::decode;
use super::item::{Fields, Item};
use super::schema::{PK, SK, group_of_sk, job_of_pk};

/// The group in an old or new image of a stream's record, and its job; `None` where the image is of another item, or
/// empty (an item that was put has no old image).
///
/// # Errors
/// [`PortError::Corrupt`] where the image is of a group and can't be read: final for this record.
pub fn group_from_stream_image(image: serde_dynamo::Item) -> Result<Option<(JobKey, Group)>, PortError> {
    let item: Item = image.into();
    let fields = Fields::of_index(&item);
    let (Some(pk), Some(sk)) = (fields.opt_text(PK)?, fields.opt_text(SK)?) else { return Ok(None) };
    match (job_of_pk(pk), group_of_sk(sk)) {
        (Some(key), Some(_)) => decode(&item).map(|group| Some((key, group))),
        _ => Ok(None),
    }
}
