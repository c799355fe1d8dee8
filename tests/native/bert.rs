//! The BERT family against transformers, on small random checkpoints (`golden/bert/make.py`): vectors, and words for gaps, on this
//! machine's GPU, on the processor and by the definitions.

use crate::models::{self, devices, load_embedding_as};
use rill::engine::CancelFlag;
use rill::engine::embed::EmbeddingModel;
use rill::engine::session::{Device, Watch};
use rill::protocol::Precision;
use serde_json::Value;
use std::path::{Path, PathBuf};

fn folder(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden/bert").join(name)
}

fn golden(name: &str) -> Value {
    let text = std::fs::read_to_string(folder(name).join("golden.json")).expect("a golden file");
    serde_json::from_str(&text).expect("the golden file is JSON")
}

fn load(device: Device, name: &str, precision: Precision) -> EmbeddingModel {
    load_embedding_as(device, folder(name).to_str().expect("a path in letters"), precision)
}

fn every_device() -> Vec<Device> {
    devices().into_iter().chain([Device::Plain]).collect()
}

fn texts(items: &Value) -> Vec<String> {
    let text = |item: &Value| item["text"].as_str().expect("a text").to_string();
    items.as_array().expect("items").iter().map(text).collect()
}

fn floats(list: &Value) -> Vec<f32> {
    list.as_array().expect("numbers").iter().map(|v| v.as_f64().expect("a number") as f32).collect()
}

/// Every text in one call, so that batches and padding are mixed too. Vectors are of length one, or of a hidden size of 32 normalised.
fn vectors_agree(name: &str, n_cut: u32) {
    let golden = golden(name);
    for device in every_device() {
        let mut model = load(device, name, Precision::F32);
        let cancel = CancelFlag::default();
        let mut shares = Vec::new();
        let mut on_progress = |share| shares.push(share);
        let mut watch = Watch { cancel: &cancel, on_progress: &mut on_progress };
        let got = pollster::block_on(model.embed(&texts(&golden["embeddings"]), Some(2), &mut watch)).expect("vectors");
        assert_eq!(got.n_cut, n_cut);
        for (item, got) in golden["embeddings"].as_array().expect("items").iter().zip(&got.vectors) {
            for (idx, (got, expected)) in got.iter().zip(floats(&item["vector"])).enumerate() {
                // f32 sums in another order.
                assert!(
                    (got - expected).abs() < 2e-5,
                    "{name}, {}: [{idx}] is {got}, expected {expected}",
                    item["text"]
                );
            }
        }
        assert!(shares.windows(2).all(|pair| pair[0] <= pair[1]) && shares.last() == Some(&1.0), "{shares:?}");
        assert!(shares.len() > 2, "progress is told after each batch: {shares:?}");
    }
}

/// Every text in one call and two at a time; what is padding in a batch must not show.
fn hidden_states_agree(name: &str) {
    let golden = golden(name);
    let items = golden["embeddings"].as_array().expect("items");
    for device in every_device() {
        let mut model = load(device, name, Precision::F32);
        for batch_size in [None, Some(2)] {
            let cancel = CancelFlag::default();
            let mut watch = Watch { cancel: &cancel, on_progress: &mut |_| () };
            let texts = texts(&golden["embeddings"]);
            let got = pollster::block_on(model.hidden_states(&texts, batch_size, &mut watch)).expect("hidden states");
            assert_eq!(got.states.len(), items.len());
            for (item, got) in items.iter().zip(&got.states) {
                let rows: Vec<f32> = item["hidden"].as_array().expect("rows").iter().flat_map(floats).collect();
                let ids: Vec<f32> = got.ids.iter().map(|&id| id as f32).collect();
                assert_eq!(ids, floats(&item["ids"]), "{name}");
                assert_eq!((got.tokens.len(), got.hidden_size), (ids.len(), 32), "{name}: {:?}", got.tokens);
                assert_eq!(got.values.len(), rows.len(), "{name}");
                for (idx, (got, expected)) in got.values.iter().zip(rows).enumerate() {
                    // Behind a normalisation, so of size 1; f32 sums in another order.
                    assert!((got - expected).abs() < 5e-5, "{name}, [{idx}] is {got}, expected {expected}");
                }
            }
        }
    }
}

/// The whole distribution of every gap, so that each logit counts, also of those that no caller asks for.
fn logits_agree(name: &str) {
    let golden = golden(name);
    for device in every_device() {
        let mut model = load(device, name, Precision::F32);
        let cancel = CancelFlag::default();
        let mut watch = Watch { cancel: &cancel, on_progress: &mut |_| () };
        let texts = texts(&golden["gaps"]);
        let got = pollster::block_on(model.fill_mask(&texts, usize::MAX, Some(1), &mut watch)).expect("candidates");
        for (item, got) in golden["gaps"].as_array().expect("items").iter().zip(&got) {
            for (mask, logits) in item["logits"].as_array().expect("masks").iter().enumerate() {
                let logits = floats(logits);
                let sum: f64 = logits.iter().map(|&logit| f64::from(logit).exp()).sum();
                let of_mask: Vec<_> = got.iter().filter(|candidate| candidate.mask == mask as u32).collect();
                assert_eq!(of_mask.len(), logits.len(), "{name}: a candidate for each word of the vocabulary");
                for candidate in of_mask {
                    let expected = f64::from(logits[candidate.token as usize]) - sum.ln();
                    let off = (f64::from(candidate.score).ln() - expected).abs();
                    assert!(off < 1e-4, "{name}, {}: token {} is off by {off}", item["text"], candidate.token);
                }
            }
        }
    }
}

fn gaps_agree(name: &str, devices: Vec<Device>, precision: Precision, tolerance: f32) {
    let golden = golden(name);
    for device in devices {
        let mut model = load(device, name, precision);
        let cancel = CancelFlag::default();
        let mut watch = Watch { cancel: &cancel, on_progress: &mut |_| () };
        let got =
            pollster::block_on(model.fill_mask(&texts(&golden["gaps"]), 5, None, &mut watch)).expect("candidates");
        for (item, got) in golden["gaps"].as_array().expect("items").iter().zip(&got) {
            let expected: Vec<(u32, u64, f32)> = (0..)
                .zip(item["top"].as_array().expect("masks"))
                .flat_map(|(mask, top)| top.as_array().expect("candidates").iter().map(move |c| (mask, c)))
                .map(|(mask, c)| (mask, c[0].as_u64().expect("a token"), c[1].as_f64().expect("a probability") as f32))
                .collect();
            assert_eq!(got.len(), expected.len(), "{name}: {}", item["text"]);
            for (got, (mask, token, score)) in got.iter().zip(expected) {
                assert_eq!((got.mask, u64::from(got.token)), (mask, token), "{name}: {}", item["text"]);
                assert!((got.score - score).abs() < tolerance, "{name}: {} instead of {score} for {token}", got.score);
            }
        }
    }
}

#[test]
fn bert_gives_the_references_vectors_and_words_under_its_old_names() {
    vectors_agree("bert", 0);
    hidden_states_agree("bert");
    gaps_agree("bert", every_device(), Precision::F32, 2e-6);
    logits_agree("bert");
}

#[test]
fn distilbert_gives_the_references_vectors_and_words() {
    vectors_agree("distilbert", 0);
    hidden_states_agree("distilbert");
    gaps_agree("distilbert", every_device(), Precision::F32, 2e-6);
    logits_agree("distilbert");
}

#[test]
fn roberta_counts_positions_from_its_padding_token() {
    vectors_agree("roberta", 0);
    hidden_states_agree("roberta");
    gaps_agree("roberta", every_device(), Precision::F32, 2e-6);
    logits_agree("roberta");
}

#[test]
fn a_sentence_model_pools_as_its_repository_says_and_cuts_long_texts() {
    vectors_agree("sentence-cls", 1);
    hidden_states_agree("sentence-cls");
}

/// Intermediate tensors of eleven bits, where the GPU has them; probabilities are about 0.1.
#[test]
fn sixteen_bits_find_the_same_words() {
    let gpu = models::open_gpu().filter(|gpu| gpu.caps.f16);
    gaps_agree("bert", gpu.map(Device::Gpu).into_iter().collect(), Precision::F16, 2e-3);
}

#[test]
fn candidates_come_as_whole_sentences() {
    let mut model = load(models::processor(), "bert", Precision::F32);
    assert_eq!(model.mask_token(), Some("[MASK]"));
    let cancel = CancelFlag::default();
    let mut watch = Watch { cancel: &cancel, on_progress: &mut |_| () };
    let text = ["A [MASK] and The [MASK] rise.".to_string()];
    let found = pollster::block_on(model.fill_mask(&text, 1, None, &mut watch)).expect("candidates").remove(0);
    assert_eq!(found.iter().map(|c| c.mask).collect::<Vec<_>>(), [0, 1]);
    for candidate in &found {
        assert_eq!(candidate.sequence.matches("[MASK]").count(), 1, "the other gap stays open: {candidate:?}");
        assert!(candidate.sequence.contains(candidate.text.trim_start_matches("##")), "{candidate:?}");
    }
}

#[test]
fn a_text_without_a_gap_and_a_model_without_a_head_are_told_apart() {
    let cancel = CancelFlag::default();
    let ask = |name: &str, text: &str| {
        let mut watch = Watch { cancel: &cancel, on_progress: &mut |_| () };
        let mut model = load(models::processor(), name, Precision::F32);
        let error =
            pollster::block_on(model.fill_mask(&[text.to_string()], 1, None, &mut watch)).expect_err("no words");
        error.to_string()
    };
    assert!(ask("bert", "No gap.").contains("write `[MASK]` where a word is missing"));
    assert!(ask("bert", &format!("{} [MASK]", "cat ".repeat(80))).contains("behind the 64 tokens"));
    assert!(ask("sentence-cls", "A [MASK].").contains("no head that finds masked words"));
}

#[test]
fn gaps_are_filled_in_batches_no_larger_than_asked_for() {
    let mut model = load(models::processor(), "bert", Precision::F32);
    let texts = vec!["A [MASK].".to_string(); 8];
    let mut n_told = |batch_size| {
        let (cancel, mut n_told) = (CancelFlag::default(), 0);
        let mut on_progress = |_| n_told += 1;
        let mut watch = Watch { cancel: &cancel, on_progress: &mut on_progress };
        pollster::block_on(model.fill_mask(&texts, 1, batch_size, &mut watch)).expect("candidates");
        n_told
    };
    let (single, all) = (n_told(Some(1)), n_told(None));
    assert!(single >= 8 && all < 8, "told {single} times by one, {all} times together");
}

#[test]
fn of_many_texts_the_one_without_a_gap_is_named() {
    let mut model = load(models::processor(), "bert", Precision::F32);
    let cancel = CancelFlag::default();
    let mut watch = Watch { cancel: &cancel, on_progress: &mut |_| () };
    let texts = ["A [MASK].", "No gap.", "A [MASK]."].map(str::to_string);
    let error = pollster::block_on(model.fill_mask(&texts, 1, None, &mut watch)).expect_err("no words");
    assert!(error.to_string().starts_with("text 2 of 3 has no gap"), "{error}");
}

#[test]
fn a_cancelled_batch_ends_between_two_runs() {
    let mut model = load(models::processor(), "bert", Precision::F32);
    let cancel = CancelFlag::default();
    let mut n_told = 0;
    let mut on_progress = |_| {
        n_told += 1;
        if n_told == 3 {
            cancel.cancel();
        }
    };
    let mut watch = Watch { cancel: &cancel, on_progress: &mut on_progress };
    let texts = vec!["The cat sits outside.".to_string(); 10];
    let ended = pollster::block_on(model.embed(&texts, Some(1), &mut watch));
    assert!(matches!(ended, Err(rill::engine::Error::Cancelled)), "{ended:?}");
    assert_eq!(n_told, 3);
}

/// A folder of a test's own with the files of a golden model, but for some that have another name.
fn renamed(name: &str, from: &str, to: &str) -> PathBuf {
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join(name);
    std::fs::create_dir_all(&folder).expect("a folder below target");
    for file in ["config.json", "tokenizer.json", "tokenizer_config.json", "model.safetensors"] {
        let target = folder.join(if file == from { to } else { file });
        std::fs::copy(self::folder("bert").join(file), target).expect("a golden file");
    }
    folder
}

#[test]
fn weights_of_another_kind_are_named_with_a_way_out() {
    let folder = renamed("only-pytorch", "model.safetensors", "pytorch_model.bin");
    let loading =
        std::panic::catch_unwind(|| models::load_embedding(models::processor(), folder.to_str().expect("letters")));
    let message = *loading.err().expect("no model").downcast::<String>().expect("a message");
    assert!(message.contains("`pytorch_model.bin` alone; expected `model.safetensors`"), "{message}");
    assert!(message.contains("refs/pr"), "{message}");
}

#[test]
fn a_checkpoint_that_judges_texts_is_refused_by_the_name_of_its_head() {
    let folder = renamed("judging", "", "");
    let file = folder.join("model.safetensors");
    let stored = std::fs::read(&file).expect("the weights");
    let tensors = safetensors::SafeTensors::deserialize(&stored).expect("a checkpoint");
    let head = vec![0; 2 * 32 * 4];
    let head = safetensors::tensor::TensorView::new(safetensors::Dtype::F32, vec![2, 32], &head).expect("a matrix");
    let all = tensors.tensors().into_iter().chain([("classifier.weight".to_string(), head)]);
    std::fs::write(&file, safetensors::serialize(all, None).expect("a checkpoint")).expect("a file");
    let loading =
        std::panic::catch_unwind(|| models::load_embedding(models::processor(), folder.to_str().expect("letters")));
    let message = *loading.err().expect("no model").downcast::<String>().expect("a message");
    assert!(message.contains("trained to judge texts (its checkpoint has `classifier.weight`)"), "{message}");
}

/// Older repositories have no `tokenizer.json`.
#[test]
fn a_vocabulary_alone_gives_the_references_tokens() {
    let folder = renamed("vocabulary", "tokenizer.json", "unused.json");
    let json = std::fs::read_to_string(folder.join("unused.json")).expect("the tokenizer");
    let tokenizer: Value = serde_json::from_str(&json).expect("JSON");
    let vocabulary = tokenizer["model"]["vocab"].as_object().expect("a vocabulary");
    let mut tokens: Vec<(u64, &str)> =
        vocabulary.iter().map(|(token, id)| (id.as_u64().expect("an id"), token.as_str())).collect();
    tokens.sort_unstable();
    let lines: Vec<&str> = tokens.into_iter().map(|(_, token)| token).collect();
    std::fs::write(folder.join("vocab.txt"), lines.join("\n")).expect("a file");
    let mut model = load_embedding_as(models::processor(), folder.to_str().expect("a path in letters"), Precision::F32);
    assert_eq!(model.mask_token(), Some("[MASK]"));
    let golden = golden("bert");
    let cancel = CancelFlag::default();
    let mut watch = Watch { cancel: &cancel, on_progress: &mut |_| () };
    let got = pollster::block_on(model.hidden_states(&texts(&golden["embeddings"]), None, &mut watch)).expect("states");
    for (item, got) in golden["embeddings"].as_array().expect("items").iter().zip(&got.states) {
        let ids: Vec<f32> = got.ids.iter().map(|&id| id as f32).collect();
        assert_eq!(ids, floats(&item["ids"]), "{}", item["text"]);
    }
}
