//! Server-sent events of a streamed answer.

use convoke_app::model::{DeltaSink, Usage};
use serde_json::Value;

use super::answer::{self, Parts, ReadError, Reading};
use super::body::Body;

/// Reads a stream to its end. The usage comes after the reason of stopping, in a piece without choices.
pub(super) async fn read(
    body: &mut Body,
    answer_tool: Option<&str>,
    deltas: Option<&DeltaSink>,
) -> Result<Reading, ReadError> {
    let mut events = Events::default();
    let mut gathered = Gathered { parts: Parts::default(), usage: None };
    loop {
        let ended = match body.next().await {
            Ok(Some(bytes)) => {
                events.push(&bytes);
                false
            }
            Ok(None) => {
                events.end();
                true
            }
            // All but the end of the connection had come.
            Err(ReadError::Unreadable(_)) if gathered.parts.has_stopped() => return Ok(gathered.into_reading()),
            Err(error) => return Err(error),
        };
        while let Some(data) = events.next() {
            if data.trim() == "[DONE]" {
                let is_whole = gathered.parts.has_begun();
                return gathered.ended(is_whole);
            }
            gathered.add(&data, answer_tool, deltas)?;
        }
        if ended {
            return gathered.ended(false);
        }
    }
}

struct Gathered {
    parts: Parts,
    usage: Option<Usage>,
}

impl Gathered {
    fn add(&mut self, data: &str, answer_tool: Option<&str>, deltas: Option<&DeltaSink>) -> Result<(), ReadError> {
        let piece: Value = serde_json::from_str(data)
            .map_err(|error| ReadError::Unreadable(format!("a piece of the answer is no JSON: {error}")))?;
        if piece.get("error").is_some_and(|error| !error.is_null()) {
            return Err(ReadError::told(&piece, self.parts.has_begun()));
        }
        let choice = &piece["choices"][0];
        // Some send the whole message in the last piece once more; only pieces are taken.
        let added = self.parts.add(&choice["delta"]);
        self.parts.stopped(&choice["finish_reason"]);
        if let Some(sink) = deltas {
            let answers = added.arguments.iter().filter(|(tool, _)| Some(tool.as_str()) == answer_tool);
            for text in answers.map(|(_, text)| text).chain([&added.text]).filter(|text| !text.is_empty()) {
                sink(text);
            }
        }
        self.usage = answer::usage(&piece["usage"]).or(self.usage);
        Ok(())
    }

    /// An answer without a reason of stopping is whole only where the server said that it was done.
    fn ended(self, is_whole: bool) -> Result<Reading, ReadError> {
        let cut = || ReadError::Unreadable("the stream ended before the answer did".into());
        if is_whole || self.parts.has_stopped() { Ok(self.into_reading()) } else { Err(cut()) }
    }

    fn into_reading(self) -> Reading {
        self.parts.into_reading(self.usage)
    }
}

/// Splits bytes into events, whatever the pieces they come in.
#[derive(Default)]
struct Events {
    /// The line that isn't whole yet.
    line: Vec<u8>,
    data: Vec<String>,
    ready: std::collections::VecDeque<String>,
}

impl Events {
    fn push(&mut self, bytes: &[u8]) {
        for &byte in bytes {
            if byte == b'\n' {
                self.end_line();
            } else {
                self.line.push(byte);
            }
        }
    }

    /// The end of the body ends its last line and event.
    fn end(&mut self) {
        self.end_line();
        self.end_event();
    }

    fn end_line(&mut self) {
        let line = String::from_utf8_lossy(&self.line).into_owned();
        self.line.clear();
        let line = line.strip_suffix('\r').unwrap_or(&line);
        if line.is_empty() {
            self.end_event();
        } else if let Some(data) = line.strip_prefix("data:") {
            self.data.push(data.strip_prefix(' ').unwrap_or(data).to_owned());
        }
    }

    fn end_event(&mut self) {
        if !self.data.is_empty() {
            self.ready.push_back(self.data.join("\n"));
            self.data.clear();
        }
    }

    fn next(&mut self) -> Option<String> {
        self.ready.pop_front()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn events_are_found_however_they_are_cut() {
        let text = ": hello\r\n\r\ndata: {\"a\":\r\ndata: \"é\"}\r\n\r\nevent: x\nid: 4\ndata:[DONE]";
        for size in 1..text.len() {
            let mut events = Events::default();
            text.as_bytes().chunks(size).for_each(|bytes| events.push(bytes));
            events.end();
            let all: Vec<String> = std::iter::from_fn(|| events.next()).collect();
            assert_eq!(all, ["{\"a\":\n\"é\"}", "[DONE]"], "{size}");
        }
    }
}
