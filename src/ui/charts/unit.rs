//! Units of a chart: how its values are said, and what its axes count in.

use crate::ui::format;

/// What the numbers are, for axes, tooltips and tables.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum Unit {
    /// Thousandths of a second.
    #[default]
    Milliseconds,
    /// Millionths of a second.
    Microseconds,
    /// Words' parts, written or read in a second.
    TokensPerSecond,
    /// Bytes of memory or of a file.
    Bytes,
    /// How many times as much: `3.2×`.
    Times,
    /// Seconds of audio for each second of work: `38× real time`.
    RealTime,
    /// Hundredths of a whole: 97 is 97 %.
    Percent,
    /// Whatever is counted, in a second.
    PerSecond,
    /// 10^9 products and sums in a second.
    GigaflopsPerSecond,
    /// 10^9 bytes in a second.
    GigabytesPerSecond,
    /// Seconds.
    Seconds,
    /// Things counted, or the number of a run.
    Count,
}

impl Unit {
    /// A value in words: `0.42 s`, `38× real time`.
    pub fn words(self, value: f64) -> String {
        match self {
            _ if !value.is_finite() => "not measured".into(),
            _ if value < 0.0 => format!("−{}", self.words(-value)),
            Self::TokensPerSecond => format!("{} tokens/s", format::figure(value)),
            Self::PerSecond => format!("{} per second", format::figure(value)),
            Self::GigaflopsPerSecond | Self::GigabytesPerSecond => format!("{} {}", format::figure(value), self.name()),
            Self::RealTime => format::speed(1.0 / value),
            _ => self.label(value),
        }
    }

    /// A value as short as it can be said beside the axis, which names the unit.
    pub(super) fn label(self, value: f64) -> String {
        match self {
            _ if !value.is_finite() => "–".into(),
            _ if value < 0.0 => format!("−{}", self.label(-value)),
            Self::Milliseconds | Self::Microseconds | Self::Seconds if value == 0.0 => format!("0 {}", self.name()),
            Self::Milliseconds if value < 1.0 => format::duration_us(1e3 * value),
            Self::Milliseconds => format::duration_ms(value),
            Self::Microseconds => format::duration_us(value),
            Self::Seconds => format::duration_ms(1e3 * value),
            Self::Bytes => format::bytes(value.round() as u64),
            Self::Times | Self::RealTime => format!("{}×", format::figure(value)),
            Self::Percent => format!("{} %", format::figure(value)),
            Self::Count if value.fract() == 0.0 && value <= f64::from(u32::MAX) => format::count(value as u32),
            Self::GigaflopsPerSecond | Self::GigabytesPerSecond => format::figure(value),
            Self::Count | Self::TokensPerSecond | Self::PerSecond => format::figure(value),
        }
    }

    /// Its short name: `ms`, `tokens/s`; empty for what is counted.
    pub fn name(self) -> &'static str {
        match self {
            Self::Milliseconds => "ms",
            Self::Microseconds => "µs",
            Self::TokensPerSecond => "tokens/s",
            Self::Bytes => "bytes",
            Self::Times => "×",
            Self::RealTime => "× real time",
            Self::Percent => "%",
            Self::PerSecond => "per second",
            Self::GigaflopsPerSecond => "GFLOP/s",
            Self::GigabytesPerSecond => "GB/s",
            Self::Seconds => "s",
            Self::Count => "",
        }
    }

    /// What an axis up to `max` counts in: how many of this unit make one, and its name.
    pub(super) fn of_axis(self, max: f64) -> (f64, &'static str) {
        match self {
            Self::Bytes if max >= 1e9 => (1e9, "GB"),
            Self::Bytes if max >= 1e6 => (1e6, "MB"),
            Self::Bytes if max >= 1e3 => (1e3, "kB"),
            Self::Bytes => (1.0, "B"),
            Self::Milliseconds if max >= 1e4 => (1e3, "s"),
            Self::Milliseconds if max < 1.0 => (1e-3, "µs"),
            Self::Microseconds if max >= 1e7 => (1e6, "s"),
            Self::Microseconds if max >= 1e4 => (1e3, "ms"),
            Self::RealTime => (1.0, "×"),
            Self::PerSecond => (1.0, "/s"),
            _ => (1.0, self.name()),
        }
    }

    /// `what`, and in brackets the unit: `Time (ms)`.
    pub(super) fn beside(self, what: &str) -> String {
        match (what, self.name()) {
            (what, "") => what.into(),
            ("", name) => name.into(),
            (what, name) => format!("{what} ({name})"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_are_said_with_their_unit_and_honest_digits() {
        let said = [
            (Unit::Milliseconds, 421.3381),
            (Unit::Milliseconds, 0.0421),
            (Unit::Milliseconds, 0.0),
            (Unit::Microseconds, 2.314),
            (Unit::TokensPerSecond, 93.74),
            (Unit::Bytes, 151_234_567.0),
            (Unit::Times, 3.24),
            (Unit::RealTime, 38.4),
            (Unit::RealTime, 0.32),
            (Unit::Percent, 97.0),
            (Unit::Count, 1652.0),
            (Unit::Seconds, 12.34),
            (Unit::PerSecond, 7.0),
            (Unit::GigaflopsPerSecond, 8214.3),
            (Unit::GigabytesPerSecond, 11.42),
            (Unit::Times, -1.5),
            (Unit::Count, f64::NAN),
        ]
        .map(|(unit, value)| unit.words(value));
        let expected = [
            "0.42 s",
            "42.1 µs",
            "0 ms",
            "2.31 µs",
            "93.7 tokens/s",
            "151 MB",
            "3.24×",
            "38× real time",
            "3.1× slower than real time",
            "97.0 %",
            "1,652",
            "12.3 s",
            "7.00 per second",
            "8,214 GFLOP/s",
            "11.4 GB/s",
            "−1.50×",
            "not measured",
        ];
        assert_eq!(said, expected);
    }
}
