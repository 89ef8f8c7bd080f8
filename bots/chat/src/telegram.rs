//! Pages as messages of Telegram: HTML, inline keyboards, no previews of links.
//!
//! Limits and shapes: <https://core.telegram.org/bots/api>.

use convoke_api::time::Time;
use serde::Serialize;

use crate::button::REFERENCE;
use crate::command::Spec;
use crate::page::{Block, Button, Page, Span};
use crate::render::{self, Dialect};
use crate::reply::Question;
use crate::text::{clip, duration, flat, link_url, units};

/// Longest text of a message. Telegram doesn't count marks; here they are, so that any count holds.
pub const TEXT_UNITS_MAX: usize = 4_096;
/// Longest text of the note that answers a press.
pub const ALERT_UNITS_MAX: usize = 200;

const TITLE_UNITS_MAX: usize = 256;
const LABEL_UNITS_MAX: usize = 64;

/// What `sendMessage` and `editMessageText` say beside the chat.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Message {
    /// What it says, in HTML.
    pub text: String,
    /// `HTML`; missing where the text is plain.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub parse_mode: Option<&'static str>,
    /// Previews are off: a preview would fetch what a link leads to.
    pub link_preview_options: Previews,
    /// Buttons, or the wish for an answer; missing takes away buttons that were there.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reply_markup: Option<Markup>,
}

/// Previews of links.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Previews {
    is_disabled: bool,
}

/// What stands under a message.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(untagged)]
pub enum Markup {
    /// Buttons.
    Keyboard {
        /// Their rows.
        inline_keyboard: Vec<Vec<Key>>,
    },
    /// An answer is wished for.
    Reply {
        /// Always.
        force_reply: bool,
        /// Only of whoever asked.
        selective: bool,
        /// What could be written.
        input_field_placeholder: String,
    },
}

/// A button.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Key {
    /// What it says.
    pub text: String,
    /// What comes back.
    pub callback_data: String,
}

/// The message of a page.
pub fn message(page: &Page) -> Message {
    let mut text = format!("<b>{}</b>", escaped(&clip(&or_dots(flat(&page.title)), TITLE_UNITS_MAX)));
    let blocks = render::blocks::<Html>(page, TEXT_UNITS_MAX - units(&text) - 1);
    if !blocks.is_empty() {
        text.push('\n');
        text.push_str(&blocks);
    }
    Message { text, parse_mode: Some("HTML"), link_preview_options: OFF, reply_markup: keyboard(&page.buttons) }
}

/// The page without any marks: what is sent once where Telegram refuses the message itself.
pub fn plain(page: &Page) -> Message {
    let text = clip(&or_dots(render::plain(page)), TEXT_UNITS_MAX);
    Message { text, parse_mode: None, link_preview_options: OFF, reply_markup: None }
}

/// The note that answers a press, seen by whoever pressed alone: plain text, as much as fits.
pub fn alert(page: &Page) -> String {
    let lines = render::blocks::<Bare>(page, TEXT_UNITS_MAX);
    clip(format!("{}\n{lines}", flat(&page.title)).trim(), ALERT_UNITS_MAX)
}

/// Whether nothing of the page is lost in [`alert`].
pub fn fits_alert(page: &Page) -> bool {
    let mut spans = page.blocks.iter().flat_map(|block| match block {
        Block::Line(spans) | Block::Item(_, spans) => spans.as_slice(),
        Block::Quote(_) | Block::Gap => &[],
    });
    let has_link = spans.any(|span| matches!(span, Span::Link { .. }));
    page.buttons.is_empty() && !has_link && !alert(page).ends_with('…')
}

/// The message of a question, whose answer is a reply to it. What is asked stands in its last line, because a reply brings
/// nothing back but the message.
pub fn question(question: &Question) -> Message {
    let text = format!(
        "<b>{}</b>\n{}\n\n<i>{REFERENCE}{}</i>",
        escaped(&clip(&flat(&question.title), TITLE_UNITS_MAX)),
        escaped(&clip(&flat(&question.label), TITLE_UNITS_MAX)),
        escaped(&question.ask.to_string()),
    );
    let placeholder = clip(&flat(&question.placeholder), LABEL_UNITS_MAX);
    let markup = Markup::Reply { force_reply: true, selective: true, input_field_placeholder: or_dots(placeholder) };
    Message { text, parse_mode: Some("HTML"), link_preview_options: OFF, reply_markup: Some(markup) }
}

const OFF: Previews = Previews { is_disabled: true };

fn or_dots(text: String) -> String {
    if text.is_empty() { "…".to_owned() } else { text }
}

fn keyboard(rows: &[Vec<Button>]) -> Option<Markup> {
    let key = |button: &Button| Key {
        text: clip(&flat(&button.label), LABEL_UNITS_MAX),
        callback_data: button.press.to_string(),
    };
    let inline_keyboard: Vec<Vec<Key>> = rows.iter().map(|row| row.iter().map(key).collect()).collect();
    (!inline_keyboard.is_empty()).then_some(Markup::Keyboard { inline_keyboard })
}

fn escaped(text: &str) -> String {
    let mut out = String::new();
    text.chars().for_each(|c| Html::escape(c, &mut out));
    out
}

/// Telegram's HTML.
struct Html;

impl Dialect for Html {
    const BOLD: (&'static str, &'static str) = ("<b>", "</b>");
    const CODE: (&'static str, &'static str) = ("<code>", "</code>");
    const QUOTE: (&'static str, &'static str) = ("<blockquote>", "</blockquote>");
    const QUOTE_LINE: &'static str = "";

    fn escape(c: char, out: &mut String) {
        match c {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '"' => out.push_str("&quot;"),
            c => out.push(c),
        }
    }

    fn escape_code(c: char, out: &mut String) {
        Self::escape(c, out);
    }

    fn special(span: &Span) -> String {
        match span {
            Span::Link { label, url } => {
                let shown = escaped(&clip(&flat(label), TITLE_UNITS_MAX));
                match link_url(url) {
                    Some(url) => format!("<a href=\"{}\">{shown}</a>", escaped(&url)),
                    None => shown,
                }
            }
            Span::Usage(verb) => format!("<code>{}</code>", escaped(&Spec::of(*verb).usage())),
            other => escaped(&Bare::special(other)),
        }
    }
}

/// No marks at all.
struct Bare;

impl Dialect for Bare {
    const BOLD: (&'static str, &'static str) = ("", "");
    const CODE: (&'static str, &'static str) = ("", "");
    const QUOTE: (&'static str, &'static str) = ("", "");
    const QUOTE_LINE: &'static str = "";

    fn escape(c: char, out: &mut String) {
        out.push(c);
    }

    fn escape_code(c: char, out: &mut String) {
        out.push(c);
    }

    fn special(span: &Span) -> String {
        match span {
            Span::Relative { at_ms, now_ms } if at_ms > now_ms => format!("in {}", duration(at_ms - now_ms)),
            Span::Relative { at_ms, now_ms } => format!("{} ago", duration(now_ms - at_ms)),
            Span::Moment(at_ms) => calendar(*at_ms),
            Span::Command(verb) => Spec::of(*verb).on_telegram(),
            Span::Usage(verb) => Spec::of(*verb).usage(),
            Span::Link { label, .. } => flat(label),
            Span::Text(_) | Span::Bold(_) | Span::Code(_) => String::new(),
        }
    }
}

/// `2026-11-21 15:04 UTC`: people in a chat are in many places.
fn calendar(at_ms: u64) -> String {
    let text = Time(at_ms).to_string();
    let (day, time) = text.split_once('T').unwrap_or((&text, ""));
    format!("{day} {} UTC", time.get(..5).unwrap_or_default())
}
