//! Pages as messages of Discord: an embed, rows of buttons, and nobody is ever called.
//!
//! Limits and shapes: <https://docs.discord.com/developers/resources/message>.

use serde::Serialize;

use crate::command::{Spec, Verb};
use crate::page::{Button, Look, Page, Span, Tone};
use crate::render::{self, Dialect};
use crate::reply::{Choice, Question};
use crate::text::{clip, flat, link_url, units};

/// Longest description of an embed. Title and description together stay below 6,000, which all embeds may have.
pub const DESCRIPTION_UNITS_MAX: usize = 4_096;
/// Longest title of an embed.
pub const TITLE_UNITS_MAX: usize = 256;
/// Longest content of a message.
pub const CONTENT_UNITS_MAX: usize = 2_000;
/// Longest text that can be typed into a modal.
pub const MODAL_CHARS_MAX: usize = 4_000;
/// Most choices of an autocompletion.
pub const CHOICES_MAX: usize = 25;
/// Name of the one field of a modal.
pub const MODAL_FIELD: &str = "text";

const LABEL_UNITS_MAX: usize = 80;
const MODAL_LABEL_UNITS_MAX: usize = 45;
const CHOICE_UNITS_MAX: usize = 100;

/// The body of a message.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Message {
    /// Plain text beside the embed: none.
    pub content: String,
    /// What it says.
    pub embeds: Vec<Embed>,
    /// Rows of buttons; empty takes away those that were there.
    pub components: Vec<Row>,
    /// Whom it calls: nobody.
    pub allowed_mentions: Mentions,
}

/// Whom a message calls.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Mentions {
    /// Kinds of names that are looked for in the text: always none.
    parse: Vec<String>,
}

/// A message's frame.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Embed {
    /// The headline.
    pub title: String,
    /// The rest.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub description: String,
    /// Red, green and blue.
    pub color: u32,
}

/// A row of buttons.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Row {
    #[serde(rename = "type")]
    kind: u8,
    /// At most five.
    pub components: Vec<Key>,
}

/// A button.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Key {
    #[serde(rename = "type")]
    kind: u8,
    /// 1 blue, 2 grey, 3 green, 4 red.
    pub style: u8,
    /// What it says.
    pub label: String,
    /// What comes back.
    pub custom_id: String,
}

/// A window that asks for a text: the data of an answer of type 9.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Modal {
    /// What comes back: an [`crate::button::Ask`].
    pub custom_id: String,
    /// Its title.
    pub title: String,
    /// One row with one field.
    pub components: Vec<FieldRow>,
}

/// The row of a modal's field.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct FieldRow {
    #[serde(rename = "type")]
    kind: u8,
    /// The field.
    pub components: Vec<Field>,
}

/// A field for several lines.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Field {
    #[serde(rename = "type")]
    kind: u8,
    /// Always [`MODAL_FIELD`].
    pub custom_id: String,
    style: u8,
    /// What it asks.
    pub label: String,
    /// What could be written.
    pub placeholder: String,
    required: bool,
    min_length: usize,
    max_length: usize,
}

/// A choice of an autocompletion.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Offer {
    /// As it is shown.
    pub name: String,
    /// As it is sent.
    pub value: String,
}

/// The message of a page.
pub fn message(page: &Page) -> Message {
    Message {
        content: String::new(),
        embeds: vec![Embed {
            title: title(&page.title),
            description: render::blocks::<Markdown>(page, DESCRIPTION_UNITS_MAX),
            color: color(page.tone),
        }],
        components: page.buttons.iter().take(5).map(|row| row_of(row)).collect(),
        allowed_mentions: Mentions::default(),
    }
}

/// The page without any marks: what is sent once where Discord refuses the message itself.
pub fn plain(page: &Page) -> Message {
    let content = clip(&render::plain(page), CONTENT_UNITS_MAX);
    Message { content, embeds: Vec::new(), components: Vec::new(), allowed_mentions: Mentions::default() }
}

/// The window of a question.
pub fn modal(question: &Question) -> Modal {
    let field = Field {
        kind: 4,
        custom_id: MODAL_FIELD.to_owned(),
        style: 2,
        label: clip(&flat(&question.label), MODAL_LABEL_UNITS_MAX),
        placeholder: clip(&flat(&question.placeholder), 100),
        required: true,
        min_length: 1,
        max_length: MODAL_CHARS_MAX,
    };
    Modal {
        custom_id: question.ask.to_string(),
        title: clip(&flat(&question.title), MODAL_LABEL_UNITS_MAX),
        components: vec![FieldRow { kind: 1, components: vec![field] }],
    }
}

/// What an option may be completed to. Values that are too long are left out: cut ones would mean something else.
pub fn offers(choices: &[Choice]) -> Vec<Offer> {
    let fitting = choices.iter().filter(|choice| (1..=CHOICE_UNITS_MAX).contains(&units(&choice.value)));
    let offer =
        |choice: &Choice| Offer { name: clip(&flat(&choice.name), CHOICE_UNITS_MAX), value: choice.value.clone() };
    fitting.map(offer).filter(|offer| !offer.name.is_empty()).take(CHOICES_MAX).collect()
}

/// Titles are cut with their marks counted, as everything else is.
fn title(text: &str) -> String {
    let text = flat(text);
    let mut out = String::new();
    for c in text.chars() {
        let before = out.len();
        Markdown::escape(c, &mut out);
        if units(&out) > TITLE_UNITS_MAX - 1 {
            out.truncate(before);
            out.push('…');
            break;
        }
    }
    if out.is_empty() { "…".to_owned() } else { out }
}

const fn color(tone: Tone) -> u32 {
    match tone {
        Tone::Plain => 0x0095_A5A6,
        Tone::Busy => 0x0034_98DB,
        Tone::Asking => 0x009B_59B6,
        Tone::Good => 0x002E_CC71,
        Tone::Warning => 0x00F1_C40F,
        Tone::Bad => 0x00E7_4C3C,
    }
}

fn row_of(buttons: &[Button]) -> Row {
    let key = |button: &Button| Key {
        kind: 2,
        style: match button.look {
            Look::First => 1,
            Look::Plain => 2,
            Look::Good => 3,
            Look::Danger => 4,
        },
        label: clip(&flat(&button.label), LABEL_UNITS_MAX),
        custom_id: button.press.to_string(),
    };
    Row { kind: 1, components: buttons.iter().take(5).map(key).collect() }
}

/// Discord's markdown.
struct Markdown;

impl Dialect for Markdown {
    const BOLD: (&'static str, &'static str) = ("**", "**");
    const CODE: (&'static str, &'static str) = ("`", "`");
    const QUOTE: (&'static str, &'static str) = ("> ", "");
    const QUOTE_LINE: &'static str = "> ";

    fn escape(c: char, out: &mut String) {
        let starts_line = out.is_empty() || out.ends_with('\n') || out.ends_with("\n> ") || out == "> ";
        let is_mark = matches!(c, '\\' | '*' | '_' | '~' | '`' | '|' | '<' | '>' | '[' | ']');
        if is_mark || (starts_line && matches!(c, '#' | '-' | '+')) {
            out.push('\\');
        }
        out.push(c);
    }

    fn escape_code(c: char, out: &mut String) {
        out.push(if c == '`' { 'ˋ' } else { c });
    }

    fn special(span: &Span) -> String {
        match span {
            Span::Relative { at_ms, .. } => format!("<t:{}:R>", at_ms / 1_000),
            Span::Moment(at_ms) => format!("<t:{}:f>", at_ms / 1_000),
            Span::Command(verb) | Span::Usage(verb) => typed(*verb),
            Span::Link { label, url } => link(label, url),
            Span::Text(_) | Span::Bold(_) | Span::Code(_) => String::new(),
        }
    }
}

/// Discord shows by itself what a command takes.
fn typed(verb: Verb) -> String {
    let spec = Spec::of(verb);
    let on_discord = if spec.discord.is_empty() { spec.on_telegram() } else { spec.on_discord() };
    format!("`{on_discord}`")
}

/// A link that can't be broken out of; one that is too long or strange is only named.
fn link(label: &str, url: &str) -> String {
    let mut shown = String::new();
    clip(&flat(label), LABEL_UNITS_MAX).chars().for_each(|c| Markdown::escape(c, &mut shown));
    link_url(url).map_or(shown.clone(), |url| format!("[{shown}]({url})"))
}
