//! `window.rill`: the [`Platform`] for programs in the page. `public/rill.d.ts` documents it and has to change with it.
//!
//! The objects are put together here from closures rather than exported as wasm-bindgen classes, because an exported
//! class would be linked into the engine's wasm too.

use std::future::Future;

use js_sys::{Array, Float32Array, Function, Object, Promise, Reflect};
use serde::Serialize;
use wasm_bindgen::prelude::*;
use wasm_bindgen_futures::future_to_promise;
use web_sys::{AbortSignal, Blob, CustomEvent, CustomEventInit, DomException};

use super::js_options::{Given, type_error};
use super::platform::{Canceller, Pipeline, Platform};
use crate::audio::files;
use crate::protocol::{Event, FEATURES, Failure, FailureKind, Task};

/// What promises of this API settle with.
type Outcome = Result<JsValue, JsValue>;

/// Put `rill` on the window and say so with a `rill-ready` event.
pub fn install(platform: Platform) {
    let rill = Object::new();
    let api = platform.clone();
    method(&rill, "models", move |_, _| {
        let api = api.clone();
        async move { to_js(&api.models().await.map_err(|failure| error(&failure))?) }
    });
    let api = platform.clone();
    method(&rill, "backends", move |_, _| {
        let api = api.clone();
        async move { to_js(&api.backends(|_| {}).await.map_err(|failure| error(&failure))?) }
    });
    let api = platform.clone();
    method(&rill, "testFeatureSupport", move |name, _| {
        let api = api.clone();
        async move {
            let known = name.as_string().filter(|name| FEATURES.contains(&name.as_str()));
            let name = known.ok_or_else(|| {
                type_error(&format!("testFeatureSupport: `name` must be one of {}", FEATURES.join(", ")))
            })?;
            to_js(&api.test_feature_support(&name).await.map_err(|failure| error(&failure))?)
        }
    });
    let api = platform.clone();
    method(&rill, "enableFeatureFallbacks", move |enabled, _| {
        let api = api.clone();
        async move {
            let wrong = || type_error("enableFeatureFallbacks: the argument must be true or false");
            api.enable_feature_fallbacks(enabled.as_bool().ok_or_else(wrong)?);
            Ok(JsValue::UNDEFINED)
        }
    });
    let api = platform.clone();
    method(&rill, "forgetMeasurements", move |_, _| {
        let api = api.clone();
        async move {
            api.forget_measurements().await.map_err(|failure| error(&failure))?;
            Ok(JsValue::UNDEFINED)
        }
    });
    let api = platform.clone();
    method(&rill, "load", move |id, options| load(api.clone(), id, options));
    set(&rill, "ready", &ready(platform, rill.clone()));

    let Some(window) = web_sys::window() else { return };
    set(&window, "rill", &rill);
    let detail = CustomEventInit::new();
    detail.set_detail(&rill);
    if let Ok(event) = CustomEvent::new_with_event_init_dict("rill-ready", &detail) {
        // It fails only for an event that is being dispatched already.
        let _ = window.dispatch_event(&event);
    }
}

/// Resolves with `rill` when the engine listens.
fn ready(platform: Platform, rill: Object) -> Promise {
    let ready = future_to_promise(async move {
        platform.models().await.map_err(|failure| error(&failure))?;
        Ok(rill.into())
    });
    // A page on which no program waits must not log an unhandled rejection; those who wait still get it.
    let ignore = Closure::once_into_js(|_: JsValue| {});
    if let Ok(catch) = Reflect::get(&ready, &"catch".into()).and_then(|catch| catch.dyn_into::<Function>()) {
        let _ = catch.call1(&ready, &ignore);
    }
    ready
}

async fn load(platform: Platform, id: JsValue, options: JsValue) -> Outcome {
    let id = id.as_string().ok_or_else(|| type_error("load: the first argument must be a model's id, a string"))?;
    let known = platform.models().await.map_err(|failure| error(&failure))?;
    if !known.iter().any(|model| model.id == id) {
        let ids: Vec<_> = known.iter().map(|model| model.id.as_str()).collect();
        return Err(type_error(&format!("load: there is no model `{id}`; the models are {}", ids.join(", "))));
    }
    let given = Given::new(
        "load",
        &options,
        &["backend", "precision", "baseUrl", "chunkBytes", "threads", "onProgress", "signal"],
    )?;
    let request = given.load_request(&id)?;
    let on_progress = given.function("onProgress")?;
    let signal = given.signal()?;
    let pending = platform.load(request, move |event| {
        if let (Event::LoadProgress { progress, .. }, Some(callback)) = (event, &on_progress) {
            tell(callback, progress);
        }
    });
    let abort = Abort::watch(signal, &pending.canceller)?;
    let loaded = pending.result().await;
    if let (true, Ok(pipeline)) = (abort.aborted(), &loaded) {
        pipeline.dispose();
    }
    abort.settle(loaded).map(pipeline_object)
}

/// The object that a load resolves with.
fn pipeline_object(pipeline: Pipeline) -> JsValue {
    let object = Object::new();
    set(&object, "model", &pipeline.info().model.id.as_str().into());
    // A value that serde has made can be made again; undefined stands for one that could not.
    let it = pipeline.clone();
    getter(&object, "info", move || to_js(&it.info()).unwrap_or_default());
    let it = pipeline.clone();
    method(&object, "run", move |input, options| run(it.clone(), input, options));
    let it = pipeline.clone();
    let report = Closure::<dyn Fn() -> JsValue>::new(move || to_js(&it.report()).unwrap_or_default());
    set(&object, "report", &report.into_js_value());
    method(&object, "dispose", move |_, _| {
        pipeline.dispose();
        async { Ok(JsValue::UNDEFINED) }
    });
    object.into()
}

async fn run(pipeline: Pipeline, input: JsValue, options: JsValue) -> Outcome {
    match pipeline.info().model.task {
        Task::SpeechToText => transcribe(pipeline, input, options).await,
        _ => embed(pipeline, input, options).await,
    }
}

async fn transcribe(pipeline: Pipeline, input: JsValue, options: JsValue) -> Outcome {
    let known = ["language", "task", "timestamps", "maxTokens", "prompt", "temperatures", "onToken", "signal"];
    let given = Given::new("run", &options, &known)?;
    let (transcribe_options, on_token) = (given.transcribe_options(&pipeline.info())?, given.function("onToken")?);
    let signal = given.signal()?;
    let audio = Reflect::get(&input, &"audio".into()).unwrap_or(JsValue::UNDEFINED);
    let samples = if let Some(samples) = audio.dyn_ref::<Float32Array>() {
        samples.to_vec()
    } else if let Some(blob) = audio.dyn_ref::<Blob>() {
        files::decode(blob).await.map_err(|failure| error(&failure))?
    } else {
        return Err(type_error("run: this model takes {audio: Blob | Float32Array (16 kHz, mono)}"));
    };
    let pending = pipeline.transcribe(&samples, transcribe_options, move |event| {
        if let (Event::Tentative { text, new_tokens, .. }, Some(callback)) = (event, &on_token) {
            tell(callback, &Token { text, new_tokens });
        }
    });
    let pending = pending.map_err(|failure| error(&failure))?;
    let abort = Abort::watch(signal, &pending.canceller)?;
    to_js(&abort.settle(pending.result().await)?)
}

async fn embed(pipeline: Pipeline, input: JsValue, options: JsValue) -> Outcome {
    let given = Given::new("run", &options, &["signal"])?;
    let signal = given.signal()?;
    let field = |name: &str| Reflect::get(&input, &name.into()).unwrap_or(JsValue::UNDEFINED);
    let texts = match (field("text").as_string(), field("texts").dyn_into::<Array>()) {
        (Some(text), _) => Some(vec![text]),
        (None, Ok(texts)) => texts.iter().map(|text| text.as_string()).collect(),
        (None, Err(_)) => None,
    };
    let texts = texts.filter(|texts| !texts.is_empty());
    let texts =
        texts.ok_or_else(|| type_error("run: this model takes {text: string} or {texts: string[]}, not empty"))?;
    let pending = pipeline.embed(texts, None, |_| {}).map_err(|failure| error(&failure))?;
    let abort = Abort::watch(signal, &pending.canceller)?;
    to_js(&abort.settle(pending.result().await)?)
}

/// What `onToken` hears.
#[derive(Serialize)]
struct Token<'a> {
    text: &'a str,
    new_tokens: &'a [u32],
}

/// Cancels a job when its signal says so, for as long as this value lives.
struct Abort {
    watched: Option<(AbortSignal, Closure<dyn Fn()>)>,
}

impl Abort {
    fn watch(signal: Option<AbortSignal>, canceller: &Canceller) -> Result<Self, JsValue> {
        let Some(signal) = signal else { return Ok(Self { watched: None }) };
        if signal.aborted() {
            canceller.cancel();
        }
        let canceller = canceller.clone();
        let on_abort = Closure::<dyn Fn()>::new(move || canceller.cancel());
        signal.add_event_listener_with_callback("abort", on_abort.as_ref().unchecked_ref())?;
        Ok(Self { watched: Some((signal, on_abort)) })
    }

    fn aborted(&self) -> bool {
        self.watched.as_ref().is_some_and(|(signal, _)| signal.aborted())
    }

    /// A job whose signal was aborted rejects with the signal's reason, even where it was done just before.
    fn settle<T>(&self, result: Result<T, Failure>) -> Result<T, JsValue> {
        match &self.watched {
            Some((signal, _)) if signal.aborted() => Err(signal.reason()),
            _ => result.map_err(|failure| error(&failure)),
        }
    }
}

impl Drop for Abort {
    fn drop(&mut self) {
        if let Some((signal, on_abort)) = &self.watched {
            // It fails for no signal that once took a listener.
            let _ = signal.remove_event_listener_with_callback("abort", on_abort.as_ref().unchecked_ref());
        }
    }
}

/// An `Error` that carries the failure's kind and hint; an `AbortError` for what was cancelled.
fn error(failure: &Failure) -> JsValue {
    if failure.kind == FailureKind::Cancelled {
        return DomException::new_with_message_and_name("The job was cancelled.", "AbortError")
            .map_or_else(JsValue::from, JsValue::from);
    }
    let error = js_sys::Error::new(&failure.message);
    error.set_name("RillError");
    set(&error, "kind", &to_js(&failure.kind).unwrap_or_default());
    set(&error, "hint", &failure.hint.as_str().into());
    error.into()
}

fn to_js(value: &impl Serialize) -> Outcome {
    value.serialize(&serde_wasm_bindgen::Serializer::json_compatible()).map_err(JsValue::from)
}

/// Call a program's callback. What it throws is reported like any uncaught error and does not disturb the job.
fn tell(callback: &Function, value: &impl Serialize) {
    if let Err(thrown) = to_js(value).and_then(|value| callback.call1(&JsValue::UNDEFINED, &value)) {
        wasm_bindgen_futures::spawn_local(async move { wasm_bindgen::throw_val(thrown) });
    }
}

/// An asynchronous method of up to two arguments.
fn method<F: Future<Output = Outcome> + 'static>(
    object: &Object,
    name: &str,
    body: impl Fn(JsValue, JsValue) -> F + 'static,
) {
    let closure = Closure::<dyn Fn(JsValue, JsValue) -> Promise>::new(move |a: JsValue, b: JsValue| {
        future_to_promise(body(a, b))
    });
    set(object, name, &closure.into_js_value());
}

/// A property that is asked for each time.
fn getter(object: &Object, name: &str, body: impl Fn() -> JsValue + 'static) {
    let descriptor = Object::new();
    set(&descriptor, "get", &Closure::<dyn Fn() -> JsValue>::new(body).into_js_value());
    set(&descriptor, "enumerable", &true.into());
    Object::define_property(object, &name.into(), &descriptor);
}

fn set(object: &JsValue, name: &str, value: &JsValue) {
    // Plain objects take every property.
    let _ = Reflect::set(object, &name.into(), value);
}
