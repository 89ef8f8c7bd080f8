//! What a review asks, and what it shows of what is to be judged.

use bytes::Bytes;
use convoke_domain::path::ArtifactPath;
use minijinja::value::Serde;
use serde_json::Value;
use sha2::{Digest, Sha256};

use super::digest;
use super::evaluate::{TaskError, truth};
use super::inputs::Inputs;
use super::outline::outline;
use super::prompt::fill;
use super::spec::{ReviewSpec, Shown as Show, TaskBody, TaskSpec};
use crate::ports::{FileRef, Shown};
use crate::script::Question;

/// Longest question, in characters.
const QUESTION_CHARS_MAX: usize = 4_000;
/// Longest beginning of what is to be judged, in characters.
const SHOWN_CHARS_MAX: usize = 2_000;

/// What the review asks; `None` where its condition says that nobody is asked. `contents` are those of the files that were
/// loaded, by path. Pure.
pub fn question<'c>(
    spec: &TaskSpec,
    inputs: &Inputs,
    contents: &impl Fn(&str) -> Option<&'c Bytes>,
) -> Result<Option<Question>, TaskError> {
    let TaskBody::Review(review) = &spec.body else { return Err(TaskError::Missing(format!("review {}", spec.id))) };
    let ReviewSpec { question, shows, condition, deciders } = &**review;
    let scope = inputs.scope(&spec.bindings);
    if let Some(condition) = condition
        && !truth(condition, &scope, &spec.id, "if")?
    {
        return Ok(None);
    }
    let text = fill(question, &minijinja::Value::from(Serde(scope)), spec, "question")?;
    let shows = shows.iter().filter_map(|show| match show {
        Show::Output(binding) => {
            inputs.outputs.get(&binding.read.task).map(|output| shown_output(&binding.name, output))
        }
        Show::File(path) => file(spec, inputs, path).map(|file| shown_file(file, contents(&file.path))),
    });
    let text = cut(text.trim(), QUESTION_CHARS_MAX).0.to_owned();
    Ok(Some(Question { text, shows: shows.collect(), deciders: deciders.clone() }))
}

/// The file as whoever wrote it last left it: the loop's own tasks come after what the review needs.
fn file<'i>(spec: &TaskSpec, inputs: &'i Inputs, path: &ArtifactPath) -> Option<&'i FileRef> {
    let mut reads: Vec<_> = spec.files.iter().collect();
    reads.sort_by_key(|read| (read.node == spec.node, read.node));
    let mut files = reads.into_iter().filter_map(|read| inputs.files.get(&read.task)).flatten();
    files.rfind(|file| file.path == path.as_str())
}

fn shown_output(name: &str, output: &Value) -> Shown {
    let whole = digest::plain(output);
    let readable = outline(output);
    let (text, truncated) = cut(&readable, SHOWN_CHARS_MAX);
    Shown {
        name: name.to_owned(),
        is_file: false,
        text: text.to_owned(),
        truncated,
        bytes: whole.len() as u64,
        sha256: hex::encode(Sha256::digest(&whole)),
    }
}

fn shown_file(file: &FileRef, content: Option<&Bytes>) -> Shown {
    let whole = content.and_then(|bytes| std::str::from_utf8(bytes).ok()).filter(|text| !text.contains('\0'));
    let json = whole.filter(|_| file.media_type == "application/json").and_then(|text| serde_json::from_str(text).ok());
    let readable = json.as_ref().map(outline);
    let (text, truncated) =
        readable.as_deref().or(whole).map_or(("", file.bytes > 0), |text| cut(text, SHOWN_CHARS_MAX));
    Shown {
        name: file.path.clone(),
        is_file: true,
        text: text.to_owned(),
        truncated,
        bytes: file.bytes,
        sha256: file.sha256.clone(),
    }
}

/// The beginning of a text, and whether there is more.
fn cut(text: &str, chars_max: usize) -> (&str, bool) {
    match text.char_indices().nth(chars_max) {
        Some((end, _)) => (&text[..end], true),
        None => (text, false),
    }
}
