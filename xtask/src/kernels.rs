//! The processor's kernels as wasm modules: four builds of one small crate, of which a browser gets the fastest that it can run.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result};

use crate::setup::Environment;
use crate::toolchain::TARGET;
use crate::{paths, process, report};

/// The memory is the engine's, and every thread gets a stack of its own.
const LINK_ARGS: [&str; 5] =
    ["--import-memory", "--export=__heap_base", "--export=__stack_pointer", "-zstack-size=65536", "-s"];

/// The standard library's own code is built without atomics. That does no harm here: of it the kernels use `core` alone, which keeps
/// no state that threads could share.
const THREADS_LINK_ARGS: [&str; 3] = ["--shared-memory", "--no-check-features", "--max-memory=4294901760"];

/// How LLVM is to translate loops. Its own order of instructions for this target keeps 20 vectors at hand where browsers have 15
/// registers on x86, and rewriting of addresses loses the constant offsets that a wasm load has for nothing: in the order of the
/// source and with plain addresses the matrix product is three times as fast in V8 (`docs/bench-notes.md`).
const LLVM_ARGS: [&str; 2] = ["-pre-RA-sched=source", "-disable-lsr"];

/// Builds every variant into target/kernels/dist/, where Trunk finds them.
pub fn build(env: &Environment) -> Result<()> {
    report::step("Building the processor's kernels", || {
        let folder = paths::root().join("target/kernels/dist");
        fs::create_dir_all(&folder).with_context(|| format!("cannot make {}", folder.display()))?;
        for relaxed in [false, true] {
            for threads in [false, true] {
                build_variant(env, relaxed, threads, &folder)?;
            }
        }
        Ok(())
    })
}

/// Lints the variant with everything in it.
pub fn lint(env: &Environment) -> Result<()> {
    process::run(cargo(env, "clippy", true, true).args(["--", "-D", "warnings"]))
}

fn build_variant(env: &Environment, relaxed: bool, threads: bool, folder: &Path) -> Result<()> {
    process::run(&mut cargo(env, "build", relaxed, threads))?;
    let name = format!("{}{}.wasm", if relaxed { "relaxed" } else { "simd" }, if threads { "-threads" } else { "" });
    let built = target_dir().join(TARGET).join("release/rill-kernels.wasm");
    let size = fs::copy(&built, folder.join(&name)).with_context(|| format!("cannot copy {}", built.display()))?;
    report::note(format!("kernels/{name}: {:.0} KB raw", size as f64 / 1e3));
    Ok(())
}

/// A folder of its own: the same crates with other flags would make the page's build begin anew.
fn target_dir() -> PathBuf {
    paths::root().join("target/kernels/build")
}

/// A cargo command on the wasm module of a variant.
fn cargo(env: &Environment, command: &str, relaxed: bool, threads: bool) -> Command {
    let features = [("+simd128", true), ("+relaxed-simd", relaxed), ("+atomics", threads), ("+bulk-memory", threads)];
    let features: Vec<_> = features.iter().filter(|(_, on)| *on).map(|(name, _)| *name).collect();
    let link_args = LINK_ARGS.iter().chain(if threads { &THREADS_LINK_ARGS[..] } else { &[] });
    let flags: Vec<String> = std::iter::once(format!("-Ctarget-feature={}", features.join(",")))
        .chain(LLVM_ARGS.iter().map(|arg| format!("-Cllvm-args={arg}")))
        .chain(link_args.map(|arg| format!("-Clink-arg={arg}")))
        .collect();
    let mut cargo = env.wasm_command("cargo");
    cargo.args([command, "--quiet", "--release", "--package", "rill-kernels", "--bin", "rill-kernels"]);
    cargo.args(["--features", "module", "--target", TARGET, "--target-dir"]).arg(target_dir());
    cargo.env("CARGO_ENCODED_RUSTFLAGS", flags.join("\u{1f}"));
    cargo
}
