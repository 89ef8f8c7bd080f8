//! Holding a model to a JSON schema, token by token.

use std::sync::Arc;

use llguidance::api::TopLevelGrammar;
use llguidance::{Matcher, ParserFactory};
use toktrie::{SimpleVob, TokEnv, TokRxInfo, TokTrie, TokenizerEnv};

use super::bounds::Bounded;
use super::tokenizer::Tokenizer;

/// Compiles schemas for one tokenizer.
pub struct Grammars {
    factory: ParserFactory,
    closers: Closers,
}

/// What a grammar can't do. A bug of it or of the schema; final.
#[derive(Debug, thiserror::Error)]
#[error("the schema can't be followed ({detail})")]
pub struct GrammarError {
    detail: String,
}

impl GrammarError {
    #[expect(clippy::needless_pass_by_value, reason = "it is what `map_err` hands over")]
    fn new(error: impl ToString) -> Self {
        Self { detail: error.to_string() }
    }
}

struct Environment {
    trie: TokTrie,
    tokenizer: Arc<Tokenizer>,
}

impl TokenizerEnv for Environment {
    fn tok_trie(&self) -> &TokTrie {
        &self.trie
    }

    fn tokenize_bytes(&self, bytes: &[u8]) -> Vec<u32> {
        self.trie.tokenize_with_greedy_fallback(bytes, |text| self.tokenizer.encode_plain(text))
    }
}

/// Tokens of one character that end what is open.
#[derive(Clone, Copy)]
struct Closers {
    quote: Option<u32>,
    bracket: Option<u32>,
    brace: Option<u32>,
    comma: Option<u32>,
}

impl Grammars {
    /// Prepares the tokenizer's tokens; half a second and 30 MB for 50,000 of them.
    pub fn new(tokenizer: &Arc<Tokenizer>) -> Result<Self, GrammarError> {
        let words: Vec<Vec<u8>> = (0..).take(tokenizer.len()).map(|token| word(tokenizer, token)).collect();
        let size = u32::try_from(words.len()).map_err(GrammarError::new)?;
        let end = tokenizer.ends().first().copied().unwrap_or_default();
        let trie = TokTrie::from(&TokRxInfo::new(size, end), &words);
        let one = |text: &[u8]| trie.token_id(text);
        let closers = Closers { quote: one(b"\""), bracket: one(b"]"), brace: one(b"}"), comma: one(b",") };
        let environment: TokEnv = Arc::new(Environment { trie, tokenizer: Arc::clone(tokenizer) });
        let mut factory = ParserFactory::new_simple(&environment).map_err(GrammarError::new)?;
        factory.quiet();
        Ok(Self { factory, closers })
    }

    /// A state at the beginning of an answer.
    pub fn begin(&self, schema: &Bounded) -> Result<Constraint, GrammarError> {
        let grammar = TopLevelGrammar::from_json_schema(schema.schema.clone());
        let matcher = Matcher::new(self.factory.create_parser(grammar));
        match matcher.get_error() {
            Some(error) => Err(GrammarError::new(error)),
            None => Ok(Constraint { matcher, closers: self.closers, place: Place::default() }),
        }
    }
}

/// Control tokens are marked, so that no text matches them.
fn word(tokenizer: &Tokenizer, token: u32) -> Vec<u8> {
    match tokenizer.control_name(token) {
        Some(name) => [&[TokTrie::SPECIAL_TOKEN_MARKER], name.as_bytes()].concat(),
        None => tokenizer.bytes_of(token).to_vec(),
    }
}

/// Where an answer is in its schema.
pub struct Constraint {
    matcher: Matcher,
    closers: Closers,
    place: Place,
}

/// Whether the last byte was inside of a string.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Place {
    #[default]
    Outside,
    Inside,
    Escaped,
}

impl Place {
    fn after(self, byte: u8) -> Self {
        match (self, byte) {
            (Self::Outside, b'"') | (Self::Escaped, _) => Self::Inside,
            (Self::Inside, b'"') => Self::Outside,
            (Self::Inside, b'\\') => Self::Escaped,
            (same, _) => same,
        }
    }
}

impl Constraint {
    /// Whether the answer is whole and nothing can follow.
    pub fn is_over(&self) -> bool {
        self.matcher.is_stopped()
    }

    /// The tokens that have to follow; none where there is a choice.
    pub fn forced(&mut self) -> Vec<u32> {
        self.matcher.compute_ff_tokens()
    }

    /// The tokens that may follow.
    pub fn allowed(&mut self) -> Result<SimpleVob, GrammarError> {
        self.matcher.compute_mask_or_eos().map_err(GrammarError::new)
    }

    /// Of the allowed tokens the one that leads to the end soonest, where there is such a one: the quote inside of a
    /// string; outside a bracket, brace or comma rather than one more part.
    pub fn closer(&self, allowed: &SimpleVob) -> Option<u32> {
        let Closers { quote, bracket, brace, comma } = self.closers;
        let candidates = match self.place {
            Place::Inside => [quote, None, None, None],
            Place::Outside => [bracket, brace, comma, quote],
            Place::Escaped => [None; 4],
        };
        candidates.into_iter().flatten().find(|token| allowed.is_allowed(*token))
    }

    /// Goes on by a token that is allowed.
    pub fn accept(&mut self, token: u32, bytes: &[u8]) -> Result<(), GrammarError> {
        self.place = bytes.iter().fold(self.place, |place, byte| place.after(*byte));
        self.matcher.consume_token(token).map_err(GrammarError::new)
    }
}
