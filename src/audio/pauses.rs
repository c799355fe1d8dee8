//! Where a long recording may be cut without cutting a word: at its pauses.

use std::ops::Range;

/// Samples of a frame whose energy is measured: 10 ms.
const FRAME: usize = super::SAMPLE_RATE_HZ as usize / 100;
/// Frames of a pause that is looked for: 0.3 s, longer than a stop within a word.
const PAUSE: usize = 30;

/// The first piece of `samples` from `from` on, at most `most` samples long: all that is left where it is no longer than that, otherwise as far as the
/// middle of the quietest 0.3 s of its last third. Of equally quiet moments the last is taken.
pub fn piece(samples: &[f32], from: usize, most: usize) -> Range<usize> {
    if samples.len() - from <= most {
        return from..samples.len();
    }
    let first = from + most - most / 3;
    let last = &samples[first..from + most];
    let energies: Vec<f64> = last.chunks(FRAME).map(energy).collect();
    let pauses = energies.windows(PAUSE.min(energies.len())).map(|pause| pause.iter().sum::<f64>()).enumerate();
    let quietest = pauses.reduce(|best, pause| if pause.1 <= best.1 { pause } else { best });
    let middle = quietest.map_or(last.len(), |(frame, _)| (frame + PAUSE / 2) * FRAME);
    from..first + middle.clamp(1, last.len())
}

fn energy(frame: &[f32]) -> f64 {
    frame.iter().map(|&sample| f64::from(sample) * f64::from(sample)).sum()
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: usize = crate::audio::SAMPLE_RATE_HZ as usize;

    /// A tone of `seconds`, with pauses where it is a hundredth as loud.
    fn tone(seconds: usize, pauses: &[(f64, f64)]) -> Vec<f32> {
        let is_pause = |at: f64| pauses.iter().any(|&(from, to)| (from..to).contains(&at));
        let sample = |i: usize| {
            let at = i as f64 / SECOND as f64;
            (at * 1400.0).sin() as f32 * if is_pause(at) { 0.003 } else { 0.3 }
        };
        (0..seconds * SECOND).map(sample).collect()
    }

    fn seconds(range: Range<usize>) -> (f64, f64) {
        (range.start as f64 / SECOND as f64, range.end as f64 / SECOND as f64)
    }

    #[test]
    fn a_recording_that_fits_is_one_piece() {
        let samples = tone(30, &[(10.0, 11.0)]);
        assert_eq!(piece(&samples, 0, 30 * SECOND), 0..samples.len());
        assert_eq!(piece(&samples, 20 * SECOND, 30 * SECOND), 20 * SECOND..samples.len());
        assert_eq!(piece(&samples[..1], 0, 30 * SECOND), 0..1);
    }

    #[test]
    fn it_is_cut_within_the_pause() {
        let samples = tone(50, &[(25.0, 25.5)]);
        let (from, to) = seconds(piece(&samples, 0, 30 * SECOND));
        assert_eq!(from, 0.0);
        assert!((25.1..25.4).contains(&to), "cut at {to} s");
        // Counted from where the piece begins.
        let (from, to) = seconds(piece(&samples, 2 * SECOND, 30 * SECOND));
        assert_eq!(from, 2.0);
        assert!((25.1..25.4).contains(&to), "cut at {to} s");
    }

    #[test]
    fn the_quietest_pause_wins_and_early_ones_do_not_count() {
        let mut samples = tone(60, &[(5.0, 8.0), (22.0, 23.0), (28.0, 28.6)]);
        samples[(22.3 * SECOND as f64) as usize..][..SECOND / 2].fill(0.0);
        let (_, to) = seconds(piece(&samples, 0, 30 * SECOND));
        assert!((22.3..22.8).contains(&to), "cut at {to} s");
    }

    #[test]
    fn of_equally_quiet_moments_the_last_is_taken() {
        let samples = vec![0.0; 70 * SECOND];
        let (_, to) = seconds(piece(&samples, 0, 30 * SECOND));
        assert!((29.5..=30.0).contains(&to), "cut at {to} s");
    }

    #[test]
    fn without_a_pause_it_is_cut_in_the_last_third_all_the_same() {
        let samples = tone(95, &[]);
        let (mut at, mut n) = (0, 0);
        while at < samples.len() {
            let piece = piece(&samples, at, 30 * SECOND);
            assert_eq!(piece.start, at, "no sample is left out");
            assert!(!piece.is_empty() && piece.len() <= 30 * SECOND);
            assert!(piece.end == samples.len() || piece.len() >= 20 * SECOND);
            (at, n) = (piece.end, n + 1);
        }
        assert!((4..=5).contains(&n), "{n} pieces");
    }
}
