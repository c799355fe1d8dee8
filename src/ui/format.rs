//! Numbers for people: units, honest precision, clocks.

/// Bytes, as downloads are counted: `151 MB`, `1.2 GB`.
pub fn bytes(count: u64) -> String {
    match count {
        0..1_000 => format!("{count} B"),
        1_000..1_000_000 => format!("{} kB", (count as f64 / 1e3).round()),
        1_000_000..10_000_000 => format!("{:.1} MB", count as f64 / 1e6),
        10_000_000..1_000_000_000 => format!("{} MB", (count as f64 / 1e6).round()),
        _ => format!("{:.1} GB", count as f64 / 1e9),
    }
}

/// A duration given in milliseconds: `0.4 ms`, `38 ms`, `0.42 s`, `12.3 s`, `2 min 5 s`.
pub fn duration_ms(ms: f64) -> String {
    match ms {
        ms if ms < 9.95 => format!("{ms:.1} ms"),
        ms if ms < 99.5 => format!("{ms:.0} ms"),
        ms if ms < 9_995.0 => format!("{:.2} s", ms / 1e3),
        ms if ms < 99_950.0 => format!("{:.1} s", ms / 1e3),
        ms => {
            let seconds = (ms / 1e3).round() as u64;
            format!("{} min {} s", seconds / 60, seconds % 60)
        }
    }
}

/// A duration given in microseconds: `2.31 µs`, `480 µs`, `1.2 ms`.
pub fn duration_us(us: f64) -> String {
    if us < 999.5 { format!("{} µs", figure(us)) } else { duration_ms(us / 1e3) }
}

/// A measured figure with three digits that count: `1,652`, `93.7`, `0.042`.
pub fn figure(value: f64) -> String {
    match value {
        v if v >= 99.95 => count(v.round().min(f64::from(u32::MAX)) as u32),
        v if v >= 9.995 => format!("{v:.1}"),
        v if v >= 0.9995 => format!("{v:.2}"),
        v if v >= 0.0005 => format!("{v:.3}"),
        v if v > 0.0 => "under 0.001".into(),
        _ => "0".into(),
    }
}

/// Time left, in words that promise no more than is known: `about 8 s`, `about 3 min`.
pub fn about_s(seconds: f64) -> String {
    match seconds {
        s if s < 1.5 => "about 1 s".into(),
        s if s < 10.0 => format!("about {s:.0} s"),
        s if s < 90.0 => format!("about {:.0} s", (s / 5.0).round() * 5.0),
        s => format!("about {:.0} min", s / 60.0),
    }
}

/// How fast a recording is worked through, from seconds of work for a second of audio: `38× real time`, `3.1× slower than real time`.
pub fn speed(rtf: f64) -> String {
    let two_digits = |factor: f64| if factor < 9.95 { format!("{factor:.1}") } else { format!("{factor:.0}") };
    if rtf <= 0.0 || !rtf.is_finite() {
        "not measured".into()
    } else if rtf <= 1.0 {
        format!("{}× real time", two_digits(1.0 / rtf))
    } else {
        format!("{}× slower than real time", two_digits(rtf))
    }
}

/// A count with its thousands apart: `1,652`.
pub fn count(number: u32) -> String {
    thousands_apart(&number.to_string())
}

/// The digits of a whole number with its thousands apart.
pub fn thousands_apart(digits: &str) -> String {
    let groups: Vec<&str> = digits.as_bytes().rchunks(3).rev().filter_map(|group| str::from_utf8(group).ok()).collect();
    groups.join(",")
}

/// A probability: `97 %`, `4.2 %`, `0.31 %`, `under 0.01 %`.
pub fn percent(probability: f32) -> String {
    match 100.0 * f64::from(probability) {
        p if p >= 99.95 => "100 %".into(),
        p if p >= 99.0 => format!("{p:.1} %"),
        p if p >= 9.95 => format!("{p:.0} %"),
        p if p >= 0.995 => format!("{p:.1} %"),
        p if p >= 0.01 => format!("{p:.2} %"),
        _ => "under 0.01 %".into(),
    }
}

/// What to say where texts were longer than the model takes; nothing where none was.
pub fn cut(n_cut: u32) -> String {
    match n_cut {
        0 => String::new(),
        1 => ". One text was longer than the model takes: its end did not count.".into(),
        n => format!(". {n} texts were longer than the model takes: their ends did not count."),
    }
}

/// What to add where inputs could not be read; nothing where all could.
pub fn refused(n_refused: u32) -> String {
    match n_refused {
        0 => String::new(),
        n => format!(" · {} could not be read", count(n)),
    }
}

/// The engine's words as a sentence: with a capital letter and a full stop.
pub fn sentence(words: &str) -> String {
    let mut letters = words.chars();
    let first = letters.next().map(|first| first.to_uppercase().to_string()).unwrap_or_default();
    let stop = if words.is_empty() || words.ends_with(['.', '!', '?']) { "" } else { "." };
    format!("{first}{}{stop}", letters.as_str())
}

/// A position in a recording: `0:07`, `12:30`, `1:02:03`.
pub fn clock(seconds: f64) -> String {
    let whole = seconds.max(0.0) as u64;
    let (hours, minutes, seconds) = (whole / 3600, whole / 60 % 60, whole % 60);
    if hours > 0 { format!("{hours}:{minutes:02}:{seconds:02}") } else { format!("{minutes}:{seconds:02}") }
}

/// A position in a subtitle file: `00:00:07,250` with `separator` before the milliseconds.
pub fn subtitle_clock(seconds: f64, separator: char) -> String {
    let ms = (seconds.max(0.0) * 1e3).round() as u64;
    format!("{:02}:{:02}:{:02}{separator}{:03}", ms / 3_600_000, ms / 60_000 % 60, ms / 1_000 % 60, ms % 1_000)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn figures_have_three_digits_that_count() {
        let told = [1652.4, 99.96, 93.74, 4.321, 0.0421, 0.0001, 0.0].map(figure);
        assert_eq!(told, ["1,652", "100", "93.7", "4.32", "0.042", "under 0.001", "0"]);
        assert_eq!([2.314, 480.2, 1234.0].map(duration_us), ["2.31 µs", "480 µs", "1.2 ms"]);
    }

    #[test]
    fn numbers_keep_two_or_three_honest_digits() {
        assert_eq!(
            ["999 B", "1 kB", "1.5 MB", "151 MB", "1.2 GB"],
            [999, 1_000, 1_500_000, 151_234_567, 1_234_567_890].map(bytes).each_ref().map(String::as_str)
        );
        assert_eq!(duration_ms(421.3381), "0.42 s");
        assert_eq!(duration_ms(9.97), "10 ms");
        assert_eq!(duration_ms(99.7), "0.10 s");
        assert_eq!(duration_ms(125_000.0), "2 min 5 s");
        assert_eq!(speed(0.026), "38× real time");
        assert_eq!(speed(3.12), "3.1× slower than real time");
        assert_eq!(speed(0.0), "not measured");
    }

    #[test]
    fn counts_and_probabilities_are_easy_to_read() {
        assert_eq!([7, 1_652, 1_234_567].map(count), ["7", "1,652", "1,234,567"]);
        assert_eq!(
            [0.99999, 0.9931, 0.97, 0.0421, 0.0031, 0.0].map(percent),
            ["100 %", "99.3 %", "97 %", "4.2 %", "0.31 %", "under 0.01 %"]
        );
    }

    #[test]
    fn words_become_a_sentence_once() {
        assert_eq!(["the adapter has none", "Done.", ""].map(sentence), ["The adapter has none.", "Done.", ""]);
    }

    #[test]
    fn clocks_carry_over_at_full_minutes_and_hours() {
        assert_eq!(clock(59.99), "0:59");
        assert_eq!(clock(3723.0), "1:02:03");
        assert_eq!(subtitle_clock(59.9996, ','), "00:01:00,000");
        assert_eq!(subtitle_clock(3600.25, '.'), "01:00:00.250");
    }
}
