//! The WGSL files, and how a [`Kernel`] becomes the text of a module: nothing but putting files one below the other.

use super::op::Kernel;
use std::fmt::Write as _;

macro_rules! files {
    ($dir:literal: $($name:literal),* $(,)?) => {
        &[$(($name, include_str!(concat!("../../shaders/", $dir, $name, ".wgsl")))),*]
    };
}

/// Every kernel by name.
pub const KERNELS: &[(&str, &str)] = files!["": "attention_cached", "attention_combine", "attention_cross", "attention_direct",
    "attention_tiled", "embed", "layer_norm", "log_mel", "matmul_direct", "matmul_tiled", "matvec", "max_parts",
    "mean_pool", "mel_scale", "row_at", "sample_pick", "sample_scan", "sot_stats"];

/// Every shared file by name.
pub const SHARED: &[(&str, &str)] =
    files!["shared/": "activation", "decode_state", "softmax", "weight_f16", "weight_f32"];

fn text_of(files: &'static [(&str, &str)], name: &str) -> &'static str {
    let found = files.iter().find(|(known, _)| *known == name);
    found.map(|(_, text)| *text).unwrap_or_else(|| panic!("`{name}.wgsl` is listed in shaders.rs"))
}

/// The module's text: `enable` line, element types, constants, shared files, kernel.
pub fn assemble(kernel: &Kernel) -> String {
    let mut text = String::new();
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
    text.push_str(text_of(KERNELS, kernel.shader));
    text
}
