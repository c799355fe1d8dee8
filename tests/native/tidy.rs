//! House rules that a reader should be able to rely on, held against the sources.

use std::path::{Path, PathBuf};

fn files_below(folder: &str, ending: &str) -> Vec<(PathBuf, String)> {
    let mut found = Vec::new();
    let mut folders = vec![Path::new(env!("CARGO_MANIFEST_DIR")).join(folder)];
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(&folder).expect("a folder of the sources").flatten() {
            let path = entry.path();
            if path.is_dir() {
                folders.push(path);
            } else if path.extension().is_some_and(|e| e == ending) {
                let text = std::fs::read_to_string(&path).expect("a source is text");
                found.push((path, text));
            }
        }
    }
    assert!(!found.is_empty(), "{folder} holds sources");
    found
}

/// Fails with every file below `folder` that mentions one of `forbidden`.
fn nothing_mentions(folder: &str, forbidden: &[&str], rule: &str) {
    let mut wrong = Vec::new();
    for (path, text) in files_below(folder, "rs") {
        let code = text.lines().filter(|line| !line.trim_start().starts_with("//"));
        for (n, line) in code.enumerate() {
            if forbidden.iter().any(|word| line.contains(word)) {
                wrong.push(format!("{}:{n}: {line}", path.display()));
            }
        }
    }
    assert!(wrong.is_empty(), "{rule}\n{}", wrong.join("\n"));
}

#[test]
fn the_page_knows_no_engine() {
    nothing_mentions("src/ui", &["crate::engine", "wgpu"], "ui imports protocol and audio, never engine or wgpu");
}

#[test]
fn models_and_ops_know_no_backend() {
    for folder in ["src/engine/models", "src/engine/ops"] {
        nothing_mentions(
            folder,
            &["wgpu", "engine::gpu", "engine::cpu", "engine::webnn", "session::"],
            "models and ops know no backend",
        );
    }
}

#[test]
fn backends_do_not_know_each_other() {
    nothing_mentions(
        "src/engine/gpu",
        &["engine::cpu", "super::cpu"],
        "the GPU backend does not import the processor's",
    );
    nothing_mentions(
        "src/engine/cpu",
        &["wgpu", "engine::gpu", "super::gpu"],
        "the processor's backend does not import the GPU's",
    );
    nothing_mentions(
        "src/engine/webnn",
        &["wgpu", "engine::gpu", "engine::cpu", "super::gpu", "super::cpu"],
        "the WebNN backend imports no other",
    );
    for folder in ["src/engine/gpu", "src/engine/cpu"] {
        nothing_mentions(folder, &["engine::webnn", "super::webnn"], "no other backend imports WebNN's");
    }
}

#[test]
fn wgpu_appears_only_in_engine_gpu() {
    let mut wrong = Vec::new();
    for (path, text) in files_below("src", "rs") {
        let is_gpu = path.components().any(|part| part.as_os_str() == "gpu");
        let code = text.lines().filter(|line| !line.trim_start().starts_with("//"));
        if !is_gpu && code.into_iter().any(|line| line.contains("wgpu::")) {
            wrong.push(path);
        }
    }
    assert!(wrong.is_empty(), "wgpu appears outside engine/gpu: {wrong:?}");
}

#[test]
fn every_source_says_what_it_is() {
    for (path, text) in files_below("src", "rs").into_iter().chain(files_below("kernels/src", "rs")) {
        assert!(text.starts_with("//!"), "{} does not open with what it is", path.display());
    }
    for (path, text) in files_below("shaders", "wgsl") {
        assert!(text.starts_with("//"), "{} does not open with its formula and shapes", path.display());
    }
}

#[test]
fn every_shader_is_listed() {
    use rill::engine::shaders::{KERNELS, SHARED};
    for (path, _) in files_below("shaders", "wgsl") {
        let name = path.file_stem().and_then(|stem| stem.to_str()).unwrap_or_default();
        let known = KERNELS.iter().chain(SHARED).any(|(known, _)| *known == name);
        assert!(known, "{} is not listed in src/engine/shaders.rs", path.display());
    }
}

#[test]
fn the_decode_state_has_the_same_fields_on_both_sides() {
    use rill::engine::shaders::{SHARED, fields};
    let wgsl =
        SHARED.iter().find(|(name, _)| *name == "decode_state").map(|(_, text)| *text).expect("decode_state.wgsl");
    let rust = include_str!("../../kernels/src/decode.rs");
    let rust: Vec<&str> = rust
        .lines()
        .filter_map(|line| line.trim().strip_prefix("pub "))
        .filter_map(|line| line.split_once(": ").filter(|(_, ty)| ["u32,", "f32,"].contains(ty)))
        .map(|(name, _)| name)
        .collect();
    assert_eq!(fields(wgsl, "DecodeState").collect::<Vec<_>>(), rust);
}
