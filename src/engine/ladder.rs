//! Which backends work here, found out by using them, and which one a model gets: the one that a piece of it ran fastest on, and
//! the next one where that fails.

use super::check::probe;
use super::cpu::Cpu;
use super::gpu::Gpu;
use super::graph::{RecordOptions, WeightForm};
use super::measure::{self, Representative};
use super::remember::Facts;
use super::session::Device;
use super::tensor::DType;
use super::webnn::{Context, DeviceType};
use super::{Error, Result, edge};
use crate::protocol::{BackendChoice, GpuTimes, KernelLevel, MeasuredChoice, Measurement, Precision};
use async_lock::Mutex;
use std::cell::{Cell, RefCell};
use std::collections::BTreeSet;
use std::rc::Rc;

/// The backends from the most to the least specialised, which is their order where nothing was measured.
pub const RUNGS: [BackendChoice; 3] = [BackendChoice::WebGpu, BackendChoice::WebNn, BackendChoice::Wasm];

/// The devices of this machine, opened when first asked for, and what is known of their speed.
#[derive(Debug, Default)]
pub struct Ladder {
    /// Address of the app, which has the processor's kernels beside it.
    app_url: String,
    gpu: Mutex<Option<Rc<Gpu>>>,
    nn: Mutex<Option<Rc<Context>>>,
    cpu: Mutex<Option<Rc<Cpu>>>,
    pub(super) facts: Facts,
    /// Held while the list of pipelines is changed.
    pub(super) listing: Mutex<()>,
    logs_compilation: Cell<bool>,
    times_runs: Cell<bool>,
    /// Pipelines that whoever watches was told of, by their places in the order of making.
    pub(super) told: RefCell<BTreeSet<u32>>,
}

/// A device, and why this one.
#[derive(Debug, Clone)]
pub struct Choice {
    /// What computes.
    pub device: Device,
    /// Which backend that is.
    pub backend: BackendChoice,
    /// Its name.
    pub adapter: String,
    /// Whether it computes on the processor.
    pub software: bool,
    /// What was given of what was asked for.
    pub precision: Precision,
    /// In one sentence.
    pub reason: String,
    /// The figures that decided, where any did.
    pub measured: Option<MeasuredChoice>,
}

/// What is wanted of a device.
#[derive(Clone, Copy)]
pub struct Wish<'a> {
    /// Which backend.
    pub backend: BackendChoice,
    /// Which precision.
    pub precision: Precision,
    /// Whether something less may be given than was asked for.
    pub fallbacks: bool,
    /// Threads of the processor; `None` for one on each of its cores.
    pub threads: Option<usize>,
    /// What will run on it, by a name that stands for its shapes; without it nothing is measured.
    pub model: Option<(&'a str, &'a dyn Representative)>,
}

impl Choice {
    /// How a program is recorded for this device.
    pub fn record_options(&self) -> RecordOptions {
        let activation = if self.precision == Precision::F16 { DType::F16 } else { DType::F32 };
        let weights = match self.precision {
            Precision::Int8 => WeightForm::Int8,
            Precision::Int4 => WeightForm::Int4,
            Precision::F32 | Precision::F16 => self.device.weights(),
        };
        RecordOptions { activation, weights, kernels: KernelLevel::default() }
    }

    fn because(mut self, why: impl std::fmt::Display) -> Self {
        self.reason = format!("{}: {why}{}", name_of(self.backend), self.reason);
        self
    }
}

impl Ladder {
    /// Nothing opened yet. `app_url` ends with a slash; natively it is not used.
    pub fn new(app_url: impl Into<String>) -> Self {
        Self { app_url: app_url.into(), ..Self::default() }
    }

    /// The GPU, opened and probed once; opened again after it was lost.
    pub async fn gpu(&self) -> Result<Rc<Gpu>> {
        // Held while the device is opened: two who ask at once get the same one.
        let mut place = self.gpu.lock().await;
        if let Some(gpu) = place.as_ref().filter(|gpu| gpu.check().is_ok()) {
            return Ok(gpu.clone());
        }
        let gpu = Gpu::open().await?;
        probe(&Device::Gpu(gpu.clone())).await.map_err(|e| Error::BackendUnavailable {
            backend: "webgpu",
            reason: format!("`{}` was found, but a test computation failed on it: {e}", gpu.name),
        })?;
        if let Some(kept) = self.facts.get(&tuning_key(&gpu)).await {
            // What an earlier build wrote otherwise is tried anew.
            gpu.set_tuning(serde_json::from_str(&kept).unwrap_or_default());
        }
        gpu.log_compilation(self.logs_compilation.get());
        gpu.time_runs(self.times_runs.get()).await?;
        *place = Some(gpu.clone());
        Ok(gpu)
    }

    /// Whether everything that the GPU's shader compiler says is noted from now on.
    pub async fn log_compilation(&self, on: bool) {
        self.logs_compilation.set(on);
        if let Some(gpu) = self.gpu.lock().await.as_ref() {
            gpu.log_compilation(on);
        }
    }

    /// What the GPU worked on, and which pipelines were made, since the last asking; and whether runs are timed from now on, also on a GPU
    /// that is opened later.
    pub async fn gpu_times(&self, on: bool) -> Result<GpuTimes> {
        let begins = on && !self.times_runs.get();
        self.times_runs.set(on);
        let gpu = self.gpu.lock().await.clone();
        match gpu.filter(|gpu| gpu.check().is_ok()) {
            Some(gpu) => {
                gpu.time_runs(on).await?;
                let pipelines = self.newly_made(&gpu).await;
                let times = gpu.take_times().await?;
                // Those of before are nobody's business.
                Ok(GpuTimes { pipelines: if begins { Vec::new() } else { pipelines }, ..times })
            }
            None => Ok(GpuTimes::default()),
        }
    }

    /// Keeps what the tuner has found on a device, for this browser and this build.
    pub async fn keep_tuning(&self, device: &Device) {
        if let Device::Gpu(gpu) = device
            && let Ok(fact) = serde_json::to_string(&gpu.tuning().kernels)
        {
            self.facts.put(&tuning_key(gpu), &fact).await;
        }
    }

    /// Throws away what the tuner has found: models that are loaded keep their kernels.
    pub async fn forget_tuning(&self, gpu: &Rc<Gpu>) {
        gpu.set_tuning(Vec::new());
        self.keep_tuning(&Device::Gpu(gpu.clone())).await;
    }

    /// The first device type of WebNN whose test computation comes out right; opened again after it was lost.
    pub async fn nn(&self) -> Result<Rc<Context>> {
        let mut place = self.nn.lock().await;
        if let Some(context) = place.as_ref().filter(|context| context.check().is_ok()) {
            return Ok(context.clone());
        }
        let mut reasons = Vec::new();
        for device_type in DeviceType::ALL {
            match Context::open_probed(device_type).await {
                Ok(context) => {
                    *place = Some(context.clone());
                    return Ok(context);
                }
                Err(Error::BackendUnavailable { reason, .. }) => reasons.push(reason),
                Err(other) => return Err(other),
            }
        }
        // Where the browser has no WebNN at all, each device type says the same behind its name.
        let general = |reason: &String| reason.split_once(": ").map_or(reason.clone(), |(_, general)| general.into());
        let first = reasons.first().map(general).unwrap_or_default();
        let reason = if reasons.iter().all(|reason| general(reason) == first) { first } else { reasons.join("; ") };
        Err(Error::BackendUnavailable { backend: "webnn", reason })
    }

    /// The processor with the build of the kernels that fits it, opened and probed once.
    pub async fn cpu(&self) -> Result<Rc<Cpu>> {
        let mut place = self.cpu.lock().await;
        if let Some(cpu) = place.as_ref() {
            return Ok(cpu.clone());
        }
        let cpu = Cpu::open(&self.app_url).await?;
        probe(&Device::Cpu(cpu.clone())).await.map_err(|e| Error::BackendUnavailable {
            backend: "wasm",
            reason: format!("a test computation of the processor's kernels failed: {e}"),
        })?;
        *place = Some(cpu.clone());
        Ok(cpu)
    }

    /// The device for a model.
    pub async fn choose(&self, wish: &Wish<'_>) -> Result<Choice> {
        if wish.backend != BackendChoice::Auto {
            return Ok(self.open(wish.backend, wish).await?.because("chosen by name"));
        }
        let mut open = Vec::new();
        let mut missing = Vec::new();
        for backend in RUNGS {
            match self.open(backend, wish).await {
                Ok(choice) => open.push(choice),
                Err(error) => missing.push(error),
            }
        }
        match (open.len(), wish.model) {
            (0, _) => Err(missing.remove(0)),
            (1, _) => {
                let why: Vec<String> = missing.iter().map(Error::to_string).collect();
                Ok(open.remove(0).because(format!("the only backend that works here ({})", why.join("; "))))
            }
            (_, Some((name, model))) => self.fastest(open, name, model).await,
            // A software adapter is no reason to prefer the GPU's kernels to the processor's own.
            (n, None) => {
                let best = open.iter().position(|choice| !choice.software).unwrap_or(n - 1);
                Ok(open.swap_remove(best).because("the first backend that works here; nothing was measured"))
            }
        }
    }

    /// The next rung for work that `failed` could not do because of `error`: 16 bits where memory for 32 ran out, 32 where 16 came
    /// out wrong, then another backend. That the same rung may do with less memory is the business of the load. `tried` are the rungs that failed before, this one among them.
    pub async fn next(
        &self,
        failed: &Choice,
        error: &Error,
        tried: &[(BackendChoice, Precision)],
        wish: &Wish<'_>,
    ) -> Option<Choice> {
        let other = match error {
            // From 8 bits or 4 it would be a step up.
            error if error.is_of_memory() && failed.precision == Precision::F32 => Some(Precision::F16),
            Error::Numerics { .. } => Some(Precision::F32),
            _ => None,
        };
        if let Some(precision) = other.filter(|&precision| !tried.contains(&(failed.backend, precision)))
            && let Ok(choice) = self.open(failed.backend, &Wish { precision, ..*wish }).await
            && choice.precision == precision
        {
            return Some(choice.because(format!("the same backend in {} bits, since {error}", bits(precision))));
        }
        let mut last_resort = None;
        for backend in RUNGS.into_iter().filter(|&backend| tried.iter().all(|(known, _)| *known != backend)) {
            let Ok(choice) = self.open(backend, wish).await else { continue };
            let choice = choice.because(format!("taken over from {}, since {error}", name_of(failed.backend)));
            // Software that plays the GPU computes where the processor's own kernels do, only slower.
            if choice.software && backend != BackendChoice::Wasm {
                last_resort.get_or_insert(choice);
                continue;
            }
            return Some(choice);
        }
        last_resort
    }

    /// The same rung once more, on a device that is of use: a GPU that has failed is opened anew.
    pub async fn again(&self, failed: &Choice) -> Result<Choice> {
        let device = match &failed.device {
            Device::Gpu(_) => Device::Gpu(self.gpu().await?),
            other => other.clone(),
        };
        Ok(Choice { device, ..failed.clone() })
    }

    /// Forgets what was measured.
    pub async fn forget(&self) {
        self.facts.forget().await;
    }

    /// A backend that works, or why it does not.
    async fn open(&self, backend: BackendChoice, wish: &Wish<'_>) -> Result<Choice> {
        match backend {
            BackendChoice::WebGpu => {
                let gpu = self.gpu().await?;
                let f16 = match wish.precision {
                    Precision::F32 | Precision::Int8 | Precision::Int4 => Ok(String::new()),
                    Precision::F16 => gpu.probe_f16().await,
                };
                let (precision, reason) = match f16 {
                    Ok(_) => (wish.precision, String::new()),
                    Err(why) if wish.fallbacks => (Precision::F32, format!("; in 32 bits, since {why}")),
                    Err(reason) => return Err(Error::BackendUnavailable { backend: "webgpu", reason }),
                };
                let (adapter, software) = (gpu.name.clone(), gpu.caps.software);
                Ok(Choice { device: Device::Gpu(gpu), backend, adapter, software, precision, reason, measured: None })
            }
            BackendChoice::WebNn => {
                let context = self.nn().await?;
                let (adapter, software) = (context.name(), context.device_type == DeviceType::Cpu);
                let (precision, reason) = (Precision::F32, in_f32(wish.precision, "WebNN"));
                Ok(Choice {
                    device: Device::WebNn(context),
                    backend,
                    adapter,
                    software,
                    precision,
                    reason,
                    measured: None,
                })
            }
            BackendChoice::Wasm | BackendChoice::Auto => {
                let cpu = self.cpu().await?;
                let cpu = wish.threads.map_or(cpu.clone(), |n| cpu.with_threads(n));
                let (precision, reason) = match wish.precision {
                    Precision::F16 => (Precision::F32, in_f32(Precision::F16, "the processor")),
                    other => (other, String::new()),
                };
                Ok(Choice {
                    adapter: cpu.name(),
                    device: Device::Cpu(cpu),
                    backend: BackendChoice::Wasm,
                    software: true,
                    precision,
                    reason,
                    measured: None,
                })
            }
        }
    }

    /// Measures each of these unless that was done before, and gives the fastest.
    async fn fastest(&self, mut open: Vec<Choice>, name: &str, model: &dyn Representative) -> Result<Choice> {
        let devices: Vec<String> =
            open.iter().map(|c| format!("{:?} {} {:?}", c.backend, c.adapter, c.precision)).collect();
        let key = format!("{name} | {} | {} | {}", devices.join(", "), edge::user_agent(), crate::BUILD);
        let kept = self.facts.get(&key).await.and_then(|fact| serde_json::from_str::<Vec<Measurement>>(&fact).ok());
        let remembered = kept.is_some();
        let mut measurements = match kept {
            Some(kept) => kept,
            None => {
                let measured = measure_all(&open, model).await;
                // A backend that failed this time may have had a bad moment.
                let is_lasting = measured.iter().all(|m| m.estimate_ms.is_some());
                if let (true, Ok(fact)) = (is_lasting, serde_json::to_string(&measured)) {
                    self.facts.put(&key, &fact).await;
                }
                measured
            }
        };
        measurements.sort_by(|a, b| rank(a).total_cmp(&rank(b)));
        let best = measurements.first().filter(|best| best.estimate_ms.is_some()).ok_or_else(|| {
            let words: Vec<String> =
                measurements.iter().map(|m| format!("{}: {}", name_of(m.backend), m.note)).collect();
            Error::BackendUnavailable {
                backend: "auto",
                reason: format!("no backend could run the model ({})", words.join("; ")),
            }
        })?;
        let place = open.iter().position(|choice| choice.backend == best.backend).unwrap_or(0);
        let figures: Vec<String> = measurements.iter().map(figure).collect();
        let why =
            format!("the fastest here, measured on a piece of the model: {} for {}", figures.join(", "), model.work());
        let mut choice = open.swap_remove(place).because(why);
        choice.measured = Some(MeasuredChoice { work: model.work().into(), remembered, measurements });
        Ok(choice)
    }
}

/// Under which name it is kept what the tuner found.
fn tuning_key(gpu: &Gpu) -> String {
    format!("tuning | {} | {} | {}", gpu.name, edge::user_agent(), crate::BUILD)
}

/// Measures each, the processor first: its figure is the one that a software adapter has to beat, and it tells soon.
async fn measure_all(open: &[Choice], model: &dyn Representative) -> Vec<Measurement> {
    let mut measured: Vec<Measurement> = Vec::new();
    for choice in open.iter().rev() {
        let best_ms = measured.iter().filter_map(|m| m.estimate_ms).min_by(f64::total_cmp);
        let start = edge::Instant::now();
        let estimate = measure::estimate(&choice.device, choice.record_options(), model, best_ms).await;
        let (estimate_ms, note) = match &estimate {
            Ok(estimate) if estimate.is_early => {
                (Some(estimate.ms), "at least; stopped early, since it is far behind".into())
            }
            Ok(estimate) => (Some(estimate.ms), String::new()),
            Err(error) => (None, error.to_string()),
        };
        let (backend, adapter, spent_ms) = (choice.backend, choice.adapter.clone(), edge::ms_since(start));
        measured.push(Measurement { backend, adapter, estimate_ms, spent_ms, note });
    }
    measured
}

/// For sorting: what failed comes last.
fn rank(measurement: &Measurement) -> f64 {
    measurement.estimate_ms.unwrap_or(f64::INFINITY)
}

fn figure(measurement: &Measurement) -> String {
    let name = name_of(measurement.backend);
    match measurement.estimate_ms {
        Some(ms) if ms >= 950.0 => format!("{name} {:.1} s", ms / 1e3),
        Some(ms) => format!("{name} {ms:.0} ms"),
        None => format!("{name} failed"),
    }
}

/// The name of a backend as people write it.
pub fn name_of(backend: BackendChoice) -> &'static str {
    match backend {
        BackendChoice::Auto => "automatic",
        BackendChoice::WebGpu => "WebGPU",
        BackendChoice::WebNn => "WebNN",
        BackendChoice::Wasm => "WASM",
    }
}

/// That a backend computes in f32 whatever was asked for; nothing where that was asked for.
fn in_f32(asked: Precision, backend: &str) -> String {
    match asked {
        Precision::F32 => String::new(),
        _ => format!("; in 32 bits, since {backend} has no {} bits", bits(asked)),
    }
}

fn bits(precision: Precision) -> u32 {
    match precision {
        Precision::F32 => 32,
        Precision::F16 => 16,
        Precision::Int8 => 8,
        Precision::Int4 => 4,
    }
}
