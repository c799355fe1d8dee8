//! The WGSL files, and how a [`Kernel`] becomes the text of a module: files one below the other, and loops that say so written out.

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
    "log_mel", "matmul_direct", "matmul_sliced", "matmul_tiled", "matmul_wide", "matvec", "max_parts", "mel_scale", "picture_tokens", "pool",
    "roof_arithmetic", "roof_copy", "roof_dispatch", "row_at", "sample_cutoff", "sample_pick", "sample_scan", "scale", "sot_stats", "store_rows", "top_tokens"];

/// Every shared file by name.
pub const SHARED: &[(&str, &str)] = files!["shared/": "activation", "attention", "candidate", "decode_state", "matmul", "output_quads", "outputs", "product_eight", "product_q4", "product_q8", "quad_f16", "quad_f32", "quad_q4", "quad_q8", "reduce", "reduce_rows", "reduce_rows_subgroup", "reduce_subgroup", "softmax", "tiles", "weight_f16", "weight_f32", "weight_q4", "weight_q8"];

fn text_of(files: &'static [(&str, &str)], name: &str) -> &'static str {
    let found = files.iter().find(|(known, _)| *known == name);
    found.map(|(_, text)| *text).unwrap_or_else(|| panic!("`{name}.wgsl` is listed in shaders.rs"))
}

/// The module's text: `enable` line, element types, constants, shared files, kernel.
pub fn assemble(kernel: &Kernel) -> String {
    let mut text = String::new();
    // Naga knows the operations and refuses the line that Tint wants.
    if cfg!(target_arch = "wasm32") && kernel.shared.iter().any(|file| file.ends_with("_subgroup")) {
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
    unrolled(&text, &kernel.consts)
}

/// Writes loops out that are marked by `// unrolled` behind their opening brace: each turn as a block of its own, in which the counter is a
/// constant. Compilers of shaders leave loops over workgroup memory as they are; written out, a matrix product is a quarter faster
/// (`docs/bench-notes.md`). Such a loop counts from 0 to a number or to one of the kernel's constants; its closing brace stands below its `for`.
fn unrolled(text: &str, consts: &[(&str, u32)]) -> String {
    let mut out = String::with_capacity(2 * text.len());
    let mut lines = text.lines();
    while let Some(line) = lines.next() {
        let Some((indent, counter, n)) = marked(line, consts) else {
            out.push_str(line);
            out.push('\n');
            continue;
        };
        let end = format!("{indent}}}");
        let body: Vec<&str> = lines.by_ref().take_while(|line| *line != end).collect();
        let body = unrolled(&body.join("\n"), consts);
        for turn in 0..n {
            let _ = writeln!(out, "{indent}{{\n{indent}    const {counter} = {turn}u;\n{body}{end}");
        }
    }
    out
}

/// Indentation, counter and number of turns of a loop that is to be written out.
fn marked<'a>(line: &'a str, consts: &[(&str, u32)]) -> Option<(&'a str, &'a str, u32)> {
    let (indent, rest) = line.strip_suffix("{ // unrolled")?.split_once("for (var ")?;
    let (counter, rest) = rest.split_once(" = 0u; ")?;
    let limit = rest.strip_prefix(counter)?.strip_prefix(" < ")?.split_once("; ")?.0;
    let n = match limit.strip_suffix('u').map(str::parse) {
        Some(Ok(n)) => n,
        _ => consts.iter().find(|(name, _)| *name == limit)?.1,
    };
    Some((indent, counter, n))
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn marked_loops_are_written_out_and_others_stay() {
        let text = "for (var i = 0u; i < 2u; i++) {\n    for (var k = 0u; k < 2u; k++) { // unrolled\n        a += x[k];\n    }\n}\n";
        let turn = |k: u32| format!("    {{\n        const k = {k}u;\n        a += x[k];\n    }}\n");
        let expected = format!("for (var i = 0u; i < 2u; i++) {{\n{}{}}}\n", turn(0), turn(1));
        assert_eq!(unrolled(text, &[]), expected);
        assert_eq!(unrolled(&text.replace("k < 2u", "k < READS"), &[("READS", 2)]), expected);
    }

    #[test]
    fn a_marked_loop_around_another_is_written_out_too() {
        let text = "for (var i = 0u; i < 1u; i++) { // unrolled\n    for (var k = 0u; k < 1u; k++) { // unrolled\n        a += 1.0;\n    }\n}\n";
        assert_eq!(
            unrolled(text, &[]),
            "{\n    const i = 0u;\n    {\n        const k = 0u;\n        a += 1.0;\n    }\n}\n"
        );
    }
}
