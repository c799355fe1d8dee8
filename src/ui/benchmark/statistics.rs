//! What repeated measurements say together: the middle one, and how far the others lie around it.

use serde::{Deserialize, Serialize};

/// Measurements of the same thing. Quartiles are by linear interpolation (type 7 of Hyndman and Fan, 1996).
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Summary {
    /// The middle one.
    pub median: f64,
    /// A quarter of them is not above this.
    pub low: f64,
    /// A quarter of them is not below this.
    pub high: f64,
    /// How many there are.
    pub n: u32,
}

impl Summary {
    /// Of some measurements; `None` of none, or where one is no number.
    pub fn of(values: &[f64]) -> Option<Self> {
        let mut sorted = values.to_vec();
        sorted.sort_by(f64::total_cmp);
        let is_sound = !sorted.is_empty() && sorted.iter().all(|value| value.is_finite());
        is_sound.then(|| Self {
            median: quantile(&sorted, 0.5),
            low: quantile(&sorted, 0.25),
            high: quantile(&sorted, 0.75),
            n: sorted.len() as u32,
        })
    }

    /// Whether the middle half of these and of the others have something in common: then they may well be the same.
    pub fn overlaps(&self, other: &Self) -> bool {
        self.low <= other.high && other.low <= self.high
    }
}

/// Of sorted values, which must be some; `share` from 0 to 1.
fn quantile(sorted: &[f64], share: f64) -> f64 {
    let at = share * (sorted.len() - 1) as f64;
    let (below, above) = (sorted[at.floor() as usize], sorted[at.ceil() as usize]);
    below + (above - below) * at.fract()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_median_is_the_middle_and_the_quartiles_are_interpolated() {
        let odd = Summary::of(&[9.0, 1.0, 5.0]).unwrap();
        assert_eq!((odd.low, odd.median, odd.high, odd.n), (3.0, 5.0, 7.0, 3));
        let even = Summary::of(&[4.0, 1.0, 3.0, 2.0]).unwrap();
        assert_eq!((even.low, even.median, even.high), (1.75, 2.5, 3.25));
        let one = Summary::of(&[2.5]).unwrap();
        assert_eq!((one.low, one.median, one.high, one.n), (2.5, 2.5, 2.5, 1));
    }

    #[test]
    fn one_slow_run_moves_the_median_little() {
        let quiet = Summary::of(&[10.0, 11.0, 12.0, 10.5, 11.5]).unwrap();
        let disturbed = Summary::of(&[10.0, 11.0, 12.0, 10.5, 900.0]).unwrap();
        assert_eq!((quiet.median, disturbed.median), (11.0, 11.0));
    }

    #[test]
    fn nothing_and_no_number_have_no_summary() {
        assert_eq!(Summary::of(&[]), None);
        assert_eq!(Summary::of(&[1.0, f64::NAN]), None);
        assert_eq!(Summary::of(&[1.0, f64::INFINITY]), None);
    }

    #[test]
    fn halves_that_touch_may_be_the_same() {
        let summary = |low, high| Summary { median: (low + high) / 2.0, low, high, n: 5 };
        assert!(summary(1.0, 2.0).overlaps(&summary(2.0, 3.0)));
        assert!(!summary(1.0, 1.9).overlaps(&summary(2.0, 3.0)));
    }
}
