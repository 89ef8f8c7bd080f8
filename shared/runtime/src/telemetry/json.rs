//! One JSON object a line, flat: the event's fields beside those of its spans.

use std::error::Error;
use std::fmt::{self, Debug};

use serde_json::{Map, Value};
use tracing::field::{Field, Visit};
use tracing::{Event, Subscriber};
use tracing_subscriber::fmt::format::{FormatEvent, FormatFields, Writer};
use tracing_subscriber::fmt::time::{FormatTime, SystemTime};
use tracing_subscriber::fmt::{FmtContext, FormattedFields};
use tracing_subscriber::registry::{LookupSpan, Scope};

/// Longest chain of causes that is followed.
const CAUSES_MAX: usize = 16;

/// Writes events as flat JSON; spans have to be formatted by `JsonFields`.
///
/// `timestamp`, `level`, `target` and `message` are always there. An inner span's field stands for an outer one's of the
/// same name, and the event's for both. An error is written with its chain of causes.
pub(super) struct JsonLines;

impl<S, N> FormatEvent<S, N> for JsonLines
where
    S: Subscriber + for<'a> LookupSpan<'a>,
    N: for<'a> FormatFields<'a> + 'static,
{
    fn format_event(&self, ctx: &FmtContext<'_, S, N>, mut writer: Writer<'_>, event: &Event<'_>) -> fmt::Result {
        let mut line = Fields(Map::new());
        let mut timestamp = String::new();
        SystemTime.format_time(&mut Writer::new(&mut timestamp))?;
        line.put("timestamp", timestamp);
        line.put("level", event.metadata().level().as_str());
        line.put("target", event.metadata().target());
        for span in ctx.event_scope().into_iter().flat_map(Scope::from_root) {
            if let Some(fields) = span.extensions().get::<FormattedFields<N>>() {
                line.0.extend(serde_json::from_str::<Map<String, Value>>(fields).unwrap_or_default());
            }
        }
        event.record(&mut line);
        writeln!(writer, "{}", Value::Object(line.0))
    }
}

/// The fields of a line, or of a span.
#[derive(Default)]
pub(super) struct Fields(pub Map<String, Value>);

impl Fields {
    fn put(&mut self, name: &str, value: impl Into<Value>) {
        self.0.insert(name.to_owned(), value.into());
    }
}

impl Visit for Fields {
    fn record_f64(&mut self, field: &Field, value: f64) {
        self.put(field.name(), value);
    }

    fn record_i64(&mut self, field: &Field, value: i64) {
        self.put(field.name(), value);
    }

    fn record_u64(&mut self, field: &Field, value: u64) {
        self.put(field.name(), value);
    }

    fn record_bool(&mut self, field: &Field, value: bool) {
        self.put(field.name(), value);
    }

    fn record_str(&mut self, field: &Field, value: &str) {
        self.put(field.name(), value);
    }

    fn record_error(&mut self, field: &Field, value: &(dyn Error + 'static)) {
        let causes = std::iter::successors(Some(value), |&error| error.source());
        let chain: Vec<String> = causes.take(CAUSES_MAX).map(ToString::to_string).collect();
        self.put(field.name(), chain.join(": "));
    }

    fn record_debug(&mut self, field: &Field, value: &dyn Debug) {
        self.put(field.name(), format!("{value:?}"));
    }
}

#[cfg(test)]
mod tests {
    use std::io;
    use std::sync::{Arc, Mutex, PoisonError};

    use tracing_subscriber::fmt::MakeWriter;
    use tracing_subscriber::fmt::format::JsonFields;

    use super::*;

    #[derive(Clone, Default)]
    struct Lines(Arc<Mutex<Vec<u8>>>);

    impl io::Write for Lines {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.0.lock().unwrap_or_else(PoisonError::into_inner).extend_from_slice(bytes);
            Ok(bytes.len())
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    impl<'a> MakeWriter<'a> for Lines {
        type Writer = Self;

        fn make_writer(&'a self) -> Self {
            self.clone()
        }
    }

    #[derive(Debug, thiserror::Error)]
    #[error("outer")]
    struct Outer(#[source] Inner);

    #[derive(Debug, thiserror::Error)]
    #[error("inner \"quoted\"\nsecond line")]
    struct Inner;

    fn logged(log: impl FnOnce()) -> Vec<Value> {
        let lines = Lines::default();
        let subscriber = tracing_subscriber::fmt()
            .fmt_fields(JsonFields::new())
            .event_format(JsonLines)
            .with_writer(lines.clone())
            .finish();
        tracing::subscriber::with_default(subscriber, log);
        let bytes = lines.0.lock().unwrap_or_else(PoisonError::into_inner).clone();
        let text = String::from_utf8(bytes).expect("text");
        text.lines().map(|line| serde_json::from_str(line).expect("a JSON line")).collect()
    }

    #[test]
    fn a_line_carries_its_spans_and_the_chain_of_causes() {
        let lines = logged(|| {
            let batch = tracing::info_span!("batch", request_id = "r1", job = tracing::field::Empty).entered();
            batch.record("job", "j1");
            let _step = tracing::info_span!("step", step = %"code[3]", attempt = 2_u32).entered();
            let error = Outer(Inner);
            tracing::error!(error = &error as &dyn Error, tokens = 7, in_place = true, "it {}", "failed");
        });
        let [line] = lines.as_slice() else { panic!("one line: {lines:?}") };
        for (field, value) in [
            ("level", Value::from("ERROR")),
            ("message", "it failed".into()),
            ("request_id", "r1".into()),
            ("job", "j1".into()),
            ("step", "code[3]".into()),
            ("attempt", 2.into()),
            ("error", "outer: inner \"quoted\"\nsecond line".into()),
            ("tokens", 7.into()),
            ("in_place", true.into()),
        ] {
            assert_eq!(line[field], value, "{field}");
        }
        assert!(line["timestamp"].as_str().is_some_and(|time| time.starts_with("20") && time.ends_with('Z')));
    }

    #[test]
    fn the_innermost_value_of_a_field_counts() {
        let lines = logged(|| {
            let _outer = tracing::info_span!("outer", attempt = 1, job = "a").entered();
            let _inner = tracing::info_span!("inner", attempt = 2).entered();
            tracing::info!(job = "b", "said");
            tracing::info!("again");
        });
        assert_eq!((&lines[0]["attempt"], &lines[0]["job"]), (&2.into(), &"b".into()));
        assert_eq!(lines[1]["job"], "a");
    }
}
