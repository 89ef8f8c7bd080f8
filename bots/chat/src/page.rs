//! A message before it is a message: what it says, in pieces that both platforms can show. Texts in it are as their authors
//! wrote them; [`crate::discord`] and [`crate::telegram`] cut, clean and escape.

use crate::button::Press;
use crate::command::Verb;
use crate::words;

/// A message.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Page {
    /// Its colour, where there are colours.
    pub tone: Tone,
    /// What is now, in one line.
    pub title: String,
    /// What more there is to say.
    pub blocks: Vec<Block>,
    /// Rows of buttons.
    pub buttons: Vec<Vec<Button>>,
}

/// How a message looks from afar.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Tone {
    /// An answer.
    Plain,
    /// Work goes on.
    Busy,
    /// Somebody is needed.
    Asking,
    /// It went well.
    Good,
    /// It went, but.
    Warning,
    /// It didn't.
    Bad,
}

/// A piece of a message, on lines of its own.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Block {
    /// A line.
    Line(Vec<Span>),
    /// A line of a list.
    Item(&'static str, Vec<Span>),
    /// Something longer that somebody wrote: it gets the room that the rest leaves.
    Quote(String),
    /// An empty line.
    Gap,
}

/// A piece of a line.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Span {
    /// Words.
    Text(String),
    /// Words that stand out.
    Bold(String),
    /// What may be copied: ids, paths.
    Code(String),
    /// A moment, said by how far off it is.
    Relative {
        /// The moment (Unix milliseconds).
        at_ms: u64,
        /// The present.
        now_ms: u64,
    },
    /// A moment, said by the calendar.
    Moment(u64),
    /// A command, as it is typed there.
    Command(Verb),
    /// A command with all that it takes.
    Usage(Verb),
    /// A link that works without a key: nobody's preview is asked for.
    Link {
        /// What it says.
        label: String,
        /// Where it leads.
        url: String,
    },
}

/// A button.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Button {
    /// What it says.
    pub label: String,
    /// What it does.
    pub press: Press,
    /// How it looks, where there are looks.
    pub look: Look,
}

/// How a button looks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Look {
    /// The one that is most likely wanted.
    First,
    /// Another one.
    Plain,
    /// One that goes on.
    Good,
    /// One that ends something.
    Danger,
}

impl Page {
    /// A page that says one thing.
    pub fn new(tone: Tone, title: impl Into<String>) -> Self {
        Self { tone, title: title.into(), blocks: Vec::new(), buttons: Vec::new() }
    }

    /// With a line.
    #[must_use]
    pub fn line(mut self, spans: impl IntoIterator<Item = Span>) -> Self {
        self.blocks.push(Block::Line(spans.into_iter().collect()));
        self
    }

    /// With a line of words.
    #[must_use]
    pub fn text(self, text: impl Into<String>) -> Self {
        self.line([Span::Text(text.into())])
    }

    /// With a line of a list.
    #[must_use]
    pub fn item(mut self, mark: &'static str, spans: impl IntoIterator<Item = Span>) -> Self {
        self.blocks.push(Block::Item(mark, spans.into_iter().collect()));
        self
    }

    /// With something longer that somebody wrote.
    #[must_use]
    pub fn quote(mut self, text: impl Into<String>) -> Self {
        self.blocks.push(Block::Quote(text.into()));
        self
    }

    /// With an empty line.
    #[must_use]
    pub fn gap(mut self) -> Self {
        self.blocks.push(Block::Gap);
        self
    }

    /// With a row of buttons; none is no row.
    #[must_use]
    pub fn row(mut self, buttons: impl IntoIterator<Item = Button>) -> Self {
        let row: Vec<Button> = buttons.into_iter().collect();
        if !row.is_empty() {
            self.buttons.push(row);
        }
        self
    }
}

impl Button {
    /// The button of a press, labelled as ever.
    pub fn new(press: Press, look: Look) -> Self {
        Self { label: words::label(press.action).to_owned(), press, look }
    }
}

impl Span {
    /// Words.
    pub fn text(text: impl Into<String>) -> Self {
        Self::Text(text.into())
    }

    /// Words that stand out.
    pub fn bold(text: impl Into<String>) -> Self {
        Self::Bold(text.into())
    }

    /// What may be copied.
    pub fn code(text: impl Into<String>) -> Self {
        Self::Code(text.into())
    }
}
