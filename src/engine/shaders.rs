//! The WGSL files, and how a [`Kernel`] becomes the text of a module: nothing but putting files one below the other.

use super::op::Kernel;
use std::fmt::Write as _;

macro_rules! files {
    ($dir:literal: $($name:literal),* $(,)?) => {
        &[$(($name, include_str!(concat!("../../shaders/", $dir, $name, ".wgsl")))),*]
    };
}

/// Every kernel by name.
pub const KERNELS: &[(&str, &str)] = files!["": "attention_blocks", "attention_cached", "attention_combine", "attention_cross", "attention_direct",
    "attention_tiled", "class_mean", "distance_bias", "embed", "gated", "gather", "layer_norm", "layer_scale",
    "log_mel", "matmul_direct", "matmul_tiled", "matmul_wide", "matvec", "max_parts", "mel_scale", "picture_tokens", "pool",
    "roof_arithmetic", "roof_copy", "roof_dispatch", "row_at", "sample_cutoff", "sample_pick", "sample_scan", "scale", "sot_stats", "store_rows", "top_tokens"];

/// Every shared file by name.
pub const SHARED: &[(&str, &str)] = files!["shared/": "activation", "attention", "candidate", "decode_state", "matmul", "product_eight", "product_q4", "product_q8", "reduce", "reduce_subgroup", "softmax", "tiles", "weight_f16", "weight_f32", "weight_q4", "weight_q8"];

fn text_of(files: &'static [(&str, &str)], name: &str) -> &'static str {
    let found = files.iter().find(|(known, _)| *known == name);
    found.map(|(_, text)| *text).unwrap_or_else(|| panic!("`{name}.wgsl` is listed in shaders.rs"))
}

/// The module's text: `enable` line, element types, constants, shared files, kernel.
pub fn assemble(kernel: &Kernel) -> String {
    let mut text = String::new();
    // Naga knows the operations and refuses the line that Tint wants.
    if cfg!(target_arch = "wasm32") && kernel.shared.contains(&"reduce_subgroup") {
        text.push_str("enable subgroups;\n");
    }
    if kernel.types.iter().any(|(_, dtype)| dtype.wgsl() == "f16") {
        text.push_str("enable f16;\n");
    }
    for (name, dtype) in &kernel.types {
        let _ = writeln!(text, "alias {name} = {};", dtype.wgsl());
    }
    for (name, value) in &kernel.consts {
        let _ = writeln!(text, "const {name} = {value}u;");
    }
    for file in &kernel.shared {
        text.push_str(text_of(SHARED, file));
    }
    let source = text_of(KERNELS, kernel.shader);
    // Every field is a 32-bit scalar, so the number of fields is the size: the host's struct cannot drift away unnoticed.
    text.push_str(source);
    debug_assert_eq!(4 * n_fields(&text, "Params"), kernel.params.len(), "Params of `{}.wgsl`", kernel.shader);
    text
}

/// How many fields a struct of a WGSL text has.
fn n_fields(text: &str, name: &str) -> usize {
    fields(text, name).count()
}

/// Names of the fields of a struct in a WGSL text, one to a line or all in one.
pub fn fields<'a>(text: &'a str, name: &str) -> impl Iterator<Item = &'a str> {
    let body = text.split_once(&format!("struct {name} {{")).and_then(|(_, rest)| rest.split_once('}'));
    let body = body.map_or("", |(body, _)| body);
    body.split(',').filter_map(|field| field.split_once(':')).map(|(name, _)| name.trim())
}
