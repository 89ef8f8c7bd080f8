//! Templates: `MiniJinja`, bounded. An author's text with values in it; values are never read as templates.
//!
//! Undefined names are errors. There are no includes, macros, blocks and assignments, and only the filters below, which
//! bound what they make; loops are counted (fuel), output is cut off at [`OUTPUT_BYTES_MAX`] with an error, and a single
//! value that is printed takes at most a share of it, the rest being left out visibly.

use std::collections::BTreeSet;
use std::fmt;
use std::io::{self, Write};
use std::sync::Arc;

use minijinja::value::ValueKind;
use minijinja::{Environment, Error, ErrorKind, Output, State, UndefinedBehavior, Value};

use super::digest;
use super::expr::Path;

/// Longest source, in bytes.
pub const SOURCE_BYTES_MAX: usize = 64 << 10;
/// Longest rendered text, in bytes.
pub const OUTPUT_BYTES_MAX: usize = 128 << 10;
/// Instructions that one rendering may take.
const FUEL: u64 = 500_000;
/// Operators `~` and `+` in one template: each may double a text, so that their number bounds memory.
const JOINS_MAX: usize = 8;
/// Statements that would bring in other templates or keep state.
const REFUSED: [&str; 12] =
    ["include", "import", "from", "extends", "block", "macro", "call", "set", "with", "filter", "do", "autoescape"];

/// Filters that there are.
const FILTERS: [&str; 7] = ["length", "tojson", "lower", "upper", "trim", "join", "default"];
/// Tests that there are.
const TESTS: [&str; 3] = ["defined", "undefined", "none"];

/// A compiled template; cheap to clone.
#[derive(Clone)]
pub struct Template {
    source: Arc<str>,
    body: Body,
    reads: Arc<[Path]>,
}

#[derive(Clone)]
enum Body {
    /// Nothing to fill in.
    Text,
    /// The only template of its environment.
    Compiled(Arc<Environment<'static>>),
}

/// Why a text is no template, or can't be filled in. Final: the same template over the same values fails again.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum TemplateError {
    /// Over [`SOURCE_BYTES_MAX`].
    #[error("the template is longer than {SOURCE_BYTES_MAX} bytes")]
    TooLong,
    /// Not a template.
    #[error("the template can't be read: {0}")]
    Syntax(String),
    /// A statement or a mass of operators that isn't available here.
    #[error("{0} isn't available in templates")]
    Unavailable(String),
    /// A name or field without a value.
    #[error("a value is missing: {0}")]
    Undefined(String),
    /// It loops for too long, or becomes too long.
    #[error("the template makes more than {OUTPUT_BYTES_MAX} bytes, or takes too long")]
    Exhausted,
    /// Anything else.
    #[error("the template can't be filled in: {0}")]
    Failed(String),
}

impl Template {
    /// Parses and checks a template; `value_bytes_max` bounds each single value that it prints.
    pub fn compile(source: &str, value_bytes_max: usize) -> Result<Self, TemplateError> {
        if source.len() > SOURCE_BYTES_MAX {
            return Err(TemplateError::TooLong);
        }
        if !["{{", "{%", "{#"].iter().any(|mark| source.contains(mark)) {
            return Ok(Self { source: source.into(), body: Body::Text, reads: Arc::new([]) });
        }
        check_tags(source)?;
        let mut environment = environment(value_bytes_max);
        environment.add_template_owned("t", source.to_owned()).map_err(|error| template_error(&error))?;
        let reads = reads(&environment)?;
        Ok(Self { source: source.into(), body: Body::Compiled(Arc::new(environment)), reads: reads.into() })
    }

    /// The source.
    pub fn source(&self) -> &str {
        &self.source
    }

    /// What it reads of its scope, without duplicates; fields of what a loop runs over aren't followed.
    pub fn reads(&self) -> &[Path] {
        &self.reads
    }

    /// The text with `values` filled in.
    pub fn render(&self, values: &Value) -> Result<String, TemplateError> {
        let Body::Compiled(environment) = &self.body else { return Ok(self.source.to_string()) };
        let template = environment.get_template("t").map_err(|error| template_error(&error))?;
        let mut sink = Sink { bytes: Vec::new(), overflown: false };
        let outcome = template.render_captured_to(values.clone(), &mut sink).map(drop);
        if sink.overflown {
            return Err(TemplateError::Exhausted);
        }
        outcome.map_err(|error| template_error(&error))?;
        String::from_utf8(sink.bytes).map_err(|error| TemplateError::Failed(error.to_string()))
    }
}

impl fmt::Debug for Template {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Template({:?})", self.source)
    }
}

/// Takes at most [`OUTPUT_BYTES_MAX`].
struct Sink {
    bytes: Vec<u8>,
    overflown: bool,
}

impl Write for &mut Sink {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        if self.bytes.len() + bytes.len() > OUTPUT_BYTES_MAX {
            self.overflown = true;
            return Err(io::Error::other("too long"));
        }
        self.bytes.extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

fn environment(value_bytes_max: usize) -> Environment<'static> {
    let mut environment = Environment::empty();
    environment.set_undefined_behavior(UndefinedBehavior::Strict);
    environment.set_fuel(Some(FUEL));
    environment.set_formatter(move |out: &mut Output, _: &mut State, value: &Value| print(out, value, value_bytes_max));
    environment.add_test("defined", |value: &Value| !value.is_undefined());
    environment.add_test("undefined", |value: &Value| value.is_undefined());
    environment.add_test("none", |value: &Value| value.is_none());
    environment.add_filter("length", |value: &Value| {
        value.len().ok_or_else(|| Error::new(ErrorKind::InvalidOperation, "only texts, lists and maps have a length"))
    });
    environment.add_filter("tojson", move |value: &Value| json(value).map(|text| digest::text(&text, value_bytes_max)));
    environment.add_filter("lower", |text: &str| text.to_lowercase());
    environment.add_filter("upper", |text: &str| text.to_uppercase());
    environment.add_filter("trim", |text: &str| text.trim().to_owned());
    environment.add_filter("join", join);
    environment.add_filter(
        "default",
        |value: &Value, other: Value| {
            if value.is_undefined() || value.is_none() { other } else { value.clone() }
        },
    );
    environment
}

fn join(items: &Value, separator: Option<&str>) -> Result<String, Error> {
    let mut joined = String::new();
    for (index, item) in items.try_iter()?.enumerate() {
        if index > 0 {
            joined.push_str(separator.unwrap_or_default());
        }
        joined.push_str(&printed(&item)?);
        if joined.len() > OUTPUT_BYTES_MAX {
            return Err(Error::new(ErrorKind::OutOfFuel, "a joined text is too long"));
        }
    }
    Ok(joined)
}

fn print(out: &mut Output, value: &Value, bytes_max: usize) -> Result<(), Error> {
    if value.is_undefined() {
        return Err(Error::new(ErrorKind::UndefinedError, "a value that is printed"));
    }
    out.write_str(&digest::text(&printed(value)?, bytes_max)).map_err(Error::from)
}

/// Texts as they are, lists and maps as JSON.
fn printed(value: &Value) -> Result<String, Error> {
    match value.kind() {
        ValueKind::Seq | ValueKind::Map | ValueKind::Iterable | ValueKind::Bool | ValueKind::None => json(value),
        _ => Ok(value.to_string()),
    }
}

fn json(value: &Value) -> Result<String, Error> {
    serde_json::to_string_pretty(value)
        .map_err(|error| Error::new(ErrorKind::BadSerialization, "not JSON").with_source(error))
}

fn reads(environment: &Environment<'static>) -> Result<Vec<Path>, TemplateError> {
    let template = environment.get_template("t").map_err(|error| template_error(&error))?;
    let names: BTreeSet<String> = template.undeclared_variables(true).into_iter().collect();
    Ok(names.iter().map(|name| name.split('.').map(str::to_owned).collect()).collect())
}

/// Refuses statements, filters and tests that aren't available, and too many operators that join texts.
fn check_tags(source: &str) -> Result<(), TemplateError> {
    let mut joins = 0;
    let mut rest = source;
    while let Some((start, close)) = next_tag(rest) {
        let is_comment = close == "#}";
        let inside = &rest[start + 2..];
        let end = inside.find(close).unwrap_or(inside.len());
        let tag = &inside[..end];
        rest = &inside[end..];
        if is_comment {
            continue;
        }
        if close == "%}" {
            check_statement(tag)?;
            if keyword(tag) == "raw" {
                rest = rest.find("endraw").map_or("", |end| &rest[end..]);
                continue;
            }
        }
        if tag.contains('*') {
            return Err(TemplateError::Unavailable("the operator *".to_owned()));
        }
        check_names(tag)?;
        joins += tag.bytes().filter(|&b| b == b'~' || b == b'+').count();
    }
    if joins > JOINS_MAX {
        return Err(TemplateError::Unavailable(format!("more than {JOINS_MAX} operators ~ and +")));
    }
    Ok(())
}

/// Where the next tag begins, and what closes it.
fn next_tag(text: &str) -> Option<(usize, &'static str)> {
    let marks = [("{%", "%}"), ("{{", "}}"), ("{#", "#}")];
    marks.into_iter().filter_map(|(open, close)| Some((text.find(open)?, close))).min()
}

/// Filters and tests are looked up when a template is filled in; an unknown one is told before.
fn check_names(tag: &str) -> Result<(), TemplateError> {
    let words = words(tag);
    for (index, word) in words.iter().enumerate() {
        let next = |by: usize| words.get(index + by).copied().unwrap_or_default();
        match *word {
            "|" if !FILTERS.contains(&next(1)) => return Err(unknown("filter", next(1), &FILTERS)),
            "is" => {
                let name = if next(1) == "not" { next(2) } else { next(1) };
                if !TESTS.contains(&name) {
                    return Err(unknown("test", name, &TESTS));
                }
            }
            _ => {}
        }
    }
    Ok(())
}

fn unknown(kind: &str, name: &str, known: &[&str]) -> TemplateError {
    let name: String = name.chars().take(40).collect();
    TemplateError::Syntax(format!("there is no {kind} {name:?}, but {}", known.join(", ")))
}

/// Names and single signs of a tag; texts in quotes are left out, and so is what follows a dot.
fn words(tag: &str) -> Vec<&str> {
    let mut words = Vec::new();
    let mut rest = tag;
    while let Some(first) = rest.chars().next() {
        let length = match first {
            '\'' | '"' => quoted(rest, first),
            c if c.is_alphabetic() || c == '_' => {
                rest.find(|c: char| !c.is_alphanumeric() && c != '_').unwrap_or(rest.len())
            }
            c => c.len_utf8(),
        };
        let word = &rest[..length];
        if !first.is_whitespace() && !matches!(first, '\'' | '"') && words.last() != Some(&".") {
            words.push(word);
        } else if words.last() == Some(&".") {
            words.pop();
        }
        rest = &rest[length..];
    }
    words
}

/// Length of the text in quotes that `text` begins with.
fn quoted(text: &str, quote: char) -> usize {
    let mut is_escaped = false;
    for (at, c) in text.char_indices().skip(1) {
        match c {
            _ if is_escaped => is_escaped = false,
            '\\' => is_escaped = true,
            c if c == quote => return at + c.len_utf8(),
            _ => {}
        }
    }
    text.len()
}

fn keyword(tag: &str) -> String {
    let tag = tag.trim_start_matches(['-', '+']).trim_start();
    tag.chars().take_while(|c| c.is_alphanumeric() || *c == '_').collect()
}

fn check_statement(tag: &str) -> Result<(), TemplateError> {
    let keyword = keyword(tag);
    if REFUSED.contains(&keyword.as_str()) {
        return Err(TemplateError::Unavailable(format!("the statement {keyword}")));
    }
    if keyword == "for" && tag.split_whitespace().any(|word| word.trim_end_matches('-') == "recursive") {
        return Err(TemplateError::Unavailable("a recursive loop".to_owned()));
    }
    Ok(())
}

fn template_error(error: &Error) -> TemplateError {
    let mut text = error.detail().map_or_else(|| error.kind().to_string(), str::to_owned);
    if let Some(line) = error.line() {
        text = format!("{text} (line {line})");
    }
    match error.kind() {
        ErrorKind::SyntaxError | ErrorKind::UnknownFilter | ErrorKind::UnknownTest => TemplateError::Syntax(text),
        ErrorKind::UndefinedError => TemplateError::Undefined(text),
        ErrorKind::OutOfFuel => TemplateError::Exhausted,
        _ => TemplateError::Failed(text),
    }
}

#[cfg(test)]
mod tests {
    use minijinja::value::Serde;
    use serde_json::json;

    use super::*;

    fn render(source: &str) -> Result<String, TemplateError> {
        let values = json!({
            "input": {"prompt": "a {{ todo }} app", "n": 2},
            "plan": {"output": {"tasks": [{"id": "a"}, {"id": "b"}]}},
            "work": {},
            "long": "x".repeat(300),
            "many": (0..3000).collect::<Vec<_>>(),
        });
        Template::compile(source, 100)?.render(&Value::from(Serde(&values)))
    }

    #[test]
    fn fills_in() {
        let cases = [
            ("plain { text }\n", "plain { text }\n"),
            ("Make {{ input.prompt }}!", "Make a {{ todo }} app!"),
            ("{{ input.n + 1 }}", "3"),
            ("{% for t in plan.output.tasks %}{{ loop.index }}:{{ t.id }} {% endfor %}", "1:a 2:b "),
            ("{% if work.output is defined %}yes{% else %}no{% endif %}", "no"),
            ("{{ work.output | default('none') }}", "none"),
            ("{{ plan.output.tasks | length }}", "2"),
            ("{{ ['a', 'b'] | join(', ') }}", "a, b"),
            ("{{ 'A' | lower }}{{ 'b' | upper }}{{ ' c ' | trim }}", "aBc"),
            ("{{ plan.output.tasks[0] }}", "{\n  \"id\": \"a\"\n}"),
            ("{{ plan.output.tasks[0] | tojson }}", "{\n  \"id\": \"a\"\n}"),
            ("{{ true }}", "true"),
        ];
        for (source, expected) in cases {
            assert_eq!(render(source).as_deref(), Ok(expected), "{source}");
        }
    }

    #[test]
    fn large_values_are_left_out_visibly() {
        let text = render("{{ long }}").expect("renders");
        assert!(text.len() < 200 && text.contains("omitted"), "{text}");
    }

    #[test]
    fn refuses_what_it_cannot_do() {
        let undefined = ["{{ nope }}", "{{ input.nope }}", "{{ work.output.x }}", "{% for x in nope %}{% endfor %}"];
        for source in undefined {
            assert!(matches!(render(source), Err(TemplateError::Undefined(_))), "{source}: {:?}", render(source));
        }
        let syntax = ["{{ a", "{% if %}", "{{ a | frobnicate }}", "{% endfor %}", "{{ a is odd2 }}"];
        for source in syntax {
            assert!(matches!(render(source), Err(TemplateError::Syntax(_))), "{source}: {:?}", render(source));
        }
        let unavailable = [
            "{% include 'x' %}",
            "{%- include 'x' %}",
            "{% set a = 1 %}",
            "{% macro a() %}{% endmacro %}",
            "{% extends 'x' %}",
            "{{ 'x' * 90000000 }}",
            "{% for x in [1] recursive %}{% endfor %}",
            "{{ '' ~ '' ~ '' ~ '' ~ '' ~ '' ~ '' ~ '' ~ '' ~ '' }}",
        ];
        for source in unavailable {
            assert!(matches!(render(source), Err(TemplateError::Unavailable(_))), "{source}: {:?}", render(source));
        }
        assert_eq!(render(&"x".repeat(SOURCE_BYTES_MAX + 1)), Err(TemplateError::TooLong));
    }

    #[test]
    fn filters_and_tests_are_known_before_anything_is_filled_in() {
        for (source, named) in [
            ("{{ a | explode }}", "filter \"explode\""),
            ("{{ a|lower|explode(1) }}", "filter \"explode\""),
            ("{% if a is odd %}{% endif %}", "test \"odd\""),
            ("{% if a is not odd %}{% endif %}", "test \"odd\""),
        ] {
            let error = Template::compile(source, 100).expect_err(source).to_string();
            assert!(error.contains(named), "{source}: {error}");
        }
        for source in [
            "{{ 'a | explode' }}{{ \"it\\\" is odd\" }}",
            "{{ a.is }}{{ a.b | lower }}",
            "{# a | explode #}",
            "{% raw %}{{ a | explode }}{% endraw %}{{ a }}",
            "{% if a is not none and b is defined %}{% endif %}",
        ] {
            assert!(Template::compile(source, 100).is_ok(), "{source}: {:?}", Template::compile(source, 100));
        }
    }

    #[test]
    fn work_and_output_are_bounded() {
        let sources = [
            "{% for a in many %}{% for b in many %}{% for c in many %}{% endfor %}{% endfor %}{% endfor %}",
            "{% for a in many %}{{ long }}{% endfor %}",
            "{{ [many, many, many, many, many, many, many, many, many, many] | join(', ') }}",
        ];
        for source in sources {
            assert_eq!(render(source), Err(TemplateError::Exhausted), "{source}");
        }
    }

    #[test]
    fn says_what_it_reads() {
        let template =
            Template::compile("{{ a.b.c }}{% for t in p.q %}{{ t.id }}{{ loop.index }}{{ u }}{% endfor %}", 9);
        let reads: Vec<String> = template.expect("compiles").reads().iter().map(|path| path.join(".")).collect();
        assert_eq!(reads, ["a.b.c", "p.q", "u"]);
    }
}
