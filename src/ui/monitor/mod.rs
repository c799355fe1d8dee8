//! What happens between a start and a stop: loads by phase, runs by stage, tokens as they come, memory, the way from microphone to text,
//! tasks that held the page up; and what watching itself costs.
//!
//! It hears what the page and the engine say to each other; `watch` adds what only the browser knows.

mod gpu;
mod report;
#[cfg(target_arch = "wasm32")]
pub mod watch;

pub use gpu::{GpuReport, GraphTotal, SpanAt};
pub use report::{
    LoadRecord, LongTask, MemoryAt, MonitorReport, PhaseSpan, RunRecord, StageShare, TimedTasks, dispatches_chart,
};

use std::collections::{HashMap, VecDeque};

use super::benchmark::record::StageFigure;
use crate::audio::SAMPLE_RATE_HZ;
use crate::protocol::{Command, Event, GpuTimes, JobId, LoadPhase, PipelineTrace, Timings};

/// Tokens are counted over so long, in ms, to tell how many come a second.
const RATE_WINDOW_MS: f64 = 1000.0;
/// So many points of a curve are kept, the latest.
const MOST_POINTS: usize = 3600;

/// What was heard so far. Times are milliseconds of the page's clock.
#[derive(Debug, Clone)]
pub struct Monitor {
    started_ms: f64,
    /// When the page's clock began, in milliseconds since 1970.
    origin_ms: f64,
    stopped_ms: Option<f64>,
    under_way: HashMap<JobId, UnderWay>,
    recent_tokens: VecDeque<(f64, usize)>,
    cost_ms: f64,
    found: MonitorReport,
}

/// A job that is not closed yet.
#[derive(Debug, Clone)]
enum UnderWay {
    Load {
        model: String,
        since_ms: f64,
        phases: Vec<(LoadPhase, f64)>,
    },
    Run {
        kind: &'static str,
        since_ms: f64,
        n_tokens: usize,
        /// Of a live recording: seconds that were sent, and when.
        sent: Vec<(f64, f64)>,
    },
}

impl Monitor {
    /// Begins to listen. `origin_ms` is when the page's clock began, in milliseconds since 1970.
    pub fn start(now_ms: f64, origin_ms: f64, timed_tasks: TimedTasks) -> Self {
        Self {
            started_ms: now_ms,
            origin_ms,
            stopped_ms: None,
            under_way: HashMap::new(),
            recent_tokens: VecDeque::new(),
            cost_ms: 0.0,
            found: MonitorReport { timed_tasks, ..MonitorReport::default() },
        }
    }

    /// Hears no more.
    pub fn stop(&mut self, now_ms: f64) {
        self.stopped_ms.get_or_insert(now_ms);
    }

    /// Whether it listens.
    pub fn is_on(&self) -> bool {
        self.stopped_ms.is_none()
    }

    /// The page sent a command, with so many samples of sound at 16 kHz beside it.
    pub fn note_command(&mut self, command: &Command, n_samples: usize, now_ms: f64) {
        let run = |kind| UnderWay::Run { kind, since_ms: now_ms, n_tokens: 0, sent: Vec::new() };
        let (job, begun) = match command {
            Command::Load { job, request } => {
                (*job, UnderWay::Load { model: request.model.clone(), since_ms: now_ms, phases: Vec::new() })
            }
            Command::Transcribe { job, .. } => (*job, run("transcribe")),
            Command::StreamStart { job, .. } => (*job, run("transcribe live")),
            Command::Embed { job, .. } => (*job, run("embed")),
            Command::HiddenStates { job, .. } => (*job, run("hidden states")),
            Command::FillMask { job, .. } => (*job, run("fill gaps")),
            Command::Generate { job, .. } => (*job, run("write")),
            Command::Classify { job, .. } => (*job, run("classify")),
            Command::EmbedPictures { job, .. } => (*job, run("embed pictures")),
            Command::Match { job, .. } => (*job, run("match")),
            Command::StreamAudio { job } => {
                if let Some(UnderWay::Run { sent, .. }) = self.under_way.get_mut(job) {
                    let before = sent.last().map_or(0.0, |(seconds, _)| *seconds);
                    sent.push((before + n_samples as f64 / f64::from(SAMPLE_RATE_HZ), now_ms));
                }
                return;
            }
            _ => return,
        };
        self.under_way.insert(job, begun);
    }

    /// The engine said something.
    pub fn note_event(&mut self, event: &Event, now_ms: f64) {
        let after_s = self.after_s(now_ms);
        match event {
            Event::LoadProgress { job, progress } => {
                if let Some(UnderWay::Load { phases, .. }) = self.under_way.get_mut(job)
                    && phases.last().is_none_or(|(phase, _)| *phase != progress.phase)
                {
                    phases.push((progress.phase, now_ms));
                }
            }
            Event::Tentative { job, new_tokens, .. } | Event::Generating { job, new_tokens, .. } => {
                self.note_tokens(*job, new_tokens.len(), now_ms);
            }
            Event::Segments { job, segments } => {
                if let (Some(UnderWay::Run { sent, .. }), Some(last)) = (self.under_way.get(job), segments.last()) {
                    // When the last sample of the text was sent.
                    let said = sent.iter().find(|(seconds, _)| *seconds >= last.end).or(sent.last());
                    if let Some((_, at_ms)) = said {
                        push(&mut self.found.latency_ms, (after_s, now_ms - at_ms));
                    }
                }
            }
            Event::Memory { report, .. } => {
                let at = MemoryAt { after_s, backend_bytes: report.all.total, engine_bytes: report.engine_bytes };
                push(&mut self.found.memory, at);
            }
            Event::GpuTimes { times, .. } => self.note_gpu(times),
            Event::Traced { trace, .. } => self.note_trace(trace),
            _ => {}
        }
        if event.is_closing()
            && let Some(job) = event.job()
            && let Some(closed) = self.under_way.remove(&job)
        {
            self.close(closed, event, now_ms);
        }
    }

    fn note_tokens(&mut self, job: JobId, n_new: usize, now_ms: f64) {
        if let Some(UnderWay::Run { n_tokens, .. }) = self.under_way.get_mut(&job) {
            *n_tokens += n_new;
        }
        self.recent_tokens.push_back((now_ms, n_new));
        while self.recent_tokens.front().is_some_and(|(at_ms, _)| now_ms - at_ms > RATE_WINDOW_MS) {
            self.recent_tokens.pop_front();
        }
        let n_recent: usize = self.recent_tokens.iter().map(|(_, n)| n).sum();
        let rate = n_recent as f64 * 1e3 / RATE_WINDOW_MS;
        let after_s = self.after_s(now_ms);
        push(&mut self.found.tokens_per_s, (after_s, rate));
    }

    fn note_trace(&mut self, trace: &PipelineTrace) {
        self.found.shares.retain(|share| share.model != trace.model);
        self.found.shares.extend(trace.stages.iter().map(|stage| StageShare {
            model: trace.model.clone(),
            stage: stage.name.clone(),
            us: stage.whole_us,
            share: stage.rate.share,
            bound: stage.rate.bound,
            timed_by: stage.timed_by,
        }));
    }

    fn close(&mut self, closed: UnderWay, event: &Event, now_ms: f64) {
        let failed = match event {
            Event::Failed { failure, .. } => Some(failure.kind),
            _ => None,
        };
        match closed {
            UnderWay::Load { model, since_ms, phases } => {
                let ends = phases.iter().skip(1).map(|(_, at_ms)| *at_ms).chain([now_ms]);
                let phases = phases.iter().zip(ends).map(|((phase, at_ms), end_ms)| PhaseSpan {
                    phase: *phase,
                    start_ms: at_ms - since_ms,
                    ms: end_ms - at_ms,
                });
                let pipeline = if let Event::Loaded { pipeline, .. } = event { Some(pipeline) } else { None };
                let record = LoadRecord {
                    model,
                    after_s: self.after_s(since_ms),
                    total_ms: now_ms - since_ms,
                    phases: phases.collect(),
                    backend: pipeline.map(|pipeline| pipeline.backend),
                    compile_ms: pipeline.map(|pipeline| pipeline.timings.compile_ms),
                    peak_bytes: pipeline.map(|pipeline| pipeline.peak_bytes),
                    failed,
                };
                push(&mut self.found.loads, record);
            }
            UnderWay::Run { kind, since_ms, n_tokens, .. } => {
                let mut record = RunRecord {
                    kind: kind.into(),
                    after_s: self.after_s(since_ms),
                    total_ms: now_ms - since_ms,
                    n_tokens: n_tokens as u32,
                    failed,
                    ..RunRecord::default()
                };
                match event {
                    Event::Transcribed { transcript, .. } => of_speech(&mut record, &transcript.timings),
                    Event::Generated { timings, .. } => {
                        record.first_token_ms = Some(timings.first_token_ms);
                        record.tokens_per_s = Some(timings.tokens_per_s);
                        record.stages = stages(&[("Encoder", timings.encode_ms), ("Decoder", timings.decode_ms)]);
                    }
                    _ => {}
                }
                push(&mut self.found.runs, record);
            }
        }
    }

    /// The engine told what the GPU did.
    pub fn note_gpu(&mut self, times: &GpuTimes) {
        self.found.gpu.note(times, self.origin_ms + self.started_ms);
        times.pipelines.iter().for_each(|made| push(&mut self.found.pipelines, made.clone()));
    }

    /// A task held the page up.
    pub fn note_long_task(&mut self, start_ms: f64, ms: f64) {
        let after_s = self.after_s(start_ms);
        push(&mut self.found.long_tasks, LongTask { after_s, ms });
    }

    /// Watching took so long.
    pub fn note_cost(&mut self, ms: f64) {
        self.cost_ms += ms;
    }

    /// All that was found until now.
    pub fn report(&self, now_ms: f64) -> MonitorReport {
        let elapsed_ms = (self.stopped_ms.unwrap_or(now_ms) - self.started_ms).max(0.0);
        let most = |of: fn(&MemoryAt) -> u64| self.found.memory.iter().map(of).max().unwrap_or(0);
        let mut runs = self.found.runs.clone();
        // What the GPU did is told later than that a run has ended.
        for run in &mut runs {
            run.gpu_busy = self.found.gpu.busy(run.after_s, run.after_s + run.total_ms / 1e3);
        }
        MonitorReport {
            runs,
            seconds: elapsed_ms / 1e3,
            is_on: self.is_on(),
            peak_backend_bytes: most(|at| at.backend_bytes),
            peak_engine_bytes: most(|at| at.engine_bytes),
            cost_ms: self.cost_ms,
            cost_share: self.cost_ms / elapsed_ms.max(1.0),
            ..self.found.clone()
        }
    }

    fn after_s(&self, at_ms: f64) -> f64 {
        (at_ms - self.started_ms) / 1e3
    }
}

fn of_speech(record: &mut RunRecord, timings: &Timings) {
    record.first_token_ms = Some(timings.first_token_ms);
    record.tokens_per_s = Some(timings.tokens_per_s);
    record.real_time = (timings.rtf > 0.0).then(|| 1.0 / timings.rtf);
    record.stages =
        stages(&[("Features", timings.mel_ms), ("Encoder", timings.encode_ms), ("Decoder", timings.decode_ms)]);
}

fn stages(stages: &[(&str, f64)]) -> Vec<StageFigure> {
    stages.iter().map(|&(name, ms)| StageFigure { name: name.into(), ms }).collect()
}

fn push<T>(points: &mut Vec<T>, point: T) {
    if points.len() == MOST_POINTS {
        points.remove(0);
    }
    points.push(point);
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::protocol::{
        FailureKind, GpuSpan, LoadProgress, LoadRequest, MemoryBytes, MemoryReport, PipelineId, Segment, TimedBy,
        TranscribeOptions, Transcript,
    };

    const JOB: JobId = JobId(7);

    fn monitor() -> Monitor {
        Monitor::start(1000.0, 5e6, TimedTasks::Browser)
    }

    fn transcribe() -> Command {
        Command::Transcribe { job: JOB, pipeline: PipelineId(1), options: TranscribeOptions::default() }
    }

    fn tokens(n: u32) -> Event {
        Event::Tentative { job: JOB, text: String::new(), new_tokens: (0..n).collect() }
    }

    fn failed() -> Event {
        let failure =
            crate::protocol::Failure { kind: FailureKind::Network, message: String::new(), hint: String::new() };
        Event::Failed { job: JOB, failure }
    }

    #[test]
    fn a_run_is_recorded_with_its_stages() {
        let mut monitor = monitor();
        monitor.note_command(&transcribe(), 16_000, 2000.0);
        monitor.note_event(&tokens(3), 2100.0);
        let timings = Timings { encode_ms: 40.0, first_token_ms: 50.0, rtf: 0.02, ..Timings::default() };
        let transcript = Transcript {
            text: String::new(),
            language: "en".into(),
            tokens: vec![],
            segments: vec![],
            timings,
            backend: crate::protocol::BackendChoice::Wasm,
            adapter: String::new(),
        };
        monitor.note_event(&Event::Transcribed { job: JOB, transcript }, 2500.0);
        let span = GpuSpan {
            graph: "encoder".into(),
            times: 1,
            start_ms: 5e6 + 2100.0,
            us: 125e3,
            timed_by: TimedBy::WallClock,
        };
        let times = GpuTimes { spans: vec![span], ..GpuTimes::default() };
        monitor.note_event(&Event::GpuTimes { job: JobId(8), times }, 3000.0);
        let report = monitor.report(4000.0);
        let run = &report.runs[0];
        assert_eq!((run.after_s, run.total_ms, run.n_tokens), (1.0, 500.0, 3));
        assert_eq!((run.real_time, run.first_token_ms, run.failed), (Some(50.0), Some(50.0), None));
        assert_eq!(run.gpu_busy, Some(0.25));
        assert_eq!((run.stages[1].name.as_str(), run.stages[1].ms), ("Encoder", 40.0));
        assert_eq!((report.seconds, report.is_on), (3.0, true));
    }

    #[test]
    fn tokens_are_counted_over_the_last_second() {
        let mut monitor = monitor();
        monitor.note_command(&transcribe(), 0, 1000.0);
        for (n, at_ms) in [(10, 1100.0), (10, 1600.0), (20, 2200.0)] {
            monitor.note_event(&tokens(n), at_ms);
        }
        let rates: Vec<f64> = monitor.report(3000.0).tokens_per_s.iter().map(|(_, rate)| *rate).collect();
        assert_eq!(rates, [10.0, 20.0, 30.0]);
    }

    #[test]
    fn a_load_is_divided_into_its_phases_and_a_failure_is_told() {
        let mut monitor = monitor();
        monitor.note_command(&Command::Load { job: JOB, request: LoadRequest::new("m") }, 0, 1000.0);
        let progress = |phase| Event::LoadProgress {
            job: JOB,
            progress: LoadProgress {
                phase,
                files: vec![],
                components: vec![],
                bytes_per_s: 0.0,
                time_left_s: None,
                pipelines: (0, 0),
                uploaded_bytes: 0,
                elapsed_ms: 0.0,
            },
        };
        monitor.note_event(&progress(LoadPhase::Prepare), 1010.0);
        monitor.note_event(&progress(LoadPhase::Download), 1050.0);
        monitor.note_event(&progress(LoadPhase::Download), 1080.0);
        monitor.note_event(&failed(), 1100.0);
        let report = monitor.report(1200.0);
        let spans: Vec<_> = report.loads[0].phases.iter().map(|span| (span.phase, span.start_ms, span.ms)).collect();
        assert_eq!(spans, [(LoadPhase::Prepare, 10.0, 40.0), (LoadPhase::Download, 50.0, 50.0)]);
        assert_eq!(report.loads[0].failed, Some(FailureKind::Network));
    }

    #[test]
    fn the_way_from_microphone_to_text_begins_when_the_last_word_was_sent() {
        let mut monitor = monitor();
        monitor.note_command(
            &Command::StreamStart { job: JOB, pipeline: PipelineId(1), options: TranscribeOptions::default() },
            0,
            1000.0,
        );
        for at_ms in [2000.0, 3000.0, 4000.0] {
            monitor.note_command(&Command::StreamAudio { job: JOB }, 16_000, at_ms);
        }
        let segment = Segment {
            start: 0.0,
            end: 1.5,
            text: String::new(),
            tokens: vec![],
            avg_logprob: 0.0,
            no_speech_prob: 0.0,
            temperature: 0.0,
        };
        monitor.note_event(&Event::Segments { job: JOB, segments: vec![segment] }, 4200.0);
        assert_eq!(monitor.report(5000.0).latency_ms, [(3.2, 1200.0)]);
    }

    #[test]
    fn memory_has_a_peak_and_watching_a_cost() {
        let mut monitor = monitor();
        for (total, engine) in [(10, 5), (30, 4), (20, 6)] {
            let report = MemoryReport {
                pipelines: vec![],
                all: MemoryBytes { total, ..MemoryBytes::default() },
                engine_bytes: engine,
            };
            monitor.note_event(&Event::Memory { job: JOB, report }, 1500.0);
        }
        monitor.note_cost(10.0);
        monitor.stop(2000.0);
        let report = monitor.report(9000.0);
        assert_eq!((report.peak_backend_bytes, report.peak_engine_bytes), (30, 6));
        assert_eq!((report.cost_share, report.seconds, report.is_on), (0.01, 1.0, false));
    }
}
