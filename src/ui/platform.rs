//! The one API over the engine, for the panels and for `window.rill` alike: models, backends, feature tests, load, run,
//! report, dispose. It knows no signals and draws nothing.

use std::cell::{Cell, RefCell};
use std::future::Future;
use std::pin::Pin;
use std::rc::Rc;

use js_sys::Float32Array;
use serde::Serialize;

use super::client::{Client, Reply};
use crate::audio::{capture, files};
use crate::protocol::{
    BackendReport, CachedModel, Command, Event, FEATURES, Failure, FailureKind, FeatureReport, JobId, LoadRequest,
    ModelInfo, PipelineInfo, Timings, TranscribeOptions, Transcript,
};

/// What this browser can run, and how to run it. Clones share one engine.
#[derive(Clone)]
pub struct Platform {
    client: Client,
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
        self.client.send(Command::Cancel { job: self.job }, None);
    }
}

impl Platform {
    /// The API over this worker.
    pub fn new(client: Client) -> Self {
        Self { client }
    }

    /// The models that can be loaded, once the engine is up.
    pub async fn models(&self) -> Result<Vec<ModelInfo>, Failure> {
        self.client.ready().await
    }

    /// Every backend, tried with a checked computation.
    pub async fn backends(&self, on_event: impl Fn(&Event) + 'static) -> Result<Vec<BackendReport>, Failure> {
        let reply = self.client.request(|job| Command::ProbeBackends { job }, None, on_event);
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
        let reply = self.client.request(|job| Command::TestFeature { job, name }, None, |_| {});
        match reply.closing().await {
            Event::Feature { report, .. } => Ok(report),
            other => Err(failure_of(other)),
        }
    }

    /// The models kept in this browser.
    pub async fn cached(&self, on_event: impl Fn(&Event) + 'static) -> Result<Vec<CachedModel>, Failure> {
        cached_of(self.client.request(|job| Command::ListCached { job }, None, on_event)).await
    }

    /// Remove a model's files from this browser, and tell what remains.
    pub async fn remove_cached(
        &self,
        model: String,
        on_event: impl Fn(&Event) + 'static,
    ) -> Result<Vec<CachedModel>, Failure> {
        cached_of(self.client.request(|job| Command::RemoveCached { job, model }, None, on_event)).await
    }

    /// Load a model. `on_event` hears its progress.
    pub fn load(&self, request: LoadRequest, on_event: impl Fn(&Event) + 'static) -> Pending<Pipeline> {
        let reply = self.client.request(|job| Command::Load { job, request }, None, on_event);
        let client = self.client.clone();
        self.pending(reply, move |event| match event {
            Event::Loaded { pipeline, .. } => Ok(Pipeline::new(client, pipeline)),
            other => Err(failure_of(other)),
        })
    }

    /// Whether a backend that fails gives way to the next one (the default), or its failure is an error.
    pub fn enable_feature_fallbacks(&self, allowed: bool) {
        self.client.send(Command::AllowFallbacks { allowed }, None);
    }

    /// Forget what was measured to choose backends: the next automatic load measures again.
    pub async fn forget_measurements(&self) -> Result<(), Failure> {
        match self.client.request(|job| Command::ForgetMeasurements { job }, None, |_| {}).closing().await {
            Event::MeasurementsForgotten { .. } => Ok(()),
            other => Err(failure_of(other)),
        }
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
        self.usable()?;
        files::check_length(samples.len())?;
        let pipeline = self.info.borrow().id;
        let samples = Float32Array::from(samples);
        let reply = self.client.request(
            |job| Command::Transcribe { job, pipeline, options },
            Some(samples),
            self.followed(on_event),
        );
        Ok(self.transcript_of(reply))
    }

    /// Begin a recording that is transcribed while it is made.
    pub fn stream(
        &self,
        options: TranscribeOptions,
        on_event: impl Fn(&Event) + 'static,
    ) -> Result<(Stream, Pending<Transcript>), Failure> {
        self.usable()?;
        let pipeline = self.info.borrow().id;
        let reply =
            self.client.request(|job| Command::StreamStart { job, pipeline, options }, None, self.followed(on_event));
        let stream = Stream { client: self.client.clone(), job: reply.job };
        Ok((stream, self.transcript_of(reply)))
    }

    /// Turn texts into unit vectors.
    pub fn embed(
        &self,
        texts: Vec<String>,
        on_event: impl Fn(&Event) + 'static,
    ) -> Result<Pending<Vec<Vec<f32>>>, Failure> {
        self.usable()?;
        let pipeline = self.info.borrow().id;
        let reply = self.client.request(|job| Command::Embed { job, pipeline, texts }, None, self.followed(on_event));
        let history = self.history.clone();
        Ok(pending(&self.client, reply, move |event| match event {
            Event::Embedded { embeddings, .. } => {
                history.borrow_mut().runs += 1;
                Ok(embeddings)
            }
            other => Err(failure_of(other)),
        }))
    }

    /// What was loaded and what it has done so far.
    pub fn report(&self) -> PipelineReport {
        let history = self.history.borrow();
        PipelineReport { pipeline: self.info(), runs: history.runs, last_timings: history.last }
    }

    /// Free the model and its GPU memory. Running it afterwards fails; a second call does nothing.
    pub fn dispose(&self) {
        if !self.disposed.replace(true) {
            self.client.send(Command::Dispose { pipeline: self.info.borrow().id }, None);
        }
    }

    fn transcript_of(&self, reply: Reply) -> Pending<Transcript> {
        let history = self.history.clone();
        pending(&self.client, reply, move |event| match event {
            Event::Transcribed { transcript, .. } => {
                let mut history = history.borrow_mut();
                history.runs += 1;
                history.last = Some(transcript.timings);
                Ok(transcript)
            }
            other => Err(failure_of(other)),
        })
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

/// A recording that is transcribed while it is made.
pub struct Stream {
    client: Client,
    job: JobId,
}

impl Stream {
    /// More of the recording: 16 kHz, mono.
    pub fn push(&self, samples: &[f32]) {
        self.client.send(Command::StreamAudio { job: self.job }, Some(Float32Array::from(samples)));
    }

    /// The recording is complete.
    pub fn end(&self) {
        self.client.send(Command::StreamEnd { job: self.job }, None);
    }
}

fn now_ms() -> f64 {
    web_sys::window().and_then(|window| window.performance()).map_or(0.0, |clock| clock.now())
}

fn pending<T: 'static>(
    client: &Client,
    reply: Reply,
    finish: impl FnOnce(Event) -> Result<T, Failure> + 'static,
) -> Pending<T> {
    let canceller = Canceller { client: client.clone(), job: reply.job };
    Pending { canceller, result: Box::pin(async move { finish(reply.closing().await) }) }
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
