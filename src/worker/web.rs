//! The wiring to `postMessage`: `{message, samples, files}`, see `ui::client`.

use super::own_models::own_models;
use super::{Attachment, Worker};
use crate::protocol::{Command, Event};
use js_sys::{Array, Float32Array, Object, Reflect};
use wasm_bindgen::prelude::*;
use web_sys::{Blob, DedicatedWorkerGlobalScope, MessageEvent, Url};

/// Starts the worker: listens, then says that it does.
pub fn start() {
    console_error_panic_hook::set_once();
    let scope: DedicatedWorkerGlobalScope = js_sys::global().unchecked_into();
    // The worker's own file lies beside the page.
    let here = Reflect::get(&scope, &"location".into()).and_then(|location| Reflect::get(&location, &"href".into()));
    let here = here.ok().and_then(|href| href.as_string()).unwrap_or_default();
    let app_url = Url::new_with_base("./", &here).map_or(here, |url| url.href());
    let poster = scope.clone();
    let worker = Worker::new(app_url.clone(), move |event| post(&poster, &event));
    let listener = worker.clone();
    let on_message = Closure::<dyn Fn(MessageEvent)>::new(move |message: MessageEvent| {
        let data = message.data();
        let part = |name: &str| Reflect::get(&data, &name.into()).unwrap_or(JsValue::UNDEFINED);
        let attachment = match (part("samples").dyn_into::<Float32Array>(), part("files").dyn_into::<Array>()) {
            (Ok(samples), _) => Attachment::Samples(samples.to_vec()),
            (_, Ok(files)) => Attachment::Files(files.iter().filter_map(file).collect()),
            _ => Attachment::None,
        };
        match serde_wasm_bindgen::from_value::<Command>(part("message")) {
            Ok(command) => {
                let worker = listener.clone();
                wasm_bindgen_futures::spawn_local(async move { worker.handle(command, attachment).await });
            }
            // Page and worker are built together: this is a stale file in a cache.
            Err(error) => web_sys::console::error_1(&format!("a command was not understood: {error}").into()),
        }
    });
    scope.set_onmessage(Some(on_message.as_ref().unchecked_ref()));
    on_message.forget();
    worker.open_ahead();
    wasm_bindgen_futures::spawn_local(async move {
        let own = own_models(&scope, &app_url).await;
        worker.ready(&own);
    });
}

/// A `Blob`, a `File`, or one of them with its path: `[path, blob]`.
fn file(item: JsValue) -> Option<super::File> {
    match item.dyn_into::<Array>() {
        Ok(pair) => Some((pair.get(0).as_string()?, pair.get(1).dyn_into::<Blob>().ok()?)),
        Err(item) => {
            let blob = item.dyn_into::<Blob>().ok()?;
            let name = blob.dyn_ref::<web_sys::File>().map(web_sys::File::name).unwrap_or_default();
            Some((name, blob))
        }
    }
}

fn post(scope: &DedicatedWorkerGlobalScope, event: &Event) {
    let envelope = Object::new();
    let sent = serde_wasm_bindgen::to_value(event)
        .map_err(JsValue::from)
        .and_then(|message| Reflect::set(&envelope, &"message".into(), &message))
        .and_then(|_| scope.post_message(&envelope));
    if let Err(error) = sent {
        web_sys::console::error_2(&"an event could not be sent".into(), &error);
    }
}
