//! Text to tokens and back, from what a GGUF file says about its tokenizer.
//!
//! Two kinds are built in: byte-level BPE (`gpt2`: Llama 3, Qwen, `SmolLM`) and `SentencePiece`'s BPE (`llama`: Phi 3,
//! Gemma), whose merges are found again from its pieces and their scores.

use std::collections::HashMap;

use tokenizers::models::bpe::BPE;
use tokenizers::normalizers::{NFC, NormalizerWrapper, Prepend, Replace, Sequence as Normalizers};
use tokenizers::pre_tokenizers::PreTokenizerWrapper;
use tokenizers::pre_tokenizers::byte_level::ByteLevel;
use tokenizers::pre_tokenizers::digits::Digits;
use tokenizers::pre_tokenizers::sequence::Sequence;
use tokenizers::pre_tokenizers::split::{Split, SplitPattern};
use tokenizers::{AddedToken, SplitDelimiterBehavior};

use super::gguf::{Gguf, LoadError};

const QWEN2: &str =
    r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+";
const LLAMA3: &str = r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+";
/// `SentencePiece`'s mark for a space.
const SPACE: char = '\u{2581}';
/// Tokens that end a turn, whatever the file calls its end.
const TURN_ENDS: [&str; 7] =
    ["<|im_end|>", "<|eot_id|>", "<|eom_id|>", "<|end|>", "<end_of_turn>", "<|endoftext|>", "<|end_of_text|>"];

/// A model's tokenizer.
pub struct Tokenizer {
    inner: tokenizers::Tokenizer,
    /// What each token stands for; empty for tokens that are no text.
    bytes: Vec<Vec<u8>>,
    /// The names of tokens that are no text, as in `<|im_end|>`.
    controls: HashMap<u32, String>,
    ends: Vec<u32>,
    begin: Option<u32>,
    adds_begin: bool,
}

/// `llama_token_type`: what a token is.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Kind {
    Text,
    Control,
    Byte,
}

impl Kind {
    fn read(code: i64) -> Self {
        match code {
            2 | 3 | 5 => Self::Control,
            6 => Self::Byte,
            _ => Self::Text,
        }
    }
}

struct Vocabulary {
    tokens: Vec<String>,
    kinds: Vec<Kind>,
}

impl Tokenizer {
    /// Builds the file's tokenizer.
    pub fn load(file: &Gguf) -> Result<Self, LoadError> {
        let vocabulary = Vocabulary::read(file)?;
        let (mut inner, bytes) = match file.text("tokenizer.ggml.model") {
            Some("gpt2") => (byte_level(file, &vocabulary)?, vocabulary.unmapped_bytes()),
            Some("llama") => (sentence_piece(file, &vocabulary)?, vocabulary.piece_bytes()),
            other => return Err(file.unsupported(format!("tokenizer {other:?}; gpt2 and llama are"))),
        };
        let controls = vocabulary.controls();
        let added = controls.values().map(|name| AddedToken::from(name.clone(), true).normalized(false));
        inner.add_special_tokens(added).map_err(|error| file.broken(format!("special tokens: {error}")))?;
        let begin = file.number("tokenizer.ggml.bos_token_id").and_then(|id| u32::try_from(id).ok());
        let ends = ends(file, &controls);
        if ends.is_empty() {
            return Err(file.broken("no token ends an answer"));
        }
        let sentence_piece = file.text("tokenizer.ggml.model") == Some("llama");
        let adds_begin = file.flag("tokenizer.ggml.add_bos_token").unwrap_or(sentence_piece);
        Ok(Self { inner, bytes, controls, ends, begin, adds_begin })
    }

    /// Tokens of a whole prompt. Names of control tokens in it become those tokens; see [`Self::defused`]. The token
    /// that begins a text is put first where the model wants it and the prompt doesn't begin with it already.
    pub fn encode_prompt(&self, prompt: &str) -> Result<Vec<u32>, tokenizers::Error> {
        let mut tokens = self.inner.encode_fast(prompt, false)?.get_ids().to_vec();
        if let (true, Some(begin)) = (self.adds_begin, self.begin)
            && tokens.first() != Some(&begin)
        {
            tokens.insert(0, begin);
        }
        Ok(tokens)
    }

    /// The text with a blank inside each name of a control token, so that what somebody wrote can't end a turn or
    /// begin another.
    pub fn defused(&self, text: &str) -> String {
        if !text.contains(['<', '[']) {
            return text.to_owned();
        }
        let mut text = text.to_owned();
        for name in self.controls.values() {
            if let Some(first) = name.chars().next()
                && text.contains(name.as_str())
            {
                text = text.replace(name.as_str(), &format!("{first} {}", &name[first.len_utf8()..]));
            }
        }
        text
    }

    /// What a token stands for; nothing for a control token.
    pub fn bytes_of(&self, token: u32) -> &[u8] {
        self.bytes.get(token as usize).map_or(&[], Vec::as_slice)
    }

    /// Whether the token ends an answer.
    pub fn is_end(&self, token: u32) -> bool {
        self.ends.contains(&token)
    }

    /// The tokens that end an answer, the usual one first.
    pub fn ends(&self) -> &[u32] {
        &self.ends
    }

    /// Tokens there are.
    pub fn len(&self) -> usize {
        self.bytes.len()
    }

    /// Name of a control token, as templates write it.
    pub fn control_name(&self, token: u32) -> Option<&str> {
        self.controls.get(&token).map(String::as_str)
    }

    /// Name of the token that begins a text.
    pub fn begin_name(&self) -> &str {
        self.begin.and_then(|id| self.control_name(id)).unwrap_or("")
    }

    /// Name of the token that ends an answer.
    pub fn end_name(&self) -> &str {
        self.ends.first().and_then(|id| self.control_name(*id)).unwrap_or("")
    }

    /// Tokens of a text that holds no control tokens, e.g. one that a grammar forces.
    pub fn encode_plain(&self, text: &str) -> Vec<u32> {
        self.inner.encode_fast(text, false).map(|encoding| encoding.get_ids().to_vec()).unwrap_or_default()
    }
}

impl Vocabulary {
    fn read(file: &Gguf) -> Result<Self, LoadError> {
        let listed =
            file.list("tokenizer.ggml.tokens").ok_or_else(|| file.broken("tokenizer.ggml.tokens is missing"))?;
        let tokens: Vec<String> = listed.iter().filter_map(|value| value.to_string().ok().cloned()).collect();
        if tokens.len() != listed.len() || tokens.is_empty() || u32::try_from(tokens.len()).is_err() {
            return Err(file.broken("tokenizer.ggml.tokens isn't a list of texts"));
        }
        let codes = file.list("tokenizer.ggml.token_type").unwrap_or(&[]);
        let code = |at: usize| codes.get(at).and_then(|code| code.to_i32().map(i64::from).ok()).unwrap_or(1);
        let kinds = (0..tokens.len()).map(|at| Kind::read(code(at))).collect();
        Ok(Self { tokens, kinds })
    }

    fn by_text(&self) -> HashMap<String, u32> {
        (0..).zip(&self.tokens).map(|(id, token)| (token.clone(), id)).collect()
    }

    fn controls(&self) -> HashMap<u32, String> {
        let all = (0..).zip(self.tokens.iter().zip(&self.kinds));
        all.filter(|(_, (_, kind))| **kind == Kind::Control).map(|(id, (token, _))| (id, token.clone())).collect()
    }

    fn bytes(&self, read: impl Fn(&str, Kind) -> Vec<u8>) -> Vec<Vec<u8>> {
        let both = self.tokens.iter().zip(&self.kinds);
        both.map(|(token, kind)| if *kind == Kind::Control { Vec::new() } else { read(token, *kind) }).collect()
    }

    /// Byte-level BPE writes each byte as a visible character.
    fn unmapped_bytes(&self) -> Vec<Vec<u8>> {
        let table = visible_characters();
        self.bytes(|token, _| {
            let bytes: Option<Vec<u8>> = token.chars().map(|shown| table.get(&shown).copied()).collect();
            bytes.unwrap_or_else(|| token.as_bytes().to_vec())
        })
    }

    /// `SentencePiece` marks spaces, and writes bytes as `<0x0A>`.
    fn piece_bytes(&self) -> Vec<Vec<u8>> {
        self.bytes(|token, kind| match byte_named(token) {
            Some(byte) if kind == Kind::Byte => vec![byte],
            _ => token.replace(SPACE, " ").into_bytes(),
        })
    }
}

fn byte_named(token: &str) -> Option<u8> {
    u8::from_str_radix(token.strip_prefix("<0x")?.strip_suffix('>')?, 16).ok()
}

/// GPT-2's table: printable bytes are themselves, the others follow from U+0100 on.
fn visible_characters() -> HashMap<char, u8> {
    let mut next = 0x100_u32;
    let mut table = HashMap::with_capacity(256);
    for byte in 0..=u8::MAX {
        let shown = if matches!(byte, 0x21..=0x7e | 0xa1..=0xac | 0xae..=0xff) {
            char::from(byte)
        } else {
            next += 1;
            char::from_u32(next - 1).unwrap_or(char::REPLACEMENT_CHARACTER)
        };
        table.insert(shown, byte);
    }
    table
}

fn ends(file: &Gguf, controls: &HashMap<u32, String>) -> Vec<u32> {
    let named = ["eos", "eot", "eom"].map(|name| file.number(&format!("tokenizer.ggml.{name}_token_id")));
    let mut ends: Vec<u32> = named.into_iter().flatten().filter_map(|id| u32::try_from(id).ok()).collect();
    let mut usual: Vec<u32> =
        controls.iter().filter(|(_, name)| TURN_ENDS.contains(&name.as_str())).map(|(id, _)| *id).collect();
    usual.sort_unstable();
    for id in usual {
        if !ends.contains(&id) {
            ends.push(id);
        }
    }
    ends
}

fn byte_level(file: &Gguf, vocabulary: &Vocabulary) -> Result<tokenizers::Tokenizer, LoadError> {
    let listed = file.list("tokenizer.ggml.merges").ok_or_else(|| file.broken("tokenizer.ggml.merges is missing"))?;
    let pair = |value: &candle_core::quantized::gguf_file::Value| {
        let (left, right) = value.to_string().ok()?.split_once(' ')?;
        Some((left.to_owned(), right.to_owned()))
    };
    let merges: Option<Vec<(String, String)>> = listed.iter().map(pair).collect();
    let merges = merges.ok_or_else(|| file.broken("tokenizer.ggml.merges isn't a list of pairs"))?;
    let split = file.text("tokenizer.ggml.pre").unwrap_or("default");
    let bpe = BPE::builder()
        .vocab_and_merges(vocabulary.by_text().into_iter().collect::<tokenizers::models::bpe::Vocab>(), merges);
    // Llama 3's table holds words that its merges can't make.
    let bpe = bpe.ignore_merges(matches!(split, "llama-bpe" | "llama3"));
    let bpe = bpe.build().map_err(|error| file.broken(format!("merges: {error}")))?;
    let mut tokenizer = tokenizers::Tokenizer::new(bpe);
    let pre = pre_tokenizer(split)
        .ok_or_else(|| file.unsupported(format!("pre-tokenizer {split:?}; smollm, qwen2, llama-bpe and gpt-2 are")))?;
    tokenizer.with_pre_tokenizer(Some(pre));
    if split == "qwen2" {
        let normalized = tokenizer.with_normalizer(Some(NormalizerWrapper::NFC(NFC)));
        normalized.map_err(|error| file.broken(error.to_string()))?;
    }
    Ok(tokenizer)
}

/// How a text is cut into words before merging, by GGUF's name for it.
fn pre_tokenizer(name: &str) -> Option<PreTokenizerWrapper> {
    let bytes = ByteLevel::new(false, false, false);
    let split = |pattern: &str| {
        let split =
            Split::new(SplitPattern::Regex(pattern.to_owned()), SplitDelimiterBehavior::Isolated, false).ok()?;
        Some(Sequence::new(vec![split.into(), bytes.into()]).into())
    };
    match name {
        "smollm" => {
            Some(Sequence::new(vec![Digits::new(true).into(), ByteLevel::new(false, false, true).into()]).into())
        }
        "qwen2" => split(QWEN2),
        "llama-bpe" | "llama3" => split(LLAMA3),
        "gpt-2" | "gpt2" | "default" => Some(ByteLevel::new(false, false, true).into()),
        _ => None,
    }
}

fn sentence_piece(file: &Gguf, vocabulary: &Vocabulary) -> Result<tokenizers::Tokenizer, LoadError> {
    let scores = file.list("tokenizer.ggml.scores").ok_or_else(|| file.broken("tokenizer.ggml.scores is missing"))?;
    let scores: Vec<f32> = scores.iter().filter_map(|score| score.to_f32().ok()).collect();
    if scores.len() != vocabulary.tokens.len() {
        return Err(file.broken("tokenizer.ggml.scores don't belong to its tokens"));
    }
    let ids = vocabulary.by_text();
    let merges = found_merges(vocabulary, &ids, &scores);
    let unknown = file.number("tokenizer.ggml.unknown_token_id").and_then(|id| vocabulary.tokens.get(id));
    let mut bpe = BPE::builder().vocab_and_merges(ids.into_iter().collect::<tokenizers::models::bpe::Vocab>(), merges);
    bpe = bpe.byte_fallback(true).fuse_unk(true);
    if let Some(unknown) = unknown {
        bpe = bpe.unk_token(unknown.clone());
    }
    let bpe = bpe.build().map_err(|error| file.broken(format!("pieces: {error}")))?;
    let mut tokenizer = tokenizers::Tokenizer::new(bpe);
    let mut steps: Vec<NormalizerWrapper> = Vec::new();
    if file.flag("tokenizer.ggml.add_space_prefix").unwrap_or(true) {
        steps.push(Prepend::new(SPACE.to_string()).into());
    }
    steps.push(Replace::new(" ", SPACE.to_string()).map_err(|error| file.broken(error.to_string()))?.into());
    tokenizer.with_normalizer(Some(Normalizers::new(steps))).map_err(|error| file.broken(error.to_string()))?;
    Ok(tokenizer)
}

/// All pairs of pieces that are a piece together, the best first.
fn found_merges(vocabulary: &Vocabulary, ids: &HashMap<String, u32>, scores: &[f32]) -> Vec<(String, String)> {
    let mut found: Vec<(f32, u32, u32)> = Vec::new();
    for (token, (score, kind)) in vocabulary.tokens.iter().zip(scores.iter().zip(&vocabulary.kinds)) {
        if *kind != Kind::Text {
            continue;
        }
        for (cut, _) in token.char_indices().skip(1) {
            if let (Some(left), Some(right)) = (ids.get(&token[..cut]), ids.get(&token[cut..])) {
                found.push((*score, *left, *right));
            }
        }
    }
    found.sort_by(|a, b| b.0.total_cmp(&a.0).then(a.1.cmp(&b.1)).then(a.2.cmp(&b.2)));
    let text = |id: u32| vocabulary.tokens[id as usize].clone();
    found.into_iter().map(|(_, left, right)| (text(left), text(right))).collect()
}

#[cfg(test)]
#[path = "tokenizer_tests.rs"]
mod tests;
