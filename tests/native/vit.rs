//! Vision transformers against the reference: small random ones of each family on a drawn picture (`golden/vision/make.py`), and real ones
//! where they are at hand.

use crate::models;
use crate::models::pictures::{cosine, distance, golden, numbers, read_json, read_npy, read_png};
use crate::models::{devices, load_from, open_gpu};
use rill::engine::image::{Pixels, Preprocessor};
use rill::engine::model::Model;
use rill::engine::session::{Device, Watch};
use rill::engine::vision::{PictureCount, VisionModel};
use rill::engine::{CancelFlag, Error};
use rill::protocol::Precision;
use serde_json::Value;
use std::path::PathBuf;

const FAMILIES: [&str; 5] = ["vit", "deit", "dinov2", "dinov2-registers", "dinov2-gated"];

fn pictures() -> [Pixels; 2] {
    ["wide", "tall"].map(|name| read_png(&golden(&format!("vision/{name}.png"))))
}

fn expected(family: &str) -> Value {
    read_json(&golden("vision/golden.json"))[family].take()
}

fn load(device: Device, folder: PathBuf, precision: Precision) -> VisionModel {
    match load_from(device, folder, precision) {
        Model::Vision(model) => *model,
        _ => panic!("it is no vision transformer"),
    }
}

/// Picture i is number i modulo their count.
fn embed(model: &mut VisionModel, pictures: &[Pixels], total: usize) -> Vec<Vec<f32>> {
    let (cancel, count) = (CancelFlag::default(), PictureCount { total, at_once: None });
    let mut watch = Watch { cancel: &cancel, on_progress: &mut |_| () };
    let picture = async |i: usize| Ok(pictures[i % pictures.len()].clone());
    pollster::block_on(model.embed(count, picture, &mut watch)).expect("features")
}

/// The probabilities of all labels, in the order of the labels' names.
fn probabilities(model: &mut VisionModel, pictures: &[Pixels], total: usize) -> Vec<Vec<f32>> {
    let (cancel, count) = (CancelFlag::default(), PictureCount { total, at_once: None });
    let mut watch = Watch { cancel: &cancel, on_progress: &mut |_| () };
    let picture = async |i: usize| Ok(pictures[i % pictures.len()].clone());
    let all = pollster::block_on(model.classify(count, picture, usize::MAX, &mut watch)).expect("labels");
    let by_name = |mut labels: Vec<rill::protocol::LabelScore>| {
        assert!(labels.is_sorted_by(|a, b| a.score >= b.score), "the most probable comes first");
        labels.sort_by(|a, b| a.label.cmp(&b.label));
        labels.into_iter().map(|label| label.score).collect()
    };
    all.into_iter().map(by_name).collect()
}

/// What the reference's logits of labels with these names are as probabilities, by name.
fn by_name(logits: &[f32], names: &[&str]) -> Vec<f32> {
    let sum: f64 = logits.iter().map(|&logit| f64::from(logit).exp()).sum();
    let mut scores: Vec<(&str, f32)> =
        names.iter().zip(logits).map(|(&name, &logit)| (name, (f64::from(logit).exp() / sum) as f32)).collect();
    scores.sort_by_key(|(name, _)| *name);
    scores.into_iter().map(|(_, score)| score).collect()
}

#[test]
fn pictures_are_prepared_as_by_the_reference() {
    for family in FAMILIES {
        let json = std::fs::read(golden(&format!("vision/{family}/preprocessor_config.json"))).expect("a preprocessor");
        let preprocessor = Preprocessor::from_json(&json).expect("a preprocessor");
        let expected = expected(family);
        for (picture, expected) in pictures().iter().zip(expected["prepared"].as_array().expect("two pictures")) {
            let got = preprocessor.apply(picture).expect("prepared");
            // The same bytes; what is left is f32's rounding.
            assert!(distance(&got[..8], &numbers(&expected["first"])) < 1e-6, "{family}");
            let middle = &got[32 * 32 + 16 * 32..][..32];
            assert!(distance(middle, &numbers(&expected["middle"])) < 1e-6, "{family}");
            let sum: f64 = got.iter().map(|&v| f64::from(v)).sum();
            assert!((sum - expected["sum"].as_f64().expect("a sum")).abs() < 1e-3, "{family}");
        }
    }
}

fn name_of(device: &Device) -> &'static str {
    match device {
        Device::Gpu(_) => "the GPU",
        Device::Cpu(_) => "the processor",
        Device::WebNn(_) => "WebNN",
        Device::Plain => "the definitions",
    }
}

/// 23 pictures: batches of sixteen, four, two and one.
fn agrees(family: &str, device: Device, precision: Precision, tolerance: f32) {
    let (expected, what) = (expected(family), format!("{family} on {}", name_of(&device)));
    let pictures = pictures();
    let mut model = load(device, golden(&format!("vision/{family}")), precision);
    for (i, got) in embed(&mut model, &pictures, 23).iter().enumerate() {
        let off = distance(got, &numbers(&expected["features"][i % 2]));
        assert!(off < tolerance, "{what}: features of picture {i} are off by {off}");
    }
    let names = ["tree", "river", "stone", "cloud", "sand"];
    for (i, got) in probabilities(&mut model, &pictures, 23).iter().enumerate() {
        let off = distance(got, &by_name(&numbers(&expected["logits"][i % 2]), &names));
        assert!(off < tolerance, "{what}: probabilities of picture {i} are off by {off}");
    }
}

#[test]
fn every_family_gives_the_references_numbers_by_the_definitions() {
    FAMILIES.iter().for_each(|family| agrees(family, Device::Plain, Precision::F32, 2e-5));
}

#[test]
fn every_family_gives_the_references_numbers_on_every_device() {
    for device in devices() {
        FAMILIES.iter().for_each(|family| agrees(family, device.clone(), Precision::F32, 5e-5));
    }
}

#[test]
fn sixteen_bits_are_enough_for_pictures() {
    let Some(gpu) = open_gpu().filter(|gpu| gpu.caps.f16) else { return eprintln!("skipped: no f16 here") };
    // Intermediate tensors of eleven bits.
    FAMILIES.iter().for_each(|family| agrees(family, Device::Gpu(gpu.clone()), Precision::F16, 2e-2));
}

/// Which of 200 pictures are asked for before the first of them are done.
fn first_batch(at_once: Option<usize>) -> Vec<usize> {
    let mut model = load(Device::Plain, golden("vision/vit"), Precision::F32);
    let (cancel, pictures, mut asked) = (CancelFlag::default(), pictures(), Vec::new());
    let stop_after = |share: f32| {
        if share > 0.0 {
            cancel.cancel()
        }
    };
    let mut watch = Watch { cancel: &cancel, on_progress: &mut |share| stop_after(share) };
    let picture = async |i: usize| {
        asked.push(i);
        Ok(pictures[i % 2].clone())
    };
    let count = PictureCount { total: 200, at_once };
    let result = pollster::block_on(model.embed(count, picture, &mut watch));
    assert!(matches!(result, Err(Error::Cancelled)), "{result:?}");
    asked
}

#[test]
fn pictures_are_asked_for_one_batch_at_a_time() {
    assert_eq!(first_batch(None), (0..16).collect::<Vec<_>>());
}

#[test]
fn no_more_pictures_go_together_than_asked_for() {
    for (at_once, together) in [(1, 1), (2, 2), (3, 3), (5, 5), (8, 8), (13, 13), (100, 16)] {
        assert_eq!(first_batch(Some(at_once)).len(), together, "at most {at_once}");
    }
}

#[test]
fn of_many_pictures_the_one_that_cannot_be_prepared_is_named() {
    let mut model = load(Device::Plain, golden("vision/dinov2"), Precision::F32);
    let cancel = CancelFlag::default();
    let mut watch = Watch { cancel: &cancel, on_progress: &mut |_| () };
    let narrow = Pixels::new(1, 1 << 20, vec![0; 3 << 20]).expect("a picture");
    let [wide, _] = pictures();
    let picture = async |i: usize| Ok(if i == 1 { narrow.clone() } else { wide.clone() });
    let result = pollster::block_on(model.embed(PictureCount { total: 3, at_once: None }, picture, &mut watch));
    let message = result.expect_err("a picture of no width").to_string();
    assert!(message.starts_with("picture 2 of 3: the picture is too long and narrow"), "{message}");
}

#[test]
fn a_picture_that_cannot_be_read_is_named() {
    let mut model = load(Device::Plain, golden("vision/vit"), Precision::F32);
    let cancel = CancelFlag::default();
    let mut watch = Watch { cancel: &cancel, on_progress: &mut |_| () };
    let picture = async |i: usize| Err(Error::Input(format!("`{i}.png` is no picture")));
    let result = pollster::block_on(model.embed(PictureCount { total: 1, at_once: None }, picture, &mut watch));
    assert!(matches!(&result, Err(Error::Input(what)) if what.contains("0.png")), "{result:?}");
}

/// The folder of goldens that are not part of the project, or a printed skip: `golden/tiny` with pictures and numbers, `tiny` with random
/// models, `hf` with real ones.
fn development() -> Option<PathBuf> {
    let folder = std::env::var_os("RILL_VISION_GOLDEN").map(PathBuf::from);
    if folder.is_none() {
        eprintln!("skipped: RILL_VISION_GOLDEN names no folder");
    }
    folder
}

#[test]
fn photographs_are_prepared_as_by_the_reference() {
    let Some(folder) = development() else { return };
    for (model, golden) in [
        ("tiny/vit-tiny-224", "vit-tiny-224"),
        ("tiny/clip-tiny-224", "clip-tiny-224"),
        ("hf/vit-small-dinov2-224", "vit-small-dinov2-224"),
    ] {
        let json = std::fs::read(folder.join(model).join("preprocessor_config.json")).expect("a preprocessor");
        let preprocessor = Preprocessor::from_json(&json).expect("a preprocessor");
        let expected = read_npy(&folder.join("golden/tiny").join(format!("{golden}_pixels.npy")));
        for (name, expected) in ["china", "flower"].iter().zip(expected.chunks_exact(3 * 224 * 224)) {
            let picture = read_png(&folder.join("golden/tiny").join(format!("{name}.png")));
            let off = distance(&preprocessor.apply(&picture).expect("prepared"), expected);
            assert!(off < 1e-6, "{golden}: {name} is off by {off}");
        }
    }
}

#[test]
fn photographs_give_the_references_numbers() {
    let Some(folder) = development() else { return };
    let photographs = ["china", "flower"].map(|name| read_png(&folder.join("golden/tiny").join(format!("{name}.png"))));
    let tiny = read_json(&folder.join("golden/tiny/vit-tiny-224.json"));
    let names: Vec<String> = (0..10).map(|i| format!("class_{i}")).collect();
    let names: Vec<&str> = names.iter().map(String::as_str).collect();
    let classes = read_npy(&folder.join("golden/tiny/vit-small-dinov2-224_cls.npy"));
    for device in devices() {
        let mut model = load(device.clone(), folder.join("tiny/vit-tiny-224"), Precision::F32);
        for (i, got) in probabilities(&mut model, &photographs, 2).iter().enumerate() {
            let off = distance(got, &by_name(&numbers(&tiny["logits"][i]), &names));
            assert!(off < 1e-4, "picture {i} on {} is off by {off}", name_of(&device));
        }
        // Real weights; DINOv2 itself prepares pictures otherwise, so it is compared where its places are resampled: below.
        let mut model = load(device.clone(), folder.join("hf/vit-small-dinov2-224"), Precision::F32);
        for (got, expected) in embed(&mut model, &photographs, 2).iter().zip(classes.chunks_exact(384)) {
            let (off, cosine) = (distance(got, expected), cosine(got, expected));
            eprintln!("{}: off by {off}, cosine {cosine}", name_of(&device));
            assert!(off < 2e-3 && cosine > 0.999_999, "off by {off}, cosine {cosine}");
        }
    }
}

/// The same weights as DINOv2 and as a plain ViT, into which its LayerScale and its resampled places were folded: pictures that both
/// prepare alike must give the same vectors.
#[test]
fn dinov2_is_the_plain_transformer_that_was_made_of_it() {
    let Some(folder) = development() else { return };
    // Both processors leave this size as it is but for normalising: 256 x 256, of which DINOv2 takes the middle.
    let [wide, _] = pictures();
    let square = |side: usize, first: usize| {
        let at = |y: usize, x: usize| &wide.rgb()[3 * (y % 61 * 97 + x % 97)..][..3];
        let rgb =
            (first..first + side).flat_map(|y| (first..first + side).flat_map(move |x| at(y, x).to_vec())).collect();
        Pixels::new(side, side, rgb).expect("a picture")
    };
    let mut dinov2 = load(models::processor(), folder.join("hf/dinov2-small-imgfocus"), Precision::F32);
    let mut plain = load(models::processor(), folder.join("hf/vit-small-dinov2-224"), Precision::F32);
    let (a, b) = (embed(&mut dinov2, &[square(256, 0)], 1), embed(&mut plain, &[square(224, 16)], 1));
    let (off, cosine) = (distance(&a[0], &b[0]), cosine(&a[0], &b[0]));
    eprintln!("off by {off}, cosine {cosine}");
    assert!(off < 2e-3 && cosine > 0.999_999, "off by {off}, cosine {cosine}");
}
