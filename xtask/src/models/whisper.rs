//! A CTranslate2 Whisper as a Hugging Face repository: model.safetensors with the hub's tensor names, and the JSON
//! files that go with it. Bytes are moved, never computed with, so the weights keep their f16 values exactly.
//!
//! Names on the left are Hugging Face's (transformers, modeling_whisper.py), on the right CTranslate2's
//! (converters/transformers.py, `WhisperLoader`). CTranslate2 fuses projections by rows: self-attention's `linear_0` is
//! [q; k; v], cross-attention's `linear_1` is [k; v].

use std::collections::{BTreeMap, HashMap};
use std::fs;
use std::path::Path;

use anyhow::{Context, Result, bail, ensure};
use safetensors::tensor::{Dtype as SafeDtype, TensorView};
use serde::Deserialize;
use serde_json::{Value, json};

use super::ct2::{Dtype, Model, Variable};

/// Writes the repository into `folder`. `binary` is the whole model.bin.
pub fn convert(binary: &[u8], config: &[u8], tokenizer: &[u8], folder: &Path) -> Result<()> {
    let model = Model::parse(binary).context("model.bin")?;
    let ct2_config: Ct2Config = serde_json::from_slice(config).context("CTranslate2's config.json")?;
    let tokenizer: Value = serde_json::from_slice(tokenizer).context("tokenizer.json")?;
    ensure!(model.spec == "WhisperSpec", "model.bin holds a {}, expected a WhisperSpec", model.spec);
    let tied = model.aliases.get("decoder/projection/weight").is_some_and(|to| to == "decoder/embeddings/weight");
    ensure!(tied, "the output projection is not tied to the token embedding, as Whisper's is");

    let tensors = Tensors::from_ct2(&model)?.0;
    let shape = Shape::of(&model, &tensors)?;
    write_safetensors(&tensors, &folder.join("model.safetensors"))?;
    let special = special_tokens(&tokenizer)?;
    write_json(folder, "config.json", &shape.config(&ct2_config, &special)?)?;
    write_json(folder, "generation_config.json", &shape.generation_config(&ct2_config, &special)?)?;
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

/// Tensors by their Hugging Face names; the bytes are model.bin's.
struct Tensors<'a>(BTreeMap<String, (Vec<usize>, &'a [u8])>);

impl<'a> Tensors<'a> {
    fn from_ct2(model: &Model<'a>) -> Result<Self> {
        let mut tensors = Self(BTreeMap::new());
        let mut dropped = 0;
        for conv in ["conv1", "conv2"] {
            tensors.linear(model, &format!("model.encoder.{conv}"), &format!("encoder/{conv}"))?;
        }
        for (name, source) in [
            ("model.encoder.embed_positions.weight", "encoder/position_encodings/encodings"),
            ("model.decoder.embed_positions.weight", "decoder/position_encodings/encodings"),
            ("model.decoder.embed_tokens.weight", "decoder/embeddings/weight"),
        ] {
            tensors.put(name, model.get(source)?)?;
        }
        for side in ["encoder", "decoder"] {
            tensors.norm(model, &format!("model.{side}.layer_norm"), &format!("{side}/layer_norm"))?;
            for layer in 0..n_layers(model, side) {
                dropped += tensors.layer(model, side, layer)?;
            }
        }
        // Nothing is left over and nothing is invented: every element is used once, save the dropped biases.
        let given: usize = model.variables.values().filter(|v| !v.shape.is_empty()).map(Variable::len).sum();
        let made: usize = tensors.0.values().map(|(shape, _)| shape.iter().product::<usize>()).sum();
        ensure!(given == made + dropped, "model.bin has {given} parameters, {made} were used and {dropped} dropped");
        Ok(tensors)
    }

    /// One transformer layer. Gives how many elements were dropped.
    fn layer(&mut self, model: &Model<'a>, side: &str, layer: usize) -> Result<usize> {
        let (to, from) = (format!("model.{side}.layers.{layer}"), format!("{side}/layer_{layer}"));
        self.norm(model, &format!("{to}.self_attn_layer_norm"), &format!("{from}/self_attention/layer_norm"))?;
        let attention = format!("{to}.self_attn");
        let fused = format!("{from}/self_attention/linear_0");
        let mut dropped = self.split(model, &attention, &["q_proj", "k_proj", "v_proj"], &fused)?;
        self.linear(model, &format!("{attention}.out_proj"), &format!("{from}/self_attention/linear_1"))?;
        if side == "decoder" {
            self.norm(model, &format!("{to}.encoder_attn_layer_norm"), &format!("{from}/attention/layer_norm"))?;
            let attention = format!("{to}.encoder_attn");
            self.linear(model, &format!("{attention}.q_proj"), &format!("{from}/attention/linear_0"))?;
            dropped += self.split(model, &attention, &["k_proj", "v_proj"], &format!("{from}/attention/linear_1"))?;
            self.linear(model, &format!("{attention}.out_proj"), &format!("{from}/attention/linear_2"))?;
        }
        self.norm(model, &format!("{to}.final_layer_norm"), &format!("{from}/ffn/layer_norm"))?;
        self.linear(model, &format!("{to}.fc1"), &format!("{from}/ffn/linear_0"))?;
        self.linear(model, &format!("{to}.fc2"), &format!("{from}/ffn/linear_1"))?;
        Ok(dropped)
    }

    fn put(&mut self, name: &str, variable: &Variable<'a>) -> Result<()> {
        ensure!(variable.dtype == Dtype::F16, "{name} is {:?}, expected F16", variable.dtype);
        self.0.insert(name.into(), (variable.shape.clone(), variable.data));
        Ok(())
    }

    fn norm(&mut self, model: &Model<'a>, to: &str, from: &str) -> Result<()> {
        self.put(&format!("{to}.weight"), model.get(&format!("{from}/gamma"))?)?;
        self.put(&format!("{to}.bias"), model.get(&format!("{from}/beta"))?)
    }

    fn linear(&mut self, model: &Model<'a>, to: &str, from: &str) -> Result<()> {
        self.put(&format!("{to}.weight"), model.get(&format!("{from}/weight"))?)?;
        self.put(&format!("{to}.bias"), model.get(&format!("{from}/bias"))?)
    }

    /// Takes a fused projection apart. Whisper's k_proj has no bias: CTranslate2 fills it with zeros, which are dropped
    /// and counted.
    fn split(&mut self, model: &Model<'a>, to: &str, parts: &[&str], from: &str) -> Result<usize> {
        let weights = split_rows(model.get(&format!("{from}/weight"))?, parts.len())?;
        let biases = split_rows(model.get(&format!("{from}/bias"))?, parts.len())?;
        let mut dropped = 0;
        for ((part, weight), bias) in parts.iter().zip(&weights).zip(&biases) {
            self.put(&format!("{to}.{part}.weight"), weight)?;
            if *part == "k_proj" {
                ensure!(bias.data.iter().all(|byte| *byte == 0), "{to}.{part} has a bias, which Whisper's has not");
                dropped += bias.len();
            } else {
                self.put(&format!("{to}.{part}.bias"), bias)?;
            }
        }
        Ok(dropped)
    }
}

fn split_rows<'a>(variable: &Variable<'a>, n_parts: usize) -> Result<Vec<Variable<'a>>> {
    let rows = variable.shape.first().copied().unwrap_or(0);
    ensure!(rows > 0 && rows % n_parts == 0, "{rows} rows cannot be split into {n_parts} parts");
    let mut shape = variable.shape.clone();
    shape[0] = rows / n_parts;
    let chunks = variable.data.chunks_exact(variable.data.len() / n_parts);
    Ok(chunks.map(|data| Variable { shape: shape.clone(), dtype: variable.dtype, data }).collect())
}

fn n_layers(model: &Model, side: &str) -> usize {
    let is_there = |layer: &usize| model.variables.contains_key(&format!("{side}/layer_{layer}/ffn/linear_0/weight"));
    (0..).take_while(is_there).count()
}

fn write_safetensors(tensors: &BTreeMap<String, (Vec<usize>, &[u8])>, path: &Path) -> Result<()> {
    let views = tensors
        .iter()
        .map(|(name, (shape, data))| Ok((name, TensorView::new(SafeDtype::F16, shape.clone(), data)?)))
        .collect::<Result<Vec<_>>>()?;
    let metadata = HashMap::from([("format".to_owned(), "pt".to_owned())]);
    safetensors::serialize_to_file(views, Some(metadata), path)
        .with_context(|| format!("cannot write {}", path.display()))
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
    fn of(model: &Model, tensors: &BTreeMap<String, (Vec<usize>, &[u8])>) -> Result<Self> {
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
    use super::super::ct2::tests::write;
    use super::*;

    #[test]
    fn fused_rows_are_taken_apart_and_the_zero_bias_dropped() {
        let weight: Vec<u8> = (0..12).collect(); // [3, 2] in two-byte elements: q, k and v have one row each.
        let bytes = write("W", &[("l/weight", &[3, 2], 4, &weight), ("l/bias", &[3], 4, &[9, 9, 0, 0, 8, 8])], &[]);
        let model = Model::parse(&bytes).unwrap();
        let mut tensors = Tensors(BTreeMap::new());
        let dropped = tensors.split(&model, "a", &["q_proj", "k_proj", "v_proj"], "l").unwrap();
        assert_eq!(dropped, 1);
        assert_eq!(tensors.0["a.k_proj.weight"], (vec![1, 2], &[4, 5, 6, 7][..]));
        assert_eq!(tensors.0["a.v_proj.bias"], (vec![1], &[8, 8][..]));
        assert!(!tensors.0.contains_key("a.k_proj.bias"));
    }

    #[test]
    fn a_key_bias_that_is_not_zero_is_refused() {
        let bytes = write("W", &[("l/weight", &[2, 1], 4, &[0; 4]), ("l/bias", &[2], 4, &[1, 0, 0, 0])], &[]);
        let model = Model::parse(&bytes).unwrap();
        assert!(Tensors(BTreeMap::new()).split(&model, "a", &["k_proj", "v_proj"], "l").is_err());
    }

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
