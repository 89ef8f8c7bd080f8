//! Traces over OTLP (HTTP, JSON), off unless `OTEL_EXPORTER_OTLP_ENDPOINT` says where to.
//!
//! A job is one trace, whatever number of processes works at it, and nothing has to be carried along for that: a job's id
//! has 128 bits, as the id of a trace has, so it *is* the id of the trace; the span `submit`, which all others are below,
//! has the lower half of it. Whoever has a bell or an item of the table knows the trace.
//!
//! Spans are those of `tracing` with the names of [`EXPORTED`]. They are kept until somebody flushes: a function does
//! before it answers. What can't be sent in time is dropped, and nothing fails because of it.
//!
//! Not the OpenTelemetry SDK: that would be some 40 crates in functions whose size is part of their cold start, for one
//! request in a format of a page. Sources: the OTLP specification 1.x (JSON encoding), OpenTelemetry's semantic
//! conventions for generative AI.

use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use reqwest::header::{HeaderMap, HeaderName, HeaderValue};
use serde_json::{Map, Value, json};
use tracing::span::{Attributes, Id, Record};
use tracing::{Level, Metadata, Subscriber};
use tracing_subscriber::layer::{Context, Layer};
use tracing_subscriber::registry::{LookupSpan, SpanRef};

use super::json::Fields;
use crate::client::http_client;
use crate::config::Strings;

/// The spans that are told, each with the field that its shown name ends with.
pub const EXPORTED: [(&str, Option<&str>); 5] = [
    ("submit", None),
    ("step", Some("step")),
    ("chat", Some("gen_ai.request.model")),
    ("execute_tool", Some("gen_ai.tool.name")),
    ("deliver", Some("event")),
];
/// The span that all others of a job are below.
const ROOT: &str = "submit";
/// Spans that wait for a flush at most; what comes on top is dropped.
const WAITING_MAX: usize = 2_048;
/// Longest time that a flush takes.
const TIMEOUT: Duration = Duration::from_millis(1_500);
/// Severity of a span that failed, in OTLP.
const STATUS_ERROR: u8 = 2;

/// Sends spans to a collector.
pub(super) struct Exporter {
    url: String,
    headers: HeaderMap,
    service: Value,
    waiting: Mutex<Vec<Value>>,
    client: reqwest::Client,
}

impl Exporter {
    /// The one that the settings ask for: `OTEL_EXPORTER_OTLP_ENDPOINT`, to which `/v1/traces` is added,
    /// `OTEL_EXPORTER_OTLP_HEADERS` (`name=value,name=value`), `OTEL_SERVICE_NAME`.
    pub fn read(strings: &dyn Strings) -> Option<Self> {
        let endpoint = strings.get("OTEL_EXPORTER_OTLP_ENDPOINT")?;
        let client = http_client(TIMEOUT, TIMEOUT).build().ok()?;
        let name = strings.get("OTEL_SERVICE_NAME").unwrap_or_else(|| "convoke".to_owned());
        let mut service = Map::from_iter([("service.name".to_owned(), Value::from(name))]);
        service.extend(strings.get("AWS_LAMBDA_FUNCTION_NAME").map(|name| ("faas.name".to_owned(), name.into())));
        Some(Self {
            url: format!("{}/v1/traces", endpoint.trim().trim_end_matches('/')),
            headers: headers(&strings.get("OTEL_EXPORTER_OTLP_HEADERS").unwrap_or_default()),
            service: attributes(&service),
            waiting: Mutex::default(),
            client,
        })
    }

    fn keep(&self, span: Value) {
        let mut waiting = self.waiting.lock().unwrap_or_else(PoisonError::into_inner);
        if waiting.len() < WAITING_MAX {
            waiting.push(span);
        }
    }

    /// Sends what waits, in one request; what the collector doesn't take in time is dropped.
    pub async fn flush(&self) {
        let spans = std::mem::take(&mut *self.waiting.lock().unwrap_or_else(PoisonError::into_inner));
        if spans.is_empty() {
            return;
        }
        let (count, scope) = (spans.len(), json!({"name": "convoke", "version": env!("CARGO_PKG_VERSION")}));
        let body = json!({"resourceSpans": [{
            "resource": {"attributes": self.service},
            "scopeSpans": [{"scope": scope, "spans": spans}],
        }]});
        let request = self.client.post(&self.url).headers(self.headers.clone());
        let sent = request.header("content-type", "application/json").body(body.to_string()).send().await;
        if let Err(error) = sent.and_then(reqwest::Response::error_for_status) {
            let error = error.without_url();
            tracing::warn!(error = &error as &dyn std::error::Error, spans = count, "spans are lost");
        }
    }
}

/// Pairs that make no header are left out.
fn headers(text: &str) -> HeaderMap {
    let pair = |pair: &str| {
        let (name, value) = pair.split_once('=')?;
        let mut value = HeaderValue::from_str(value.trim()).ok()?;
        value.set_sensitive(true);
        Some((name.trim().parse::<HeaderName>().ok()?, value))
    };
    text.split(',').filter_map(pair).collect()
}

/// What of `tracing` concerns traces: our own spans.
pub(super) fn is_traced(metadata: &Metadata<'_>) -> bool {
    metadata.is_span() && metadata.target().starts_with("convoke") && *metadata.level() <= Level::INFO
}

/// Makes spans of OTLP of those of `tracing`.
pub(super) struct Spans(pub &'static Exporter);

/// What is known of a span while it is open.
struct Open {
    id: u64,
    began: Duration,
    fields: Map<String, Value>,
}

impl<S: Subscriber + for<'a> LookupSpan<'a>> Layer<S> for Spans {
    fn on_new_span(&self, attributes: &Attributes<'_>, id: &Id, ctx: Context<'_, S>) {
        let mut fields = Fields::default();
        attributes.record(&mut fields);
        if let Some(span) = ctx.span(id) {
            span.extensions_mut().insert(Open { id: span_id(), began: now(), fields: fields.0 });
        }
    }

    fn on_record(&self, id: &Id, values: &Record<'_>, ctx: Context<'_, S>) {
        let mut fields = Fields::default();
        values.record(&mut fields);
        if let Some(span) = ctx.span(id)
            && let Some(open) = span.extensions_mut().get_mut::<Open>()
        {
            open.fields.extend(fields.0);
        }
    }

    fn on_close(&self, id: Id, ctx: Context<'_, S>) {
        let Some(span) = ctx.span(&id) else { return };
        if let Some(told) = EXPORTED.iter().find(|(name, _)| *name == span.name()).and_then(|known| told(&span, *known))
        {
            self.0.keep(told);
        }
    }
}

/// A finished span as OTLP has it; `None` where it is of no job.
fn told<'a, S: LookupSpan<'a>>(span: &SpanRef<'a, S>, (name, shown): (&str, Option<&str>)) -> Option<Value> {
    let job = span.scope().find_map(|span| field(&span, "job"))?;
    let trace = trace_id(&job)?;
    let parent = span.scope().skip(1).find(|outer| EXPORTED.iter().any(|(name, _)| *name == outer.name()));
    let parent = parent.and_then(|outer| outer.extensions().get::<Open>().map(|open| open.id));
    let mut open = span.extensions_mut().remove::<Open>()?;
    let shown = shown.and_then(|shown| open.fields.get(shown)).and_then(Value::as_str);
    let shown = shown.map_or_else(|| name.to_owned(), |shown| format!("{name} {shown}"));
    let failed = open.fields.remove("error");
    let mut told = json!({
        "traceId": format!("{trace:032x}"),
        "spanId": format!("{:016x}", if name == ROOT { root_id(trace) } else { open.id }),
        "name": shown,
        // Of a client where somebody else is asked, else internal.
        "kind": if matches!(name, "chat" | "deliver") { 3 } else { 1 },
        "startTimeUnixNano": open.began.as_nanos().to_string(),
        "endTimeUnixNano": now().as_nanos().to_string(),
    });
    if name != ROOT {
        told["parentSpanId"] = format!("{:016x}", parent.unwrap_or_else(|| root_id(trace))).into();
    }
    if let Some(failed) = failed {
        told["status"] = json!({"code": STATUS_ERROR, "message": failed});
    }
    open.fields.insert("job".to_owned(), job.into());
    told["attributes"] = attributes(&named(open.fields));
    Some(told)
}

fn field<'a, S: LookupSpan<'a>>(span: &SpanRef<'a, S>, name: &str) -> Option<String> {
    span.extensions().get::<Open>()?.fields.get(name)?.as_str().map(str::to_owned)
}

/// Fields that no convention knows are ours.
fn named(fields: Map<String, Value>) -> Map<String, Value> {
    let name = |name: String| if name.contains('.') { name } else { format!("convoke.{name}") };
    fields.into_iter().map(|(field, value)| (name(field), value)).collect()
}

fn attributes(fields: &Map<String, Value>) -> Value {
    let value = |value: &Value| match value {
        Value::Bool(is) => json!({ "boolValue": is }),
        // As a text: numbers of 64 bits don't fit JSON's.
        Value::Number(number) if number.is_i64() || number.is_u64() => json!({ "intValue": number.to_string() }),
        Value::Number(number) => json!({ "doubleValue": number }),
        Value::String(text) => json!({ "stringValue": text }),
        other => json!({ "stringValue": other.to_string() }),
    };
    let sorted: BTreeMap<&String, &Value> = fields.iter().collect();
    sorted.into_iter().map(|(name, field)| json!({"key": name, "value": value(field)})).collect()
}

/// The 128 bits of a job's id, which is a ULID: digits of Crockford's base 32.
fn trace_id(job: &str) -> Option<u128> {
    const DIGITS: &str = "0123456789ABCDEFGHJKMNPQRSTVWXYZ";
    let digit = |trace: u128, letter: char| Some(trace << 5 | DIGITS.find(letter)? as u128);
    job.chars().try_fold(0, digit).filter(|trace| *trace != 0)
}

#[expect(clippy::cast_possible_truncation, reason = "the lower half is meant")]
const fn root_id(trace: u128) -> u64 {
    let low = trace as u64;
    if low == 0 { 1 } else { low }
}

fn span_id() -> u64 {
    // Without randomness the traces are a mess, and nothing else is.
    getrandom::u64().unwrap_or_default().max(1)
}

fn now() -> Duration {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_jobs_id_is_its_traces() {
        // The ULID of 2^128 - 1, and one of a known time: 0x01936e6f8f40 ms.
        assert_eq!(trace_id("7ZZZZZZZZZZZZZZZZZZZZZZZZZ"), Some(u128::MAX));
        assert_eq!(trace_id("00000000000000000000000010"), Some(32));
        assert_eq!(trace_id("0000000000000000000000000U"), None, "no digit");
        assert_eq!(root_id(1 << 64), 1, "a span's id is never 0");
    }

    #[test]
    fn settings_say_where_to_and_nothing_is_sent_without() {
        assert!(Exporter::read(&BTreeMap::new()).is_none());
        let settings = [
            ("OTEL_EXPORTER_OTLP_ENDPOINT", "http://127.0.0.1:4318/"),
            ("OTEL_EXPORTER_OTLP_HEADERS", "x-key=a=b, bad name=c,nothing"),
            ("AWS_LAMBDA_FUNCTION_NAME", "f"),
        ];
        let settings: BTreeMap<String, String> =
            settings.map(|(name, value)| (name.to_owned(), value.to_owned())).into();
        let exporter = Exporter::read(&settings).expect("asked for");
        assert_eq!(exporter.url, "http://127.0.0.1:4318/v1/traces");
        assert_eq!((exporter.headers.len(), exporter.headers["x-key"].to_str().expect("text")), (1, "a=b"));
        let names = |attributes: &Value| attributes.as_array().map(Vec::len);
        assert_eq!(names(&exporter.service), Some(2), "{}", exporter.service);
    }

    #[test]
    fn attributes_have_the_types_of_their_fields() {
        let fields = json!({"gen_ai.usage.input_tokens": 7, "step": "a", "solo": true});
        let told = attributes(&named(fields.as_object().expect("fields").clone()));
        let wanted = json!([
            {"key": "convoke.solo", "value": {"boolValue": true}},
            {"key": "convoke.step", "value": {"stringValue": "a"}},
            {"key": "gen_ai.usage.input_tokens", "value": {"intValue": "7"}},
        ]);
        assert_eq!(told, wanted);
    }
}
