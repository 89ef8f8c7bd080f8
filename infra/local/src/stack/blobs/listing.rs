//! `ListObjectsV2`: the order, the pages and the common prefixes.

use s3s::dto::{CommonPrefix, ETag, ListObjectsV2Input, ListObjectsV2Output, Object};

use super::store::Description;
use super::timestamp;

/// Keys in one page, at most.
const PAGE_MAX: i32 = 1_000;

/// One line of a listing: an object, or all objects under a common prefix.
enum Line {
    Object(Description),
    Prefix(String),
}

impl Line {
    fn key(&self) -> &str {
        match self {
            Self::Object(description) => &description.key,
            Self::Prefix(prefix) => prefix,
        }
    }
}

/// One page out of `found`, which is in order and has the wanted prefix.
pub(super) fn page(input: ListObjectsV2Input, found: Vec<Description>) -> ListObjectsV2Output {
    let max = input.max_keys.unwrap_or(PAGE_MAX).clamp(0, PAGE_MAX);
    let after = input.continuation_token.as_deref().or(input.start_after.as_deref()).unwrap_or_default();
    let prefix_bytes = input.prefix.as_ref().map_or(0, String::len);
    let mut lines = folded(found, prefix_bytes, input.delimiter.as_deref().filter(|delimiter| !delimiter.is_empty()));
    lines.retain(|line| line.key() > after);
    let rest = lines.split_off(lines.len().min(usize::try_from(max).unwrap_or_default()));
    let is_truncated = !rest.is_empty() && max > 0;
    let next = lines.last().filter(|_| is_truncated).map(|line| line.key().to_owned());
    let key_count = i32::try_from(lines.len()).unwrap_or(PAGE_MAX);
    let (mut contents, mut common_prefixes) = (Vec::new(), Vec::new());
    for line in lines {
        match line {
            Line::Object(description) => contents.push(object(description)),
            Line::Prefix(prefix) => common_prefixes.push(CommonPrefix { prefix: Some(prefix) }),
        }
    }
    ListObjectsV2Output {
        contents: Some(contents),
        common_prefixes: Some(common_prefixes),
        is_truncated: Some(is_truncated),
        next_continuation_token: next,
        key_count: Some(key_count),
        max_keys: Some(max),
        name: Some(input.bucket),
        prefix: input.prefix,
        delimiter: input.delimiter,
        start_after: input.start_after,
        continuation_token: input.continuation_token,
        ..ListObjectsV2Output::default()
    }
}

/// Replaces what has the delimiter after the prefix by its common prefix, once each.
fn folded(found: Vec<Description>, prefix_bytes: usize, delimiter: Option<&str>) -> Vec<Line> {
    let mut lines: Vec<Line> = Vec::with_capacity(found.len());
    for description in found {
        let rest = description.key.get(prefix_bytes..).unwrap_or_default();
        let cut = delimiter.and_then(|delimiter| rest.find(delimiter).map(|at| prefix_bytes + at + delimiter.len()));
        match cut.and_then(|cut| description.key.get(..cut)) {
            Some(prefix) if lines.last().is_some_and(|line| line.key() == prefix) => {}
            Some(prefix) => lines.push(Line::Prefix(prefix.to_owned())),
            None => lines.push(Line::Object(description)),
        }
    }
    lines
}

fn object(description: Description) -> Object {
    Object {
        e_tag: Some(ETag::Strong(description.etag)),
        last_modified: Some(timestamp(description.modified_ms)),
        size: i64::try_from(description.size).ok(),
        key: Some(description.key),
        ..Object::default()
    }
}
