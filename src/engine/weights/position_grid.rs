//! A table of learned places for the patches of a picture, resampled for pictures of another size.
//!
//! As `torch.nn.functional.interpolate(mode="bicubic", align_corners=False)` does it, which is what DINOv2 in Hugging Face's transformers
//! calls when a picture has other patches than its table; with registers it calls it with `antialias=True`.

/// How a table becomes another.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PositionGrid {
    /// Rows in front that belong to no patch and stay as they are.
    pub n_before: usize,
    /// Patches along each side in the checkpoint.
    pub from: usize,
    /// Patches along each side of the model's pictures.
    pub to: usize,
    /// Whether the filter widens where the grid becomes coarser.
    pub antialias: bool,
}

impl PositionGrid {
    /// `[n_before + from^2, d]` as `[n_before + to^2, d]`.
    pub fn resample(&self, table: &[f32], d: usize) -> Vec<f32> {
        let (before, grid) = table.split_at(self.n_before * d);
        let taps: Vec<Vec<(usize, f64)>> = (0..self.to).map(|at| self.taps(at)).collect();
        let mut out = before.to_vec();
        for (down, across) in taps.iter().flat_map(|down| taps.iter().map(move |across| (down, across))) {
            let mut sum = vec![0.0f64; d];
            for (&(y, wy), &(x, wx)) in down.iter().flat_map(|y| across.iter().map(move |x| (y, x))) {
                let row = &grid[(y * self.from + x) * d..][..d];
                sum.iter_mut().zip(row).for_each(|(sum, &v)| *sum += wy * wx * f64::from(v));
            }
            out.extend(sum.iter().map(|&v| v as f32));
        }
        out
    }

    /// Which places along a side make place `at`, with what weights.
    fn taps(&self, at: usize) -> Vec<(usize, f64)> {
        let scale = self.from as f64 / self.to as f64;
        let center = (at as f64 + 0.5) * scale;
        if self.antialias {
            let widened = scale.max(1.0);
            let first = (center - 2.0 * widened + 0.5).max(0.0) as usize;
            let end = ((center + 2.0 * widened + 0.5) as usize).min(self.from);
            let weight = |from: usize| cubic((from as f64 + 0.5 - center) / widened, -0.5);
            let sum: f64 = (first..end).map(weight).sum();
            return (first..end).map(|from| (from, weight(from) / sum)).collect();
        }
        let nearest = (center - 0.5).floor();
        let places = (-1..=2).map(|step| nearest + f64::from(step));
        let inside = |place: f64| place.clamp(0.0, self.from as f64 - 1.0) as usize;
        places.map(|place| (inside(place), cubic(place + 0.5 - center, -0.75))).collect()
    }
}

/// Keys' cubic (1981) at a distance, with its free parameter.
fn cubic(x: f64, a: f64) -> f64 {
    let x = x.abs();
    if x < 1.0 {
        ((a + 2.0) * x - (a + 3.0)) * x * x + 1.0
    } else if x < 2.0 {
        (((x - 5.0) * x + 8.0) * x - 4.0) * a
    } else {
        0.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// `interpolate(torch.arange(25.).reshape(1, 1, 5, 5) ** 1.5, size=(3, 3), mode="bicubic", antialias=...)` of torch 2.15.0.
    #[test]
    fn a_table_is_resampled_as_torch_does_it() {
        let table: Vec<f32> = [-7.0].into_iter().chain((0..25).map(|v| (v as f32).powf(1.5))).collect();
        for (antialias, expected) in [(false, EXPECTED), (true, EXPECTED_ANTIALIASED)] {
            let grid = PositionGrid { n_before: 1, from: 5, to: 3, antialias };
            let got = grid.resample(&table, 1);
            assert_eq!(got[0], -7.0);
            for (got, expected) in got[1..].iter().zip(expected) {
                assert!((got - expected).abs() < 1e-3, "{got} is not {expected}, antialias {antialias}");
            }
        }
    }

    const EXPECTED: [f32; 9] = [2.7922, 6.4880, 11.7113, 32.8702, 41.5692, 50.9428, 82.7386, 94.3545, 106.4837];
    const EXPECTED_ANTIALIASED: [f32; 9] =
        [3.8471, 7.7982, 12.9387, 33.8335, 42.0886, 50.8898, 80.1481, 91.0445, 102.3655];

    #[test]
    fn a_table_of_the_same_size_stays_as_it_is() {
        let table: Vec<f32> = (0..2 * 10).map(|v| v as f32).collect();
        let grid = PositionGrid { n_before: 1, from: 3, to: 3, antialias: true };
        assert_eq!(grid.resample(&table, 2), table);
    }
}
