//! The JSON files of a Whisper repository, made from what CTranslate2 keeps of them and from the tensors' shapes: as the
//! hub has them, in content if not in layout.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use anyhow::{Context, Result, bail};
use serde::Deserialize;
use serde_json::{Value, json};

use super::ct2::Model;
use super::whisper::{TensorMap, n_layers};

/// Writes config.json, generation_config.json, preprocessor_config.json, tokenizer_config.json and tokenizer.json.
pub fn write(model: &Model, tensors: &TensorMap, config: &[u8], tokenizer: &[u8], folder: &Path) -> Result<()> {
    let ct2: Ct2Config = serde_json::from_slice(config).context("CTranslate2's config.json")?;
    let tokenizer: Value = serde_json::from_slice(tokenizer).context("tokenizer.json")?;
    let shape = Shape::of(model, tensors)?;
    let special = special_tokens(&tokenizer)?;
    write_json(folder, "config.json", &shape.config(&ct2, &special)?)?;
    write_json(folder, "generation_config.json", &shape.generation_config(&ct2, &special)?)?;
    write_json(folder, "preprocessor_config.json", &shape.preprocessor_config())?;
    write_json(folder, "tokenizer_config.json", &tokenizer_config(&special)?)?;
    let tokenizer = with_timestamp_tokens(tokenizer, special.id("<|notimestamps|>")? + 1, shape.vocab_size)?;
    write_json(folder, "tokenizer.json", &tokenizer)
}

/// What CTranslate2 keeps of the generation settings.
#[derive(Deserialize)]
struct Ct2Config {
    alignment_heads: Value,
    #[serde(default)]
    lang_ids: Vec<u64>,
    suppress_ids: Vec<i64>,
    suppress_ids_begin: Vec<i64>,
}

fn write_json(folder: &Path, name: &str, value: &Value) -> Result<()> {
    let path = folder.join(name);
    // The tokenizer has tens of thousands of entries: no indentation for it.
    let text = if name == "tokenizer.json" { value.to_string() } else { serde_json::to_string_pretty(value)? + "\n" };
    fs::write(&path, text).with_context(|| format!("cannot write {}", path.display()))
}

/// The numbers that make one Whisper differ from another.
struct Shape {
    vocab_size: usize,
    d_model: usize,
    n_mels: usize,
    n_audio_positions: usize,
    n_text_positions: usize,
    encoder: Side,
    decoder: Side,
    scale_embedding: bool,
}

struct Side {
    layers: usize,
    heads: i64,
    ffn: usize,
}

impl Shape {
    fn of(model: &Model, tensors: &TensorMap) -> Result<Self> {
        let dim = |name: &str, axis: usize| {
            let shape = tensors.get(name).map(|(shape, _)| shape.as_slice()).unwrap_or_default();
            shape.get(axis).copied().with_context(|| format!("{name} has shape {shape:?}: no axis {axis}"))
        };
        let side = |side: &str| -> Result<Side> {
            Ok(Side {
                layers: n_layers(model, side),
                heads: model.get(&format!("{side}/num_heads"))?.integer()?,
                ffn: dim(&format!("model.{side}.layers.0.fc1.weight"), 0)?,
            })
        };
        Ok(Self {
            vocab_size: dim("model.decoder.embed_tokens.weight", 0)?,
            d_model: dim("model.decoder.embed_tokens.weight", 1)?,
            n_mels: dim("model.encoder.conv1.weight", 1)?,
            n_audio_positions: dim("model.encoder.embed_positions.weight", 0)?,
            n_text_positions: dim("model.decoder.embed_positions.weight", 0)?,
            encoder: side("encoder")?,
            decoder: side("decoder")?,
            scale_embedding: model.get("decoder/scale_embeddings")?.integer()? != 0,
        })
    }

    /// English-only vocabularies are one token shorter.
    fn multilingual(&self) -> bool {
        self.vocab_size >= 51865
    }

    fn hub_name(&self) -> String {
        let size = match self.d_model {
            384 => "tiny",
            512 => "base",
            768 => "small",
            1024 => "medium",
            _ => "large",
        };
        format!("openai/whisper-{size}{}", if self.multilingual() { "" } else { ".en" })
    }

    fn config(&self, ct2: &Ct2Config, special: &Special) -> Result<Value> {
        let end = special.id("<|endoftext|>")?;
        Ok(json!({
            "_name_or_path": self.hub_name(),
            "activation_dropout": 0.0,
            "activation_function": "gelu",
            "architectures": ["WhisperForConditionalGeneration"],
            "attention_dropout": 0.0,
            "begin_suppress_tokens": ct2.suppress_ids_begin,
            "bos_token_id": end,
            "d_model": self.d_model,
            "decoder_attention_heads": self.decoder.heads,
            "decoder_ffn_dim": self.decoder.ffn,
            "decoder_layerdrop": 0.0,
            "decoder_layers": self.decoder.layers,
            "decoder_start_token_id": special.id("<|startoftranscript|>")?,
            "dropout": 0.0,
            "encoder_attention_heads": self.encoder.heads,
            "encoder_ffn_dim": self.encoder.ffn,
            "encoder_layerdrop": 0.0,
            "encoder_layers": self.encoder.layers,
            "eos_token_id": end,
            "forced_decoder_ids": null,
            "init_std": 0.02,
            "is_encoder_decoder": true,
            "max_length": self.n_text_positions,
            "max_source_positions": self.n_audio_positions,
            "max_target_positions": self.n_text_positions,
            "model_type": "whisper",
            "num_hidden_layers": self.encoder.layers,
            "num_mel_bins": self.n_mels,
            "pad_token_id": end,
            "scale_embedding": self.scale_embedding,
            "suppress_tokens": suppressed(ct2),
            "tie_word_embeddings": true,
            "torch_dtype": "float16",
            "use_cache": true,
            "vocab_size": self.vocab_size,
        }))
    }

    fn generation_config(&self, ct2: &Ct2Config, special: &Special) -> Result<Value> {
        let end = special.id("<|endoftext|>")?;
        let no_timestamps = special.id("<|notimestamps|>")?;
        let mut config = json!({
            "alignment_heads": ct2.alignment_heads,
            "begin_suppress_tokens": ct2.suppress_ids_begin,
            "bos_token_id": end,
            "decoder_start_token_id": special.id("<|startoftranscript|>")?,
            "eos_token_id": end,
            "forced_decoder_ids": [[1, no_timestamps]],
            "is_multilingual": self.multilingual(),
            "max_initial_timestamp_index": 50,
            "max_length": self.n_text_positions,
            "no_timestamps_token_id": no_timestamps,
            "pad_token_id": end,
            "prev_sot_token_id": special.id("<|startofprev|>")?,
            "return_timestamps": false,
            "suppress_tokens": suppressed(ct2),
        });
        if self.multilingual() {
            let transcribe = special.id("<|transcribe|>")?;
            let is_language = |(_, id): &(&String, &u64)| ct2.lang_ids.contains(id);
            config["lang_to_id"] = json!(special.0.iter().filter(is_language).collect::<BTreeMap<_, _>>());
            config["task_to_id"] = json!({"transcribe": transcribe, "translate": special.id("<|translate|>")?});
            config["forced_decoder_ids"] = json!([[1, null], [2, transcribe]]);
        }
        Ok(config)
    }

    fn preprocessor_config(&self) -> Value {
        json!({
            "chunk_length": 30,
            "feature_extractor_type": "WhisperFeatureExtractor",
            "feature_size": self.n_mels,
            "hop_length": 160,
            "n_fft": 400,
            "n_samples": 480_000,
            "nb_max_frames": 3000,
            "padding_side": "right",
            "padding_value": 0.0,
            "processor_class": "WhisperProcessor",
            "return_attention_mask": false,
            "sampling_rate": 16_000,
        })
    }
}

/// The hub's lists are in order; CTranslate2's need not be.
fn suppressed(ct2: &Ct2Config) -> Vec<i64> {
    let mut ids = ct2.suppress_ids.clone();
    ids.sort_unstable();
    ids
}

/// Added tokens and their ids.
struct Special(BTreeMap<String, u64>);

impl Special {
    fn id(&self, token: &str) -> Result<u64> {
        self.0.get(token).copied().with_context(|| format!("tokenizer.json has no token {token}"))
    }
}

fn special_tokens(tokenizer: &Value) -> Result<Special> {
    let tokens = tokenizer["added_tokens"].as_array().context("tokenizer.json has no added_tokens")?;
    let entry = |token: &Value| Some((token["content"].as_str()?.to_owned(), token["id"].as_u64()?));
    let entries = tokens.iter().map(|token| entry(token).with_context(|| format!("not a token: {token}")));
    Ok(Special(entries.collect::<Result<_>>()?))
}

fn tokenizer_config(special: &Special) -> Result<Value> {
    let end = "<|endoftext|>";
    let mut others: Vec<(&String, &u64)> = special.0.iter().filter(|(token, _)| *token != end).collect();
    others.sort_by_key(|(_, id)| **id);
    Ok(json!({
        "add_bos_token": false,
        "add_prefix_space": false,
        "additional_special_tokens": others.iter().map(|(token, _)| token).collect::<Vec<_>>(),
        "bos_token": end,
        "clean_up_tokenization_spaces": false,
        "eos_token": end,
        "errors": "replace",
        "model_max_length": 1024,
        "pad_token": end,
        "processor_class": "WhisperProcessor",
        "return_attention_mask": false,
        "tokenizer_class": "WhisperTokenizer",
        "unk_token": end,
    }))
}

/// Adds the timestamp tokens, `<|0.00|>` upwards in steps of 20 ms to the end of the vocabulary, where the package's
/// tokenizer predates them. The hub lists them, as ordinary and not special tokens.
fn with_timestamp_tokens(mut tokenizer: Value, first_id: u64, vocab_size: usize) -> Result<Value> {
    let Some(tokens) = tokenizer["added_tokens"].as_array_mut() else { bail!("tokenizer.json has no added_tokens") };
    if tokens.iter().any(|token| token["id"].as_u64() >= Some(first_id)) {
        return Ok(tokenizer);
    }
    let end_id = u64::try_from(vocab_size)?;
    tokens.extend((first_id..end_id).enumerate().map(|(step, id)| {
        json!({
            "id": id, "content": format!("<|{:.2}|>", step as f64 * 0.02),
            "single_word": false, "lstrip": false, "rstrip": false, "normalized": false, "special": false,
        })
    }));
    Ok(tokenizer)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn timestamp_tokens_fill_the_vocabulary_once() {
        let tokenizer = json!({"added_tokens": [{"id": 9, "content": "<|notimestamps|>"}]});
        let filled = with_timestamp_tokens(tokenizer, 10, 1511).unwrap();
        let tokens = filled["added_tokens"].as_array().unwrap();
        assert_eq!(tokens.len(), 1502);
        assert_eq!((&tokens[1]["content"], &tokens[1]["id"]), (&json!("<|0.00|>"), &json!(10)));
        assert_eq!((&tokens[1501]["content"], &tokens[1501]["id"]), (&json!("<|30.00|>"), &json!(1510)));
        assert_eq!(with_timestamp_tokens(filled.clone(), 10, 1511).unwrap(), filled);
    }
}
