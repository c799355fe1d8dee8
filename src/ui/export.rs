//! A transcript as a file that other programs read. Saving it is left to `save`.

use super::format::subtitle_clock;
use crate::protocol::{Segment, Transcript};

/// The kinds of file that a transcript can be saved as.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Format {
    /// The words alone, one segment a line.
    Txt,
    /// SubRip subtitles.
    Srt,
    /// Web subtitles.
    Vtt,
    /// Everything: segments, tokens, timings, adapter.
    Json,
}

impl Format {
    /// In the order in which they are offered.
    pub const ALL: [Format; 4] = [Format::Txt, Format::Srt, Format::Vtt, Format::Json];

    /// The file name's ending.
    pub fn extension(self) -> &'static str {
        match self {
            Format::Txt => "txt",
            Format::Srt => "srt",
            Format::Vtt => "vtt",
            Format::Json => "json",
        }
    }

    /// The media type.
    pub fn mime(self) -> &'static str {
        match self {
            Format::Txt => "text/plain",
            Format::Srt => "application/x-subrip",
            Format::Vtt => "text/vtt",
            Format::Json => "application/json",
        }
    }

    /// The file's contents. `transcript` is missing where a run was stopped early: its segments can be saved all the same.
    pub fn write(self, segments: &[Segment], transcript: Option<&Transcript>) -> String {
        match self {
            Format::Txt => segments.iter().map(|segment| format!("{}\n", segment.text.trim())).collect(),
            Format::Srt => segments.iter().enumerate().map(|(i, segment)| srt_cue(i + 1, segment)).collect(),
            Format::Vtt => {
                "WEBVTT\n\n".chars().chain(segments.iter().map(vtt_cue).collect::<String>().chars()).collect()
            }
            Format::Json => match transcript {
                Some(transcript) => serde_json::to_string_pretty(transcript),
                None => serde_json::to_string_pretty(&serde_json::json!({ "segments": segments })),
            }
            .unwrap_or_else(|error| format!("{{\"error\": \"{error}\"}}")),
        }
    }
}

fn srt_cue(number: usize, segment: &Segment) -> String {
    let (start, end) = (subtitle_clock(segment.start, ','), subtitle_clock(segment.end, ','));
    format!("{number}\n{start} --> {end}\n{}\n\n", one_line(&segment.text))
}

fn vtt_cue(segment: &Segment) -> String {
    let (start, end) = (subtitle_clock(segment.start, '.'), subtitle_clock(segment.end, '.'));
    // These have a meaning in WebVTT.
    let text = one_line(&segment.text).replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;");
    format!("{start} --> {end}\n{text}\n\n")
}

/// An empty line would end a cue.
fn one_line(text: &str) -> String {
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn segment(start: f64, end: f64, text: &str) -> Segment {
        let (avg_logprob, no_speech_prob, temperature) = (0.0, 0.0, 0.0);
        Segment { start, end, text: text.into(), tokens: vec![], avg_logprob, no_speech_prob, temperature }
    }

    #[test]
    fn subtitles_number_their_cues_and_keep_each_on_one_line() {
        let segments = [segment(0.0, 2.5, " Hello,\n\nworld."), segment(2.5, 61.04, " Again.")];
        assert_eq!(
            Format::Srt.write(&segments, None),
            "1\n00:00:00,000 --> 00:00:02,500\nHello, world.\n\n2\n00:00:02,500 --> 00:01:01,040\nAgain.\n\n"
        );
        assert_eq!(Format::Txt.write(&segments[1..], None), "Again.\n");
    }

    #[test]
    fn web_subtitles_escape_what_would_be_markup() {
        assert_eq!(
            Format::Vtt.write(&[segment(1.0, 2.0, " a < b & c --> d")], None),
            "WEBVTT\n\n00:00:01.000 --> 00:00:02.000\na &lt; b &amp; c --&gt; d\n\n"
        );
    }

    #[test]
    fn a_run_that_was_stopped_early_still_saves_its_segments_as_json() {
        let json: serde_json::Value =
            serde_json::from_str(&Format::Json.write(&[segment(0.0, 1.0, " Hi.")], None)).unwrap();
        assert_eq!(json["segments"][0]["text"], " Hi.");
    }
}
