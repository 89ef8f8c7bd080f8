//! Arithmetic of the embedded model on one core: 8-bit weights times 32-bit activations.
//!
//! Everything is safe Rust that the compiler vectorises; `pulp` looks at the CPU once and calls the version compiled
//! for it (AVX2 with FMA on x86-64, NEON on 64-bit Arm, portable code elsewhere), so a binary built for the oldest CPU
//! runs at full speed on a new one. Measured on one core of a 2.6 GHz EPYC: 29 G multiplications a second for a vector
//! (which is the memory's speed), 54 G for a batch.
//!
//! Results depend on the numbers alone, never on threads or on what ran before; between CPUs the last bits may differ.

#![expect(clippy::inline_always, reason = "only what is inlined is compiled for the CPU that was found")]
#![expect(clippy::needless_range_loop, reason = "indices over fixed lengths are what the compiler vectorises")]

use pulp::{Arch, Simd, WithSimd};

/// Weights that share a scale, as in GGUF's `Q8_0`.
pub const BLOCK: usize = 32;
/// Columns of a packed panel.
pub(super) const PANEL: usize = 16;
/// Rows that one pass over a panel multiplies: with 4 all sums stay in the 16 registers of AVX2, with 6 they don't.
pub(super) const ROWS: usize = 4;
/// From so many rows on, unpacking weights to floats once for all rows pays.
const BATCH_ROWS_MIN: usize = 8;

/// A matrix of 16 columns, line by line.
pub(super) type Panel = [[f32; PANEL]];

/// A matrix of 8-bit weights, row by row, each 32 of them with a scale. 1.125 bytes a weight.
#[derive(Debug)]
pub struct Q8Matrix {
    rows: usize,
    cols: usize,
    quants: Vec<[i8; BLOCK]>,
    scales: Vec<f32>,
}

impl Q8Matrix {
    /// Reads GGUF's `Q8_0`: blocks of a 16-bit float and 32 signed bytes. `None` where sizes don't fit.
    pub fn from_q8_0(rows: usize, cols: usize, bytes: &[u8]) -> Option<Self> {
        let (blocks, rest) = bytes.as_chunks::<{ BLOCK + 2 }>();
        if !cols.is_multiple_of(BLOCK) || !rest.is_empty() || blocks.len() != rows.checked_mul(cols / BLOCK)? {
            return None;
        }
        let scales = blocks.iter().map(|block| half_to_f32(u16::from_le_bytes([block[0], block[1]]))).collect();
        let quants = blocks.iter().map(|block| std::array::from_fn(|at| block[at + 2].cast_signed())).collect();
        Some(Self { rows, cols, quants, scales })
    }

    /// Rounds floats to 8 bits, each block by its largest. `None` where sizes don't fit.
    pub fn quantize(rows: usize, cols: usize, values: &[f32]) -> Option<Self> {
        if !cols.is_multiple_of(BLOCK) || values.len() != rows.checked_mul(cols)? {
            return None;
        }
        let (blocks, _) = values.as_chunks::<BLOCK>();
        let (scales, quants) = blocks.iter().map(|block| round_block(block, 127.0)).unzip();
        Some(Self { rows, cols, quants, scales })
    }

    /// Outputs.
    pub fn rows(&self) -> usize {
        self.rows
    }

    /// Inputs, a multiple of 32.
    pub fn cols(&self) -> usize {
        self.cols
    }

    /// Writes row `index` as floats; `out` is [`Self::cols`] long.
    pub fn read_row(&self, index: usize, out: &mut [f32]) {
        let blocks = self.cols / BLOCK;
        let from = index * blocks;
        let row = self.quants[from..from + blocks].iter().zip(&self.scales[from..from + blocks]);
        for (out, (quants, scale)) in out.as_chunks_mut::<BLOCK>().0.iter_mut().zip(row) {
            for (out, quant) in out.iter_mut().zip(quants) {
                *out = f32::from(*quant) * scale;
            }
        }
    }
}

/// The arithmetic, for this CPU.
#[derive(Clone, Copy, Debug)]
pub struct Kernels {
    arch: Arch,
}

impl Kernels {
    /// Looks at the CPU.
    pub fn detect() -> Self {
        Self { arch: Arch::new() }
    }

    /// `y = x * transpose(w)`, for each of the rows of `x`. `y` holds as many rows of `w.rows()`.
    pub fn linear(self, w: &Q8Matrix, x: &[f32], y: &mut [f32]) {
        let rows = x.len() / w.cols;
        if rows >= BATCH_ROWS_MIN {
            self.arch.dispatch(Batch { w, x, y, rows });
            return;
        }
        for (x, y) in x.chunks_exact(w.cols).zip(y.chunks_exact_mut(w.rows)) {
            self.arch.dispatch(Vector { w, x, y });
        }
    }

    /// Runs what is compiled for each kind of CPU on this one.
    pub(super) fn run<W: WithSimd>(self, work: W) -> W::Output {
        self.arch.dispatch(work)
    }

    /// `gate = silu(gate) * up`.
    pub fn gated(self, gate: &mut [f32], up: &[f32]) {
        self.arch.dispatch(Gated { gate, up });
    }
}

/// Scale and rounded values of a block whose largest becomes `max`.
fn round_block<T: Default + Copy + FromRounded>(block: &[f32; BLOCK], max: f32) -> (f32, [T; BLOCK]) {
    let largest = block.iter().fold(0.0_f32, |largest, value| largest.max(value.abs()));
    let scale = largest / max;
    let inverse = if scale > 0.0 { 1.0 / scale } else { 0.0 };
    (scale, std::array::from_fn(|at| T::from_rounded((block[at] * inverse).round())))
}

/// What a float that was rounded and is in range becomes.
trait FromRounded {
    fn from_rounded(value: f32) -> Self;
}

impl FromRounded for i8 {
    #[expect(clippy::cast_possible_truncation, reason = "rounded and in range; a NaN becomes 0")]
    fn from_rounded(value: f32) -> Self {
        value as Self
    }
}

impl FromRounded for i16 {
    #[expect(clippy::cast_possible_truncation, reason = "rounded and in range; a NaN becomes 0")]
    fn from_rounded(value: f32) -> Self {
        value as Self
    }
}

/// A 16-bit IEEE float.
fn half_to_f32(bits: u16) -> f32 {
    let sign = u32::from(bits >> 15) << 31;
    let exponent = u32::from(bits >> 10) & 0x1f;
    let mantissa = u32::from(bits) & 0x3ff;
    match exponent {
        0 => {
            let tiny = f32::from(bits & 0x3ff) / 16_777_216.0;
            f32::from_bits(tiny.to_bits() | sign)
        }
        0x1f => f32::from_bits(sign | 0x7f80_0000 | (mantissa << 13)),
        _ => f32::from_bits(sign | ((exponent + 112) << 23) | (mantissa << 13)),
    }
}

/// `a * b + c`, fused where that is one instruction.
#[inline(always)]
pub(super) fn fma<S: Simd>(a: f32, b: f32, c: f32) -> f32 {
    if S::IS_SCALAR { a * b + c } else { a.mul_add(b, c) }
}

struct Vector<'a> {
    w: &'a Q8Matrix,
    x: &'a [f32],
    y: &'a mut [f32],
}

impl WithSimd for Vector<'_> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, _simd: S) {
        let blocks = self.w.cols / BLOCK;
        let (x_scales, x): (Vec<f32>, Vec<[i16; BLOCK]>) =
            self.x.as_chunks::<BLOCK>().0.iter().map(|block| round_block(block, 32_767.0)).unzip();
        for (row, y) in self.y.iter_mut().enumerate() {
            let from = row * blocks;
            let weights = &self.w.quants[from..from + blocks];
            *y = dot_blocks::<S>(weights, &self.w.scales[from..from + blocks], &x, &x_scales);
        }
    }
}

/// Sums of 32 products fit 32 bits: 32 * 127 * 32767 is 2^27.
#[inline(always)]
fn dot_blocks<S: Simd>(w: &[[i8; BLOCK]], w_scales: &[f32], x: &[[i16; BLOCK]], x_scales: &[f32]) -> f32 {
    let blocks = w.len();
    let (w_scales, x, x_scales) = (&w_scales[..blocks], &x[..blocks], &x_scales[..blocks]);
    let mut dot = 0.0;
    for block in 0..blocks {
        let mut sum = 0_i32;
        for at in 0..BLOCK {
            sum = sum.wrapping_add(i32::from(w[block][at]).wrapping_mul(i32::from(x[block][at])));
        }
        #[expect(clippy::cast_precision_loss, reason = "24 of at most 27 bits are plenty")]
        let sum = sum as f32;
        dot = fma::<S>(sum, w_scales[block] * x_scales[block], dot);
    }
    dot
}

struct Batch<'a> {
    w: &'a Q8Matrix,
    x: &'a [f32],
    y: &'a mut [f32],
    rows: usize,
}

impl WithSimd for Batch<'_> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, _simd: S) {
        let Self { w, x, y, rows } = self;
        let mut panel = vec![[0.0; PANEL]; w.cols];
        for column in (0..w.rows).step_by(PANEL) {
            let columns = PANEL.min(w.rows - column);
            unpack_panel(w, column, columns, &mut panel);
            for row in (0..rows).step_by(ROWS) {
                let mut inputs: [&[f32]; ROWS] = [&[]; ROWS];
                for (at, input) in inputs.iter_mut().enumerate() {
                    let from = (row + at).min(rows - 1) * w.cols;
                    *input = &x[from..from + w.cols];
                }
                let product = multiply::<S>(&inputs, &panel);
                for at in 0..ROWS.min(rows - row) {
                    let to = (row + at) * w.rows + column;
                    y[to..to + columns].copy_from_slice(&product[at][..columns]);
                }
            }
        }
    }
}

/// Rows `first ..` of `w` become the panel's columns.
#[inline(always)]
fn unpack_panel(w: &Q8Matrix, first: usize, count: usize, panel: &mut Panel) {
    let blocks = w.cols / BLOCK;
    for column in 0..count {
        let from = (first + column) * blocks;
        for block in 0..blocks {
            let scale = w.scales[from + block];
            let quants = &w.quants[from + block];
            let lines = &mut panel[block * BLOCK..(block + 1) * BLOCK];
            for at in 0..BLOCK {
                lines[at][column] = f32::from(quants[at]) * scale;
            }
        }
    }
}

/// Each input (as long as the panel) times the panel.
#[inline(always)]
pub(super) fn multiply<S: Simd>(inputs: &[&[f32]; ROWS], panel: &Panel) -> [[f32; PANEL]; ROWS] {
    let mut sums = [[0.0; PANEL]; ROWS];
    let length = panel.len();
    let mut rows: [&[f32]; ROWS] = [&[]; ROWS];
    for at in 0..ROWS {
        rows[at] = &inputs[at][..length];
    }
    for line in 0..length {
        for row in 0..ROWS {
            let factor = rows[row][line];
            for column in 0..PANEL {
                sums[row][column] = fma::<S>(factor, panel[line][column], sums[row][column]);
            }
        }
    }
    sums
}

/// e^x to 2e-7, for x below 88; the compiler can do many at once, unlike the library's. Below -87 it is 1e-38.
///
/// x = n ln 2 + r, |r| <= ln 2 / 2; e^r by its Taylor series, 2^n by the exponent's bits.
#[inline(always)]
pub(super) fn exp<S: Simd>(x: f32) -> f32 {
    const ROUND: f32 = 12_582_912.0; // 1.5 * 2^23: adding it leaves the rounded number in the low bits
    const LN2_HIGH: f32 = 0.693_359_4;
    const LN2_LOW: f32 = -2.121_944_4e-4;
    let x = if x < -87.0 { -87.0 } else { x };
    let x = if x > 88.0 { 88.0 } else { x };
    let shifted = fma::<S>(x, std::f32::consts::LOG2_E, ROUND);
    let n = shifted - ROUND;
    let r = fma::<S>(n, -LN2_LOW, fma::<S>(n, -LN2_HIGH, x));
    let mut sum = 1.0 / 5040.0;
    for factor in [1.0 / 720.0, 1.0 / 120.0, 1.0 / 24.0, 1.0 / 6.0, 0.5, 1.0, 1.0] {
        sum = fma::<S>(sum, r, factor);
    }
    let exponent = shifted.to_bits().wrapping_sub(ROUND.to_bits()).wrapping_add(127) << 23;
    sum * f32::from_bits(exponent)
}

struct Gated<'a> {
    gate: &'a mut [f32],
    up: &'a [f32],
}

impl WithSimd for Gated<'_> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, _simd: S) {
        for (gate, up) in self.gate.iter_mut().zip(self.up) {
            *gate = *gate / (1.0 + exp::<S>(-*gate)) * up;
        }
    }
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;

    /// Numbers in -1..1 that repeat late.
    pub fn numbers(count: usize, seed: u32) -> Vec<f32> {
        let mut state = seed;
        let mut next = || {
            state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            f32::from(u16::try_from(state >> 16).expect("16 bits")) / 32_768.0 - 1.0
        };
        (0..count).map(|_| next()).collect()
    }

    pub fn close(left: &[f32], right: &[f32], tolerance: f32) {
        assert_eq!(left.len(), right.len());
        for (at, (left, right)) in left.iter().zip(right).enumerate() {
            assert!((left - right).abs() <= tolerance, "{at}: {left} and {right}");
        }
    }

    fn plain_linear(w: &Q8Matrix, x: &[f32]) -> Vec<f32> {
        let mut row = vec![0.0; w.cols()];
        let mut out = vec![0.0; x.len() / w.cols() * w.rows()];
        for (x, y) in x.chunks_exact(w.cols()).zip(out.chunks_exact_mut(w.rows())) {
            for (at, y) in y.iter_mut().enumerate() {
                w.read_row(at, &mut row);
                *y = row.iter().zip(x).map(|(a, b)| a * b).sum();
            }
        }
        out
    }

    #[test]
    fn a_product_is_what_plain_loops_give() {
        for (rows, cols, inputs) in [(5, 32, 1), (48, 96, 3), (37, 64, 8), (64, 160, 21)] {
            let w = Q8Matrix::quantize(rows, cols, &numbers(rows * cols, 1)).expect("sizes fit");
            let x = numbers(inputs * cols, 2);
            let mut y = vec![f32::NAN; inputs * rows];
            Kernels::detect().linear(&w, &x, &mut y);
            close(&y, &plain_linear(&w, &x), 2e-3);
        }
    }

    #[test]
    fn the_gate_is_silu() {
        let mut gate = vec![-90.0, -3.0, -0.5, 0.0, 0.5, 3.0, 90.0];
        let expected: Vec<f32> = gate.iter().map(|x: &f32| 2.0 * x / (1.0 + (-x).exp())).collect();
        Kernels::detect().gated(&mut gate, &[2.0; 7]);
        close(&gate, &expected, 1e-5);
    }

    #[test]
    fn halves_are_read_exactly() {
        for (bits, value) in
            [(0x0000, 0.0), (0x3c00, 1.0), (0xc000, -2.0), (0x3555, 0.333_251_95), (0x0001, 5.960_464_5e-8)]
        {
            assert_eq!(half_to_f32(bits).to_bits(), f32::to_bits(value));
        }
        assert!(half_to_f32(0x7c00).is_infinite());
    }

    #[test]
    fn bytes_of_another_size_are_no_matrix() {
        assert!(Q8Matrix::from_q8_0(2, 32, &[0; 67]).is_none());
        assert!(Q8Matrix::from_q8_0(2, 33, &[0; 68]).is_none());
        assert!(Q8Matrix::quantize(2, 32, &[0.0; 63]).is_none());
        let mut bytes = vec![0_u8; 68];
        bytes[1] = 0x3c;
        bytes[2] = 0xff;
        let matrix = Q8Matrix::from_q8_0(2, 32, &bytes).expect("sizes fit");
        let mut row = [0.0; 32];
        matrix.read_row(0, &mut row);
        assert_eq!(row[..2], [-1.0, 0.0]);
    }
}
