//! Cursors of lists: opaque to callers, so that what they hold may change.

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde::Serialize;
use serde::de::DeserializeOwned;

/// Longest cursor that is looked at, in bytes.
const CURSOR_BYTES_MAX: usize = 1_024;

/// A text that is no cursor of this list.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("not a cursor that this list has given out")]
pub struct CursorError;

/// A cursor of the list `kind` that goes on after `position`.
pub fn encode<P: Serialize>(kind: &str, position: &P) -> String {
    // Positions are plain data (ids, numbers, paths), which always have a JSON form.
    let json = serde_json::to_vec(&(kind, position)).unwrap_or_default();
    URL_SAFE_NO_PAD.encode(json)
}

/// The position in a cursor of the list `kind`.
pub fn decode<P: DeserializeOwned>(kind: &str, cursor: &str) -> Result<P, CursorError> {
    if cursor.len() > CURSOR_BYTES_MAX {
        return Err(CursorError);
    }
    let json = URL_SAFE_NO_PAD.decode(cursor).map_err(|_| CursorError)?;
    let (of, position): (String, P) = serde_json::from_slice(&json).map_err(|_| CursorError)?;
    if of == kind { Ok(position) } else { Err(CursorError) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cursor_belongs_to_its_list() {
        let cursor = encode("jobs", &"01KAJ0X5T3ZQ4V8N2M6R7W9YBC");
        assert_eq!(decode::<String>("jobs", &cursor).as_deref(), Ok("01KAJ0X5T3ZQ4V8N2M6R7W9YBC"));
        assert_eq!(decode::<String>("steps", &cursor), Err(CursorError));
        assert_eq!(decode::<u64>("jobs", &cursor), Err(CursorError));
        for bad in ["", "x", "a b", &"a".repeat(2_000)] {
            assert_eq!(decode::<String>("jobs", bad), Err(CursorError), "{bad}");
        }
    }
}
