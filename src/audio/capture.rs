//! The microphone, as blocks of 16 kHz mono samples. What becomes of them is left to the caller.
//!
//! The browser's own echo cancellation, noise suppression and gain control are asked to stay off: they are made for
//! calls, and cost words. Where a browser refuses an audio context of 16 kHz, its own rate is resampled here.

use std::cell::RefCell;
use std::rc::Rc;

use futures_channel::oneshot;
use gloo_timers::future::TimeoutFuture;
use js_sys::{Float32Array, Object, Promise, Reflect};
use rubato::audioadapter_buffers::direct::InterleavedSlice;
use rubato::{Async, FixedAsync, Indexing, Resampler, SincInterpolationParameters, WindowFunction};
use wasm_bindgen::prelude::*;
use wasm_bindgen_futures::{JsFuture, future_to_promise};
use web_sys::{
    AudioContext, AudioContextOptions, AudioContextState, AudioNode, AudioWorkletNode, AudioWorkletNodeOptions,
    MediaDeviceInfo, MediaDeviceKind, MediaDevices, MediaStream, MediaStreamAudioSourceNode, MediaStreamConstraints,
    MediaStreamTrack, MessageEvent,
};

use super::SAMPLE_RATE_HZ;
use crate::protocol::{Failure, FailureKind};

/// Frames in one block of the worklet (`BLOCK_FRAMES` in `capture-worklet.js`).
const BLOCK_FRAMES: usize = 512;

/// How long a browser may take to start its audio; usually it takes a tenth of a second.
const CLOCK_START_MS: u32 = 5_000;

/// Hears each block of 16 kHz mono samples.
type OnBlock = Rc<RefCell<dyn FnMut(&[f32])>>;

/// Tells whoever waits that the worklet has nothing left.
type Finished = Rc<RefCell<Option<oneshot::Sender<()>>>>;

/// A microphone.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Microphone {
    /// The browser's name for it.
    pub id: String,
    /// The name that people know.
    pub label: String,
}

/// A microphone that is on. Dropping it turns the microphone off.
pub struct Capture {
    context: AudioContext,
    stream: MediaStream,
    node: AudioWorkletNode,
    source: MediaStreamAudioSourceNode,
    finished: Finished,
    _on_message: Closure<dyn FnMut(MessageEvent)>,
    _on_ended: Closure<dyn Fn()>,
}

impl Capture {
    /// Ask for the microphone `device` (any, where `None`) and turn it on. `on_ended` is called if it goes away by
    /// itself, for example because it was unplugged.
    pub async fn start(
        device: Option<&str>,
        on_block: impl FnMut(&[f32]) + 'static,
        on_ended: impl Fn() + 'static,
    ) -> Result<Self, Failure> {
        let stream = open_microphone(device).await?;
        // From here on an error has to turn the microphone off again.
        match Self::listen(&stream, Rc::new(RefCell::new(on_block)), on_ended).await {
            Ok(capture) => Ok(capture),
            Err(failure) => {
                stop_tracks(&stream);
                Err(failure)
            }
        }
    }

    async fn listen(stream: &MediaStream, on_block: OnBlock, on_ended: impl Fn() + 'static) -> Result<Self, Failure> {
        let (context, source) = connect(stream).map_err(|error| audio_failure(&error))?;
        let worklet = context.audio_worklet().map_err(|_| no_worklet())?;
        let module = worklet.add_module("./capture-worklet.js").map_err(|error| audio_failure(&error))?;
        JsFuture::from(module).await.map_err(|_| no_worklet())?;

        let options = AudioWorkletNodeOptions::new();
        options.set_number_of_outputs(0);
        let node =
            AudioWorkletNode::new_with_options(&context, "capture", &options).map_err(|error| audio_failure(&error))?;
        let mut resampler = Resample::to_16_khz(f64::from(context.sample_rate()))?;
        let finished = Finished::default();
        let at_last_block = finished.clone();
        let on_message = Closure::<dyn FnMut(MessageEvent)>::new(move |message: MessageEvent| {
            let data = message.data();
            let field = |name: &str| Reflect::get(&data, &name.into()).unwrap_or(JsValue::UNDEFINED);
            if let Ok(block) = field("samples").dyn_into::<Float32Array>() {
                let samples = resampler.block(&block.to_vec());
                (*on_block.borrow_mut())(&samples);
            }
            if field("last").is_truthy() {
                finish(&at_last_block);
            }
        });
        let port = node.port().map_err(|error| audio_failure(&error))?;
        port.set_onmessage(Some(on_message.as_ref().unchecked_ref()));
        let input: &AudioNode = source.as_ref();
        input.connect_with_audio_node(&node).map_err(|error| audio_failure(&error))?;
        start_clock(&context).await?;

        let on_ended = Closure::<dyn Fn()>::new(on_ended);
        for track in tracks(stream) {
            track.set_onended(Some(on_ended.as_ref().unchecked_ref()));
        }
        let stream = stream.clone();
        Ok(Self { context, stream, node, source, finished, _on_message: on_message, _on_ended: on_ended })
    }

    /// The name of the microphone in use.
    pub fn label(&self) -> String {
        tracks(&self.stream).first().map(|track| track.label()).unwrap_or_default()
    }

    /// Hand over what the worklet still holds, then turn the microphone off.
    pub async fn stop(self) {
        let (sender, last_block) = oneshot::channel();
        *self.finished.borrow_mut() = Some(sender);
        let Ok(port) = self.node.port() else { return };
        if port.post_message(&JsValue::NULL).is_err() {
            return;
        }
        // An unplugged microphone leaves an audio thread that may never answer: do not wait for ever.
        let patience = self.finished.clone();
        let _timeout = gloo_timers::callback::Timeout::new(500, move || finish(&patience));
        let _ = last_block.await;
    }
}

fn finish(finished: &Finished) {
    if let Some(sender) = finished.borrow_mut().take() {
        // Nobody waits where the capture was dropped instead of stopped.
        let _ = sender.send(());
    }
}

impl Drop for Capture {
    fn drop(&mut self) {
        for track in tracks(&self.stream) {
            track.set_onended(None);
        }
        if let Ok(port) = self.node.port() {
            port.set_onmessage(None);
        }
        stop_tracks(&self.stream);
        let source: &AudioNode = self.source.as_ref();
        // These fail only where the browser has already done it.
        let _ = source.disconnect();
        let _ = self.context.close();
    }
}

/// The microphones that the browser knows. Their names are empty until the visitor has allowed one.
pub async fn microphones() -> Vec<Microphone> {
    let Ok(devices) = media_devices() else { return Vec::new() };
    let Ok(listing) = devices.enumerate_devices() else { return Vec::new() };
    let Ok(found) = JsFuture::from(listing).await else { return Vec::new() };
    js_sys::Array::from(&found)
        .iter()
        .filter_map(|device| device.dyn_into::<MediaDeviceInfo>().ok())
        .filter(|device| device.kind() == MediaDeviceKind::Audioinput)
        .map(|device| Microphone { id: device.device_id(), label: device.label() })
        .collect()
}

/// Whether a recording could be made here, in one sentence, without asking the visitor for anything.
pub async fn probe() -> (bool, String) {
    if let Err(failure) = media_devices() {
        return (false, failure.message);
    }
    let has_worklet = Reflect::has(&js_sys::global(), &"AudioWorkletNode".into()).unwrap_or(false);
    if !has_worklet {
        return (false, no_worklet().message);
    }
    match microphones().await.len() {
        0 => (false, "The browser knows no microphone.".into()),
        1 => (true, "The browser knows one microphone.".into()),
        count => (true, format!("The browser knows {count} microphones.")),
    }
}

fn media_devices() -> Result<MediaDevices, Failure> {
    let absent = || Failure {
        kind: FailureKind::Microphone,
        message: "This browser offers no microphone to this page.".into(),
        hint: "Microphones need a secure address (https, or localhost). You can still drop a recording here.".into(),
    };
    let window = web_sys::window().ok_or_else(absent)?;
    // The property is undefined on insecure pages, whatever its type promises.
    let devices = window.navigator().media_devices().map_err(|_| absent())?;
    if devices.is_undefined() { Err(absent()) } else { Ok(devices) }
}

async fn open_microphone(device: Option<&str>) -> Result<MediaStream, Failure> {
    let devices = media_devices()?;
    let audio = Object::new();
    let set = |target: &Object, name: &str, value: &JsValue| {
        // Setting a property of an object made one line above cannot fail.
        let _ = Reflect::set(target, &name.into(), value);
    };
    for name in ["echoCancellation", "noiseSuppression", "autoGainControl"] {
        set(&audio, name, &false.into());
    }
    set(&audio, "channelCount", &1.into());
    if let Some(id) = device {
        let exact = Object::new();
        set(&exact, "exact", &id.into());
        set(&audio, "deviceId", &exact);
    }
    let constraints = MediaStreamConstraints::new();
    constraints.set_audio(&audio);
    let failure = |error: JsValue| microphone_failure(&error, device.is_some());
    let asking = devices.get_user_media_with_constraints(&constraints).map_err(failure)?;
    let stream = JsFuture::from(asking).await.map_err(failure)?;
    stream.dyn_into().map_err(failure)
}

/// A context that hears the stream: at 16 kHz where the browser can, else at its own rate.
fn connect(stream: &MediaStream) -> Result<(AudioContext, MediaStreamAudioSourceNode), JsValue> {
    let options = AudioContextOptions::new();
    options.set_sample_rate(SAMPLE_RATE_HZ as f32);
    if let Ok(context) = AudioContext::new_with_context_options(&options) {
        if let Ok(source) = context.create_media_stream_source(stream) {
            return Ok((context, source));
        }
        let _ = context.close();
    }
    let context = AudioContext::new()?;
    let source = context.create_media_stream_source(stream)?;
    Ok((context, source))
}

/// Start the context's clock; it may stand still where the browser did not see the visitor's press.
///
/// Firefox lets the clock run only once the sound system has asked for samples to play, so without any output it never says
/// that it started (<https://github.com/WebAudio/web-audio-api/issues/2625>): the wait has an end.
async fn start_clock(context: &AudioContext) -> Result<(), Failure> {
    let started = context.resume().map_err(|error| audio_failure(&error))?;
    let patience = future_to_promise(async {
        TimeoutFuture::new(CLOCK_START_MS).await;
        Ok(JsValue::FALSE)
    });
    let first = Promise::race(&js_sys::Array::of2(&started, &patience));
    let answer = JsFuture::from(first).await.map_err(|error| audio_failure(&error))?;
    if answer.is_falsy() && context.state() != AudioContextState::Running {
        return Err(silent_output());
    }
    Ok(())
}

fn tracks(stream: &MediaStream) -> Vec<MediaStreamTrack> {
    stream.get_audio_tracks().iter().filter_map(|track| track.dyn_into().ok()).collect()
}

fn stop_tracks(stream: &MediaStream) {
    for track in tracks(stream) {
        track.stop();
    }
}

/// Blocks at the context's rate become blocks at 16 kHz.
enum Resample {
    /// The context already runs at 16 kHz.
    Not,
    Sinc(Box<Async<f32>>),
}

impl Resample {
    fn to_16_khz(rate_hz: f64) -> Result<Self, Failure> {
        if rate_hz == f64::from(SAMPLE_RATE_HZ) {
            return Ok(Resample::Not);
        }
        let parameters = SincInterpolationParameters::new(128, WindowFunction::BlackmanHarris2);
        let ratio = f64::from(SAMPLE_RATE_HZ) / rate_hz;
        Async::new_sinc(ratio, 1.0, &parameters, BLOCK_FRAMES, 1, FixedAsync::Input)
            .map(|resampler| Resample::Sinc(Box::new(resampler)))
            .map_err(|error| audio_failure(&error.to_string().into()))
    }

    /// At most [`BLOCK_FRAMES`] in; only the last block of a recording is shorter.
    fn block(&mut self, samples: &[f32]) -> Vec<f32> {
        let Resample::Sinc(resampler) = self else { return samples.to_vec() };
        let Ok(input) = InterleavedSlice::new(samples, 1, samples.len()) else { return Vec::new() };
        let partial = Indexing::new().partial_len(samples.len().min(BLOCK_FRAMES));
        // It refuses only wrong sizes, which the worklet does not send.
        resampler.process(&input, Some(&partial)).map(|output| output.take_data()).unwrap_or_default()
    }
}

fn microphone_failure(error: &JsValue, was_chosen: bool) -> Failure {
    let name = Reflect::get(error, &"name".into()).ok().and_then(|name| name.as_string()).unwrap_or_default();
    let (message, hint) = match name.as_str() {
        "NotAllowedError" | "SecurityError" => (
            "The microphone was refused.",
            "Allow the microphone in the browser's address bar and press Record again, or drop a recording here.",
        ),
        "NotReadableError" | "AbortError" => (
            "The microphone could not be opened; another program may be using it.",
            "Close that program and press Record again, or choose another microphone.",
        ),
        "OverconstrainedError" if was_chosen => {
            ("The chosen microphone is not there any more.", "Choose another microphone and press Record again.")
        }
        // WebKit finds a machine without a microphone wanting in its demands.
        "NotFoundError" | "NotSupportedError" | "OverconstrainedError" => {
            ("No microphone was found.", "Connect one and press Record again, or drop a recording here.")
        }
        _ => ("The microphone could not be opened.", "Press Record again, or drop a recording here."),
    };
    Failure { kind: FailureKind::Microphone, message: message.into(), hint: hint.into() }
}

fn silent_output() -> Failure {
    Failure {
        kind: FailureKind::Microphone,
        message: "The browser's audio does not start.".into(),
        hint: "Some browsers need a sound output even to record: connect speakers or headphones and press Record again, or \
               drop a recording here."
            .into(),
    }
}

fn no_worklet() -> Failure {
    Failure {
        kind: FailureKind::Microphone,
        message: "This browser cannot hand a microphone's sound to a page (AudioWorklet is missing).".into(),
        hint: "Use a current browser, or record with another program and drop the file here.".into(),
    }
}

fn audio_failure(error: &JsValue) -> Failure {
    let words = error.dyn_ref::<js_sys::Error>().map(|error| String::from(error.message())).or(error.as_string());
    Failure {
        kind: FailureKind::Microphone,
        message: format!(
            "The browser's audio could not be started: {}",
            words.unwrap_or_else(|| "no reason given".into())
        ),
        hint: "Reload the page, or record with another program and drop the file here.".into(),
    }
}
