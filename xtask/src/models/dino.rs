//! A DINOv2 backbone (Oquab et al. 2023, arXiv 2304.07193) out of an ONNX file, as a plain Vision Transformer under the names of Hugging
//! Face's `ViTModel`: the scales behind its sub-layers are multiplied into the linear maps before them, and its table of positions, made
//! for pictures of 518 pixels, is resampled for 224. The result computes the same to rounding. With a linear head on top it becomes a
//! `ViTForImageClassification`, in f16.

use std::collections::{BTreeMap, HashMap};
use std::fs;
use std::path::Path;

use anyhow::{Context, Result, ensure};
use half::f16;
use safetensors::tensor::{Dtype, SafeTensors, TensorView};
use serde_json::{Value, json};

use super::onnx::{self, Tensor};

/// Values of a row.
const D: usize = 384;
const LAYERS: usize = 12;
/// Patches along an edge: 518 and 224 pixels, 14 a patch.
const GRID: (usize, usize) = (37, 16);

/// The head of `vit-small-stamps`: `classifier.weight` and `classifier.bias`, and the labels in its metadata. `stamps_head.py` has
/// fitted it and says how good it is.
pub const STAMPS_HEAD: &[u8] = include_bytes!("stamps_head.safetensors");

/// Writes the repository into `folder`. `onnx` is the whole file, `head` a safetensors file.
pub fn convert(onnx: &[u8], head: Option<&[u8]>, folder: &Path) -> Result<()> {
    let mut tensors = convert_tensors(&onnx::read(onnx)?)?;
    let labels = match head {
        Some(head) => {
            tensors = tensors.into_iter().map(|(name, tensor)| (format!("vit.{name}"), tensor)).collect();
            add_head(&mut tensors, head).context("the head")?
        }
        None => Vec::new(),
    };
    let dtype = if head.is_some() { Dtype::F16 } else { Dtype::F32 };
    let stored = |tensor: &Tensor| -> Vec<u8> {
        match dtype {
            Dtype::F16 => tensor.values.iter().flat_map(|&v| f16::from_f32(v).to_le_bytes()).collect(),
            _ => tensor.values.iter().flat_map(|v| v.to_le_bytes()).collect(),
        }
    };
    let bytes: BTreeMap<&String, (Vec<usize>, Vec<u8>)> =
        tensors.iter().map(|(name, tensor)| (name, (tensor.shape.clone(), stored(tensor)))).collect();
    let views = bytes
        .iter()
        .map(|(name, (shape, bytes))| Ok((name, TensorView::new(dtype, shape.clone(), bytes)?)))
        .collect::<Result<Vec<_>>>()?;
    let metadata = HashMap::from([("format".to_owned(), "pt".to_owned())]);
    safetensors::serialize_to_file(views, Some(metadata), &folder.join("model.safetensors"))?;
    let mut config = json!({
        "architectures": ["ViTModel"], "model_type": "vit", "image_size": 224, "patch_size": 14, "num_channels": 3,
        "hidden_size": D, "num_hidden_layers": LAYERS, "num_attention_heads": 6, "intermediate_size": 4 * D,
        "hidden_act": "gelu", "layer_norm_eps": 1e-6, "qkv_bias": true, "torch_dtype": "float32",
    });
    let preprocessor = json!({
        "image_processor_type": "ViTImageProcessor", "do_resize": true, "size": { "height": 224, "width": 224 },
        "resample": 3, "do_center_crop": false, "do_rescale": true, "rescale_factor": 1.0 / 255.0, "do_normalize": true,
        "image_mean": [0.485, 0.456, 0.406], "image_std": [0.229, 0.224, 0.225], "do_convert_rgb": true,
    });
    if head.is_some() {
        config["architectures"] = json!(["ViTForImageClassification"]);
        config["torch_dtype"] = json!("float16");
        let by_number = labels.iter().enumerate().map(|(idx, label)| (idx.to_string(), json!(label)));
        config["id2label"] = Value::Object(by_number.collect());
        let by_label = labels.iter().enumerate().map(|(idx, label)| (label.clone(), json!(idx)));
        config["label2id"] = Value::Object(by_label.collect());
    }
    for (name, json) in [("config.json", config), ("preprocessor_config.json", preprocessor)] {
        let path = folder.join(name);
        fs::write(&path, serde_json::to_string_pretty(&json)? + "\n")
            .with_context(|| format!("cannot write {}", path.display()))?;
    }
    Ok(())
}

/// Adds the head's tensors; gives its labels.
fn add_head(tensors: &mut BTreeMap<String, Tensor>, head: &[u8]) -> Result<Vec<String>> {
    let (_, metadata) = SafeTensors::read_metadata(head)?;
    let labels = metadata.metadata().as_ref().and_then(|texts| texts.get("labels")).context("it has no labels")?;
    let labels: Vec<String> = serde_json::from_str(labels)?;
    for (name, view) in SafeTensors::deserialize(head)?.tensors() {
        ensure!(view.dtype() == Dtype::F32 && view.shape()[0] == labels.len(), "{name} does not fit its labels");
        let values = view.data().chunks_exact(4).map(|b| f32::from_le_bytes([b[0], b[1], b[2], b[3]])).collect();
        tensors.insert(name, Tensor { shape: view.shape().to_vec(), values });
    }
    Ok(labels)
}

fn convert_tensors(onnx: &HashMap<String, Tensor>) -> Result<BTreeMap<String, Tensor>> {
    let get = |name: &str| onnx.get(&format!("backbone.{name}")).with_context(|| format!("there is no tensor {name}"));
    let mut made = BTreeMap::new();
    for name in [
        "embeddings.patch_embeddings.projection.weight",
        "embeddings.patch_embeddings.projection.bias",
        "embeddings.cls_token",
        "layernorm.weight",
        "layernorm.bias",
    ] {
        made.insert(name.to_owned(), get(name)?.clone());
    }
    made.insert("embeddings.position_embeddings".to_owned(), positions(onnx)?);
    for layer in (0..LAYERS).map(|idx| format!("encoder.layer.{idx}")) {
        for part in ["weight", "bias"] {
            for (to, from, scale) in [
                ("layernorm_before", "norm1", None),
                ("layernorm_after", "norm2", None),
                ("attention.attention.query", "attention.attention.query", None),
                ("attention.attention.key", "attention.attention.key", None),
                ("attention.attention.value", "attention.attention.value", None),
                ("attention.output.dense", "attention.output.dense", Some("layer_scale1.lambda1")),
                ("intermediate.dense", "mlp.fc1", None),
                ("output.dense", "mlp.fc2", Some("layer_scale2.lambda1")),
            ] {
                let mut tensor = get(&format!("{layer}.{from}.{part}"))?.clone();
                if let Some(scale) = scale {
                    scale_rows(&mut tensor, get(&format!("{layer}.{scale}"))?)?;
                }
                made.insert(format!("{layer}.{to}.{part}"), tensor);
            }
        }
    }
    Ok(made)
}

/// Multiplies each row (of a vector: each element) by its scale.
fn scale_rows(tensor: &mut Tensor, scale: &Tensor) -> Result<()> {
    let n_rows = scale.values.len();
    ensure!(tensor.shape.first() == Some(&n_rows), "{n_rows} scales for a tensor of shape {:?}", tensor.shape);
    let width = tensor.values.len() / n_rows;
    for (row, scale) in tensor.values.chunks_exact_mut(width).zip(&scale.values) {
        row.iter_mut().for_each(|v| *v *= scale);
    }
    Ok(())
}

/// The class token's place and the grid of places, which the exporter has folded into constants known by their shapes.
fn positions(onnx: &HashMap<String, Tensor>) -> Result<Tensor> {
    let (n_in, n_out) = GRID;
    let of_shape = |shape: [usize; 3]| {
        let mut found = onnx.iter().filter(|(name, t)| name.starts_with("onnx::") && t.shape == shape);
        let first = found.next().with_context(|| format!("there is no constant of shape {shape:?}"))?;
        ensure!(found.next().is_none(), "there are several constants of shape {shape:?}");
        Ok(first.1)
    };
    let (class, grid) = (of_shape([1, 1, D])?, of_shape([1, n_in * n_in, D])?);
    let weights = bicubic(n_in, n_out);
    // Along one edge, then along the other.
    let mut half = vec![0.0f64; n_out * n_in * D];
    for (out, line) in weights.iter().enumerate() {
        for &(from, weight) in line {
            for i in 0..n_in * D {
                half[out * n_in * D + i] += weight * f64::from(grid.values[from * n_in * D + i]);
            }
        }
    }
    let mut values = class.values.clone();
    for row in half.chunks_exact(n_in * D) {
        for line in &weights {
            let place = |c: usize| line.iter().map(|&(from, weight)| weight * row[from * D + c]).sum::<f64>() as f32;
            values.extend((0..D).map(place));
        }
    }
    Ok(Tensor { shape: vec![1, 1 + n_out * n_out, D], values })
}

/// For each output the inputs it is made of and their weights: PyTorch's `interpolate(mode="bicubic", align_corners=False)`.
fn bicubic(n_in: usize, n_out: usize) -> Vec<Vec<(usize, f64)>> {
    const A: f64 = -0.75;
    let kernel = |t: f64| match t.abs() {
        t if t <= 1.0 => ((A + 2.0) * t - (A + 3.0)) * t * t + 1.0,
        t if t < 2.0 => ((t - 5.0) * t + 8.0) * t * A - 4.0 * A,
        _ => 0.0,
    };
    let line = |out: usize| {
        let at = (out as f64 + 0.5) * n_in as f64 / n_out as f64 - 0.5;
        let near = at.floor() as isize;
        let tap = |k: isize| ((near + k).clamp(0, n_in as isize - 1) as usize, kernel(at - (near + k) as f64));
        (-1..3).map(tap).collect()
    };
    (0..n_out).map(line).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn resampling_keeps_what_is_level_and_what_is_not_resampled() {
        for (n_in, n_out) in [(37, 16), (5, 9)] {
            for line in bicubic(n_in, n_out) {
                let sum: f64 = line.iter().map(|(_, weight)| weight).sum();
                assert!((sum - 1.0).abs() < 1e-12, "{line:?}");
            }
        }
        for (out, line) in bicubic(7, 7).iter().enumerate() {
            let weight_of = |input| line.iter().filter(|(from, _)| *from == input).map(|(_, w)| w).sum::<f64>();
            assert_eq!(
                (0..7).map(weight_of).collect::<Vec<_>>(),
                (0..7).map(|i| f64::from(u8::from(i == out))).collect::<Vec<_>>()
            );
        }
    }

    #[test]
    fn the_head_has_a_row_for_each_of_its_labels() {
        let mut tensors = BTreeMap::new();
        let labels = add_head(&mut tensors, STAMPS_HEAD).unwrap();
        assert_eq!(labels.len(), 16);
        assert_eq!(tensors["classifier.weight"].shape, [16, D]);
        assert!(tensors.values().flat_map(|tensor| &tensor.values).all(|v| v.is_finite()));
        assert!(add_head(&mut tensors, &STAMPS_HEAD[..100]).is_err());
    }

    #[test]
    fn scales_go_into_the_rows_before_them() {
        let scale = Tensor { shape: vec![2], values: vec![2.0, -1.0] };
        let mut matrix = Tensor { shape: vec![2, 2], values: vec![1.0, 2.0, 3.0, 4.0] };
        scale_rows(&mut matrix, &scale).unwrap();
        assert_eq!(matrix.values, [2.0, 4.0, -3.0, -4.0]);
        assert!(scale_rows(&mut Tensor { shape: vec![3], values: vec![0.0; 3] }, &scale).is_err());
    }
}
