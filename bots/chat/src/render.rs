//! Pages as text, in the markup of a platform: the same way for both, within a limit, never with half of a mark.

use crate::page::{Block, Page, Span};
use crate::text::{clip, flat, harmless, units};

/// How a platform writes what a page says. What is given here is clean, and cut where that matters.
pub trait Dialect {
    /// Writes a character so that it is only that.
    fn escape(c: char, out: &mut String);
    /// What stands before and behind bold words.
    const BOLD: (&'static str, &'static str);
    /// What stands before and behind code.
    const CODE: (&'static str, &'static str);
    /// What stands before and behind a quote.
    const QUOTE: (&'static str, &'static str);
    /// What begins each further line of a quote.
    const QUOTE_LINE: &'static str;
    /// Writes a character inside of code.
    fn escape_code(c: char, out: &mut String);
    /// Spans that are nothing but words with a meaning: moments, commands, links.
    fn special(span: &Span) -> String;
}

/// Longest text of a span, in units; longer ones are quotes.
const SPAN_UNITS_MAX: usize = 600;
/// What is written where blocks are left out.
const LEFT_OUT: &str = "…";
/// Units that quotes leave for that.
const KEPT: usize = 4;

/// The blocks of a page, at most `units_max` long with all marks.
pub fn blocks<D: Dialect>(page: &Page, units_max: usize) -> String {
    let lengths: Vec<usize> = page.blocks.iter().map(|block| units(&block_of::<D>(block, 0)) + 1).collect();
    let fixed: usize = lengths.iter().sum();
    let mut quotes = page.blocks.iter().filter(|block| matches!(block, Block::Quote(_))).count();
    let mut spare = units_max.saturating_sub(fixed + KEPT);
    let mut out = String::new();
    for block in &page.blocks {
        let room = if matches!(block, Block::Quote(_)) { spare / quotes.max(1) } else { 0 };
        let text = block_of::<D>(block, room);
        let left = units_max.saturating_sub(units(&out) + 1);
        if units(&text) + units(LEFT_OUT) + 1 > left {
            out.push_str(LEFT_OUT);
            break;
        }
        if let Block::Quote(_) = block {
            quotes -= 1;
            spare = spare.saturating_sub(units(&text));
        }
        out.push_str(&text);
        out.push('\n');
    }
    out.truncate(out.trim_end().len());
    out
}

/// What is sent where a platform refuses the message itself: the title and the ids of the first line, without any mark.
pub fn plain(page: &Page) -> String {
    let first = page.blocks.first();
    let spans = match first {
        Some(Block::Line(spans)) => spans.as_slice(),
        _ => &[],
    };
    let codes = spans.iter().filter_map(|span| match span {
        Span::Code(code) => Some(code.as_str()),
        _ => None,
    });
    let texts: Vec<String> = std::iter::once(page.title.as_str()).chain(codes).map(flat).collect();
    texts.join(" ").trim().to_owned()
}

/// A block; a quote gets `room` units beside its marks.
fn block_of<D: Dialect>(block: &Block, room: usize) -> String {
    let mut out = String::new();
    match block {
        Block::Line(spans) => spans_of::<D>(spans, &mut out),
        Block::Item(mark, spans) => {
            out.push_str(mark);
            out.push(' ');
            spans_of::<D>(spans, &mut out);
        }
        Block::Quote(text) => quote::<D>(text, room, &mut out),
        Block::Gap => {}
    }
    out
}

fn spans_of<D: Dialect>(spans: &[Span], out: &mut String) {
    for span in spans {
        span_of::<D>(span, out);
    }
}

fn span_of<D: Dialect>(span: &Span, out: &mut String) {
    match span {
        Span::Text(text) => words::<D>(text, ("", ""), out),
        Span::Bold(text) => words::<D>(text, D::BOLD, out),
        Span::Code(text) => {
            let text = clip(&flat(text), SPAN_UNITS_MAX);
            if !text.is_empty() {
                out.push_str(D::CODE.0);
                text.chars().for_each(|c| D::escape_code(c, out));
                out.push_str(D::CODE.1);
            }
        }
        special => out.push_str(&D::special(special)),
    }
}

/// Words as they are; spaces at their ends count, since they part spans.
fn words<D: Dialect>(text: &str, (before, behind): (&str, &str), out: &mut String) {
    let clean = clip(&flat(text), SPAN_UNITS_MAX);
    if clean.is_empty() {
        if !text.is_empty() {
            out.push(' ');
        }
        return;
    }
    if text.starts_with(' ') {
        out.push(' ');
    }
    out.push_str(before);
    clean.chars().for_each(|c| D::escape(c, out));
    out.push_str(behind);
    if text.ends_with(' ') {
        out.push(' ');
    }
}

fn quote<D: Dialect>(text: &str, room: usize, out: &mut String) {
    let clean = harmless(text);
    let clean = clean.trim();
    if clean.is_empty() {
        return;
    }
    out.push_str(D::QUOTE.0);
    let start = out.len();
    let mut left = room;
    for c in clean.chars() {
        let before = out.len();
        D::escape(c, out);
        if c == '\n' {
            out.push_str(D::QUOTE_LINE);
        }
        // One unit is kept for the ellipsis.
        match left.checked_sub(units(&out[before..])) {
            Some(rest) if rest > 0 => left = rest,
            _ => {
                out.truncate(before);
                let end = out.trim_end().len().max(start);
                out.truncate(end);
                if room > 0 {
                    out.push_str(LEFT_OUT);
                }
                break;
            }
        }
    }
    out.push_str(D::QUOTE.1);
}
