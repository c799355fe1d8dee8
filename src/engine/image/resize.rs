//! Resizing as Pillow does it (`src/libImaging/Resample.c`), to the last bit: the reference processors resize with it, and a model's
//! answer depends on it.
//!
//! A pass along rows and one along columns, each with the filter widened to the scale where pictures become smaller, in integers
//! with 22 bits behind the point, rounded to bytes after each pass. Only the part that a crop will keep is computed.

use super::Pixels;
use std::f64::consts::PI;
use std::ops::Range;

/// How neighbours are weighted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Filter {
    /// The nearest alone.
    Nearest,
    /// All within a pixel alike.
    Box,
    /// A triangle.
    Bilinear,
    /// A triangle with Hamming's window.
    Hamming,
    /// Keys' cubic with a = -0.5.
    Bicubic,
    /// Three lobes of sinc.
    Lanczos,
}

impl Filter {
    /// By Pillow's number, which `resample` of a preprocessor's configuration is.
    pub fn from_number(number: u64) -> Option<Self> {
        let all = [Filter::Nearest, Filter::Lanczos, Filter::Bilinear, Filter::Bicubic, Filter::Box, Filter::Hamming];
        all.get(usize::try_from(number).ok()?).copied()
    }

    /// How far it reaches.
    fn support(self) -> f64 {
        match self {
            Filter::Nearest | Filter::Box => 0.5,
            Filter::Bilinear | Filter::Hamming => 1.0,
            Filter::Bicubic => 2.0,
            Filter::Lanczos => 3.0,
        }
    }

    /// The weight at a distance.
    fn weight(self, x: f64) -> f64 {
        let distance = x.abs();
        match self {
            Filter::Nearest | Filter::Box => f64::from(x > -0.5 && x <= 0.5),
            Filter::Bilinear => (1.0 - distance).max(0.0),
            Filter::Hamming if distance >= 1.0 => 0.0,
            Filter::Hamming => sinc(x) * (0.54 + 0.46 * (PI * x).cos()),
            Filter::Bicubic => {
                const A: f64 = -0.5;
                if distance < 1.0 {
                    ((A + 2.0) * distance - (A + 3.0)) * distance * distance + 1.0
                } else if distance < 2.0 {
                    (((distance - 5.0) * distance + 8.0) * distance - 4.0) * A
                } else {
                    0.0
                }
            }
            Filter::Lanczos if distance < 3.0 => sinc(x) * sinc(x / 3.0),
            Filter::Lanczos => 0.0,
        }
    }
}

fn sinc(x: f64) -> f64 {
    if x == 0.0 { 1.0 } else { (PI * x).sin() / (PI * x) }
}

/// A side of the result: how long it would be as a whole, and which part of it is kept.
#[derive(Debug, Clone)]
pub(super) struct Side {
    pub len: usize,
    pub kept: Range<usize>,
}

/// The kept part of `pixels` resized, three bytes a pixel.
pub(super) fn resize(pixels: &Pixels, filter: Filter, across: &Side, down: &Side) -> Vec<u8> {
    let lines = Taps::along(down, pixels.height, filter);
    let columns = Taps::along(across, pixels.width, filter);
    // Pillow 13 goes along columns first where that saves more than twice as much; older versions never do, and may differ by one in a byte.
    let saved = |from: usize, to: usize| from as i64 - to as i64;
    let saved_rows = saved(pixels.height, down.len);
    if saved_rows > 0 && saved_rows > 2 * saved(pixels.width, across.len) {
        let low = lines.down(&pixels.rgb, 3 * pixels.width, 0);
        let mut out = Vec::with_capacity(3 * down.kept.len() * across.kept.len());
        low.chunks_exact(3 * pixels.width).for_each(|row| columns.across(row, &mut out));
        return out;
    }
    // Rows that no kept row looks at need not be narrowed.
    let needed = lines.needed();
    let row_len = 3 * pixels.width;
    let mut narrow = Vec::with_capacity(needed.len() * 3 * across.kept.len());
    for row in pixels.rgb[needed.start * row_len..needed.end * row_len].chunks_exact(row_len) {
        columns.across(row, &mut narrow);
    }
    lines.down(&narrow, 3 * across.kept.len(), needed.start)
}

/// Bits behind the point: what 32 leave beside a byte and its sign and overshoot.
const PRECISION: u32 = 32 - 8 - 2;

/// For each place of the result, which places of the source make it, with what weights.
struct Taps {
    /// First source and first weight of each.
    places: Vec<(usize, Range<usize>)>,
    weights: Vec<i32>,
}

impl Taps {
    fn along(side: &Side, n_from: usize, filter: Filter) -> Self {
        let mut taps = Taps { places: Vec::with_capacity(side.kept.len()), weights: Vec::new() };
        let scale = n_from as f64 / side.len as f64;
        for at in side.kept.clone() {
            // A side that keeps its length is copied; Pillow skips the pass.
            if n_from == side.len || filter == Filter::Nearest {
                let nearest = ((at as f64 + 0.5) * scale) as usize;
                taps.push(nearest.min(n_from - 1), &[1 << PRECISION]);
                continue;
            }
            let widened = scale.max(1.0);
            let (support, center) = (filter.support() * widened, (at as f64 + 0.5) * scale);
            let first = (center - support + 0.5).max(0.0) as usize;
            let end = ((center + support + 0.5) as usize).min(n_from);
            let weights: Vec<f64> =
                (first..end).map(|from| filter.weight((from as f64 - center + 0.5) * (1.0 / widened))).collect();
            let sum: f64 = weights.iter().sum();
            let fixed = |weight: &f64| {
                let scaled = if sum == 0.0 { *weight } else { weight / sum } * f64::from(1 << PRECISION);
                (scaled + 0.5f64.copysign(scaled)) as i32
            };
            taps.push(first, &weights.iter().map(fixed).collect::<Vec<i32>>());
        }
        taps
    }

    fn push(&mut self, first: usize, weights: &[i32]) {
        let start = self.weights.len();
        self.weights.extend_from_slice(weights);
        self.places.push((first, start..self.weights.len()));
    }

    /// The sources that are looked at.
    fn needed(&self) -> Range<usize> {
        let first = self.places.iter().map(|(first, _)| *first).min().unwrap_or(0);
        let end = self.places.iter().map(|(first, weights)| first + weights.len()).max().unwrap_or(0);
        first..end
    }

    /// A row of pixels, resized behind `to`.
    fn across(&self, row: &[u8], to: &mut Vec<u8>) {
        let (pixels, _) = row.as_chunks::<3>();
        for (first, weights) in &self.places {
            let mut sums = [1 << (PRECISION - 1); 3];
            for (pixel, weight) in pixels[*first..].iter().zip(&self.weights[weights.clone()]) {
                for (sum, &value) in sums.iter_mut().zip(pixel) {
                    *sum += i32::from(value) * weight;
                }
            }
            to.extend(sums.map(byte));
        }
    }

    /// Rows of `row_len` bytes, resized; the first one is row `offset` of the source.
    fn down(&self, rows: &[u8], row_len: usize, offset: usize) -> Vec<u8> {
        let mut out = Vec::with_capacity(self.places.len() * row_len);
        let mut sums = vec![0; row_len];
        for (first, weights) in &self.places {
            sums.fill(1 << (PRECISION - 1));
            for (row, weight) in rows.chunks_exact(row_len).skip(first - offset).zip(&self.weights[weights.clone()]) {
                for (sum, &value) in sums.iter_mut().zip(row) {
                    *sum += i32::from(value) * weight;
                }
            }
            out.extend(sums.iter().map(|&sum| byte(sum)));
        }
        out
    }
}

fn byte(sum: i32) -> u8 {
    (sum >> PRECISION).clamp(0, 255) as u8
}

#[cfg(test)]
mod tests {
    use super::*;
    use sha2::{Digest, Sha256};

    /// Bytes of a linear congruential generator: every neighbour differs, so every weight counts.
    fn noise(width: usize, height: usize) -> Pixels {
        let mut state = 1u32;
        let next = || {
            state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            (state >> 24) as u8
        };
        Pixels::new(width, height, std::iter::repeat_with(next).take(3 * width * height).collect()).expect("a picture")
    }

    fn whole(len: usize) -> Side {
        Side { len, kept: 0..len }
    }

    /// The SHA-256 of what Pillow 13.0.0's `Image.resize` makes of the same noise, every filter smaller, larger and both.
    #[test]
    fn resizing_equals_pillow_to_the_last_bit() {
        for ((width, height), (to_width, to_height), filter, expected) in [
            ((53, 37), (20, 16), Filter::Nearest, "39cada1914b15fe8"),
            ((53, 37), (20, 16), Filter::Lanczos, "a1ca3cd27036374c"),
            ((53, 37), (20, 16), Filter::Bilinear, "3076a387e273f79c"),
            ((53, 37), (20, 16), Filter::Bicubic, "ad59c27c5acc8b6e"),
            ((53, 37), (20, 16), Filter::Box, "bfe32443c51138fe"),
            ((53, 37), (20, 16), Filter::Hamming, "ee54def2044815da"),
            ((53, 37), (53, 90), Filter::Nearest, "baf6ca4b882723ee"),
            ((53, 37), (53, 90), Filter::Bicubic, "74c46dac634d3c62"),
            ((7, 5), (64, 64), Filter::Lanczos, "310b73298ee3cc46"),
            ((7, 5), (64, 64), Filter::Bilinear, "af1da4f6b02f992c"),
            ((300, 200), (224, 224), Filter::Lanczos, "fd68e8f827861e00"),
            ((300, 200), (224, 224), Filter::Bilinear, "e8dfb60943b7d821"),
            ((300, 200), (224, 224), Filter::Bicubic, "909a445dc84fadad"),
            ((300, 200), (224, 224), Filter::Box, "13264949d2974d66"),
            ((300, 200), (224, 224), Filter::Hamming, "8943e11c15c25a8c"),
            ((40, 83), (32, 32), Filter::Bilinear, "ba970eea6ac13c8a"),
            ((60, 200), (70, 50), Filter::Lanczos, "7cc6ceb8c7685d52"),
            ((48, 81), (32, 48), Filter::Bicubic, "72212abb59b8721d"),
        ] {
            let bytes = resize(&noise(width, height), filter, &whole(to_width), &whole(to_height));
            let hash: String = Sha256::digest(&bytes).iter().take(8).map(|byte| format!("{byte:02x}")).collect();
            assert_eq!(hash, expected, "{filter:?} from {width} x {height} to {to_width} x {to_height}");
        }
    }

    #[test]
    fn a_part_is_what_the_whole_has_there() {
        let pixels = noise(90, 61);
        let all = resize(&pixels, Filter::Bicubic, &whole(40), &whole(30));
        let (across, down) = (Side { len: 40, kept: 11..17 }, Side { len: 30, kept: 20..23 });
        let part = resize(&pixels, Filter::Bicubic, &across, &down);
        let rows = all.chunks_exact(3 * 40).skip(20).take(3);
        assert_eq!(part, rows.flat_map(|row| row[3 * 11..3 * 17].to_vec()).collect::<Vec<u8>>());
    }
}
