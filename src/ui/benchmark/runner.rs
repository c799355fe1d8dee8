//! Runs the suite on this browser's backends, one case after the other. A case that fails costs itself alone: after a lost GPU or a crash
//! of the engine the next one starts anew.

use std::cell::{Cell, RefCell};
use std::rc::Rc;

use gloo_timers::callback::Timeout;
use js_sys::{Array, Reflect};
use wasm_bindgen::prelude::*;
use web_sys::Blob;

use super::browser::system_of;
use super::kernel_runner;
use super::kernels;
use super::record::{
    Accuracy, BenchmarkRun, Browser, Case, Entry, FORMAT, Figures, LoadFigures, Outcome, Scope, StageFigure, VERSION,
};
use super::statistics::Summary;
use super::suite::{self, CLIPS, GAPS, PICTURES, SENTENCES};
use crate::audio::{SAMPLE_RATE_HZ, files};
use crate::protocol::{
    BackendReport, Event, Failure, FailureKind, GenerateOptions, LoadRequest, ModelInfo, Task, Timings,
    TranscribeOptions,
};
use crate::ui::capability::{backend_name, precision_name};
use crate::ui::clock::now_ms;
use crate::ui::here;
use crate::ui::platform::{Canceller, Pending, Pipeline, Platform};

/// A load or a run that takes longer is given up.
const PATIENCE_MS: u32 = 300_000;
/// Letters of an answer that are kept.
const MOST_LETTERS: usize = 300;

/// What is to be measured.
pub struct Plan {
    /// How much.
    pub scope: Scope,
    /// The models.
    pub models: Vec<ModelInfo>,
    /// The backends, as the probes found them.
    pub backends: Vec<BackendReport>,
    /// What the visitor calls the machine.
    pub machine: String,
}

/// How far it is.
#[derive(Debug, Clone, PartialEq)]
pub struct Position {
    /// Cases that are done.
    pub done: u32,
    /// Cases in all, the GPU itself and single kernels among them.
    pub total: u32,
    /// What is done now, in words.
    pub doing: String,
}

/// Stops a benchmark.
#[derive(Clone, Default)]
pub struct Stopper(Rc<Stopping>);

#[derive(Default)]
struct Stopping {
    is_stopped: Cell<bool>,
    current: RefCell<Option<Canceller>>,
}

impl Stopper {
    /// Ask it to stop. What is measured stays.
    pub fn stop(&self) {
        self.0.is_stopped.set(true);
        if let Some(current) = self.0.current.borrow().as_ref() {
            current.cancel();
        }
    }

    /// Whether it was asked to.
    pub fn is_stopped(&self) -> bool {
        self.0.is_stopped.get()
    }

    /// Waits for a job, and gives it up when it is stopped or takes too long.
    pub(super) async fn wait<T>(&self, pending: Pending<T>) -> Result<T, Failure> {
        let canceller = pending.canceller.clone();
        *self.0.current.borrow_mut() = Some(canceller.clone());
        if self.is_stopped() {
            canceller.cancel();
        }
        let is_late = Rc::new(Cell::new(false));
        let late = is_late.clone();
        let timer = Timeout::new(PATIENCE_MS, move || {
            late.set(true);
            canceller.cancel();
        });
        let result = pending.result().await;
        drop(timer);
        self.0.current.take();
        match result {
            Err(failure) if is_late.get() && failure.kind == FailureKind::Cancelled => {
                Err(trouble(&format!("It took longer than {} s and was given up.", PATIENCE_MS / 1000)))
            }
            result => result,
        }
    }
}

pub(super) fn trouble(message: &str) -> Failure {
    Failure { kind: FailureKind::Backend, message: message.into(), hint: String::new() }
}

/// Measures everything; `on_news` hears how far it is and what was found until then.
pub async fn run(
    platform: &Platform,
    plan: &Plan,
    stopper: &Stopper,
    on_news: impl Fn(Position, &BenchmarkRun),
) -> BenchmarkRun {
    let cases = suite::cases(&plan.models, &plan.backends, plan.scope);
    let kernels = kernels::plan(&plan.backends, plan.scope);
    let before_kernels = cases.len() as u32 + 1;
    let total = before_kernels + kernels.len() as u32;
    let mut found = begin(plan);
    let at = |done, doing: String| Position { done, total, doing };
    on_news(at(0, "The GPU itself".into()), &found);
    match platform.roofline().await {
        Ok(roofline) => found.roofline = Some(roofline),
        Err(failure) => found.roofline_note = failure.message,
    }
    for (idx, case) in cases.into_iter().enumerate() {
        let name = words(&case);
        let doing = |what: &str| on_news(at(idx as u32 + 1, format!("{name}: {what}")), &found);
        let outcome = match stopper.is_stopped() {
            true => Outcome::Stopped,
            false => outcome_of(measure(platform, &case, plan.scope, stopper, &doing).await.map(Box::new)),
        };
        found.entries.push(Entry { case, outcome });
        if platform.is_crashed() {
            platform.restart();
        }
    }
    let on_kernel = |done, doing, found: &BenchmarkRun| on_news(at(before_kernels + done, doing), found);
    kernel_runner::run(platform, kernels, stopper, &mut found, on_kernel).await;
    on_news(at(total, String::new()), &found);
    found
}

/// What came of a measurement.
pub(super) fn outcome_of<T>(result: Result<T, Failure>) -> Outcome<T> {
    match result {
        Ok(figures) => Outcome::Measured(figures),
        Err(failure) if failure.kind == FailureKind::Cancelled => Outcome::Stopped,
        Err(failure) => Outcome::Failed { message: format!("{} {}", failure.message, failure.hint) },
    }
}

/// A case in words.
pub fn words(case: &Case) -> String {
    format!("{} on {}, {}", case.title, backend_name(case.backend), precision_name(case.precision))
}

fn begin(plan: &Plan) -> BenchmarkRun {
    let (agent, created) = (here::agent(), here::time());
    BenchmarkRun {
        format: FORMAT.into(),
        version: VERSION,
        // Two browsers may begin in the same millisecond.
        id: format!("{created}-{:08x}", (js_sys::Math::random() * f64::from(u32::MAX)) as u32),
        created,
        rill: here::version(),
        scope: plan.scope,
        system: system_of(&agent).into(),
        browser: Browser::from_agent(&agent, &brands()),
        cores: here::cores(),
        cross_origin_isolated: here::is_isolated(),
        machine: plan.machine.clone(),
        roofline: None,
        roofline_note: String::new(),
        entries: Vec::new(),
        kernels: Vec::new(),
    }
}

/// What the browser says it is built from; nothing where it does not tell.
fn brands() -> Vec<String> {
    let part = |object: &JsValue, name: &str| Reflect::get(object, &name.into()).unwrap_or_default();
    let brands = part(&part(&part(&js_sys::global(), "navigator"), "userAgentData"), "brands");
    let brands = if Array::is_array(&brands) { Array::from(&brands) } else { Array::new() };
    brands.iter().filter_map(|brand| part(&brand, "brand").as_string()).collect()
}

/// How often a run is repeated, from what the first one took.
fn repetitions(scope: Scope, first_ms: f64) -> usize {
    let (budget_ms, most) = match scope {
        Scope::Short => (4_000.0, 3),
        Scope::Full => (15_000.0, 9),
    };
    ((budget_ms / first_ms.max(1.0)) as usize).clamp(1, most)
}

async fn measure(
    platform: &Platform,
    case: &Case,
    scope: Scope,
    stopper: &Stopper,
    doing: &dyn Fn(&str),
) -> Result<Figures, Failure> {
    doing("first load");
    let input = Input::of(case, scope).await?;
    let (pipeline, first_load) = load(platform, case, stopper).await?;
    doing("first run");
    let first = run_once(&pipeline, case, &input, stopper).await;
    pipeline.dispose();
    let first = first?;
    doing("load again");
    let (pipeline, second_load) = load(platform, case, stopper).await?;
    let measured = repeat(&pipeline, case, scope, &input, first.ms, stopper, doing).await;
    let info = pipeline.info();
    pipeline.dispose();
    let (runs, last, accuracy) = measured?;
    if info.backend != case.backend || info.precision != case.precision {
        return Err(trouble(
            "It went on to another backend or precision in the middle: its figures are not of this one.",
        ));
    }
    let all = |of: fn(&RunFigures) -> Option<f64>| {
        let values: Vec<f64> = runs.iter().filter_map(of).collect();
        Summary::of(&values)
    };
    let no_figures = || trouble("It gave no time that could be measured.");
    Ok(Figures {
        adapter: info.adapter,
        software: info.software,
        first_load,
        second_load,
        first_run_ms: first.ms,
        runs: all(|run| Some(run.ms)).ok_or_else(no_figures)?,
        first_token_ms: all(|run| run.first_token_ms),
        tokens_per_s: all(|run| run.tokens_per_s),
        audio_s: matches!(case.task, Task::SpeechToText).then(|| input.audio_s()),
        stages: medians_of_stages(&runs),
        accuracy,
        answer: last.chars().take(MOST_LETTERS).collect(),
        memory_bytes: info.memory_bytes,
        peak_bytes: info.peak_bytes,
    })
}

async fn load(platform: &Platform, case: &Case, stopper: &Stopper) -> Result<(Pipeline, LoadFigures), Failure> {
    let request =
        LoadRequest { backend: case.backend, precision: case.precision, ..LoadRequest::new(case.model.clone()) };
    let fetched = Rc::new(Cell::new(0));
    let seen = fetched.clone();
    let on_event = move |event: &Event| {
        if let Event::LoadProgress { progress, .. } = event {
            seen.set(progress.files.iter().map(|file| file.fetched_bytes).sum());
        }
    };
    let start = now_ms();
    let pipeline = stopper.wait(platform.load(request, None, on_event, |_| {})).await?;
    let timings = pipeline.info().timings;
    let figures = LoadFigures {
        total_ms: now_ms() - start,
        download_ms: timings.download_ms,
        compile_ms: timings.compile_ms,
        warm_up_ms: timings.warm_up_ms,
        fetched_bytes: fetched.get(),
    };
    if pipeline.info().precision != case.precision {
        pipeline.dispose();
        return Err(trouble("This precision is not to be had here."));
    }
    Ok((pipeline, figures))
}

/// A warm-up that does not count unless the first run was slow, then the runs that do; with the answers judged.
async fn repeat(
    pipeline: &Pipeline,
    case: &Case,
    scope: Scope,
    input: &Input,
    first_ms: f64,
    stopper: &Stopper,
    doing: &dyn Fn(&str),
) -> Result<(Vec<RunFigures>, String, Option<Accuracy>), Failure> {
    let n_runs = repetitions(scope, first_ms);
    if n_runs > 1 {
        doing("warm-up");
        run_once(pipeline, case, input, stopper).await?;
    }
    let (mut runs, mut answer) = (Vec::new(), Answer::default());
    for n in 0..n_runs {
        doing(&format!("run {} of {n_runs}", n + 1));
        let run = run_once(pipeline, case, input, stopper).await?;
        answer = run.answer;
        runs.push(run.figures);
    }
    let mut accuracy = answer.accuracy;
    if let Input::Speech(clips) = input {
        let mut said = vec![answer.words.clone()];
        for clip in &clips[1..] {
            doing("another clip, for its words");
            said.push(transcribe(pipeline, clip, stopper).await?.1);
        }
        accuracy = suite::judge_transcripts(&said);
    }
    Ok((runs, answer.words, accuracy))
}

/// What a case is given.
enum Input {
    /// Clips at 16 kHz; the first is timed.
    Speech(Vec<Vec<f32>>),
    Texts(Vec<String>),
    /// `Blob`s.
    Pictures(Array),
}

impl Input {
    async fn of(case: &Case, scope: Scope) -> Result<Self, Failure> {
        Ok(match case.task {
            Task::SpeechToText => {
                let n_clips = if scope == Scope::Short { 1 } else { CLIPS.len() };
                let mut clips = Vec::new();
                for clip in &CLIPS[..n_clips] {
                    clips.push(files::clip(&format!("models/{}", clip.file)).await?);
                }
                Input::Speech(clips)
            }
            Task::TextEmbedding => Input::Texts(SENTENCES.map(String::from).to_vec()),
            Task::FillMask => Input::Texts(GAPS.map(|(text, _)| text.into()).to_vec()),
            Task::TextToText => Input::Texts(suite::prompts(&case.model)),
            Task::ImageClassification | Task::ImageFeatures | Task::ImageText => {
                let pictures = Array::new();
                for (name, _) in PICTURES {
                    let bytes = fetch(&crate::ui::session::sample_url(name)).await?;
                    let parts = Array::of1(&js_sys::Uint8Array::from(&bytes[..]));
                    let blob = Blob::new_with_u8_array_sequence(&parts);
                    let blob = blob.map_err(|_| trouble("The browser made no picture of a sample."))?;
                    pictures.push(&blob);
                }
                Input::Pictures(pictures)
            }
        })
    }

    /// Seconds of the clip that is timed.
    fn audio_s(&self) -> f64 {
        match self {
            Input::Speech(clips) => clips[0].len() as f64 / f64::from(SAMPLE_RATE_HZ),
            Input::Texts(_) | Input::Pictures(_) => 0.0,
        }
    }
}

async fn fetch(address: &str) -> Result<Vec<u8>, Failure> {
    let answer = gloo_net::http::Request::get(address).send().await.ok().filter(gloo_net::http::Response::ok);
    let bytes = match answer {
        Some(answer) => answer.binary().await.ok(),
        None => None,
    };
    bytes.ok_or_else(|| trouble(&format!("The sample `{address}` is not served here.")))
}

/// What a run answered.
#[derive(Default)]
struct Answer {
    words: String,
    accuracy: Option<Accuracy>,
}

/// What a run took.
#[derive(Default)]
struct RunFigures {
    ms: f64,
    first_token_ms: Option<f64>,
    tokens_per_s: Option<f64>,
    stages: Vec<StageFigure>,
}

struct Run {
    ms: f64,
    figures: RunFigures,
    answer: Answer,
}

async fn run_once(pipeline: &Pipeline, case: &Case, input: &Input, stopper: &Stopper) -> Result<Run, Failure> {
    let start = now_ms();
    let (mut figures, answer) = match input {
        Input::Speech(clips) => {
            let (timings, words) = transcribe(pipeline, &clips[0], stopper).await?;
            (of_speech(&timings), Answer { words, accuracy: None })
        }
        Input::Texts(texts) => texts_once(pipeline, case, texts, stopper).await?,
        Input::Pictures(pictures) => (RunFigures::default(), pictures_once(pipeline, case, pictures, stopper).await?),
    };
    let ms = now_ms() - start;
    figures.ms = ms;
    let in_stages: f64 = figures.stages.iter().map(|stage| stage.ms).sum();
    if !figures.stages.is_empty() {
        figures.stages.push(StageFigure { name: "All else".into(), ms: (ms - in_stages).max(0.0) });
    }
    Ok(Run { ms, figures, answer })
}

async fn transcribe(pipeline: &Pipeline, samples: &[f32], stopper: &Stopper) -> Result<(Timings, String), Failure> {
    let language = pipeline.info().model.multilingual.then(|| "en".into());
    let options = TranscribeOptions { language, temperatures: vec![0.0], ..TranscribeOptions::default() };
    let transcript = stopper.wait(pipeline.transcribe(samples, options, |_| {})?).await?;
    Ok((transcript.timings, transcript.text))
}

fn of_speech(timings: &Timings) -> RunFigures {
    let stages = [("Features", timings.mel_ms), ("Encoder", timings.encode_ms), ("Decoder", timings.decode_ms)];
    RunFigures {
        ms: 0.0,
        first_token_ms: Some(timings.first_token_ms),
        tokens_per_s: Some(timings.tokens_per_s),
        stages: stages.map(|(name, ms)| StageFigure { name: name.into(), ms }).to_vec(),
    }
}

async fn texts_once(
    pipeline: &Pipeline,
    case: &Case,
    texts: &[String],
    stopper: &Stopper,
) -> Result<(RunFigures, Answer), Failure> {
    Ok(match case.task {
        Task::TextToText => {
            let options = GenerateOptions { max_tokens: Some(60), ..GenerateOptions::default() };
            let (outputs, timings) = stopper.wait(pipeline.generate(texts.to_vec(), options, |_| {})?).await?;
            let written: Vec<String> = outputs.into_iter().map(|output| output.text).collect();
            let stages = [("Encoder", timings.encode_ms), ("Decoder", timings.decode_ms)];
            let figures = RunFigures {
                ms: 0.0,
                first_token_ms: Some(timings.first_token_ms),
                tokens_per_s: Some(timings.tokens_per_s),
                stages: stages.map(|(name, ms)| StageFigure { name: name.into(), ms }).to_vec(),
            };
            (figures, Answer { words: written.join("; "), accuracy: suite::judge_texts(&case.model, &written) })
        }
        Task::FillMask => {
            let mask = pipeline.info().mask_token.unwrap_or_default();
            let texts = texts.iter().map(|text| text.replace('_', &mask)).collect();
            let found = stopper.wait(pipeline.fill_mask(texts, 5, None, |_| {})?).await?;
            let words: Vec<&str> = found.iter().flatten().map(|candidate| candidate.text.trim()).collect();
            (RunFigures::default(), Answer { words: words.join(", "), accuracy: suite::judge_gaps(&found) })
        }
        _ => {
            let vectors = stopper.wait(pipeline.embed(texts.to_vec(), None, |_| {})?).await?.embeddings;
            let words = format!("{} vectors", vectors.len());
            (RunFigures::default(), Answer { words, accuracy: suite::judge_vectors(&vectors) })
        }
    })
}

async fn pictures_once(
    pipeline: &Pipeline,
    case: &Case,
    pictures: &Array,
    stopper: &Stopper,
) -> Result<Answer, Failure> {
    let pictures = pictures.slice(0, pictures.length());
    Ok(match case.task {
        Task::ImageText => {
            let texts = PICTURES.map(|(_, words)| words.into()).to_vec();
            let matches = stopper.wait(pipeline.match_pictures(pictures, texts, None, |_| {})?).await?;
            let words = format!("{} pictures beside {} texts", matches.scores.len(), PICTURES.len());
            Answer { words, accuracy: suite::judge_matches(&matches.scores) }
        }
        Task::ImageClassification => {
            let labels = stopper.wait(pipeline.classify(pictures, 1, None, |_| {})?).await?;
            let words: Vec<&str> = labels.iter().flatten().map(|label| label.label.as_str()).collect();
            Answer { words: words.join(", "), accuracy: None }
        }
        _ => {
            let vectors = stopper.wait(pipeline.embed_pictures(pictures, None, |_| {})?).await?.embeddings;
            Answer { words: format!("{} vectors", vectors.len()), accuracy: None }
        }
    })
}

fn medians_of_stages(runs: &[RunFigures]) -> Vec<StageFigure> {
    let Some(first) = runs.first() else { return Vec::new() };
    let median = |idx: usize| {
        let values: Vec<f64> = runs.iter().filter_map(|run| run.stages.get(idx)).map(|stage| stage.ms).collect();
        Summary::of(&values).map_or(0.0, |summary| summary.median)
    };
    first
        .stages
        .iter()
        .enumerate()
        .map(|(idx, stage)| StageFigure { name: stage.name.clone(), ms: median(idx) })
        .collect()
}
