//! `cargo xtask build`: Trunk builds the page into dist/, the models that ship with it get their lists, and the sizes a
//! visitor downloads are printed.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};

use crate::setup::Environment;
use crate::toolchain::TARGET;
use crate::{kernels, models, paths, process, report};

/// How to build.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Profile {
    /// Optimised, as published.
    Release,
    /// Quick to build.
    Debug,
}

impl Profile {
    /// From the `--debug` flag.
    pub fn from_debug_flag(debug: bool) -> Self {
        if debug { Self::Debug } else { Self::Release }
    }
}

/// Builds dist/ and prints the sizes of the wasm binaries. What else of the package `beside` names for cargo is compiled with it.
pub fn build(env: &Environment, profile: Profile, beside: &[&str]) -> Result<()> {
    kernels::build(env)?;
    let name = if profile == Profile::Release { "page, optimised" } else { "page, debug" };
    report::step(&format!("Building the {name}"), || {
        // Trunk has cargo compile one program after the other: what is compiled side by side here, it finds done.
        let mut cargo = env.wasm_command("cargo");
        cargo.args(["build", "--package", "rill", "--target", TARGET, "--bin", "app", "--bin", "worker"]).args(beside);
        let mut trunk = env.wasm_command("trunk");
        // Relative addresses let dist/ live below any sub-path.
        trunk.args(["build", "--public-url", "./"]);
        if profile == Profile::Release {
            cargo.arg("--release");
            trunk.arg("--release");
        }
        // Trunk takes this variable for a flag of its own and refuses "1", which some terminals and CI set.
        trunk.env_remove("NO_COLOR");
        process::run(&mut cargo)?;
        process::run(&mut trunk)?;
        models::list_own(&paths::dist().join("models"))?;
        print_sizes(&paths::dist(), profile)
    })
}

/// The wasm files directly in `dist`, by name.
pub fn wasm_files(dist: &Path) -> Result<Vec<PathBuf>> {
    let entries = fs::read_dir(dist).with_context(|| format!("cannot list {}", dist.display()))?;
    let mut files: Vec<PathBuf> = entries.flatten().map(|entry| entry.path()).collect();
    files.retain(|path| path.extension().is_some_and(|ext| ext == "wasm"));
    files.sort();
    Ok(files)
}

fn print_sizes(dist: &Path, profile: Profile) -> Result<()> {
    let files = wasm_files(dist)?;
    if files.is_empty() {
        bail!("trunk left no .wasm file in {}", dist.display());
    }
    for file in files {
        let wasm = fs::read(&file).with_context(|| format!("cannot read {}", file.display()))?;
        let name = file.file_name().unwrap_or_default().to_string_lossy();
        // A debug build is not published: no need to wait for the compressor.
        let compressed = match profile {
            Profile::Release => format!(", {:.0} KB brotli", brotli_size(&wasm)? as f64 / 1e3),
            Profile::Debug => String::new(),
        };
        report::note(format!("{name}: {:.0} KB raw{compressed}", wasm.len() as f64 / 1e3));
    }
    Ok(())
}

/// Size in bytes after brotli at its best level, as a static host sends it.
fn brotli_size(bytes: &[u8]) -> Result<usize> {
    let params = brotli::enc::BrotliEncoderParams { quality: 11, lgwin: 22, ..Default::default() };
    let mut compressed = Vec::new();
    brotli::BrotliCompress(&mut &bytes[..], &mut compressed, &params).context("brotli failed")?;
    Ok(compressed.len())
}
