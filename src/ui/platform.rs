//! The one API over the engine, for the panels and for `window.rill` alike: models, backends, feature tests, load, run,
//! report, dispose. It knows no signals and draws nothing.

use std::cell::{Cell, RefCell};
use std::future::Future;
use std::pin::Pin;
use std::rc::Rc;

use js_sys::{Array, Float32Array};
use serde::Serialize;

use super::client::{Attachment, Client, Reply};
use super::clock::{now_ms, origin_ms};
use super::debug_report::DebugReport;
use super::here;
use super::monitor::watch::Watch;
use super::monitor::{Monitor, MonitorReport};
use crate::audio::{capture, files};
use crate::protocol::{
    BackendChoice, BackendReport, BenchKernel, CachedModel, Command, Event, FEATURES, Failure, FailureKind,
    FeatureReport, GenerateOptions, GenerateTimings, Generation, GpuTimes, GraphNodes, HiddenState, Inspection, JobId,
    KernelFigure, LabelScore, LoadRequest, MaskCandidate, Matches, MemoryBytes, MemoryReport, ModelInfo, PipelineId,
    PipelineInfo, PipelineManifest, PipelineTrace, Precompile, QualityReport, Roofline, Timings, TranscribeOptions,
    Transcript, Tuning,
};

/// What this browser can run, and how to run it. Clones share one engine.
#[derive(Clone)]
pub struct Platform {
    client: Client,
    /// While the monitor is on.
    watch: Rc<RefCell<Option<Watch>>>,
}

/// A job under way: cancel it, or wait for what it gives.
pub struct Pending<T> {
    /// Stops the job.
    pub canceller: Canceller,
    result: Pin<Box<dyn Future<Output = Result<T, Failure>>>>,
}

impl<T> Pending<T> {
    /// Wait for the result. A cancelled job fails with [`FailureKind::Cancelled`].
    pub async fn result(self) -> Result<T, Failure> {
        self.result.await
    }
}

/// Stops a job, also from another task than the one that waits for it.
#[derive(Clone)]
pub struct Canceller {
    client: Client,
    /// The job.
    pub job: JobId,
}

impl Canceller {
    /// Ask the engine to stop the job. Without effect on a job that is done.
    pub fn cancel(&self) {
        self.client.send(Command::Cancel { job: self.job }, Attachment::None);
    }
}

impl Platform {
    /// The API over this worker.
    pub fn new(client: Client) -> Self {
        Self { client, watch: Rc::default() }
    }

    /// The models that can be loaded, once the engine is up.
    pub async fn models(&self) -> Result<Vec<ModelInfo>, Failure> {
        self.client.ready().await
    }

    /// Every backend, tried with a checked computation.
    pub async fn backends(&self, on_event: impl Fn(&Event) + 'static) -> Result<Vec<BackendReport>, Failure> {
        let reply = self.client.request(|job| Command::ProbeBackends { job }, Attachment::None, on_event);
        match reply.closing().await {
            Event::Backends { backends, .. } => Ok(backends),
            other => Err(failure_of(other)),
        }
    }

    /// Try one feature, by a name of [`FEATURES`].
    pub async fn test_feature_support(&self, name: &str) -> Result<FeatureReport, Failure> {
        if !FEATURES.contains(&name) {
            return Err(Failure {
                kind: FailureKind::Input,
                message: format!("there is no feature `{name}`"),
                hint: format!("The features are {}.", FEATURES.join(", ")),
            });
        }
        // A worker has no microphone: this one is answered by the page.
        if name == "microphone" {
            let start = now_ms();
            let (supported, reason) = capture::probe().await;
            return Ok(FeatureReport { name: name.into(), supported, reason, probe_ms: now_ms() - start });
        }
        let name = name.to_string();
        let reply = self.client.request(|job| Command::TestFeature { job, name }, Attachment::None, |_| {});
        match reply.closing().await {
            Event::Feature { report, .. } => Ok(report),
            other => Err(failure_of(other)),
        }
    }

    /// Try what belongs to no backend. A test that could not be made is left out.
    pub async fn other_features(&self) -> Vec<FeatureReport> {
        let mut found = Vec::new();
        for name in FEATURES.iter().filter(|name| !name.starts_with("web") && !name.starts_with("wasm")) {
            found.extend(self.test_feature_support(name).await);
        }
        found
    }

    /// The models kept in this browser.
    pub async fn cached(&self, on_event: impl Fn(&Event) + 'static) -> Result<Vec<CachedModel>, Failure> {
        cached_of(self.client.request(|job| Command::ListCached { job }, Attachment::None, on_event)).await
    }

    /// Remove a model's files from this browser, and tell what remains.
    pub async fn remove_cached(
        &self,
        model: String,
        on_event: impl Fn(&Event) + 'static,
    ) -> Result<Vec<CachedModel>, Failure> {
        cached_of(self.client.request(|job| Command::RemoveCached { job, model }, Attachment::None, on_event)).await
    }

    /// Load a model; from `files`, an array of `File`s, where the request's source says so. `on_event` hears its progress, `on_usable` gets
    /// the pipeline as soon as a part of the model can be used; it is the one that the load gives in the end.
    pub fn load(
        &self,
        request: LoadRequest,
        files: Option<Array>,
        on_event: impl Fn(&Event) + 'static,
        on_usable: impl Fn(Pipeline) + 'static,
    ) -> Pending<Pipeline> {
        let early: Rc<RefCell<Option<Pipeline>>> = Rc::default();
        let (client, present) = (self.client.clone(), early.clone());
        let on_event = move |event: &Event| {
            on_event(event);
            let Event::Usable { pipeline: info, .. } = event else { return };
            let known = present.borrow().clone();
            match known {
                Some(pipeline) => *pipeline.info.borrow_mut() = info.clone(),
                None => {
                    let pipeline = Pipeline::new(client.clone(), info.clone());
                    *present.borrow_mut() = Some(pipeline.clone());
                    on_usable(pipeline);
                }
            }
        };
        let files = files.map_or(Attachment::None, Attachment::Files);
        let reply = self.client.request(|job| Command::Load { job, request }, files, on_event);
        let client = self.client.clone();
        self.pending(reply, move |event| match (event, early.take()) {
            (Event::Loaded { pipeline: info, .. }, Some(pipeline)) => {
                *pipeline.info.borrow_mut() = info;
                Ok(pipeline)
            }
            (Event::Loaded { pipeline: info, .. }, None) => Ok(Pipeline::new(client, info)),
            (other, early) => {
                if let Some(pipeline) = early {
                    pipeline.dispose();
                }
                Err(failure_of(other))
            }
        })
    }

    /// Whether a backend that fails gives way to the next one (the default), or its failure is an error.
    pub fn enable_feature_fallbacks(&self, allowed: bool) {
        self.client.send(Command::AllowFallbacks { allowed }, Attachment::None);
    }

    /// Forget what was measured to choose backends: the next automatic load measures again.
    pub async fn forget_measurements(&self) -> Result<(), Failure> {
        match self.client.request(|job| Command::ForgetMeasurements { job }, Attachment::None, |_| {}).closing().await {
            Event::MeasurementsForgotten { .. } => Ok(()),
            other => Err(failure_of(other)),
        }
    }

    /// What the engine holds in memory now.
    pub async fn memory(&self) -> Result<MemoryReport, Failure> {
        match self.client.request(|job| Command::Memory { job }, Attachment::None, |_| {}).closing().await {
            Event::Memory { report, .. } => Ok(report),
            other => Err(failure_of(other)),
        }
    }

    /// Measure what the GPU can do at best; what was measured in this engine's life is told again.
    pub async fn roofline(&self) -> Result<Roofline, Failure> {
        match self.client.request(|job| Command::MeasureRoofline { job }, Attachment::None, |_| {}).closing().await {
            Event::Roofline { roofline, .. } => Ok(roofline),
            other => Err(failure_of(other)),
        }
    }

    /// Measure how fast a kernel is by itself on a backend.
    pub fn kernel(&self, backend: BackendChoice, kernel: BenchKernel) -> Pending<KernelFigure> {
        let measure = |job| Command::MeasureKernel { job, backend, kernel };
        let reply = self.client.request(measure, Attachment::None, |_| {});
        self.pending(reply, |event| match event {
            Event::Kernel { figure, .. } => Ok(figure),
            other => Err(failure_of(other)),
        })
    }

    /// What the tuner found on this GPU, after `forget` is done.
    pub async fn tuning(&self, forget: bool) -> Result<Tuning, Failure> {
        match self.client.request(|job| Command::Tuning { job, forget }, Attachment::None, |_| {}).closing().await {
            Event::Tuning { tuning, .. } => Ok(tuning),
            other => Err(failure_of(other)),
        }
    }

    /// The pipelines of this GPU, after `forget` has thrown the list of before away.
    pub async fn pipelines(&self, forget: bool) -> Result<PipelineManifest, Failure> {
        let reply = self.client.request(|job| Command::Pipelines { job, forget }, Attachment::None, |_| {});
        manifest_of(reply.closing().await)
    }

    /// Make listed pipelines. `on_event` hears how far it is.
    pub fn precompile(&self, which: Precompile, on_event: impl Fn(&Event) + 'static) -> Pending<PipelineManifest> {
        let reply = self.client.request(|job| Command::Precompile { job, which }, Attachment::None, on_event);
        self.pending(reply, manifest_of)
    }

    /// Whether everything that the shader compiler says is noted from now on.
    pub fn log_compilation(&self, on: bool) {
        self.client.send(Command::LogCompilation { on }, Attachment::None);
    }

    /// What helps to find a fault. Takes as long as the probes of backends; what the engine does not answer is left out. `with_words` keeps
    /// the words of refusals, which can quote what was put in.
    pub async fn debug_report(&self, with_words: bool) -> DebugReport {
        let backends = self.backends(|_| {}).await.unwrap_or_default();
        let features = self.other_features().await;
        let (memory, tuning) = (self.memory().await.ok(), self.tuning(false).await.ok());
        // Where there is no GPU, one refusal is enough.
        let pipelines = if tuning.is_some() { self.pipelines(false).await.ok() } else { None };
        let cached = self.cached(|_| {}).await.unwrap_or_default();
        let chronicle = self.client.chronicle();
        DebugReport {
            rill: here::version(),
            created: here::time(),
            browser: here::agent(),
            cores: here::cores(),
            cross_origin_isolated: here::is_isolated(),
            backends,
            features,
            memory,
            cached,
            tuning,
            pipelines,
            gpu_times: self.monitor_report().map(|report| report.gpu.totals).unwrap_or_default(),
            chronicle: if with_words { chronicle } else { chronicle.without_words() },
        }
    }

    /// What the GPU did since the last asking, and whether ordinary runs are timed from now on.
    async fn gpu_times(&self, on: bool) -> Result<GpuTimes, Failure> {
        match self.client.request(|job| Command::GpuTimes { job, on }, Attachment::None, |_| {}).closing().await {
            Event::GpuTimes { times, .. } => Ok(times),
            other => Err(failure_of(other)),
        }
    }

    /// Begin to watch what is loaded and run; what was watched before is forgotten.
    pub fn start_monitor(&self) {
        let monitor = self.client.monitor();
        *monitor.borrow_mut() = Some(Monitor::start(now_ms(), origin_ms(), Watch::timed_tasks()));
        let client = self.client.clone();
        *self.watch.borrow_mut() = Some(Watch::begin(monitor, move || {
            let platform = Platform::new(client.clone());
            // The monitor hears the answers; none comes from an engine that is gone. Both are sent at once: a stop comes after them.
            let (memory, times) = (platform.clone(), platform);
            wasm_bindgen_futures::spawn_local(async move { drop(memory.memory().await) });
            wasm_bindgen_futures::spawn_local(async move { drop(times.gpu_times(true).await) });
        }));
    }

    /// Watch no more. What was found stays until the next start. What comes back ends when the GPU's last times are among it.
    pub fn stop_monitor(&self) -> impl Future<Output = ()> + use<> {
        self.watch.take();
        let monitor = self.client.monitor();
        if let Some(monitor) = monitor.borrow_mut().as_mut() {
            monitor.stop(now_ms());
        }
        let platform = self.clone();
        async move {
            let last = platform.gpu_times(false).await;
            if let (Ok(times), Some(monitor)) = (last, monitor.borrow_mut().as_mut().filter(|monitor| !monitor.is_on()))
            {
                monitor.note_gpu(&times);
            }
        }
    }

    /// What was found since the last start.
    pub fn monitor_report(&self) -> Option<MonitorReport> {
        self.client.monitor().borrow().as_ref().map(|monitor| monitor.report(now_ms()))
    }

    /// Whether the engine stopped for ever.
    pub fn is_crashed(&self) -> bool {
        self.client.is_crashed()
    }

    /// Start the engine anew after a crash.
    pub fn restart(&self) {
        self.client.restart();
    }

    fn pending<T: 'static>(
        &self,
        reply: Reply,
        finish: impl FnOnce(Event) -> Result<T, Failure> + 'static,
    ) -> Pending<T> {
        pending(&self.client, reply, finish)
    }
}

/// A loaded model.
#[derive(Clone)]
pub struct Pipeline {
    client: Client,
    /// What was loaded, on what: after a move, on what it runs now.
    info: Rc<RefCell<PipelineInfo>>,
    disposed: Rc<Cell<bool>>,
    history: Rc<RefCell<History>>,
}

#[derive(Default)]
struct History {
    runs: u32,
    last: Option<Timings>,
}

/// What a pipeline is and what it has done so far.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct PipelineReport {
    /// The model, backend, adapter, memory and load times.
    pub pipeline: PipelineInfo,
    /// Finished runs.
    pub runs: u32,
    /// Of the last finished transcription.
    pub last_timings: Option<Timings>,
}

impl Pipeline {
    fn new(client: Client, info: PipelineInfo) -> Self {
        Self { client, info: Rc::new(RefCell::new(info)), disposed: Rc::default(), history: Rc::default() }
    }

    /// What was loaded, and on what it runs now.
    pub fn info(&self) -> PipelineInfo {
        self.info.borrow().clone()
    }

    /// Follows the events of a job: a move changes what this pipeline runs on.
    fn followed(&self, on_event: impl Fn(&Event) + 'static) -> impl Fn(&Event) + 'static {
        let info = self.info.clone();
        move |event| {
            if let Event::Moved { pipeline, .. } = event {
                *info.borrow_mut() = pipeline.clone();
            }
            on_event(event);
        }
    }

    /// Transcribe a whole recording: 16 kHz, mono.
    pub fn transcribe(
        &self,
        samples: &[f32],
        options: TranscribeOptions,
        on_event: impl Fn(&Event) + 'static,
    ) -> Result<Pending<Transcript>, Failure> {
        files::check_length(samples.len())?;
        let history = self.history.clone();
        let command = |job, pipeline| Command::Transcribe { job, pipeline, options };
        self.run(command, Attachment::Samples(Float32Array::from(samples)), on_event, transcript_into(history))
    }

    /// Begin a recording that is transcribed while it is made.
    pub fn stream(
        &self,
        options: TranscribeOptions,
        on_event: impl Fn(&Event) + 'static,
    ) -> Result<(Stream, Pending<Transcript>), Failure> {
        let history = self.history.clone();
        let command = |job, pipeline| Command::StreamStart { job, pipeline, options };
        let transcript = self.run(command, Attachment::None, on_event, transcript_into(history))?;
        let stream = Stream { client: self.client.clone(), job: transcript.canceller.job };
        Ok((stream, transcript))
    }

    /// Turn texts into vectors.
    pub fn embed(
        &self,
        texts: Vec<String>,
        batch_size: Option<u32>,
        on_event: impl Fn(&Event) + 'static,
    ) -> Result<Pending<Embeddings>, Failure> {
        let command = |job, pipeline| Command::Embed { job, pipeline, texts, batch_size };
        self.run(command, Attachment::None, on_event, embeddings_of)
    }

    /// Turn pictures (an array of `Blob`s) into vectors.
    pub fn embed_pictures(
        &self,
        pictures: Array,
        batch_size: Option<u32>,
        on_event: impl Fn(&Event) + 'static,
    ) -> Result<Pending<Embeddings>, Failure> {
        let command = |job, pipeline| Command::EmbedPictures { job, pipeline, batch_size };
        self.run(command, Attachment::Files(pictures), on_event, embeddings_of)
    }

    /// Read the last hidden state for each token of texts, and how many of them were cut.
    pub fn hidden_states(
        &self,
        texts: Vec<String>,
        batch_size: Option<u32>,
        on_event: impl Fn(&Event) + 'static,
    ) -> Result<Pending<(Vec<HiddenState>, u32)>, Failure> {
        let command = |job, pipeline| Command::HiddenStates { job, pipeline, texts, batch_size };
        self.run(command, Attachment::None, on_event, |event| match event {
            Event::HiddenStates { states, n_cut, .. } => Ok((states, n_cut)),
            other => Err(failure_of(other)),
        })
    }

    /// Find words for the gaps in texts: for each text its candidates.
    pub fn fill_mask(
        &self,
        texts: Vec<String>,
        top_k: u32,
        batch_size: Option<u32>,
        on_event: impl Fn(&Event) + 'static,
    ) -> Result<Pending<Vec<Vec<MaskCandidate>>>, Failure> {
        let command = |job, pipeline| Command::FillMask { job, pipeline, texts, top_k, batch_size };
        self.run(command, Attachment::None, on_event, |event| match event {
            Event::Filled { results, .. } => Ok(results),
            other => Err(failure_of(other)),
        })
    }

    /// Write a text for each text.
    pub fn generate(
        &self,
        texts: Vec<String>,
        options: GenerateOptions,
        on_event: impl Fn(&Event) + 'static,
    ) -> Result<Pending<(Vec<Generation>, GenerateTimings)>, Failure> {
        let command = |job, pipeline| Command::Generate { job, pipeline, texts, options };
        self.run(command, Attachment::None, on_event, |event| match event {
            Event::Generated { outputs, timings, .. } => Ok((outputs, timings)),
            other => Err(failure_of(other)),
        })
    }

    /// Name what is on pictures (an array of `Blob`s): for each its `top_k` labels.
    pub fn classify(
        &self,
        pictures: Array,
        top_k: u32,
        batch_size: Option<u32>,
        on_event: impl Fn(&Event) + 'static,
    ) -> Result<Pending<Vec<Vec<LabelScore>>>, Failure> {
        let command = |job, pipeline| Command::Classify { job, pipeline, top_k, batch_size };
        self.run(command, Attachment::Files(pictures), on_event, |event| match event {
            Event::Classified { results, .. } => Ok(results),
            other => Err(failure_of(other)),
        })
    }

    /// Compare pictures (an array of `Blob`s) with texts.
    pub fn match_pictures(
        &self,
        pictures: Array,
        texts: Vec<String>,
        batch_size: Option<u32>,
        on_event: impl Fn(&Event) + 'static,
    ) -> Result<Pending<Matches>, Failure> {
        let command = |job, pipeline| Command::Match { job, pipeline, texts, batch_size };
        self.run(command, Attachment::Files(pictures), on_event, |event| match event {
            Event::Matched { matches, .. } => Ok(matches),
            other => Err(failure_of(other)),
        })
    }

    /// Find out what the model's precision costs beside f32. `speech` (16 kHz, mono) is what a speech model is tried with; others look at
    /// samples of their own.
    pub fn quality(
        &self,
        speech: &[f32],
        on_event: impl Fn(&Event) + 'static,
    ) -> Result<Pending<QualityReport>, Failure> {
        let command = |job, pipeline| Command::MeasureQuality { job, pipeline };
        self.run(command, Attachment::Samples(Float32Array::from(speech)), on_event, |event| match event {
            Event::Quality { report, .. } => Ok(report),
            other => Err(failure_of(other)),
        })
    }

    /// Time the stages of a model on a GPU, dispatch by dispatch.
    pub fn trace(&self, on_event: impl Fn(&Event) + 'static) -> Result<Pending<PipelineTrace>, Failure> {
        let command = |job, pipeline| Command::Trace { job, pipeline };
        self.run(command, Attachment::None, on_event, |event| match event {
            Event::Traced { trace, .. } => Ok(trace),
            other => Err(failure_of(other)),
        })
    }

    /// The nodes of a model's graphs.
    pub fn nodes(&self) -> Result<Pending<Vec<GraphNodes>>, Failure> {
        self.run(
            |job, pipeline| Command::Nodes { job, pipeline },
            Attachment::None,
            |_| {},
            |event| match event {
                Event::Nodes { graphs, .. } => Ok(graphs),
                other => Err(failure_of(other)),
            },
        )
    }

    /// Hold nodes of a graph against their plain definitions; all where none is named.
    pub fn inspect(
        &self,
        graph: String,
        nodes: Option<Vec<u32>>,
        on_event: impl Fn(&Event) + 'static,
    ) -> Result<Pending<Inspection>, Failure> {
        let command = |job, pipeline| Command::Inspect { job, pipeline, graph, nodes };
        self.run(command, Attachment::None, on_event, |event| match event {
            Event::Inspected { inspection, .. } => Ok(inspection),
            other => Err(failure_of(other)),
        })
    }

    /// Sends a command for this pipeline and counts the run when it is done.
    fn run<T: 'static>(
        &self,
        command: impl FnOnce(JobId, PipelineId) -> Command,
        attachment: Attachment,
        on_event: impl Fn(&Event) + 'static,
        finish: impl FnOnce(Event) -> Result<T, Failure> + 'static,
    ) -> Result<Pending<T>, Failure> {
        self.usable()?;
        let pipeline = self.info.borrow().id;
        let reply = self.client.request(|job| command(job, pipeline), attachment, self.followed(on_event));
        let history = self.history.clone();
        Ok(pending(&self.client, reply, move |event| {
            let result = finish(event)?;
            history.borrow_mut().runs += 1;
            Ok(result)
        }))
    }

    /// What it holds in memory now.
    pub async fn memory(&self) -> Result<MemoryBytes, Failure> {
        self.usable()?;
        let report = Platform::new(self.client.clone()).memory().await?;
        let id = self.info.borrow().id;
        Ok(report.pipelines.into_iter().find(|each| each.pipeline == id).map(|each| each.bytes).unwrap_or_default())
    }

    /// What was loaded and what it has done so far.
    pub fn report(&self) -> PipelineReport {
        let history = self.history.borrow();
        PipelineReport { pipeline: self.info(), runs: history.runs, last_timings: history.last }
    }

    /// Free the model and its GPU memory. Running it afterwards fails; a second call does nothing.
    pub fn dispose(&self) {
        if !self.disposed.replace(true) {
            self.client.send(Command::Dispose { pipeline: self.info.borrow().id }, Attachment::None);
        }
    }

    fn usable(&self) -> Result<(), Failure> {
        if self.disposed.get() {
            return Err(Failure {
                kind: FailureKind::Input,
                message: format!("`{}` was disposed of", self.info.borrow().model.id),
                hint: "Load the model again.".into(),
            });
        }
        Ok(())
    }
}

/// What inputs became as vectors.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Embeddings {
    /// One for each input, in order.
    pub embeddings: Vec<Vec<f32>>,
    /// How many inputs were longer than the model takes, and were cut.
    pub n_cut: u32,
}

/// The transcript that closed a job; its timings are what was measured last.
fn transcript_into(history: Rc<RefCell<History>>) -> impl FnOnce(Event) -> Result<Transcript, Failure> {
    move |event| match event {
        Event::Transcribed { transcript, .. } => {
            history.borrow_mut().last = Some(transcript.timings);
            Ok(transcript)
        }
        other => Err(failure_of(other)),
    }
}

fn embeddings_of(event: Event) -> Result<Embeddings, Failure> {
    match event {
        Event::Embedded { embeddings, n_cut, .. } => Ok(Embeddings { embeddings, n_cut }),
        other => Err(failure_of(other)),
    }
}

/// A recording that is transcribed while it is made.
pub struct Stream {
    client: Client,
    job: JobId,
}

impl Stream {
    /// More of the recording: 16 kHz, mono.
    pub fn push(&self, samples: &[f32]) {
        self.client.send(Command::StreamAudio { job: self.job }, Attachment::Samples(Float32Array::from(samples)));
    }

    /// The recording is complete.
    pub fn end(&self) {
        self.client.send(Command::StreamEnd { job: self.job }, Attachment::None);
    }
}

fn pending<T: 'static>(
    client: &Client,
    reply: Reply,
    finish: impl FnOnce(Event) -> Result<T, Failure> + 'static,
) -> Pending<T> {
    let canceller = Canceller { client: client.clone(), job: reply.job };
    Pending { canceller, result: Box::pin(async move { finish(reply.closing().await) }) }
}

fn manifest_of(event: Event) -> Result<PipelineManifest, Failure> {
    match event {
        Event::Pipelines { manifest, .. } => Ok(manifest),
        other => Err(failure_of(other)),
    }
}

async fn cached_of(reply: Reply) -> Result<Vec<CachedModel>, Failure> {
    match reply.closing().await {
        Event::Cached { models, .. } => Ok(models),
        other => Err(failure_of(other)),
    }
}

/// The failure that closed a job, or the complaint that another answer than the job's own did.
fn failure_of(event: Event) -> Failure {
    match event {
        Event::Failed { failure, .. } => failure,
        other => Failure {
            kind: FailureKind::Internal,
            message: format!("the engine answered something else than was asked: {other:?}"),
            hint: "This is a bug in Rill. Please report it with these words.".into(),
        },
    }
}
