//! The MD5 digests that SQS answers with, so that a sender can tell whether its message arrived whole.

use std::collections::BTreeMap;

use md5::{Digest, Md5};

use super::wire_types::Attribute;

/// Digest of a message's body.
pub(super) fn of_body(body: &str) -> String {
    hex::encode(Md5::digest(body.as_bytes()))
}

/// Digest of a message's attributes, by the algorithm of the SQS Developer Guide: for each by name its name, type, one
/// byte for the kind of value (1 text, 2 binary), and value, each with its length before it. `None` if there are none.
pub(super) fn of_attributes(attributes: &BTreeMap<String, Attribute>) -> Option<String> {
    if attributes.is_empty() {
        return None;
    }
    let mut digest = Md5::new();
    for (name, attribute) in attributes {
        part(&mut digest, name.as_bytes());
        part(&mut digest, attribute.data_type.as_bytes());
        match (&attribute.string_value, &attribute.binary_value) {
            (_, Some(binary)) => {
                digest.update([2]);
                part(&mut digest, binary);
            }
            (text, None) => {
                digest.update([1]);
                part(&mut digest, text.as_deref().unwrap_or_default().as_bytes());
            }
        }
    }
    Some(hex::encode(digest.finalize()))
}

fn part(digest: &mut Md5, bytes: &[u8]) {
    digest.update(u32::try_from(bytes.len()).unwrap_or(u32::MAX).to_be_bytes());
    digest.update(bytes);
}
