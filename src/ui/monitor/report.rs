//! What the monitor found, as it is shown, saved and given to programs; and as charts.

use serde::Serialize;

use super::GpuReport;
use crate::protocol::{BackendChoice, Bound, FailureKind, LoadPhase, PipelineEntry, PipelineTrace, TimedBy};
use crate::ui::benchmark::record::StageFigure;
use crate::ui::charts::{Chart, Kind, Line, Span, StackRow, Unit};

/// By what tasks that held the page up were noticed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum TimedTasks {
    /// The browser tells of every task over 50 ms.
    Browser,
    /// A timer of the page that came more than 50 ms late.
    #[default]
    Timer,
}

/// All that was found between a start and a stop. `after_s` is seconds since the start.
#[derive(Debug, Clone, PartialEq, Default, Serialize)]
pub struct MonitorReport {
    /// How long it listened.
    pub seconds: f64,
    /// Whether it still does.
    pub is_on: bool,
    /// Loads that ended.
    pub loads: Vec<LoadRecord>,
    /// Runs that ended.
    pub runs: Vec<RunRecord>,
    /// Tokens in the second before, at each time that some came.
    pub tokens_per_s: Vec<(f64, f64)>,
    /// Of a live recording: milliseconds from when the last sound of a text was sent until its text was final.
    pub latency_ms: Vec<(f64, f64)>,
    /// Memory, asked for once a second.
    pub memory: Vec<MemoryAt>,
    /// The most of it in backends.
    pub peak_backend_bytes: u64,
    /// The most of it in the engine itself.
    pub peak_engine_bytes: u64,
    /// Shares of the adapter's peaks, of models that were traced meanwhile.
    pub shares: Vec<StageShare>,
    /// What the GPU did in ordinary runs.
    pub gpu: GpuReport,
    /// Shader pipelines that were made meanwhile, in that order.
    pub pipelines: Vec<PipelineEntry>,
    /// Tasks that held the page up for more than 50 ms.
    pub long_tasks: Vec<LongTask>,
    /// How they were noticed.
    pub timed_tasks: TimedTasks,
    /// Milliseconds that listening took on the page.
    pub cost_ms: f64,
    /// Of all the time.
    pub cost_share: f64,
}

/// A load.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct LoadRecord {
    /// What was asked for.
    pub model: String,
    /// When it began.
    pub after_s: f64,
    /// Until it was done.
    pub total_ms: f64,
    /// Its phases, in order.
    pub phases: Vec<PhaseSpan>,
    /// On what it came to run.
    pub backend: Option<BackendChoice>,
    /// Milliseconds that were waited for pipelines.
    pub compile_ms: Option<f64>,
    /// Most bytes that it held at once.
    pub peak_bytes: Option<u64>,
    /// Why it failed, if it did.
    pub failed: Option<FailureKind>,
}

/// A phase of a load.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct PhaseSpan {
    /// Which.
    pub phase: LoadPhase,
    /// Milliseconds since the load began.
    pub start_ms: f64,
    /// How long it lasted.
    pub ms: f64,
}

/// A run.
#[derive(Debug, Clone, PartialEq, Default, Serialize)]
pub struct RunRecord {
    /// What was done.
    pub kind: String,
    /// When it began.
    pub after_s: f64,
    /// Until its answer was there.
    pub total_ms: f64,
    /// Tokens that were told while it went on.
    pub n_tokens: u32,
    /// From the command to the first token.
    pub first_token_ms: Option<f64>,
    /// Tokens a second of the decoder's time.
    pub tokens_per_s: Option<f64>,
    /// Seconds of sound worked through in a second.
    pub real_time: Option<f64>,
    /// Share of its time in which the GPU was busy; `None` where it was not on a GPU, or too long ago.
    pub gpu_busy: Option<f64>,
    /// Its stages.
    pub stages: Vec<StageFigure>,
    /// Why it failed, if it did.
    pub failed: Option<FailureKind>,
}

/// Memory at a time.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct MemoryAt {
    /// When.
    pub after_s: f64,
    /// Bytes in backends' memory.
    pub backend_bytes: u64,
    /// Bytes of the engine's own memory.
    pub engine_bytes: u64,
}

/// What a stage uses of what the adapter can do.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct StageShare {
    /// The model's id.
    pub model: String,
    /// The stage.
    pub stage: String,
    /// Microseconds that it takes.
    pub us: f64,
    /// Share of the peak that it is nearest to; 1 is all of it.
    pub share: f64,
    /// Which peak.
    pub bound: Bound,
    /// By which clock.
    pub timed_by: TimedBy,
}

/// A task that held the page up.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct LongTask {
    /// When it began.
    pub after_s: f64,
    /// How long it lasted.
    pub ms: f64,
}

impl MonitorReport {
    /// Tokens a second as they come.
    pub fn tokens_chart(&self) -> Chart {
        let lines = vec![Line { name: "Tokens a second".into(), points: self.tokens_per_s.clone() }];
        over_time("Tokens a second", Unit::TokensPerSecond, lines)
    }

    /// Memory as it grows and shrinks.
    pub fn memory_chart(&self) -> Chart {
        let of = |bytes: fn(&MemoryAt) -> u64| self.memory.iter().map(|at| (at.after_s, bytes(at) as f64)).collect();
        let lines = vec![
            Line { name: "Models".into(), points: of(|at| at.backend_bytes) },
            Line { name: "The engine itself".into(), points: of(|at| at.engine_bytes) },
        ];
        over_time("Memory", Unit::Bytes, lines)
    }

    /// From the microphone to final text.
    pub fn latency_chart(&self) -> Chart {
        let lines = vec![Line { name: "From sound to final text".into(), points: self.latency_ms.clone() }];
        over_time("From sound to final text", Unit::Milliseconds, lines)
    }

    /// The stages of the latest runs.
    pub fn runs_chart(&self) -> Chart {
        let shown: Vec<&RunRecord> = self.runs.iter().rev().filter(|run| !run.stages.is_empty()).take(8).collect();
        let mut parts: Vec<String> = Vec::new();
        for stage in shown.iter().rev().flat_map(|run| &run.stages) {
            if !parts.contains(&stage.name) {
                parts.push(stage.name.clone());
            }
        }
        parts.push("All else".into());
        let row = |run: &&RunRecord| {
            let of = |part: &String| run.stages.iter().filter(|stage| stage.name == *part).map(|stage| stage.ms).sum();
            let mut values: Vec<f64> = parts.iter().map(of).collect();
            let in_stages: f64 = values.iter().sum();
            if let Some(rest) = values.last_mut() {
                *rest = (run.total_ms - in_stages).max(0.0);
            }
            StackRow { name: format!("{} at {:.0} s", run.kind, run.after_s), values, note: String::new() }
        };
        let rows = shown.iter().map(row).collect();
        let kind = Kind::Stack { parts, rows };
        Chart { title: "Stages of the latest runs".into(), unit: Unit::Milliseconds, kind }
    }

    /// The phases of loads, a lane each.
    pub fn loads_chart(&self) -> Chart {
        let lanes = self.loads.iter().map(|load| load.model.clone()).collect();
        let spans = self.loads.iter().enumerate().flat_map(|(lane, load)| {
            load.phases.iter().map(move |phase| Span {
                lane,
                name: phase_words(phase.phase).into(),
                start: phase.start_ms,
                length: phase.ms,
                note: String::new(),
            })
        });
        let kind = Kind::Timeline { lanes, spans: spans.collect() };
        Chart { title: "Loads, by phase".into(), unit: Unit::Milliseconds, kind }
    }
}

/// What a load does in a phase, in a word or two.
fn phase_words(phase: LoadPhase) -> &'static str {
    match phase {
        LoadPhase::Prepare => "Prepare",
        LoadPhase::Tune => "Tune kernels",
        LoadPhase::Download => "Fetch",
        LoadPhase::Verify => "Verify",
        LoadPhase::Compile => "Compile",
        LoadPhase::WarmUp => "Warm up",
    }
}

fn over_time(title: &str, unit: Unit, lines: Vec<Line>) -> Chart {
    let lines = lines.into_iter().filter(|line| !line.points.is_empty()).collect();
    Chart { title: title.into(), unit, kind: Kind::Lines { x_title: "Time".into(), x_unit: Unit::Seconds, lines } }
}

/// The dispatches of a model's stages one after the other, a lane for each stage.
pub fn dispatches_chart(trace: &PipelineTrace) -> Chart {
    let mut spans = Vec::new();
    for (lane, stage) in trace.stages.iter().enumerate() {
        let mut start = 0.0;
        for dispatch in &stage.dispatches {
            let [x, y, z] = dispatch.workgroups;
            let share = crate::ui::format::percent(dispatch.rate.share as f32);
            let name = dispatch.op.clone();
            let note = format!("{}: {x} × {y} × {z} workgroups, {share} of the peak", dispatch.shader);
            spans.push(Span { lane, name, start, length: dispatch.us, note });
            start += dispatch.us;
        }
    }
    let lanes = trace.stages.iter().map(|stage| stage.name.clone()).collect();
    let title = format!("Dispatches of {}", trace.model);
    Chart { title, unit: Unit::Microseconds, kind: Kind::Timeline { lanes, spans } }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_left_of_a_run_is_shown_too() {
        let stages = vec![StageFigure { name: "Encoder".into(), ms: 30.0 }];
        let run = RunRecord { kind: "transcribe".into(), total_ms: 50.0, stages, ..RunRecord::default() };
        let report = MonitorReport { runs: vec![run], ..MonitorReport::default() };
        let Kind::Stack { parts, rows } = report.runs_chart().kind else { panic!("no stack") };
        assert_eq!(parts, ["Encoder", "All else"]);
        assert_eq!(rows[0].values, [30.0, 20.0]);
    }

    #[test]
    fn curves_without_points_are_left_out() {
        let Kind::Lines { lines, .. } = MonitorReport::default().memory_chart().kind else { panic!("no lines") };
        assert!(lines.iter().all(|line| !line.points.is_empty()));
    }
}
