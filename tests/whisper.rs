//! Whisper against the reference's golden numbers, on this machine's GPU (lavapipe in CI).
//!
//! RILL_MODELS names the folder that holds the model folders; RILL_SPEECH, where it is set, a folder of more clips.
#![cfg(not(target_arch = "wasm32"))]

use rill::engine::gpu::Gpu;
use rill::engine::graph::{RecordOptions, Recorder};
use rill::engine::models::whisper::{Config, Whisper};
use rill::engine::session::{Cancel, Device, Session, Watch};
use rill::engine::tensor::DType;
use rill::engine::text::{Tokenizer, WhisperTokens};
use rill::engine::transcribe::SpeechModel;
use rill::engine::upload::Uploader;
use rill::engine::weights::TensorStream;
use rill::protocol::TranscribeOptions;
use std::path::PathBuf;

fn load(device: &Device, id: &str) -> SpeechModel {
    let folder = PathBuf::from(std::env::var_os("RILL_MODELS").unwrap()).join(id);
    let read = |name: &str| std::fs::read(folder.join(name)).unwrap();
    let config = Config::from_json(&read("config.json")).unwrap();
    let tokenizer = Tokenizer::from_json(&read("tokenizer.json")).unwrap();
    let tokens =
        WhisperTokens::new(&tokenizer, &serde_json::from_slice(&read("generation_config.json")).unwrap()).unwrap();
    let bytes = read("model.safetensors");
    let mut stream = TensorStream::new("model.safetensors", Some(bytes.len() as u64));
    let is_gpu = matches!(device, Device::Gpu(_));
    let mut session = None;
    let mut whisper = None;
    let mut uploader = None;
    for chunk in bytes.chunks(4 << 20) {
        stream.push(chunk.to_vec()).unwrap();
        if session.is_none()
            && let Some(checkpoint) = stream.checkpoint()
        {
            let recorder =
                Recorder::new(checkpoint.clone(), RecordOptions { activation: DType::F32, keep_f16: is_gpu });
            whisper = Some(Whisper::record(&recorder, config.clone(), &tokens).unwrap());
            let program = recorder.finish();
            uploader = Some(Uploader::new(&program));
            session = Some(pollster::block_on(Session::compile(device, program, &mut |_, _| ())).unwrap());
        }
        while let Some(part) = stream.next_part() {
            uploader.as_mut().unwrap().part(&part, session.as_mut().unwrap()).unwrap();
        }
    }
    stream.finish().unwrap();
    SpeechModel::new(session.unwrap(), whisper.unwrap(), tokenizer, tokens)
}

#[test]
fn try_it() {
    let gpu = pollster::block_on(Gpu::open()).unwrap();
    println!("{} {:?}", gpu.name, gpu.caps);
    let t = std::time::Instant::now();
    let mut model = load(&Device::Gpu(gpu), "whisper-tiny.en");
    println!(
        "loaded {:?} mem {} dispatches {}",
        t.elapsed(),
        model.session.memory_bytes(),
        model.dispatches_per_token()
    );
    let wav = rill::audio::wav::decode(&std::fs::read(std::env::var("CLIP").unwrap()).unwrap()).unwrap();
    for timestamps in [false, true] {
        let t = std::time::Instant::now();
        let mut job = model.begin(TranscribeOptions { timestamps, ..Default::default() }).unwrap();
        let cancel = Cancel::default();
        let mut watch = Watch { cancel: &cancel, on_progress: &mut |_| () };
        pollster::block_on(model.transcribe(&wav.samples, &mut job, &mut watch, &mut |e| match e {
            rill::engine::transcribe::SpeechEvent::Segments(s) => println!("{s:#?}"),
            _ => (),
        }))
        .unwrap();
        println!("{:?} {:?}", t.elapsed(), job.timings);
    }
}
