//! What the GPU did meanwhile: spans of graphs on the page's clock, their sums, the share of a run in which it was busy, and that of
//! decoding in which it waited for the next batch of steps.

use serde::Serialize;

use crate::protocol::{GpuSpan, GpuTimes, TOGETHER, TimedBy};
use crate::ui::charts::{Chart, Kind, Span, Unit};
use crate::ui::format;

/// So many spans are kept, the latest.
const MOST_SPANS: usize = 2000;

/// What it did, as far as it was timed. All sums are of the spans that are kept.
#[derive(Debug, Clone, PartialEq, Default, Serialize)]
pub struct GpuReport {
    /// By which clock times were taken last; `None` where no GPU was used.
    pub timed_by: Option<TimedBy>,
    /// How far a span may lie from where it is said to, in microseconds; `None` without timestamps.
    pub uncertainty_us: Option<f64>,
    /// Of each graph, in the order in which they came first.
    pub totals: Vec<GraphTotal>,
    /// Share of the time between the begin of a decode and its end in which the GPU had nothing to do, over all of them; `None` where
    /// nothing was decoded.
    pub decode_waiting: Option<f64>,
    /// In the order of time.
    pub spans: Vec<SpanAt>,
    /// Graphs that ran and could not be timed.
    pub n_dropped: u32,
    /// Earlier spans that are no longer kept.
    pub n_forgotten: u32,
}

/// A stretch of the GPU's time that a graph took.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct SpanAt {
    /// The graph, or several that were timed together.
    pub graph: String,
    /// Runs that begin in it; none where a long one goes on.
    pub times: u32,
    /// When it began, in seconds since the start of watching.
    pub after_s: f64,
    /// How long it took.
    pub us: f64,
    /// By which clock.
    pub timed_by: TimedBy,
}

/// The runs of a graph.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct GraphTotal {
    /// The graph, or several that were timed together.
    pub graph: String,
    /// How often it ran.
    pub n_runs: u32,
    /// Milliseconds of all runs.
    pub total_ms: f64,
    /// Of one, the median.
    pub median_ms: f64,
    /// By which clock.
    pub timed_by: TimedBy,
}

impl SpanAt {
    fn end_s(&self) -> f64 {
        self.after_s + self.us / 1e6
    }

    /// Whether it is of the same graph, by the same clock.
    fn is_alike(&self, other: &Self) -> bool {
        self.graph == other.graph && self.timed_by == other.timed_by
    }

    /// Whether it writes tokens.
    fn decodes(&self) -> bool {
        self.graph.rsplit(TOGETHER).next().is_some_and(|last| is_prompt(last) || is_step(last))
    }

    /// Whether a decode begins in it: steps alone go on with one.
    fn begins_decode(&self) -> bool {
        self.decodes() && !self.graph.split(TOGETHER).all(is_step)
    }
}

fn is_prompt(graph: &str) -> bool {
    graph.starts_with("prompt ")
}

fn is_step(graph: &str) -> bool {
    graph == "step" || graph.starts_with("step of ") || graph.ends_with(" beams")
}

impl GpuReport {
    /// The engine told what the GPU did. `started_ms` is the start of watching in milliseconds since 1970.
    pub(super) fn note(&mut self, times: &GpuTimes, started_ms: f64) {
        if times.timed_by.is_some() {
            (self.timed_by, self.uncertainty_us) = (times.timed_by, times.uncertainty_us);
        }
        self.n_dropped += times.n_dropped;
        let at = |span: &GpuSpan| SpanAt {
            graph: span.graph.clone(),
            times: span.times,
            after_s: (span.start_ms - started_ms) / 1e3,
            us: span.us,
            timed_by: span.timed_by,
        };
        // What another start asked for may still come.
        let fresh: Vec<SpanAt> = times.spans.iter().map(at).filter(|span| span.after_s >= 0.0).collect();
        if fresh.is_empty() {
            return;
        }
        self.spans.extend(fresh);
        self.spans.sort_by(|one, other| one.after_s.total_cmp(&other.after_s));
        let n_old = self.spans.len().saturating_sub(MOST_SPANS);
        self.spans.drain(..n_old);
        self.n_forgotten += n_old as u32;
        self.totals = totals(&self.spans);
        self.decode_waiting = decode_waiting(&self.spans);
    }

    /// Share of a time in which the GPU was busy; `None` where nothing of it is known.
    pub(super) fn busy(&self, from_s: f64, to_s: f64) -> Option<f64> {
        let is_whole = self.n_forgotten == 0 || self.spans.first().is_some_and(|first| first.after_s <= from_s);
        let busy_s = covered_s(&self.spans, from_s, to_s);
        (is_whole && busy_s > 0.0).then(|| busy_s / (to_s - from_s))
    }

    /// What is to be known of the figures, in sentences.
    pub fn sentences(&self) -> Vec<String> {
        let clock = match (self.timed_by, self.uncertainty_us) {
            _ if self.spans.is_empty() => "Nothing ran on WebGPU so far.".into(),
            (Some(TimedBy::Timestamps), uncertainty_us) => {
                let within = uncertainty_us.map_or("an unknown time".into(), format::duration_us);
                format!("Timed by the GPU’s own timestamps; on the page’s clock they lie where they are shown to within {within}.")
            }
            _ => "Timed from submit to completion, since this GPU has no timestamps that can be believed: a span is as long as the answer \
                  took too, and what was submitted together is one."
                .into(),
        };
        let waited = self.decode_waiting.map(|share| {
            let share = format::percent(share as f32);
            format!("While tokens were written, the GPU waited between batches of steps for {share} of the time.")
        });
        let dropped = (self.n_dropped > 0).then(|| {
            let n = format::count(self.n_dropped);
            format!("Not timed, since too many were under way: {n}. Shares of the time leave them out.")
        });
        let forgotten = (self.n_forgotten > 0).then(|| {
            let n = format::count(MOST_SPANS as u32);
            format!("The figures are of the latest {n} spans.")
        });
        [Some(clock), waited, dropped, forgotten].into_iter().flatten().collect()
    }

    /// The spans, a lane for each graph.
    pub fn timeline(&self) -> Chart {
        let lanes = self.totals.iter().map(|total| total.graph.clone()).collect();
        let spans = self.spans.iter().filter_map(|span| {
            let is_its = |total: &GraphTotal| total.graph == span.graph && total.timed_by == span.timed_by;
            let lane = self.totals.iter().position(is_its)?;
            let name = match span.times {
                0 => format!("{}, going on", span.graph),
                1 => span.graph.clone(),
                n => format!("{n} × {}", span.graph),
            };
            let (start, length) = (1e3 * span.after_s, span.us / 1e3);
            Some(Span { lane, name, start, length, note: String::new() })
        });
        let kind = Kind::Timeline { spans: spans.collect(), lanes };
        Chart { title: "Graphs on the GPU".into(), unit: Unit::Milliseconds, kind }
    }
}

/// Seconds between two times in which a span lies. Spans are in the order of their begins.
fn covered_s(spans: &[SpanAt], from_s: f64, to_s: f64) -> f64 {
    let mut covered_until = from_s;
    let mut covered = 0.0;
    for span in spans.iter().take_while(|span| span.after_s < to_s) {
        let end = span.end_s().min(to_s);
        covered += (end - span.after_s.max(covered_until)).max(0.0);
        covered_until = covered_until.max(end);
    }
    covered
}

/// Of all decodes: what lies between spans, by what lies between the begins of the first and the ends of the last ones.
fn decode_waiting(spans: &[SpanAt]) -> Option<f64> {
    let (mut whole_s, mut busy_s) = (0.0, 0.0);
    let decodes = spans.chunk_by(|one, next| one.decodes() && next.decodes() && !next.begins_decode());
    for decode in decodes.filter(|decode| decode[0].decodes()) {
        let (from_s, to_s) = (decode[0].after_s, decode.iter().map(SpanAt::end_s).fold(0.0, f64::max));
        whole_s += to_s - from_s;
        busy_s += covered_s(decode, from_s, to_s);
    }
    (whole_s > 0.0).then(|| 1.0 - busy_s / whole_s)
}

fn totals(spans: &[SpanAt]) -> Vec<GraphTotal> {
    let mut runs: Vec<(&SpanAt, Vec<f64>)> = Vec::new();
    for span in spans {
        let known = runs.iter().position(|(first, _)| span.is_alike(first));
        let idx = known.unwrap_or_else(|| {
            runs.push((span, Vec::new()));
            runs.len() - 1
        });
        let ms = &mut runs[idx].1;
        match (span.times, ms.last_mut()) {
            (0, Some(last)) => *last += span.us / 1e3,
            (times, _) => {
                let n = times.max(1);
                ms.extend((0..n).map(|_| span.us / 1e3 / f64::from(n)));
            }
        }
    }
    let total = |(first, mut ms): (&SpanAt, Vec<f64>)| {
        ms.sort_by(f64::total_cmp);
        GraphTotal {
            graph: first.graph.clone(),
            n_runs: ms.len() as u32,
            total_ms: ms.iter().sum(),
            median_ms: ms[ms.len() / 2],
            timed_by: first.timed_by,
        }
    };
    runs.into_iter().map(total).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Watching began at 1,000 s of the epoch; times are in ms since then.
    fn noted(spans: &[(&str, u32, f64, f64)]) -> GpuReport {
        let mut report = GpuReport::default();
        report.note(&times(spans), 1e6);
        report
    }

    fn times(spans: &[(&str, u32, f64, f64)]) -> GpuTimes {
        let span = |&(graph, times, start_ms, ms): &(&str, u32, f64, f64)| GpuSpan {
            graph: graph.into(),
            times,
            start_ms: 1e6 + start_ms,
            us: 1e3 * ms,
            timed_by: TimedBy::Timestamps,
        };
        GpuTimes { spans: spans.iter().map(span).collect(), ..GpuTimes::default() }
    }

    fn near(value: Option<f64>, expected: f64) {
        assert!(value.is_some_and(|value| (value - expected).abs() < 1e-6), "{value:?}, expected {expected}");
    }

    #[test]
    fn repeated_runs_and_slices_are_counted_as_runs() {
        let report = noted(&[
            ("encoder", 1, 0.0, 20.0),
            ("encoder", 0, 30.0, 10.0),
            ("step", 8, 40.0, 16.0),
            ("step", 1, 60.0, 5.0),
            ("encoder", 1, 80.0, 50.0),
        ]);
        let found: Vec<_> = report
            .totals
            .iter()
            .map(|total| (total.graph.as_str(), total.n_runs, total.total_ms.round(), total.median_ms.round()))
            .collect();
        assert_eq!(found, [("encoder", 2, 80.0, 50.0), ("step", 9, 21.0, 2.0)]);
    }

    #[test]
    fn the_share_of_a_run_counts_what_overlaps_once_and_what_lies_in_it_only() {
        let report = noted(&[("a", 1, 0.0, 20.0), ("b", 1, 10.0, 20.0), ("c", 1, 12.0, 3.0), ("d", 1, 80.0, 40.0)]);
        // 10 to 30 and 80 to 100 ms of the time from 10 to 110 ms, and 10 ms more.
        near(report.busy(0.010, 0.110), 0.5);
        assert_eq!(report.busy(0.130, 0.140), None);
    }

    #[test]
    fn decoding_waits_between_its_batches_and_not_between_texts() {
        let report = noted(&[
            ("encode 32", 1, 0.0, 10.0),
            ("step", 1, 10.0, 10.0),
            ("step", 8, 25.0, 25.0),
            // Another text, much later.
            ("encode 32", 1, 500.0, 10.0),
            ("step", 1, 515.0, 20.0),
            ("step", 8, 540.0, 15.0),
        ]);
        // 5 ms of 40, and 5 of 40.
        near(report.decode_waiting, 0.125);
        let windows = noted(&[("prompt 4", 1, 0.0, 10.0), ("step", 2, 10.0, 10.0), ("prompt 4", 1, 90.0, 10.0)]);
        near(windows.decode_waiting, 0.0);
        // By this side's clock what is submitted together is one span, which begins a decode.
        let together = noted(&[("encode 32 + step", 1, 0.0, 10.0), ("step", 2, 20.0, 10.0)]);
        near(together.decode_waiting, 1.0 / 3.0);
        assert_eq!(noted(&[("embed 32", 1, 0.0, 1.0)]).decode_waiting, None);
    }

    #[test]
    fn the_latest_spans_are_kept_and_those_of_before_the_start_are_not() {
        let mut report = noted(&[("early", 1, -5.0, 1.0)]);
        assert_eq!(report.spans, []);
        for n in 0..MOST_SPANS + 10 {
            report.note(&times(&[("step", 1, n as f64, 0.5)]), 1e6);
        }
        assert_eq!((report.spans.len(), report.n_forgotten, report.totals[0].n_runs), (MOST_SPANS, 10, 2000));
        assert!((report.spans[0].after_s - 0.010).abs() < 1e-9);
        assert_eq!(report.busy(0.005, 0.020), None, "a part of that time is forgotten");
        near(report.busy(0.010, 0.020), 0.5);
    }

    #[test]
    fn the_clock_and_what_is_missing_are_said() {
        let mut report = GpuReport::default();
        assert_eq!(report.sentences(), ["Nothing ran on WebGPU so far."]);
        let by = |timed_by, uncertainty_us, n_dropped| GpuTimes {
            timed_by: Some(timed_by),
            uncertainty_us,
            n_dropped,
            ..times(&[("step", 1, 0.0, 9.0), ("step", 1, 10.0, 10.0)])
        };
        report.note(&by(TimedBy::Timestamps, Some(230.0), 0), 1e6);
        let said = report.sentences();
        assert!(said[0].contains("own timestamps") && said[0].ends_with("to within 230 µs."), "{said:?}");
        assert!(said[1].contains("for 5.0 % of the time"), "{said:?}");
        report.note(&by(TimedBy::WallClock, None, 1234), 1e6);
        let said = report.sentences();
        assert!(said[0].starts_with("Timed from submit to completion"), "{said:?}");
        assert!(said[2].ends_with("under way: 1,234. Shares of the time leave them out."), "{said:?}");
    }

    #[test]
    fn the_timeline_has_a_lane_for_each_graph() {
        let chart = noted(&[("mel", 1, 1.0, 2.0), ("step", 8, 5.0, 4.0), ("mel", 0, 10.0, 1.0)]).timeline();
        let Kind::Timeline { lanes, spans } = chart.kind else { panic!("no timeline") };
        assert_eq!(lanes, ["mel", "step"]);
        let shown: Vec<_> = spans.iter().map(|span| (span.lane, span.name.as_str(), span.length.round())).collect();
        assert_eq!(shown, [(0, "mel", 2.0), (1, "8 × step", 4.0), (0, "mel, going on", 1.0)]);
    }
}
