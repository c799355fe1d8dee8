//! `window.rill`: the [`Platform`] for programs in the page. `public/rill.d.ts` documents it and has to change with it.
//!
//! The objects are put together here from closures rather than exported as wasm-bindgen classes, because an exported
//! class would be linked into the engine's wasm too.

use std::future::Future;

use js_sys::{Function, Object, Promise, Reflect};
use wasm_bindgen::prelude::*;
use wasm_bindgen_futures::future_to_promise;
use web_sys::{CustomEvent, CustomEventInit};

use super::js_measuring;
use super::js_options::{Given, type_error};
use super::js_runs::{BatchProgress, run};
use super::js_values::{Abort, Outcome, call, error, set, tell, to_js};
use super::models;
use super::platform::{Pipeline, Platform};
use crate::audio::files;
use crate::protocol::{Event, FEATURES, Source, Task};

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
    method(&rill, "memory", move |_, _| {
        let api = api.clone();
        async move { to_js(&api.memory().await.map_err(|failure| error(&failure))?) }
    });
    let api = platform.clone();
    method(&rill, "roofline", move |_, _| {
        let api = api.clone();
        async move { to_js(&api.roofline().await.map_err(|failure| error(&failure))?) }
    });
    for (name, forget) in [("tuning", false), ("forgetTuning", true)] {
        let api = platform.clone();
        method(&rill, name, move |_, _| {
            let api = api.clone();
            async move { to_js(&api.tuning(forget).await.map_err(|failure| error(&failure))?) }
        });
    }
    let api = platform.clone();
    method(&rill, "pipelines", move |options, _| {
        let api = api.clone();
        async move {
            let forget = Given::new("pipelines", &options, &["forget"])?.forget()?;
            to_js(&api.pipelines(forget).await.map_err(|failure| error(&failure))?)
        }
    });
    let api = platform.clone();
    method(&rill, "precompile", move |options, _| precompile(api.clone(), options));
    let api = platform.clone();
    method(&rill, "logCompilation", move |on, _| {
        let api = api.clone();
        async move {
            let wrong = || type_error("logCompilation: the argument must be true or false");
            api.log_compilation(on.as_bool().ok_or_else(wrong)?);
            Ok(JsValue::UNDEFINED)
        }
    });
    let api = platform.clone();
    method(&rill, "exportDebugReport", move |options, _| {
        let api = api.clone();
        async move {
            let given = Given::new("exportDebugReport", &options, &["format", "words"])?;
            let (kind, with_words) = given.report()?;
            Ok(api.debug_report(with_words).await.write(kind).into())
        }
    });
    js_measuring::install(&rill, &platform);
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

/// What a load may be told.
const LOAD_OPTIONS: &[&str] = &[
    "backend",
    "precision",
    "baseUrl",
    "files",
    "chunkBytes",
    "threads",
    "memoryLevel",
    "kernelLevel",
    "tune",
    "memoryBudgetMb",
    "parallelComponents",
    "batchSize",
    "onProgress",
    "onUsable",
    "signal",
];

async fn load(platform: Platform, id: JsValue, options: JsValue) -> Outcome {
    let id = id.as_string().ok_or_else(|| type_error("load: the first argument must be a model's id, a string"))?;
    let known = platform.models().await.map_err(|failure| error(&failure))?;
    let given = Given::new("load", &options, LOAD_OPTIONS)?;
    let mut request = given.load_request(&id)?;
    let files = given.files()?;
    if files.is_some() {
        request.source = Source::Files;
    }
    if files.is_none() && !known.iter().any(|model| model.id == id) && !models::is_address(&id) {
        let ids: Vec<_> = known.iter().map(|model| model.id.as_str()).collect();
        let ids = ids.join(", ");
        return Err(type_error(&format!(
            "load: there is no model `{id}`; the models are {ids}, and any `owner/name` or `owner/name@revision` of the model hub or address of a folder"
        )));
    }
    let on_progress = given.function("onProgress")?;
    let signal = given.signal()?;
    let on_event = move |event: &Event| {
        if let (Event::LoadProgress { progress, .. }, Some(callback)) = (event, &on_progress) {
            tell(callback, progress);
        }
    };
    let on_usable = given.function("onUsable")?;
    let pending = platform.load(request, files, on_event, move |pipeline| {
        if let Some(callback) = &on_usable {
            call(callback, &pipeline_object(pipeline));
        }
    });
    let abort = Abort::watch(signal, &pending.canceller)?;
    let loaded = pending.result().await;
    if let (true, Ok(pipeline)) = (abort.aborted(), &loaded) {
        pipeline.dispose();
    }
    abort.settle(loaded).map(pipeline_object)
}

/// Makes listed pipelines.
async fn precompile(platform: Platform, options: JsValue) -> Outcome {
    let given = Given::new("precompile", &options, &["which", "onProgress", "signal"])?;
    let (which, on_progress, signal) = (given.precompile()?, given.function("onProgress")?, given.signal()?);
    let pending = platform.precompile(which, move |event| {
        if let (Event::BatchProgress { done, total, .. }, Some(callback)) = (event, &on_progress) {
            tell(callback, &BatchProgress { done: *done, total: *total });
        }
    });
    let abort = Abort::watch(signal, &pending.canceller)?;
    to_js(&abort.settle(pending.result().await)?)
}

/// What the model's precision costs beside f32.
async fn quality(pipeline: Pipeline, options: JsValue) -> Outcome {
    let given = Given::new("quality", &options, &["onProgress", "signal"])?;
    let (on_progress, signal) = (given.function("onProgress")?, given.signal()?);
    let speech = match pipeline.info().model.task {
        Task::SpeechToText => files::sample().await.map_err(|failure| error(&failure))?,
        _ => Vec::new(),
    };
    let pending = pipeline.quality(&speech, move |event| {
        if let (Event::LoadProgress { progress, .. }, Some(callback)) = (event, &on_progress) {
            tell(callback, progress);
        }
    });
    let pending = pending.map_err(|failure| error(&failure))?;
    let abort = Abort::watch(signal, &pending.canceller)?;
    to_js(&abort.settle(pending.result().await)?)
}

/// Where the model's time goes.
async fn trace(pipeline: Pipeline, options: JsValue) -> Outcome {
    let given = Given::new("trace", &options, &["onProgress", "signal"])?;
    let (on_progress, signal) = (given.function("onProgress")?, given.signal()?);
    let pending = pipeline.trace(move |event| {
        if let (Event::BatchProgress { done, total, .. }, Some(callback)) = (event, &on_progress) {
            tell(callback, &(f64::from(*done) / f64::from((*total).max(1))));
        }
    });
    let pending = pending.map_err(|failure| error(&failure))?;
    let abort = Abort::watch(signal, &pending.canceller)?;
    to_js(&abort.settle(pending.result().await)?)
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
    method(&object, "quality", move |options, _| quality(it.clone(), options));
    let it = pipeline.clone();
    method(&object, "trace", move |options, _| trace(it.clone(), options));
    let it = pipeline.clone();
    method(&object, "nodes", move |_, _| js_measuring::nodes(it.clone()));
    let it = pipeline.clone();
    method(&object, "inspect", move |options, _| js_measuring::inspect(it.clone(), options));
    let it = pipeline.clone();
    method(&object, "memory", move |_, _| {
        let it = it.clone();
        async move { to_js(&it.memory().await.map_err(|failure| error(&failure))?) }
    });
    let it = pipeline.clone();
    let report = Closure::<dyn Fn() -> JsValue>::new(move || to_js(&it.report()).unwrap_or_default());
    set(&object, "report", &report.into_js_value());
    method(&object, "dispose", move |_, _| {
        pipeline.dispose();
        async { Ok(JsValue::UNDEFINED) }
    });
    object.into()
}

/// An asynchronous method of up to two arguments.
pub fn method<F: Future<Output = Outcome> + 'static>(
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
