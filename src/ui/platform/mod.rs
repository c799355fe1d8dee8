//! The one API over the engine, for the panels and for `window.rill` alike: models, backends, feature tests, load, run,
//! report, dispose. It knows no signals and draws nothing.

mod pending;
mod pipeline;

pub use pending::{Canceller, Pending};
pub use pipeline::{Embeddings, Pipeline, PipelineReport, Stream};

use std::cell::RefCell;
use std::future::Future;
use std::rc::Rc;

use js_sys::Array;

use crate::audio::capture;
use crate::protocol::{
    BackendChoice, BackendReport, BenchKernel, CachedModel, Command, Event, FEATURES, Failure, FailureKind,
    FeatureReport, GpuTimes, KernelFigure, LoadRequest, MemoryReport, ModelInfo, PipelineManifest, Precompile,
    Roofline, Tuning,
};
use crate::ui::client::{Attachment, Client, Reply};
use crate::ui::clock::{now_ms, origin_ms};
use crate::ui::debug_report::DebugReport;
use crate::ui::here;
use crate::ui::monitor::watch::Watch;
use crate::ui::monitor::{Monitor, MonitorReport};
use pending::{failure_of, pending};

/// What this browser can run, and how to run it. Clones share one engine.
#[derive(Clone)]
pub struct Platform {
    client: Client,
    /// While the monitor is on.
    watch: Rc<RefCell<Option<Watch>>>,
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
                Some(pipeline) => pipeline.is_now(info.clone()),
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
                pipeline.is_now(info);
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

    /// End the engine and all that it does, because the page is being left.
    pub fn end(&self) {
        self.client.end();
    }

    /// Start the engine anew after a crash, or when the page is back.
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
