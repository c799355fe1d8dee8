//! all-MiniLM-L6-v2 against the reference's vectors, on this machine's GPU and on the processor.

use crate::models::{load_embedding_as, open_gpu, processor};
use rill::engine::CancelFlag;
use rill::engine::session::{Device, Watch};
use rill::protocol::Precision;
use serde_json::Value;

/// The sentences of the golden file.
const ALL: usize = 20;

/// The first `n` sentences of the golden file, in one call, so that batches are mixed too; each cosine is `least` at least.
fn agrees(device: Device, precision: Precision, n: usize, least: f64) {
    let golden: Value = serde_json::from_str(include_str!("../golden/minilm.json")).expect("the golden file is JSON");
    let sentences = &golden["sentences"].as_array().expect("sentences")[..n];
    let texts: Vec<String> = sentences.iter().filter_map(|s| s["text"].as_str().map(str::to_string)).collect();
    let mut model = load_embedding_as(device, "all-MiniLM-L6-v2", precision);
    let cancel = CancelFlag::default();
    let mut watch = Watch { cancel: &cancel, on_progress: &mut |_| () };
    let got = pollster::block_on(model.embed(&texts, None, &mut watch)).expect("the sentences are embedded");
    let got = got.vectors;
    assert_eq!(got.len(), sentences.len());
    let cosine = |(got, sentence): (&Vec<f32>, &Value)| -> f64 {
        let expected = sentence["embedding"].as_array().expect("an embedding");
        got.iter().zip(expected).map(|(g, e)| f64::from(*g) * e.as_f64().unwrap_or(0.0)).sum()
    };
    let cosines: Vec<f64> = got.iter().zip(sentences).map(cosine).collect();
    let mean = cosines.iter().sum::<f64>() / cosines.len() as f64;
    let worst = cosines.iter().copied().fold(1.0, f64::min);
    println!("{precision:?}: worst {worst:.5}, mean {mean:.5}, {} bytes", model.session.memory_bytes());
    for (text, cosine) in texts.iter().zip(cosines) {
        assert!(cosine >= least && cosine < 1.0 + 1e-4, "cosine {cosine} for `{text}`");
    }
}

#[test]
fn minilm_gives_the_references_vectors_on_the_gpu() {
    let Some(gpu) = open_gpu() else { return };
    agrees(Device::Gpu(gpu), Precision::F32, ALL, 0.9999);
}

#[test]
fn minilm_gives_the_references_vectors_on_the_processor() {
    agrees(processor(), Precision::F32, ALL, 0.9999);
}

/// The bar for int8 is 0.999. int4 has none; measured 0.9364 for the worst sentence, the empty one, and 0.9727 in the mean.
#[test]
fn minilm_keeps_its_vectors_in_eight_bits_and_their_direction_in_four() {
    agrees(processor(), Precision::Int8, ALL, 0.999);
    agrees(processor(), Precision::Int4, ALL, 0.93);
}

#[test]
fn minilm_keeps_its_vectors_in_eight_and_four_bits_on_the_gpu() {
    let Some(gpu) = open_gpu() else { return };
    // Without the longest, which takes Lavapipe most of a minute, and what comes before it in the file.
    agrees(Device::Gpu(gpu.clone()), Precision::Int8, 12, 0.999);
    agrees(Device::Gpu(gpu), Precision::Int4, 12, 0.93);
}
