//! The monitor and the benchmark of `window.rill`, and the numbers inside its models.

use js_sys::Object;
use wasm_bindgen::prelude::*;

use super::benchmark::runner::{self, Plan, Stopper};
use super::benchmark::suite;
use super::js_api::method;
use super::js_options::{Given, type_error};
use super::js_values::{Abort, Outcome, error, set, tell, to_js};
use super::platform::{Pipeline, Platform};
use crate::protocol::Event;

/// `rill.monitor`: start, stop, report.
pub fn monitor(platform: &Platform) -> Object {
    let object = Object::new();
    let api = platform.clone();
    method(&object, "start", move |_, _| {
        api.start_monitor();
        async { Ok(JsValue::UNDEFINED) }
    });
    let api = platform.clone();
    method(&object, "stop", move |_, _| {
        let stopped = api.stop_monitor();
        let api = api.clone();
        async move {
            stopped.await;
            to_js(&api.monitor_report())
        }
    });
    let api = platform.clone();
    method(&object, "report", move |_, _| {
        let report = api.monitor_report();
        async move { to_js(&report) }
    });
    object
}

/// How far a benchmark is, for programs.
#[derive(serde::Serialize)]
struct At<'a> {
    done: u32,
    total: u32,
    doing: &'a str,
}

/// Runs the benchmark; by default its short form, with the models that are asked for or the suite's own.
pub async fn benchmark(platform: Platform, options: JsValue) -> Outcome {
    let given = Given::new("benchmark", &options, &["scope", "models", "machine", "onProgress", "signal"])?;
    let scope = given.scope()?;
    let (on_progress, signal) = (given.function("onProgress")?, given.signal()?);
    let machine = given.machine()?;
    let known = platform.models().await.map_err(|failure| error(&failure))?;
    let models = match given.models()? {
        Some(ids) => {
            let find = |id: &String| {
                let wrong =
                    || type_error(&format!("benchmark: there is no model `{id}` among those that rill.models() tells"));
                known.iter().find(|model| model.id == *id).cloned().ok_or_else(wrong)
            };
            ids.iter().map(find).collect::<Result<_, _>>()?
        }
        None => known.into_iter().filter(|model| suite::has(model, scope)).collect(),
    };
    let backends = platform.backends(|_| {}).await.map_err(|failure| error(&failure))?;
    let plan = Plan { scope, models, backends, machine };
    let stopper = Stopper::default();
    let stopping = stopper.clone();
    let abort = Abort::watch_calling(signal, move || stopping.stop())?;
    let run = runner::run(&platform, &plan, &stopper, |at, _| {
        if let Some(callback) = &on_progress {
            tell(callback, &At { done: at.done, total: at.total, doing: &at.doing });
        }
    });
    let found = run.await;
    to_js(&abort.settle(Ok(found))?)
}

/// The nodes of the model's graphs.
pub async fn nodes(pipeline: Pipeline) -> Outcome {
    let pending = pipeline.nodes().map_err(|failure| error(&failure))?;
    to_js(&pending.result().await.map_err(|failure| error(&failure))?)
}

/// Holds nodes of a graph against their definitions.
pub async fn inspect(pipeline: Pipeline, options: JsValue) -> Outcome {
    let given = Given::new("inspect", &options, &["graph", "nodes", "onProgress", "signal"])?;
    let (graph, nodes) = (given.graph()?, given.nodes()?);
    let (on_progress, signal) = (given.function("onProgress")?, given.signal()?);
    let pending = pipeline.inspect(graph, nodes, move |event| {
        if let (Event::BatchProgress { done, total, .. }, Some(callback)) = (event, &on_progress) {
            tell(callback, &(f64::from(*done) / f64::from((*total).max(1))));
        }
    });
    let pending = pending.map_err(|failure| error(&failure))?;
    let abort = Abort::watch(signal, &pending.canceller)?;
    to_js(&abort.settle(pending.result().await)?)
}

/// Puts both on the object.
pub fn install(rill: &Object, platform: &Platform) {
    set(rill, "monitor", &monitor(platform));
    let api = platform.clone();
    method(rill, "benchmark", move |options, _| benchmark(api.clone(), options));
}
