//! Causal attention over keys and values that are kept packed, so that reading them is all it costs.
//!
//! Several query heads share a key head (grouped queries); they are multiplied together, each key is read once.

#![expect(clippy::inline_always, reason = "only what is inlined is compiled for the CPU that was found")]
#![expect(clippy::needless_range_loop, reason = "indices over fixed lengths are what the compiler vectorises")]

use pulp::{Simd, WithSimd};

use super::kernels::{Kernels, PANEL, Panel, ROWS, exp, multiply};

/// Heads of an attention.
#[derive(Clone, Copy, Debug)]
pub struct Heads {
    /// Of the queries.
    pub queries: usize,
    /// Of the keys and values; divides `queries`.
    pub keys: usize,
    /// Length of one, a multiple of 32.
    pub dim: usize,
}

impl Heads {
    /// Query heads that share a key head.
    fn group(self) -> usize {
        self.queries / self.keys
    }
}

/// The keys and values of one layer, position by position: 8 bytes a number.
#[derive(Debug)]
pub struct Past {
    heads: Heads,
    length: usize,
    /// By key head: panels of 16 positions, each of `dim` lines.
    keys: Vec<Vec<[f32; PANEL]>>,
    /// By key head and 16 numbers of it: a line for each position.
    values: Vec<Vec<[f32; PANEL]>>,
}

impl Past {
    /// Nothing seen yet.
    pub fn new(heads: Heads) -> Self {
        let values = heads.keys * heads.dim / PANEL;
        Self { heads, length: 0, keys: vec![Vec::new(); heads.keys], values: vec![Vec::new(); values] }
    }

    /// Adds one position; both rows hold `keys * dim` numbers.
    fn push(&mut self, keys: &[f32], values: &[f32]) {
        let column = self.length % PANEL;
        let first_line = self.length / PANEL * self.heads.dim;
        for (head, keys) in self.keys.iter_mut().zip(keys.chunks_exact(self.heads.dim)) {
            head.resize(first_line + self.heads.dim, [0.0; PANEL]);
            for (line, key) in head[first_line..].iter_mut().zip(keys) {
                line[column] = *key;
            }
        }
        for (part, values) in self.values.iter_mut().zip(values.as_chunks::<PANEL>().0) {
            part.push(*values);
        }
        self.length += 1;
    }

    /// Adds positions; both hold `keys * dim` numbers for each.
    pub fn extend(&mut self, keys: &[f32], values: &[f32]) {
        let width = self.heads.keys * self.heads.dim;
        for (keys, values) in keys.chunks_exact(width).zip(values.chunks_exact(width)) {
            self.push(keys, values);
        }
    }

    /// Forgets all positions from `length` on.
    pub fn truncate(&mut self, length: usize) {
        self.length = self.length.min(length);
        for head in &mut self.keys {
            head.truncate(self.length.div_ceil(PANEL) * self.heads.dim);
        }
        for part in &mut self.values {
            part.truncate(self.length);
        }
    }

    /// Attends: the last of `queries` stands at the last position, the others right before it. The answer is as long
    /// as `queries`.
    pub fn attend(&self, kernels: Kernels, queries: &[f32]) -> Vec<f32> {
        kernels.run(Attend { past: self, queries })
    }
}

struct Attend<'a> {
    past: &'a Past,
    queries: &'a [f32],
}

impl WithSimd for Attend<'_> {
    type Output = Vec<f32>;

    #[inline(always)]
    fn with_simd<S: Simd>(self, _simd: S) -> Vec<f32> {
        let Heads { queries, keys, dim } = self.past.heads;
        let group = self.past.heads.group();
        let rows = self.queries.len() / (queries * dim) * group;
        let padded = self.past.length.next_multiple_of(PANEL);
        let mut scores = vec![0.0; rows * padded];
        let mut out = vec![0.0; self.queries.len()];
        for head in 0..keys {
            self.score::<S>(head, &mut scores);
            for (row, scores) in scores.chunks_exact_mut(padded).enumerate() {
                let unseen = (rows - 1 - row) / group;
                let (seen, hidden) = scores.split_at_mut(self.past.length - unseen);
                softmax::<S>(seen);
                hidden.fill(0.0);
            }
            for part in 0..dim / PANEL {
                let values = &self.past.values[head * dim / PANEL + part];
                for first in (0..rows).step_by(ROWS) {
                    let mut inputs: [&[f32]; ROWS] = [&[]; ROWS];
                    for (at, input) in inputs.iter_mut().enumerate() {
                        *input = &scores[(first + at).min(rows - 1) * padded..][..values.len()];
                    }
                    let sums = multiply::<S>(&inputs, values);
                    for at in 0..ROWS.min(rows - first) {
                        let to = self.query_at(head, first + at) + part * PANEL;
                        out[to..to + PANEL].copy_from_slice(&sums[at]);
                    }
                }
            }
        }
        out
    }
}

impl Attend<'_> {
    /// Where the query stands that is row `row` of those that share the key head.
    #[inline(always)]
    fn query_at(&self, key_head: usize, row: usize) -> usize {
        let heads = self.past.heads;
        let group = heads.group();
        (row / group * heads.queries + key_head * group + row % group) * heads.dim
    }

    /// Writes each query's products with all keys, scaled; those with keys that it may not see, too.
    #[inline(always)]
    fn score<S: Simd>(&self, head: usize, scores: &mut [f32]) {
        let dim = self.past.heads.dim;
        let padded = self.past.length.next_multiple_of(PANEL);
        let rows = scores.len() / padded;
        let scale = inverse_root(dim);
        for (index, panel) in self.past.keys[head].chunks_exact(dim).enumerate() {
            for first in (0..rows).step_by(ROWS) {
                let mut inputs: [&[f32]; ROWS] = [&[]; ROWS];
                for (at, input) in inputs.iter_mut().enumerate() {
                    *input = &self.queries[self.query_at(head, (first + at).min(rows - 1))..][..dim];
                }
                let panel: &Panel = panel;
                let mut sums = multiply::<S>(&inputs, panel);
                for at in 0..ROWS.min(rows - first) {
                    for sum in &mut sums[at] {
                        *sum *= scale;
                    }
                    let to = (first + at) * padded + index * PANEL;
                    scores[to..to + PANEL].copy_from_slice(&sums[at]);
                }
            }
        }
    }
}

#[expect(clippy::cast_precision_loss, reason = "a head's length is far below 2^24")]
fn inverse_root(dim: usize) -> f32 {
    1.0 / (dim as f32).sqrt()
}

#[inline(always)]
fn softmax<S: Simd>(scores: &mut [f32]) {
    let mut largest = [f32::NEG_INFINITY; PANEL];
    let (chunks, rest) = scores.as_chunks::<PANEL>();
    for chunk in chunks {
        for lane in 0..PANEL {
            largest[lane] = if chunk[lane] > largest[lane] { chunk[lane] } else { largest[lane] };
        }
    }
    let largest = largest.iter().chain(rest).fold(f32::NEG_INFINITY, |largest, score| largest.max(*score));
    let mut sums = [0.0; PANEL];
    let (chunks, rest) = scores.as_chunks_mut::<PANEL>();
    for chunk in chunks {
        for lane in 0..PANEL {
            chunk[lane] = exp::<S>(chunk[lane] - largest);
            sums[lane] += chunk[lane];
        }
    }
    let mut sum: f32 = sums.iter().sum();
    for score in rest {
        *score = exp::<S>(*score - largest);
        sum += *score;
    }
    let inverse = 1.0 / sum;
    for score in scores.iter_mut() {
        *score *= inverse;
    }
}

#[cfg(test)]
mod tests {
    use super::super::kernels::tests::{close, numbers};
    use super::*;

    fn plain(heads: Heads, queries: &[f32], keys: &[f32], values: &[f32]) -> Vec<f32> {
        let (width, stride) = (heads.queries * heads.dim, heads.keys * heads.dim);
        let (count, length) = (queries.len() / width, keys.len() / stride);
        let mut out = vec![0.0; queries.len()];
        for at in (0..queries.len()).step_by(heads.dim) {
            let (query, head) = (at / width, at % width / heads.dim);
            let key_head = head / heads.group() * heads.dim;
            let weight = |position: usize| {
                let key = &keys[position * stride + key_head..][..heads.dim];
                let dot: f32 = queries[at..at + heads.dim].iter().zip(key).map(|(a, b)| a * b).sum();
                (dot * inverse_root(heads.dim)).exp()
            };
            let weights: Vec<f32> = (0..=length - count + query).map(weight).collect();
            let total: f32 = weights.iter().sum();
            for part in 0..heads.dim {
                let value = |position: usize| values[position * stride + key_head + part];
                out[at + part] = weights.iter().enumerate().map(|(p, weight)| weight / total * value(p)).sum();
            }
        }
        out
    }

    #[test]
    fn attention_is_what_plain_loops_give() {
        let heads = Heads { queries: 6, keys: 2, dim: 32 };
        for (count, length) in [(1, 1), (1, 37), (2, 2), (9, 40), (23, 23)] {
            let queries = numbers(count * heads.queries * heads.dim, 3);
            let keys = numbers(length * heads.keys * heads.dim, 4);
            let values = numbers(length * heads.keys * heads.dim, 5);
            let mut past = Past::new(heads);
            past.extend(&keys, &values);
            let out = past.attend(Kernels::detect(), &queries);
            close(&out, &plain(heads, &queries, &keys, &values), 1e-5);
        }
    }

    #[test]
    fn what_is_forgotten_has_no_effect() {
        let heads = Heads { queries: 2, keys: 1, dim: 32 };
        let queries = numbers(2 * 32, 1);
        let (keys, values) = (numbers(21 * 32, 2), numbers(21 * 32, 3));
        let mut straight = Past::new(heads);
        straight.extend(&keys, &values);
        let mut turned = Past::new(heads);
        turned.extend(&keys[..18 * 32], &values[..18 * 32]);
        turned.extend(&numbers(9 * 32, 7), &numbers(9 * 32, 8));
        turned.truncate(18);
        turned.extend(&keys[18 * 32..], &values[18 * 32..]);
        assert_eq!(straight.attend(Kernels::detect(), &queries), turned.attend(Kernels::detect(), &queries));
    }
}
