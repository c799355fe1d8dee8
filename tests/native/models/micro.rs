//! A Whisper so small that a test may run it whole: random weights under the real names, the real tokenizer.

use rill::engine::check::noise;
use safetensors::tensor::{Dtype, TensorView};
use std::path::{Path, PathBuf};

const D: usize = 32;
const FFN: usize = 64;
const VOCAB: usize = 51_864;

/// Writes it as `whisper-tiny.en` below a new folder of that name in the target directory, and gives that folder.
pub fn write_micro_whisper(name: &str) -> PathBuf {
    let root = Path::new(env!("CARGO_TARGET_TMPDIR")).join(name);
    let folder = root.join("whisper-tiny.en");
    std::fs::create_dir_all(&folder).expect("a folder below target");
    for file in ["tokenizer.json", "generation_config.json"] {
        let from = super::folder().join("whisper-tiny.en").join(file);
        std::fs::copy(from, folder.join(file)).expect("the tokenizer of whisper-tiny.en is fetched");
    }
    let config = serde_json::json!({
        "model_type": "whisper", "d_model": D, "encoder_layers": 1, "encoder_attention_heads": 2, "encoder_ffn_dim": FFN,
        "decoder_layers": 1, "decoder_attention_heads": 2, "decoder_ffn_dim": FFN, "num_mel_bins": 80,
        "max_source_positions": 1500, "max_target_positions": 448, "vocab_size": VOCAB, "activation_function": "gelu",
    });
    std::fs::write(folder.join("config.json"), config.to_string()).expect("config.json");
    write_weights(&folder.join("model.safetensors"), D);
    root
}

/// The weights, with a model size of `d`.
pub fn write_weights(file: &Path, d: usize) {
    let data: Vec<(String, Vec<usize>, Vec<u8>)> = shapes(d)
        .into_iter()
        .enumerate()
        .map(|(idx, (name, shape))| {
            let is_norm = name.contains("norm") && name.ends_with("weight");
            let values = noise(shape.iter().product(), idx as u32 + 1);
            let bytes = values.iter().flat_map(|v| (if is_norm { 1.0 } else { v * 0.3 }).to_le_bytes()).collect();
            (name, shape, bytes)
        })
        .collect();
    let views = data.iter().map(|(name, shape, bytes)| {
        (name.clone(), TensorView::new(Dtype::F32, shape.clone(), bytes).expect("bytes fit the shape"))
    });
    safetensors::serialize_to_file(views, None, file).expect("the weights are written");
}

fn shapes(d: usize) -> Vec<(String, Vec<usize>)> {
    let mut all = vec![
        ("model.encoder.conv1.weight".to_string(), vec![d, 80, 3]),
        ("model.encoder.conv1.bias".to_string(), vec![d]),
        ("model.encoder.conv2.weight".to_string(), vec![d, d, 3]),
        ("model.encoder.conv2.bias".to_string(), vec![d]),
        ("model.encoder.embed_positions.weight".to_string(), vec![1500, d]),
        ("model.decoder.embed_positions.weight".to_string(), vec![448, d]),
        ("model.decoder.embed_tokens.weight".to_string(), vec![VOCAB, d]),
    ];
    let mut pair = |name: String, shape: Vec<usize>| {
        all.push((format!("{name}.bias"), vec![shape[0]]));
        all.push((format!("{name}.weight"), shape));
    };
    for side in ["encoder", "decoder"] {
        let layer = format!("model.{side}.layers.0");
        pair(format!("model.{side}.layer_norm"), vec![d]);
        pair(format!("{layer}.fc1"), vec![FFN, d]);
        pair(format!("{layer}.fc2"), vec![d, FFN]);
        pair(format!("{layer}.final_layer_norm"), vec![d]);
        let attentions: &[&str] = if side == "encoder" { &["self_attn"] } else { &["self_attn", "encoder_attn"] };
        for attention in attentions {
            pair(format!("{layer}.{attention}_layer_norm"), vec![d]);
            for projection in ["q_proj", "k_proj", "v_proj", "out_proj"] {
                pair(format!("{layer}.{attention}.{projection}"), vec![d, d]);
            }
        }
    }
    all
}
