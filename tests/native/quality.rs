//! What a narrower precision costs on the processor: words of Whisper that come out wrong, on the clips of `models/samples`, and also on
//! those of the folder that RILL_SPEECH names, after its `manifest.json`, where it names one. MiniLM's figures are in `minilm.rs`.

use crate::models::{self, load_speech_as, open_gpu, processor};
use rill::engine::CancelFlag;
use rill::engine::session::{Device, Watch};
use rill::engine::transcribe::SpeechModel;
use rill::protocol::{Precision, TranscribeOptions};
use rill::word_errors::{WordErrors, words};
use serde_json::Value;
use std::path::{Path, PathBuf};

/// A clip and what is said in it.
struct Clip {
    id: String,
    language: String,
    text: String,
    samples: Vec<f32>,
}

/// The clips of a folder, by a list in it.
fn clips_of(folder: &Path, list: &str, key: &str) -> Vec<Clip> {
    let path = folder.join(list);
    let json =
        std::fs::read(&path).unwrap_or_else(|e| panic!("{}: {e}; `cargo xtask test` fetches it", path.display()));
    let json: Value = serde_json::from_slice(&json).expect("the list is JSON");
    let word = |item: &Value, key: &str| item[key].as_str().unwrap_or_default().to_string();
    let clip = |item: &Value| {
        let file = word(item, "file");
        let wav = std::fs::read(folder.join(&file)).expect("the clips of the list are there");
        let samples = rill::audio::wav::decode(&wav).expect("the clip is WAV").samples;
        Clip { id: file, language: word(item, "language"), text: word(item, "text"), samples }
    };
    json[key].as_array().expect("a list of clips").iter().map(clip).collect()
}

/// Clips that come with the models.
fn samples() -> Vec<Clip> {
    clips_of(&models::folder().join("samples"), "samples.json", "clips")
}

/// Samples of 30 s, which is what the model looks at at once.
const WINDOW: usize = 30 * 16_000;

/// The same, half a second apart in as few windows as they need: each window costs the same however much is said in it.
fn joined(clips: Vec<Clip>) -> Vec<Clip> {
    let mut all: Vec<Clip> = Vec::new();
    for clip in clips {
        match all.last_mut().filter(|last| last.samples.len() + clip.samples.len() + 8_000 <= WINDOW) {
            Some(last) => {
                last.samples.resize(last.samples.len() + 8_000, 0.0);
                last.samples.extend_from_slice(&clip.samples);
                last.text = format!("{} {}", last.text, clip.text);
                last.id = format!("{}+{}", last.id, clip.id);
            }
            None => all.push(clip),
        }
    }
    all
}

fn clips() -> Vec<Clip> {
    let mut clips = joined(samples());
    match std::env::var_os("RILL_SPEECH").map(PathBuf::from) {
        Some(folder) => {
            let further = clips_of(&folder, "manifest.json", "items");
            clips.extend(further.into_iter().filter(|clip| samples().iter().all(|sample| sample.id != clip.id)));
        }
        None => eprintln!("RILL_SPEECH names no folder of further clips"),
    }
    clips
}

fn transcribe(model: &mut SpeechModel, clip: &Clip) -> String {
    let language = if clip.language.is_empty() { "en".to_string() } else { clip.language.clone() };
    let options = TranscribeOptions {
        language: Some(language),
        timestamps: clip.samples.len() > WINDOW,
        temperatures: vec![0.0],
        ..Default::default()
    };
    let mut job = model.begin(options).expect("the options fit the model");
    let cancel = CancelFlag::default();
    let mut watch = Watch { cancel: &cancel, on_progress: &mut |_| () };
    pollster::block_on(model.transcribe(&clip.samples, &mut job, &mut watch, &mut |_| ())).expect("it is transcribed");
    job.segments.iter().map(|segment| segment.text.as_str()).collect()
}

/// Errors in English and in other languages, in a hundred words. Prints a line of figures.
fn word_error_rates(id: &str, precision: Precision, clips: &[Clip]) -> [f64; 2] {
    let mut model = load_speech_as(processor(), id, precision);
    let mut errors = [WordErrors::default(); 2];
    let mut wrong = String::new();
    let start = std::time::Instant::now();
    for clip in clips {
        let of_clip = WordErrors::between(&clip.text, &transcribe(&mut model, clip));
        errors[usize::from(!["en", ""].contains(&clip.language.as_str()))] += of_clip;
        if of_clip.n_errors > 0 {
            wrong += &format!(" {} {}", clip.id, of_clip.n_errors);
        }
    }
    let [english, other] = errors;
    println!(
        "{id} {precision:?}: {:.2} % ({} of {} words), other languages {} of {}, {:.1} MB, {:.1} s;{wrong}",
        english.percent(),
        english.n_errors,
        english.n_words,
        other.n_errors,
        other.n_words,
        model.session.memory_bytes() as f64 / 1e6,
        start.elapsed().as_secs_f64(),
    );
    errors.map(|errors| errors.percent())
}

#[test]
fn base_loses_hardly_a_word_in_eight_bits_and_few_in_four() {
    let clips = clips();
    let [wide, _] = word_error_rates("whisper-base", Precision::F32, &clips);
    let [int8, _] = word_error_rates("whisper-base", Precision::Int8, &clips);
    let [int4, _] = word_error_rates("whisper-base", Precision::Int4, &clips);
    assert!(int8 <= wide + 0.2, "int8 {int8:.2} %, f32 {wide:.2} %");
    assert!(int4 <= wide + 1.0, "int4 {int4:.2} %, f32 {wide:.2} %");
}

/// The smallest model is the most sensitive one; it has no bar to meet, but is not to fall apart.
#[test]
fn tiny_en_stays_of_use_in_four_bits() {
    let mut clips = clips();
    clips.retain(|clip| ["en", ""].contains(&clip.language.as_str()));
    let [wide, _] = word_error_rates("whisper-tiny.en", Precision::F32, &clips);
    let [int8, _] = word_error_rates("whisper-tiny.en", Precision::Int8, &clips);
    let [int4, _] = word_error_rates("whisper-tiny.en", Precision::Int4, &clips);
    assert!(int8 <= wide + 0.5, "int8 {int8:.2} %, f32 {wide:.2} %");
    assert!(int4 <= wide + 3.0, "int4 {int4:.2} %, f32 {wide:.2} %");
}

#[test]
fn eight_bits_give_the_same_words_on_the_gpu_and_on_the_processor() {
    let Some(gpu) = open_gpu() else { return };
    let clips = samples();
    let clip = clips.iter().find(|clip| clip.id == "jfk.wav").expect("it comes with the models");
    let heard = |device| words(&transcribe(&mut load_speech_as(device, "whisper-tiny.en", Precision::Int8), clip));
    let [on_gpu, here] = [Device::Gpu(gpu), processor()].map(heard);
    assert!(here.len() > 15, "{here:?}");
    assert_eq!(on_gpu, here);
}
