//! A CTranslate2 Whisper as a Hugging Face repository: model.safetensors with the hub's tensor names. The JSON files
//! that go with it are made in `whisper_json`. Bytes are moved, never computed with, so the weights keep their f16
//! values exactly.
//!
//! Names on the left are Hugging Face's (transformers, modeling_whisper.py), on the right CTranslate2's
//! (converters/transformers.py, `WhisperLoader`). CTranslate2 fuses projections by rows: self-attention's `linear_0` is
//! [q; k; v], cross-attention's `linear_1` is [k; v].

use std::collections::{BTreeMap, HashMap};
use std::path::Path;

use anyhow::{Context, Result, ensure};
use safetensors::tensor::{Dtype as SafeDtype, TensorView};

use super::ct2::{Dtype, Model, Variable};
use super::whisper_json;

/// Writes the repository into `folder`. `binary` is the whole model.bin.
pub fn convert(binary: &[u8], config: &[u8], tokenizer: &[u8], folder: &Path) -> Result<()> {
    let model = Model::parse(binary).context("model.bin")?;
    ensure!(model.spec == "WhisperSpec", "model.bin holds a {}, expected a WhisperSpec", model.spec);
    let tied = model.aliases.get("decoder/projection/weight").is_some_and(|to| to == "decoder/embeddings/weight");
    ensure!(tied, "the output projection is not tied to the token embedding, as Whisper's is");
    let tensors = Tensors::from_ct2(&model)?.0;
    write_safetensors(&tensors, &folder.join("model.safetensors"))?;
    whisper_json::write(&model, &tensors, config, tokenizer, folder)
}

/// Shapes and bytes by Hugging Face name.
pub type TensorMap<'a> = BTreeMap<String, (Vec<usize>, &'a [u8])>;

/// Tensors by their Hugging Face names; the bytes are model.bin's.
struct Tensors<'a>(TensorMap<'a>);

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

/// How many layers one side, `encoder` or `decoder`, has.
pub fn n_layers(model: &Model, side: &str) -> usize {
    let is_there = |layer: &usize| model.variables.contains_key(&format!("{side}/layer_{layer}/ffn/linear_0/weight"));
    (0..).take_while(is_there).count()
}

fn write_safetensors(tensors: &TensorMap, path: &Path) -> Result<()> {
    let views = tensors
        .iter()
        .map(|(name, (shape, data))| Ok((name, TensorView::new(SafeDtype::F16, shape.clone(), data)?)))
        .collect::<Result<Vec<_>>>()?;
    let metadata = HashMap::from([("format".to_owned(), "pt".to_owned())]);
    safetensors::serialize_to_file(views, Some(metadata), path)
        .with_context(|| format!("cannot write {}", path.display()))
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
}
