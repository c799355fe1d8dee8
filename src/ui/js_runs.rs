//! `run` of `window.rill`, by the task of the model: what it takes, and what its promise gives.

use js_sys::{Array, Float32Array, Object, Reflect};
use serde::Serialize;
use wasm_bindgen::prelude::*;
use web_sys::Blob;

use super::js_options::{Given, Output, type_error};
use super::js_values::{Abort, Outcome, error, set, tell, to_js};
use super::platform::{Pending, Pipeline};
use crate::audio::files;
use crate::protocol::{
    Event, Failure, GenerateTimings, Generation, HiddenState, LabelScore, MaskCandidate, Matches, Task,
};

/// Candidates and labels where a program does not say how many.
const TOP_K: u32 = 5;

/// Runs the model once on `input`.
pub async fn run(pipeline: Pipeline, input: JsValue, options: JsValue) -> Outcome {
    match pipeline.info().model.task {
        Task::SpeechToText => transcribe(pipeline, input, options).await,
        Task::TextEmbedding => embed_or_read(pipeline, input, options).await,
        Task::FillMask => fill_mask(pipeline, input, options).await,
        Task::TextToText => generate(pipeline, input, options).await,
        Task::ImageClassification => classify(pipeline, input, options).await,
        Task::ImageFeatures => embed_pictures(&pipeline, &input, &Given::new("run", &options, EMBED_OPTIONS)?).await,
        Task::ImageText => match_pictures(pipeline, input, options).await,
    }
}

/// What models of texts take.
const TEXTS: &str = "{text: string} or {texts: string[]}";

const EMBED_OPTIONS: &[&str] = &["batchSize", "onProgress", "signal"];

async fn transcribe(pipeline: Pipeline, input: JsValue, options: JsValue) -> Outcome {
    let known = ["language", "task", "timestamps", "maxTokens", "prompt", "temperatures", "onToken", "signal"];
    let given = Given::new("run", &options, &known)?;
    let transcribe_options = given.transcribe_options(&pipeline.info())?;
    let on_token = given.function("onToken")?;
    // Before anything takes time: a signal that is aborted already rejects at once.
    given.signal()?;
    let audio = field(&input, "audio");
    let samples = if let Some(samples) = audio.dyn_ref::<Float32Array>() {
        samples.to_vec()
    } else if let Some(blob) = audio.dyn_ref::<Blob>() {
        files::decode(blob).await.map_err(|failure| error(&failure))?
    } else {
        return Err(type_error("run: this model takes {audio: Blob | Float32Array (16 kHz, mono)}"));
    };
    let pending = pipeline.transcribe(&samples, transcribe_options, move |event| {
        if let (Event::Tentative { text, new_tokens, .. }, Some(callback)) = (event, &on_token) {
            tell(callback, &Token { text, new_tokens, index: None });
        }
    });
    to_js(&settled(pending, &given).await?)
}

async fn embed_or_read(pipeline: Pipeline, input: JsValue, options: JsValue) -> Outcome {
    let given = Given::new("run", &options, &["output", "batchSize", "onProgress", "signal"])?;
    match given.output(&[Output::Embeddings, Output::Hidden])? {
        Output::Hidden => hidden_states(&pipeline, &input, &given).await,
        _ => embed(&pipeline, &input, &given).await,
    }
}

/// `{hiddenStates: {data, shape}[], tokens, ids, n_cut}`.
async fn hidden_states(pipeline: &Pipeline, input: &JsValue, given: &Given<'_>) -> Outcome {
    let pending = pipeline.hidden_states(texts(input, TEXTS)?, given.batch_size()?, progress(given)?);
    let (states, n_cut) = settled(pending, given).await?;
    let (tensors, rest) = (Array::new(), HiddenTokens::of(&states, n_cut));
    for state in &states {
        let tensor = Object::new();
        set(&tensor, "data", &Float32Array::from(&state.values[..]));
        set(&tensor, "shape", &Array::of2(&state.ids.len().into(), &state.hidden_size.into()));
        tensors.push(&tensor);
    }
    let result = to_js(&rest)?;
    set(&result, "hiddenStates", &tensors);
    Ok(result)
}

async fn embed(pipeline: &Pipeline, input: &JsValue, given: &Given<'_>) -> Outcome {
    let texts = texts(input, TEXTS)?;
    to_js(&settled(pipeline.embed(texts, given.batch_size()?, progress(given)?), given).await?)
}

async fn embed_pictures(pipeline: &Pipeline, input: &JsValue, given: &Given<'_>) -> Outcome {
    let pictures = pictures(input, "{image: Blob} or {images: Blob[]}")?.0;
    let pending = pipeline.embed_pictures(pictures, given.batch_size()?, progress(given)?);
    to_js(&settled(pending, given).await?)
}

async fn fill_mask(pipeline: Pipeline, input: JsValue, options: JsValue) -> Outcome {
    let given = Given::new("run", &options, &["topK", "output", "batchSize", "onProgress", "signal"])?;
    match given.output(&[Output::Usual("candidates"), Output::Embeddings, Output::Hidden])? {
        Output::Usual(_) => {}
        Output::Embeddings => return embed(&pipeline, &input, &given).await,
        Output::Hidden => return hidden_states(&pipeline, &input, &given).await,
    }
    let texts = texts(&input, TEXTS)?;
    let one = texts.len() == 1 && field(&input, "text").is_string();
    let top_k = given.top_k()?.unwrap_or(TOP_K);
    let pending = pipeline.fill_mask(texts, top_k, given.batch_size()?, progress(&given)?);
    let mut results = settled(pending, &given).await?;
    if one {
        to_js(&Candidates { candidates: results.remove(0) })
    } else {
        to_js(&ManyCandidates { candidates: results })
    }
}

async fn generate(pipeline: Pipeline, input: JsValue, options: JsValue) -> Outcome {
    let known = [
        "maxTokens",
        "temperature",
        "topK",
        "topP",
        "numBeams",
        "seed",
        "streamBufferSize",
        "stop",
        "onToken",
        "onProgress",
        "signal",
    ];
    let given = Given::new("run", &options, &known)?;
    let (generate_options, on_token) = (given.generate_options()?, given.function("onToken")?);
    let texts = texts(&input, TEXTS)?;
    let one = field(&input, "text").is_string();
    let on_progress = progress(&given)?;
    let pending = pipeline.generate(texts, generate_options, move |event| {
        if let (Event::Generating { index, text, new_tokens, .. }, Some(callback)) = (event, &on_token) {
            tell(callback, &Token { text, new_tokens, index: Some(*index) });
        }
        on_progress(event);
    });
    let (mut outputs, timings) = settled(pending, &given).await?;
    if one {
        return to_js(&Generated { output: outputs.remove(0), timings });
    }
    to_js(&ManyGenerated { outputs, timings })
}

async fn classify(pipeline: Pipeline, input: JsValue, options: JsValue) -> Outcome {
    let given = Given::new("run", &options, &["topK", "output", "batchSize", "onProgress", "signal"])?;
    if given.output(&[Output::Usual("labels"), Output::Embeddings])? == Output::Embeddings {
        return embed_pictures(&pipeline, &input, &given).await;
    }
    let (pictures, one) = pictures(&input, "{image: Blob} or {images: Blob[]}")?;
    let pending = pipeline.classify(pictures, given.top_k()?.unwrap_or(TOP_K), given.batch_size()?, progress(&given)?);
    let mut results = settled(pending, &given).await?;
    if one { to_js(&Labels { labels: results.remove(0) }) } else { to_js(&ManyLabels { labels: results }) }
}

async fn match_pictures(pipeline: Pipeline, input: JsValue, options: JsValue) -> Outcome {
    let given = Given::new("run", &options, EMBED_OPTIONS)?;
    let expected = "{images: Blob[], texts: string[]}, or one of the two for its embeddings alone";
    let has = |name: &str| !field(&input, name).is_undefined();
    if !has("image") && !has("images") {
        return embed(&pipeline, &input, &given).await;
    }
    if !has("text") && !has("texts") {
        return embed_pictures(&pipeline, &input, &given).await;
    }
    let ((pictures, _), texts) = (pictures(&input, expected)?, texts(&input, expected)?);
    let pending = pipeline.match_pictures(pictures, texts, given.batch_size()?, progress(&given)?);
    let Matches { scores, image_embeddings, text_embeddings, logit_scale } = settled(pending, &given).await?;
    to_js(&Matched { scores, image_embeddings, text_embeddings, logit_scale })
}

/// The job's result; its signal cancels it.
async fn settled<T>(pending: Result<Pending<T>, Failure>, given: &Given<'_>) -> Result<T, JsValue> {
    let pending = pending.map_err(|failure| error(&failure))?;
    let abort = Abort::watch(given.signal()?, &pending.canceller)?;
    abort.settle(pending.result().await)
}

/// Tells `onProgress` how far a batch is.
fn progress(given: &Given) -> Result<impl Fn(&Event) + 'static, JsValue> {
    let callback = given.function("onProgress")?;
    Ok(move |event: &Event| {
        if let (Event::BatchProgress { done, total, .. }, Some(callback)) = (event, &callback) {
            tell(callback, &BatchProgress { done: *done, total: *total });
        }
    })
}

fn field(input: &JsValue, name: &str) -> JsValue {
    Reflect::get(input, &name.into()).unwrap_or(JsValue::UNDEFINED)
}

/// `{text}` or `{texts}`; `expected` says what the model takes.
fn texts(input: &JsValue, expected: &str) -> Result<Vec<String>, JsValue> {
    let texts = match (field(input, "text").as_string(), field(input, "texts").dyn_into::<Array>()) {
        (Some(text), _) => Some(vec![text]),
        (None, Ok(texts)) => texts.iter().map(|text| text.as_string()).collect(),
        (None, Err(_)) => None,
    };
    let texts = texts.filter(|texts| !texts.is_empty());
    texts.ok_or_else(|| type_error(&format!("run: this model takes {expected}, not empty")))
}

/// `{image}` or `{images}`, and whether it was the first.
fn pictures(input: &JsValue, expected: &str) -> Result<(Array, bool), JsValue> {
    let wrong = || type_error(&format!("run: this model takes {expected}, not empty"));
    let one = field(input, "image");
    if one.is_instance_of::<Blob>() {
        return Ok((Array::of1(&one), true));
    }
    let many = field(input, "images").dyn_into::<Array>().map_err(|_| wrong())?;
    let usable = many.length() > 0 && many.iter().all(|picture| picture.is_instance_of::<Blob>());
    if usable { Ok((many, false)) } else { Err(wrong()) }
}

/// What `onToken` hears.
#[derive(Serialize)]
struct Token<'a> {
    text: &'a str,
    new_tokens: &'a [u32],
    /// Which of the texts, where there may be several.
    #[serde(skip_serializing_if = "Option::is_none")]
    index: Option<u32>,
}

/// What `onProgress` hears.
#[derive(Serialize)]
pub struct BatchProgress {
    /// So many are done.
    pub done: u32,
    /// Of so many.
    pub total: u32,
}

/// What comes beside hidden states.
#[derive(Serialize)]
struct HiddenTokens<'a> {
    tokens: Vec<&'a [String]>,
    ids: Vec<&'a [u32]>,
    n_cut: u32,
}

impl<'a> HiddenTokens<'a> {
    fn of(states: &'a [HiddenState], n_cut: u32) -> Self {
        let tokens = states.iter().map(|state| &state.tokens[..]).collect();
        Self { tokens, ids: states.iter().map(|state| &state.ids[..]).collect(), n_cut }
    }
}

#[derive(Serialize)]
struct Candidates {
    candidates: Vec<MaskCandidate>,
}

#[derive(Serialize)]
struct ManyCandidates {
    candidates: Vec<Vec<MaskCandidate>>,
}

#[derive(Serialize)]
struct Generated {
    #[serde(flatten)]
    output: Generation,
    timings: GenerateTimings,
}

#[derive(Serialize)]
struct ManyGenerated {
    outputs: Vec<Generation>,
    timings: GenerateTimings,
}

#[derive(Serialize)]
struct Labels {
    labels: Vec<LabelScore>,
}

#[derive(Serialize)]
struct ManyLabels {
    labels: Vec<Vec<LabelScore>>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Matched {
    scores: Vec<Vec<f32>>,
    image_embeddings: Vec<Vec<f32>>,
    text_embeddings: Vec<Vec<f32>>,
    logit_scale: f32,
}
