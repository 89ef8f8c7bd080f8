//! A bit set that many writers can add to without reading it: words of 63 bits, each bit added once as a power of two.

use serde::{Deserialize, Serialize};

/// Bits in a word; 63, so that a word fits a signed integer as well.
pub const WORD_BITS: usize = 63;

/// A growing set of small indices.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Bits {
    words: Vec<u64>,
}

impl Bits {
    /// An empty set with room for the indices below `len`.
    pub fn with_room(len: usize) -> Self {
        Self { words: vec![0; len.div_ceil(WORD_BITS)] }
    }

    /// From words as stored.
    pub const fn from_words(words: Vec<u64>) -> Self {
        Self { words }
    }

    /// The words, lowest first.
    pub fn words(&self) -> &[u64] {
        &self.words
    }

    /// Whether `index` is in the set; an index without room is not.
    pub fn has(&self, index: usize) -> bool {
        self.words.get(index / WORD_BITS).is_some_and(|word| word >> (index % WORD_BITS) & 1 == 1)
    }

    /// The word that holds `index`, and the value of `index`'s bit in it.
    pub const fn place(index: usize) -> (usize, u64) {
        (index / WORD_BITS, 1 << (index % WORD_BITS))
    }

    /// The word of that number, zero where there is none.
    pub fn word(&self, number: usize) -> u64 {
        self.words.get(number).copied().unwrap_or(0)
    }

    /// Puts `index` in; a repeat changes nothing.
    pub fn insert(&mut self, index: usize) {
        let (word, bit) = Self::place(index);
        if self.words.len() <= word {
            self.words.resize(word + 1, 0);
        }
        self.words[word] |= bit;
    }

    /// How many indices are in the set.
    pub fn count(&self) -> u32 {
        self.words.iter().map(|word| word.count_ones()).sum()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn indices_cross_word_boundaries() {
        let mut bits = Bits::with_room(130);
        for index in [0, 62, 63, 125, 126, 129] {
            assert!(!bits.has(index));
            bits.insert(index);
            assert!(bits.has(index));
        }
        assert_eq!(bits.count(), 6);
        assert_eq!(bits.words().len(), 3);
        assert!(!bits.has(10_000));
    }
}
