//! all-MiniLM-L6-v2 against the reference's vectors, on this machine's GPU and on the processor.
#![cfg(not(target_arch = "wasm32"))]

mod models;

use models::{load_embedding, open_gpu, processor};
use rill::engine::CancelFlag;
use rill::engine::session::{Device, Watch};
use serde_json::Value;

/// Every sentence of the golden file, in one call, so that batches are mixed too.
fn agrees(device: Device) {
    let golden: Value = serde_json::from_str(include_str!("golden/minilm.json")).expect("the golden file is JSON");
    let sentences = golden["sentences"].as_array().expect("sentences");
    let texts: Vec<String> = sentences.iter().filter_map(|s| s["text"].as_str().map(str::to_string)).collect();
    let mut model = load_embedding(device, "all-MiniLM-L6-v2");
    let cancel = CancelFlag::default();
    let mut watch = Watch { cancel: &cancel, on_progress: &mut |_| () };
    let got = pollster::block_on(model.embed(&texts, None, &mut watch)).expect("the sentences are embedded");
    let got = got.vectors;
    assert_eq!(got.len(), sentences.len());
    for ((text, got), sentence) in texts.iter().zip(&got).zip(sentences) {
        let expected = sentence["embedding"].as_array().expect("an embedding");
        let cosine: f64 = got.iter().zip(expected).map(|(g, e)| f64::from(*g) * e.as_f64().unwrap_or(0.0)).sum();
        assert!((cosine - 1.0).abs() < 1e-4, "cosine {cosine} for `{text}`");
    }
}

#[test]
fn minilm_gives_the_references_vectors_on_the_gpu() {
    let Some(gpu) = open_gpu() else { return };
    agrees(Device::Gpu(gpu));
}

#[test]
fn minilm_gives_the_references_vectors_on_the_processor() {
    agrees(processor());
}
