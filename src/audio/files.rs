//! A recording in any format that the browser decodes, as 16 kHz mono samples.

use js_sys::{ArrayBuffer, Float32Array};
use wasm_bindgen::prelude::*;
use wasm_bindgen_futures::JsFuture;
use web_sys::{AudioBuffer, Blob, OfflineAudioContext};

use super::{SAMPLE_RATE_HZ, wav};
use crate::protocol::{Failure, FailureKind};

/// Shorter recordings cannot hold a word, and the model would invent one.
pub const SHORTEST_S: f64 = 0.2;

/// The sample's address beside the page.
const SAMPLE: &str = "models/samples/jfk.wav";

/// Frames mixed before the page may draw again: under 5 ms of work.
const SLICE_FRAMES: usize = 1 << 19;

/// Decode `blob`, average its channels and resample it. Decoding and resampling are the browser's and run off the main
/// thread.
pub async fn decode(blob: &Blob) -> Result<Vec<f32>, Failure> {
    if blob.size() == 0.0 {
        return Err(input("The file is empty.", "Choose another recording, or record again."));
    }
    let unreadable = |_| input("The file could not be read.", "It may have been moved or changed: choose it again.");
    let bytes: ArrayBuffer = JsFuture::from(blob.array_buffer()).await.map_err(unreadable)?.unchecked_into();
    // An offline context at 16 kHz makes decodeAudioData resample to it.
    let context =
        OfflineAudioContext::new_with_number_of_channels_and_length_and_sample_rate(1, 1, SAMPLE_RATE_HZ as f32)
            .map_err(not_audio)?;
    let decoding = context.decode_audio_data(&bytes).map_err(not_audio)?;
    let audio: AudioBuffer = JsFuture::from(decoding).await.map_err(not_audio)?.unchecked_into();
    let samples = mix(&audio).await.map_err(not_audio)?;
    check_length(samples.len())?;
    Ok(samples)
}

/// The clip that is served beside the page: what speech models are tried with.
pub async fn sample() -> Result<Vec<f32>, Failure> {
    clip(SAMPLE).await
}

/// A clip of the samples by its address: 16 kHz, mono.
pub async fn clip(address: &str) -> Result<Vec<f32>, Failure> {
    let answer = gloo_net::http::Request::get(address).send().await.ok().filter(gloo_net::http::Response::ok);
    let bytes = match answer {
        Some(answer) => answer.binary().await.ok(),
        None => None,
    };
    let clip = bytes.and_then(|bytes| wav::decode(&bytes).ok()).map(|clip| clip.samples);
    clip.ok_or_else(|| {
        input(&format!("The sample `{address}` is not served here."), "Put it beside the page's models.")
    })
}

/// Refuse what cannot hold a word.
pub fn check_length(n_samples: usize) -> Result<(), Failure> {
    let seconds = n_samples as f64 / f64::from(SAMPLE_RATE_HZ);
    if n_samples == 0 {
        Err(input("The recording holds no sound at all.", "Choose another recording, or record again."))
    } else if seconds < SHORTEST_S {
        let message = format!("The recording is only {seconds:.2} s long; at least {SHORTEST_S} s are needed.");
        Err(input(&message, "Choose a longer recording, or record again."))
    } else {
        Ok(())
    }
}

/// The average of all channels, made in slices so that the page stays alive.
async fn mix(audio: &AudioBuffer) -> Result<Vec<f32>, JsValue> {
    let n_frames = audio.length() as usize;
    let n_channels = audio.number_of_channels();
    let mut mono = Vec::new();
    mono.try_reserve_exact(n_frames).map_err(|_| JsValue::from("the recording does not fit into memory"))?;
    let slice = Float32Array::new_with_length(SLICE_FRAMES.min(n_frames) as u32);
    while mono.len() < n_frames {
        let start = mono.len();
        let part = slice.subarray(0, (n_frames - start).min(SLICE_FRAMES) as u32);
        let mut sum = vec![0.0f32; part.length() as usize];
        for channel in 0..n_channels {
            audio.copy_from_channel_with_f32_array_and_start_in_channel(&part, channel as i32, start as u32)?;
            for (sum, sample) in sum.iter_mut().zip(part.to_vec()) {
                *sum += sample;
            }
        }
        mono.extend(sum.iter().map(|sum| sum / n_channels as f32));
        gloo_timers::future::TimeoutFuture::new(0).await;
    }
    Ok(mono)
}

fn not_audio(_: JsValue) -> Failure {
    input(
        "This browser cannot read the file as a recording.",
        "Choose a WAV, MP3, OGG, FLAC or M4A file; if it is one, it may be damaged.",
    )
}

fn input(message: &str, hint: &str) -> Failure {
    Failure { kind: FailureKind::Input, message: message.into(), hint: hint.into() }
}
