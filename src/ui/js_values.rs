//! What `window.rill` hands out and takes in besides options: plain objects, errors, callbacks, signals.

use js_sys::{Function, Reflect};
use serde::Serialize;
use wasm_bindgen::prelude::*;
use web_sys::{AbortSignal, DomException};

use super::platform::Canceller;
use crate::protocol::{Failure, FailureKind};

/// What promises of this API settle with.
pub type Outcome = Result<JsValue, JsValue>;

/// Cancels a job when its signal says so, for as long as this value lives.
pub struct Abort {
    watched: Option<(AbortSignal, Closure<dyn Fn()>)>,
}

impl Abort {
    /// Watches `signal`; without one nothing is watched.
    pub fn watch(signal: Option<AbortSignal>, canceller: &Canceller) -> Result<Self, JsValue> {
        let canceller = canceller.clone();
        Self::watch_calling(signal, move || canceller.cancel())
    }

    /// Calls `cancel` when `signal` says so.
    pub fn watch_calling(signal: Option<AbortSignal>, cancel: impl Fn() + 'static) -> Result<Self, JsValue> {
        let Some(signal) = signal else { return Ok(Self { watched: None }) };
        if signal.aborted() {
            cancel();
        }
        let on_abort = Closure::<dyn Fn()>::new(cancel);
        signal.add_event_listener_with_callback("abort", on_abort.as_ref().unchecked_ref())?;
        Ok(Self { watched: Some((signal, on_abort)) })
    }

    /// Whether the signal was aborted.
    pub fn aborted(&self) -> bool {
        self.watched.as_ref().is_some_and(|(signal, _)| signal.aborted())
    }

    /// A job whose signal was aborted rejects with the signal's reason, even where it was done just before.
    pub fn settle<T>(&self, result: Result<T, Failure>) -> Result<T, JsValue> {
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
pub fn error(failure: &Failure) -> JsValue {
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

/// A value as plain JavaScript objects.
pub fn to_js(value: &impl Serialize) -> Outcome {
    value.serialize(&serde_wasm_bindgen::Serializer::json_compatible()).map_err(JsValue::from)
}

/// Tell a program's callback a value as plain objects.
pub fn tell(callback: &Function, value: &impl Serialize) {
    match to_js(value) {
        Ok(value) => call(callback, &value),
        Err(error) => throw_later(error),
    }
}

/// Call a program's callback. What it throws is reported like any uncaught error and does not disturb the job.
pub fn call(callback: &Function, value: &JsValue) {
    if let Err(thrown) = callback.call1(&JsValue::UNDEFINED, value) {
        throw_later(thrown);
    }
}

fn throw_later(thrown: JsValue) {
    wasm_bindgen_futures::spawn_local(async move { wasm_bindgen::throw_val(thrown) });
}

/// Sets a property.
pub fn set(object: &JsValue, name: &str, value: &JsValue) {
    // Plain objects take every property.
    let _ = Reflect::set(object, &name.into(), value);
}
