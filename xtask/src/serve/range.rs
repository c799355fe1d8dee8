//! The `Range` header for one range of bytes (RFC 9110, section 14): `bytes=0-99`, `bytes=100-`, `bytes=-50`.

/// What a request gets of a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Range {
    /// All of it: no range was asked for, or none that this server serves (RFC 9110 allows ignoring it).
    Whole,
    /// `first` to `last`, both included.
    Part { first: u64, last: u64 },
    /// The range lies outside of the file.
    Unsatisfiable,
}

/// Reads the header's value for a file of `size` bytes.
pub fn parse(header: Option<&str>, size: u64) -> Range {
    let Some((first, last)) = header.and_then(bounds) else { return Range::Whole };
    match (first, last) {
        (Some(first), _) if first >= size => Range::Unsatisfiable,
        (Some(first), None) => Range::Part { first, last: size - 1 },
        (Some(first), Some(last)) if last < first => Range::Whole, // Not a valid range: as if it were not there.
        (Some(first), Some(last)) => Range::Part { first, last: last.min(size - 1) },
        (None, Some(0)) => Range::Unsatisfiable,
        (None, Some(_)) if size == 0 => Range::Unsatisfiable,
        (None, Some(length)) => Range::Part { first: size.saturating_sub(length), last: size - 1 },
        (None, None) => Range::Whole,
    }
}

/// The numbers before and after the dash. None for other units, several ranges, or what is no number.
fn bounds(header: &str) -> Option<(Option<u64>, Option<u64>)> {
    let (unit, spec) = header.split_once('=')?;
    let (first, last) = spec.split_once('-')?;
    let number = |text: &str| match text.trim() {
        "" => Some(None),
        digits if digits.bytes().all(|byte| byte.is_ascii_digit()) => digits.parse().ok().map(Some),
        _ => None,
    };
    (unit.trim().eq_ignore_ascii_case("bytes")).then_some((number(first)?, number(last)?))
}

#[cfg(test)]
mod tests {
    use super::Range::{Part, Unsatisfiable, Whole};
    use super::parse;

    #[test]
    fn closed_open_and_suffix_ranges() {
        assert_eq!(parse(Some("bytes=0-99"), 1000), Part { first: 0, last: 99 });
        assert_eq!(parse(Some("bytes=900-"), 1000), Part { first: 900, last: 999 });
        assert_eq!(parse(Some("bytes=-50"), 1000), Part { first: 950, last: 999 });
        assert_eq!(parse(Some("bytes=999-999"), 1000), Part { first: 999, last: 999 });
    }

    #[test]
    fn a_range_past_the_end_is_cut_to_the_file() {
        assert_eq!(parse(Some("bytes=990-5000"), 1000), Part { first: 990, last: 999 });
        assert_eq!(parse(Some("bytes=-5000"), 1000), Part { first: 0, last: 999 });
    }

    #[test]
    fn a_range_outside_the_file_cannot_be_served() {
        assert_eq!(parse(Some("bytes=1000-"), 1000), Unsatisfiable);
        assert_eq!(parse(Some("bytes=1000-1001"), 1000), Unsatisfiable);
        assert_eq!(parse(Some("bytes=-0"), 1000), Unsatisfiable);
        assert_eq!(parse(Some("bytes=0-"), 0), Unsatisfiable);
        assert_eq!(parse(Some("bytes=-1"), 0), Unsatisfiable);
    }

    #[test]
    fn what_is_no_single_range_of_bytes_gets_the_whole_file() {
        for header in ["bytes=5-3", "bytes=a-b", "bytes=-", "bytes=0-1,5-6", "lines=0-1", "bytes", "bytes=+1-2", ""] {
            assert_eq!(parse(Some(header), 1000), Whole, "{header:?}");
        }
        assert_eq!(parse(Some("bytes=99999999999999999999-"), 1000), Whole);
        assert_eq!(parse(None, 1000), Whole);
    }
}
