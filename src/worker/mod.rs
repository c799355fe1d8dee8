//! The engine behind its messages: each [`Command`] becomes engine calls, each result [`Event`]s.
//!
//! [`Worker::handle`] is a plain async function that also runs natively; `web` is the wiring to `postMessage`. A model does one job at
//! a time, in the order of asking; loads and probes go on beside it, also the load of the same model's other parts.

mod attachment;
mod attempts;
mod inspection;
mod live;
mod loads;
mod memory;
mod moves;
#[cfg(target_arch = "wasm32")]
mod own_models;
mod parts;
mod performance;
mod pictures;
mod progress;
mod quality;
mod tasks;
#[cfg(target_arch = "wasm32")]
mod web;

pub use attachment::{Attachment, File};
#[cfg(target_arch = "wasm32")]
pub use web::start;

use crate::engine::ladder::{Choice, Ladder};
use crate::engine::load::Place;
use crate::engine::memory::Ledger;
use crate::engine::model::Model;
use crate::engine::models::MODELS;
use crate::engine::probes;
use crate::engine::session::Watch;
use crate::engine::transcribe::{SAMPLE_RATE_HZ, SpeechEvent, SpeechModel, Transcription};
use crate::engine::{CancelFlag, Error, Result, edge};
use crate::protocol::{
    BackendChoice, Command, Event, JobId, PipelineId, PipelineInfo, Precision, Roofline, RunProgress, RunStage,
    Timings, TranscribeOptions, Transcript,
};
use live::LiveRecording;
use std::cell::{Cell, OnceCell, RefCell};
use std::collections::HashMap;
use std::rc::Rc;

/// Where events go.
pub type Emit = Rc<dyn Fn(Event)>;

/// The engine and everything that is under way in it.
pub struct Worker {
    emit: Emit,
    /// Address of the app, that its own models folder is relative to. Natively a folder.
    app_url: String,
    ladder: Rc<Ladder>,
    /// Whether a backend that fails gives way to the next.
    fallbacks: Cell<bool>,
    models: RefCell<HashMap<PipelineId, Rc<Loaded>>>,
    jobs: RefCell<HashMap<JobId, CancelFlag>>,
    live: RefCell<HashMap<JobId, Rc<LiveRecording>>>,
    next_pipeline: Cell<u32>,
    /// What the GPU can do, once it was measured.
    roofline: async_lock::Mutex<Option<Roofline>>,
}

/// A model, loaded or usable in part, and what it runs on.
struct Loaded {
    asked: loads::Asked,
    /// `None` while it is on its way to another backend, or if that was stopped; the next job then brings it back.
    model: Rc<Place>,
    choice: RefCell<Choice>,
    info: RefCell<PipelineInfo>,
    /// The books of its sessions.
    ledgers: RefCell<Vec<Rc<Ledger>>>,
    /// Where it has been.
    tried: RefCell<Vec<Rung>>,
    /// Stops its load.
    load: CancelFlag,
    /// How the load ended: with all of the model, or for what reason without.
    outcome: OnceCell<std::result::Result<(), String>>,
}

/// A backend and a precision on it.
type Rung = (BackendChoice, Precision);

impl Worker {
    /// A worker that sends its events to `emit`.
    pub fn new(app_url: String, emit: impl Fn(Event) + 'static) -> Rc<Self> {
        Self::over(Rc::new(Ladder::new(app_url.clone())), app_url, emit)
    }

    /// The same over a ladder whose devices others hold too.
    pub fn over(ladder: Rc<Ladder>, app_url: String, emit: impl Fn(Event) + 'static) -> Rc<Self> {
        Rc::new(Self {
            emit: Rc::new(emit),
            app_url,
            ladder,
            fallbacks: Cell::new(true),
            models: RefCell::default(),
            jobs: RefCell::default(),
            live: RefCell::default(),
            next_pipeline: Cell::new(1),
            roofline: async_lock::Mutex::default(),
        })
    }

    /// Says that commands are welcome, and which models there are; `own` are those of the app's own folder beside what ships
    /// with it.
    pub fn ready(&self, own: &[String]) {
        let offered = MODELS.iter().filter(|card| card.is_within_reach(own));
        (self.emit)(Event::Ready { models: offered.map(|card| card.info()).collect() });
    }

    /// Begins to open the devices: the first command will be about them, and a GPU takes a few tenths of a second.
    #[cfg(target_arch = "wasm32")]
    fn open_ahead(&self) {
        let (gpu, cpu) = (self.ladder.clone(), self.ladder.clone());
        // A failure is told to whoever asks, who tries again.
        wasm_bindgen_futures::spawn_local(async move { drop(gpu.gpu().await) });
        wasm_bindgen_futures::spawn_local(async move { drop(cpu.cpu().await) });
    }

    /// Carries a command out. Whatever happens, a command with a job is closed by one event.
    pub async fn handle(self: &Rc<Self>, command: Command, attachment: Attachment) {
        let (job, result) = match command {
            Command::Cancel { job } => return self.cancel(job),
            Command::Dispose { pipeline } => {
                let gone = self.models.borrow_mut().remove(&pipeline);
                return gone.iter().for_each(|loaded| loaded.stop_load());
            }
            Command::StreamAudio { job } => {
                if let Some(recording) = self.live.borrow().get(&job) {
                    recording.push(&attachment.samples());
                }
                return;
            }
            Command::StreamEnd { job } => {
                if let Some(recording) = self.live.borrow().get(&job) {
                    recording.end();
                }
                return;
            }
            Command::AllowFallbacks { allowed } => return self.fallbacks.set(allowed),
            Command::ForgetMeasurements { job } => {
                self.ladder.forget().await;
                (job, Ok(Event::MeasurementsForgotten { job }))
            }
            Command::Tuning { job, forget } => (job, self.tuning(job, forget).await),
            Command::Pipelines { job, forget } => {
                let listed = self.ladder.pipelines(forget).await;
                (job, listed.map(|manifest| Event::Pipelines { job, manifest }))
            }
            Command::Precompile { job, which } => {
                let cancel = self.begin(job);
                (job, self.precompile(job, &which, &cancel).await)
            }
            Command::LogCompilation { on } => return self.ladder.log_compilation(on).await,
            Command::ProbeBackends { job } => (job, Ok(Event::Backends { job, backends: self.ladder.report().await })),
            Command::TestFeature { job, name } => {
                let report = probes::test(&self.ladder, &name).await;
                (job, report.map(|report| Event::Feature { job, report }))
            }
            Command::MeasureRoofline { job } => {
                self.begin(job);
                (job, self.roofline(job).await.map(|roofline| Event::Roofline { job, roofline }))
            }
            Command::MeasureKernel { job, backend, kernel } => {
                let cancel = self.begin(job);
                (job, self.kernel(job, backend, kernel, &cancel).await)
            }
            Command::Trace { job, pipeline } => {
                let cancel = self.begin(job);
                (job, self.trace(job, pipeline, &cancel).await)
            }
            Command::Nodes { job, pipeline } => {
                let cancel = self.begin(job);
                (job, self.nodes(job, pipeline, &cancel).await)
            }
            Command::Inspect { job, pipeline, graph, nodes } => {
                let cancel = self.begin(job);
                (job, self.inspect(job, pipeline, (graph, nodes), &cancel).await)
            }
            Command::Memory { job } => (job, Ok(Event::Memory { job, report: self.memory() })),
            Command::GpuTimes { job, on } => {
                let times = self.ladder.gpu_times(on).await;
                (job, times.map(|times| Event::GpuTimes { job, times }))
            }
            Command::ListCached { job } => (job, loads::cached(None).await.map(|models| Event::Cached { job, models })),
            Command::RemoveCached { job, model } => {
                (job, loads::cached(Some(&model)).await.map(|models| Event::Cached { job, models }))
            }
            Command::Load { job, request } => {
                let cancel = self.begin(job);
                let loaded = self.load(job, request, attachment.files(), &cancel).await;
                (job, loaded.map(|pipeline| Event::Loaded { job, pipeline }))
            }
            Command::Transcribe { job, pipeline, options } => {
                let cancel = self.begin(job);
                let done = self.transcribe(job, pipeline, options, &attachment.samples(), &cancel).await;
                (job, done.map(|transcript| Event::Transcribed { job, transcript }))
            }
            Command::StreamStart { job, pipeline, options } => {
                let cancel = self.begin(job);
                let recording = Rc::new(LiveRecording::new(cancel.clone()));
                self.live.borrow_mut().insert(job, recording.clone());
                let done = self.transcribe_live(job, pipeline, options, &recording).await;
                self.live.borrow_mut().remove(&job);
                (job, done.map(|transcript| Event::Transcribed { job, transcript }))
            }
            Command::Embed { job, pipeline, texts, batch_size } => {
                let cancel = self.begin(job);
                (job, self.embed(job, pipeline, &texts, batch_size, &cancel).await)
            }
            Command::HiddenStates { job, pipeline, texts, batch_size } => {
                let cancel = self.begin(job);
                (job, self.hidden_states(job, pipeline, &texts, batch_size, &cancel).await)
            }
            Command::FillMask { job, pipeline, texts, top_k, batch_size } => {
                let cancel = self.begin(job);
                (job, self.fill_mask(job, pipeline, &texts, top_k, batch_size, &cancel).await)
            }
            Command::MeasureQuality { job, pipeline } => {
                let cancel = self.begin(job);
                (job, self.measure_quality(job, pipeline, &attachment.samples(), &cancel).await)
            }
            Command::Generate { job, pipeline, texts, options } => {
                let cancel = self.begin(job);
                (job, self.generate(job, pipeline, &texts, &options, &cancel).await)
            }
            Command::Classify { job, pipeline, top_k, batch_size } => {
                let cancel = self.begin(job);
                (job, self.classify(job, pipeline, &attachment.files(), top_k, batch_size, &cancel).await)
            }
            Command::EmbedPictures { job, pipeline, batch_size } => {
                let cancel = self.begin(job);
                (job, self.embed_pictures(job, pipeline, &attachment.files(), batch_size, &cancel).await)
            }
            Command::Match { job, pipeline, texts, batch_size } => {
                let cancel = self.begin(job);
                (job, self.match_pictures(job, pipeline, &attachment.files(), &texts, batch_size, &cancel).await)
            }
        };
        self.jobs.borrow_mut().remove(&job);
        (self.emit)(result.unwrap_or_else(|error| self.failed(job, error)));
    }

    fn begin(&self, job: JobId) -> CancelFlag {
        let cancel = CancelFlag::default();
        self.jobs.borrow_mut().insert(job, cancel.clone());
        cancel
    }

    fn cancel(&self, job: JobId) {
        let cancel = self.jobs.borrow().get(&job).cloned();
        if let Some(cancel) = cancel {
            cancel.cancel();
        }
    }

    /// The closing event of a failure. A lost GPU takes its models with it.
    fn failed(&self, job: JobId, error: Error) -> Event {
        if let Error::DeviceLost(_) | Error::Stalled { .. } = &error {
            let on_gpu = |loaded: &Rc<Loaded>| loaded.choice.borrow().backend == BackendChoice::WebGpu;
            self.models.borrow_mut().retain(|_, loaded| !on_gpu(loaded));
            (self.emit)(Event::DeviceLost { reason: error.to_string() });
        }
        Event::Failed { job, failure: error.to_failure() }
    }

    fn model(&self, pipeline: PipelineId) -> Result<Rc<Loaded>> {
        let loaded = self.models.borrow().get(&pipeline).cloned();
        loaded.ok_or_else(|| Error::Input("this model is no longer loaded; load it again".into()))
    }

    /// The model for this job alone; says so where it has to wait for another.
    async fn lock<'a>(
        &self,
        job: JobId,
        loaded: &'a Loaded,
        total_s: f64,
    ) -> async_lock::MutexGuard<'a, Option<Model>> {
        if let Some(model) = loaded.model.try_lock() {
            return model;
        }
        self.say_queued(job, total_s);
        loaded.model.lock().await
    }

    fn say_queued(&self, job: JobId, total_s: f64) {
        let progress = RunProgress { stage: RunStage::Queued, stage_done: None, done_s: 0.0, total_s };
        (self.emit)(Event::RunProgress { job, progress });
    }

    async fn transcribe(
        &self,
        job: JobId,
        pipeline: PipelineId,
        options: TranscribeOptions,
        recording: &[f32],
        cancel: &CancelFlag,
    ) -> Result<Transcript> {
        let start = edge::Instant::now();
        let loaded = self.model(pipeline)?;
        self.until_complete(job, &loaded, cancel).await?;
        let mut place = self.lock(job, &loaded, seconds(recording.len())).await;
        let mut run = speech(self.present(job, &loaded, &mut place, cancel).await?)?.begin(options)?;
        let done = Cell::new(0.0);
        let mut emit = |event| self.emit_speech(job, event, &done, seconds(recording.len()));
        // The run remembers which windows are done, whatever computed them.
        loop {
            let model = speech(self.present(job, &loaded, &mut place, cancel).await?)?;
            let mut watch = Watch { cancel, on_progress: &mut |_| () };
            match model.transcribe(recording, &mut run, &mut watch, &mut emit).await {
                Ok(()) => return Ok(transcript(model, &loaded, run, recording.len(), edge::ms_since(start))),
                Err(error) => self.move_on(job, &loaded, &mut place, error, cancel).await?,
            }
        }
    }

    fn emit_speech(&self, job: JobId, event: SpeechEvent, done_s: &Cell<f64>, total_s: f64) {
        (self.emit)(match event {
            SpeechEvent::Stage(stage, stage_done) => {
                Event::RunProgress { job, progress: RunProgress { stage, stage_done, done_s: done_s.get(), total_s } }
            }
            SpeechEvent::Tentative(text, new_tokens) => Event::Tentative { job, text, new_tokens },
            SpeechEvent::Segments(segments) => {
                done_s.set(segments.last().map_or(done_s.get(), |segment| segment.end));
                Event::Segments { job, segments }
            }
        });
    }
}

fn speech(model: &mut Model) -> Result<&mut SpeechModel> {
    match model {
        Model::Speech(model) => Ok(model),
        other => Err(other.refuses("turns speech into text")),
    }
}

fn seconds(n_samples: usize) -> f64 {
    n_samples as f64 / SAMPLE_RATE_HZ as f64
}

/// A finished run as one value.
fn transcript(model: &SpeechModel, loaded: &Loaded, run: Transcription, n_samples: usize, total_ms: f64) -> Transcript {
    let choice = loaded.choice.borrow();
    let text: String = run.segments.iter().map(|segment| segment.text.as_str()).collect();
    let audio_s = seconds(n_samples);
    let timings = Timings {
        audio_s,
        mel_ms: run.timings.mel_ms,
        encode_ms: run.timings.encode_ms,
        decode_ms: run.timings.decode_ms,
        total_ms,
        first_token_ms: run.timings.first_token_ms,
        tokens_per_s: run.timings.n_tokens as f64 * 1e3 / run.timings.decode_ms.max(1e-3),
        rtf: total_ms / 1e3 / audio_s.max(1e-3),
    };
    Transcript {
        text: text.trim().to_string(),
        language: run.language.or_else(|| model.languages().first().cloned()).unwrap_or_default(),
        tokens: run.segments.iter().flat_map(|segment| segment.tokens.iter().copied()).collect(),
        segments: run.segments,
        timings,
        backend: choice.backend,
        adapter: choice.adapter.clone(),
    }
}
