//! CLIP against the reference: the small model that ships with the page, with its own pictures and words, and a random one of the usual
//! kind where it is at hand.

use crate::models::pictures::{cosine, distance, golden, numbers, read_json, read_npy, read_png};
use crate::models::{devices, load_from, open_gpu, processor};
use rill::engine::CancelFlag;
use rill::engine::image::{Pixels, Preprocessor};
use rill::engine::image_text::ImageTextModel;
use rill::engine::model::Model;
use rill::engine::session::{Device, Watch};
use rill::engine::vision::PictureCount;
use rill::protocol::{Matches, Precision};
use serde_json::Value;
use std::path::{Path, PathBuf};

fn emoji() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("public/models/clip-emoji")
}

fn strings(value: &Value) -> Vec<String> {
    value.as_array().expect("an array").iter().filter_map(|text| text.as_str().map(str::to_string)).collect()
}

fn pictures(golden: &Value) -> Vec<Pixels> {
    strings(&golden["images"]).iter().map(|name| read_png(&emoji().join(name))).collect()
}

fn load(device: Device, folder: PathBuf, precision: Precision) -> ImageTextModel {
    match load_from(device, folder, precision) {
        Model::ImageText(model) => *model,
        _ => panic!("it is no image-text model"),
    }
}

fn scores(model: &mut ImageTextModel, pictures: &[Pixels], texts: &[String]) -> Matches {
    let (cancel, count) = (CancelFlag::default(), PictureCount { total: pictures.len(), at_once: None });
    let mut watch = Watch { cancel: &cancel, on_progress: &mut |_| () };
    let picture = async |i: usize| Ok(pictures[i].clone());
    pollster::block_on(model.scores(count, picture, texts, &mut watch)).expect("scores")
}

/// Probabilities of logits.
fn softmax(logits: &[f32]) -> Vec<f32> {
    let sum: f64 = logits.iter().map(|&logit| f64::from(logit).exp()).sum();
    logits.iter().map(|&logit| (f64::from(logit).exp() / sum) as f32).collect()
}

#[test]
fn emoji_are_prepared_as_by_the_reference() {
    let json = std::fs::read(emoji().join("preprocessor_config.json")).expect("a preprocessor");
    let preprocessor = Preprocessor::from_json(&json).expect("a preprocessor");
    let by_pillow = read_json(&golden("vision/clip-emoji.json"));
    // torchvision's bicubic filter is another than Pillow's: up to 0.015 apart in these pictures.
    let by_torchvision = read_npy(&golden("clip-emoji/golden_pixel_values.npy"));
    let pictures = pictures(&read_json(&golden("clip-emoji/golden.json")));
    for (i, (picture, other)) in pictures.iter().zip(by_torchvision.chunks_exact(3 * 64 * 64)).enumerate() {
        let got = preprocessor.apply(picture).expect("prepared");
        let expected = &by_pillow["prepared"][i];
        assert!(distance(&got[..8], &numbers(&expected["first"])) < 1e-6);
        let sum: f64 = got.iter().map(|&v| f64::from(v)).sum();
        assert!((sum - expected["sum"].as_f64().expect("a sum")).abs() < 5e-3, "picture {i}");
        let off = distance(&got, other);
        assert!(off < 0.0152, "picture {i} is off by {off}");
    }
}

#[test]
fn words_have_the_references_ids() {
    let model = load(processor(), emoji(), Precision::F32);
    let golden = read_json(&golden("clip-emoji/golden.json"));
    for (text, ids) in strings(&golden["texts"]).iter().zip(golden["input_ids"].as_array().expect("ids")) {
        let expected: Vec<u32> = numbers(ids).iter().map(|&id| id as u32).collect();
        assert_eq!(model.token_ids(text).expect("ids"), expected, "{text}");
    }
}

#[test]
fn a_text_that_is_too_long_keeps_its_end() {
    let mut model = load(processor(), emoji(), Precision::F32);
    let long = "a very long list of words about a dog ".repeat(20);
    let ids = model.token_ids(&long).expect("ids");
    assert_eq!((ids.len(), ids[0], ids[23]), (24, 2046, 2047));
    let cancel = CancelFlag::default();
    let mut watch = Watch { cancel: &cancel, on_progress: &mut |_| () };
    let two = [long.clone(), "dog".into()];
    assert_eq!(pollster::block_on(model.embed_texts(&two, None, &mut watch)).expect("counted").n_cut, 1);
    // No text at all is one too: it has a beginning and an end.
    let vectors =
        pollster::block_on(model.embed_texts(&[long, String::new()], Some(1), &mut watch)).expect("vectors").vectors;
    assert!(vectors.iter().all(|vector| vector.len() == 256));
}

#[test]
fn texts_are_read_in_batches_no_larger_than_asked_for_and_progress_ends_at_all() {
    let mut model = load(processor(), emoji(), Precision::F32);
    let texts = vec!["dog".to_string(); 8];
    let mut told = |batch_size| {
        let (cancel, mut told) = (CancelFlag::default(), Vec::new());
        let mut on_progress = |share| told.push(share);
        let mut watch = Watch { cancel: &cancel, on_progress: &mut on_progress };
        pollster::block_on(model.embed_texts(&texts, batch_size, &mut watch)).expect("vectors");
        told
    };
    assert_eq!(told(Some(1)).len(), 9);
    assert_eq!(told(None), [0.0, 1.0]);
}

/// Every picture against every word, at once and with more texts than a batch holds.
fn agrees(device: Device, precision: Precision, tolerance: f32) {
    let (shipped, expected) =
        (read_json(&golden("clip-emoji/golden.json")), read_json(&golden("vision/clip-emoji.json")));
    let (pictures, texts) = (pictures(&shipped), strings(&shipped["texts"]));
    let mut model = load(device, emoji(), precision);
    let got = scores(&mut model, &pictures, &texts);
    for (i, row) in got.scores.iter().enumerate() {
        let off = distance(row, &softmax(&numbers(&expected["logits_per_image"][i])));
        assert!(off < tolerance, "probabilities of picture {i} are off by {off}");
        let best = row.iter().enumerate().max_by(|a, b| a.1.total_cmp(b.1)).map(|(at, _)| at);
        assert_eq!(best, Some(i), "the first six texts name the six pictures");
    }
    for (i, row) in got.image_embeddings.iter().enumerate() {
        let logits = numbers(&expected["logits_per_image"][i]);
        let cosines = got.text_embeddings.iter().map(|text| row.iter().zip(text).map(|(a, b)| a * b).sum::<f32>());
        let scaled: Vec<f32> = cosines.map(|cosine| got.logit_scale * cosine).collect();
        let off = distance(&scaled, &logits) / got.logit_scale;
        assert!(off < tolerance, "scaled cosines of picture {i} are off by {off}");
    }
    for (kind, got) in [("image_embeds", &got.image_embeddings), ("text_embeds", &got.text_embeddings)] {
        for (i, got) in got.iter().enumerate() {
            let off = distance(got, &numbers(&expected[kind][i]));
            assert!(off < tolerance, "{kind} {i} is off by {off}");
        }
    }
    // Seventy texts need several shapes; each must be what it is alone.
    let many: Vec<String> = texts.iter().cycle().take(70).cloned().collect();
    let again = scores(&mut model, &pictures[..1], &many);
    for (i, vector) in again.text_embeddings.iter().enumerate() {
        let off = distance(vector, &got.text_embeddings[i % texts.len()]);
        assert!(off < tolerance, "text {i} of many is off by {off}");
    }
}

#[test]
fn emoji_fit_their_names_as_in_the_reference_on_every_device() {
    for device in devices() {
        agrees(device, Precision::F32, 1e-4);
    }
}

#[test]
fn sixteen_bits_are_enough_to_name_emoji() {
    let Some(gpu) = open_gpu().filter(|gpu| gpu.caps.f16) else { return eprintln!("skipped: no f16 here") };
    agrees(Device::Gpu(gpu), Precision::F16, 5e-3);
}

#[test]
fn the_shipped_goldens_hold_within_what_their_resizing_differs() {
    let shipped = read_json(&golden("clip-emoji/golden.json"));
    let mut model = load(processor(), emoji(), Precision::F32);
    let got = scores(&mut model, &pictures(&shipped), &strings(&shipped["texts"]));
    let texts = read_npy(&golden("clip-emoji/golden_text_embeds.npy"));
    for (got, expected) in got.text_embeddings.iter().zip(texts.chunks_exact(256)) {
        assert!(distance(got, expected) < 1e-4);
    }
    let images = read_npy(&golden("clip-emoji/golden_image_embeds.npy"));
    for (got, expected) in got.image_embeddings.iter().zip(images.chunks_exact(256)) {
        let cosine = cosine(got, expected);
        assert!(cosine > 0.9995, "cosine {cosine}");
    }
}

/// The random model of the usual kind (`tiny/clip-tiny-224`), with CLIP's own vocabulary, where `RILL_VISION_GOLDEN` names its folder.
#[test]
fn photographs_and_sentences_give_the_references_numbers() {
    let Some(folder) = std::env::var_os("RILL_VISION_GOLDEN").map(PathBuf::from) else {
        return eprintln!("skipped: RILL_VISION_GOLDEN names no folder");
    };
    let goldens = folder.join("golden/tiny");
    let expected = read_json(&goldens.join("clip-tiny-224.json"));
    let photographs = ["china", "flower"].map(|name| read_png(&goldens.join(format!("{name}.png"))));
    let texts = strings(&expected["texts"]);
    for device in devices() {
        let mut model = load(device, folder.join("tiny/clip-tiny-224"), Precision::F32);
        for (text, ids) in texts.iter().zip(expected["ids_unpadded"].as_array().expect("ids")) {
            let ids: Vec<u32> = numbers(ids).iter().map(|&id| id as u32).collect();
            assert_eq!(model.token_ids(text).expect("ids"), ids, "{text}");
        }
        let got = scores(&mut model, &photographs, &texts);
        for (i, row) in got.scores.iter().enumerate() {
            let off = distance(row, &numbers(&expected["probs"][i]));
            assert!(off < 1e-4, "picture {i} is off by {off}");
        }
        for (file, got) in [("text", &got.text_embeddings), ("image", &got.image_embeddings)] {
            let all = read_npy(&goldens.join(format!("clip-tiny-224_{file}_embeds.npy")));
            for (got, expected) in got.iter().zip(all.chunks_exact(32)) {
                let off = distance(got, expected);
                assert!(off < 1e-4, "a {file} is off by {off}");
            }
        }
    }
}
