//! Build tools that cargo and npm install: wasm-bindgen, trunk, wasm-opt, Playwright. A tool that is already there in
//! the right version is adopted; others are built once into a folder named by version and shared by all checkouts.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};

use crate::{digest, paths, process, report, system};

const TRUNK_VERSION: &str = "0.21.14";

/// A program that `cargo install` builds.
struct CargoTool {
    package: &'static str,
    version: String,
    programs: &'static [&'static str],
    args: &'static [&'static str],
    env: &'static [(&'static str, &'static str)],
}

/// Installs wasm-bindgen (in the version of Cargo.lock) and trunk; gives the folders to put on the PATH.
pub fn ensure_cargo_tools() -> Result<Vec<PathBuf>> {
    let lock_path = paths::root().join("Cargo.lock");
    let lock = fs::read_to_string(&lock_path).with_context(|| format!("cannot read {}", lock_path.display()))?;
    let wasm_bindgen = locked_version(&lock, "wasm-bindgen")
        .with_context(|| format!("{} names no version of wasm-bindgen", lock_path.display()))?;
    let tools = [
        CargoTool {
            package: "wasm-bindgen-cli",
            version: wasm_bindgen.into(),
            programs: &["wasm-bindgen", "wasm-bindgen-test-runner"],
            // Not --locked: its lock file can name versions that a mirror does not have yet.
            args: &["--no-default-features", "--bin", "wasm-bindgen", "--bin", "wasm-bindgen-test-runner"],
            env: &[("CARGO_PROFILE_RELEASE_OPT_LEVEL", "1")],
        },
        CargoTool {
            package: "trunk",
            version: TRUNK_VERSION.into(),
            programs: &["trunk"],
            args: &["--locked", "--debug", "--no-default-features"],
            env: &[("CARGO_PROFILE_DEV_DEBUG", "0"), ("CARGO_INCREMENTAL", "0")],
        },
    ];
    tools.iter().map(ensure_cargo_tool).collect()
}

fn ensure_cargo_tool(tool: &CargoTool) -> Result<PathBuf> {
    let own_root = paths::tools().join(format!("{}-{}", tool.package, tool.version));
    let own_bin = own_root.join("bin");
    let on_path = process::find(tool.programs[0]).and_then(|program| program.parent().map(Path::to_path_buf));
    let candidates = [Some(own_bin.clone()), Some(paths::tools().join("bin")), on_path];
    if let Some(dir) = candidates.into_iter().flatten().find(|dir| has_version(dir, tool)) {
        report::note(format!("{} {} in {}", tool.package, tool.version, dir.display()));
        return Ok(dir);
    }
    report::note(format!("building {} {}: takes minutes, once per machine", tool.package, tool.version));
    let mut install = process::command("cargo");
    install.args(["install", tool.package, "--version", &tool.version, "--force", "--root"]).arg(&own_root);
    // The checkout's target folder is no place for a tool's build.
    install.args(tool.args).envs(tool.env.iter().copied()).env_remove("CARGO_TARGET_DIR").current_dir(paths::root());
    process::run(&mut install).with_context(|| format!("installing {} {} failed", tool.package, tool.version))?;
    if !has_version(&own_bin, tool) {
        bail!(
            "{} was installed into {}, but does not report version {}",
            tool.package,
            own_bin.display(),
            tool.version
        );
    }
    Ok(own_bin)
}

fn has_version(dir: &Path, tool: &CargoTool) -> bool {
    tool.programs.iter().all(|program| {
        let printed = process::capture(process::command(dir.join(program)).arg("--version"));
        printed.is_ok_and(|text| text.split_whitespace().any(|word| word == tool.version))
    })
}

/// The version of a package in the text of a Cargo.lock.
fn locked_version<'a>(lock: &'a str, package: &str) -> Option<&'a str> {
    let name_line = format!("name = \"{package}\"");
    let mut lines = lock.lines().skip_while(|line| *line != name_line);
    let version_line = lines.find(|line| line.starts_with("version = "))?;
    version_line.split('"').nth(1)
}

/// Installs the npm packages of `e2e/` as locked; gives the folder of their programs (wasm-opt, playwright).
pub fn ensure_npm_tools() -> Result<PathBuf> {
    let e2e = paths::e2e();
    let bin = e2e.join("node_modules/.bin");
    // The lock file's hash is kept beside what was installed from it: a changed lock file installs again.
    let stamp = e2e.join("node_modules/.installed-from");
    let lock = digest::of_file(&e2e.join("package-lock.json"))?;
    if process::find("node").is_none() || process::find("npm").is_none() {
        system::ensure_node()?;
    }
    if fs::read_to_string(&stamp).is_ok_and(|installed| installed == lock) && bin.join("wasm-opt").exists() {
        report::note(format!("as locked, in {}", bin.display()));
        return Ok(bin);
    }
    let mut install = process::command("npm");
    install.args(["ci", "--no-audit", "--no-fund"]).current_dir(&e2e);
    process::run(&mut install).context("installing the packages of e2e/ failed: is the npm registry reachable?")?;
    fs::write(&stamp, lock).with_context(|| format!("cannot write {}", stamp.display()))?;
    Ok(bin)
}

/// Playwright refuses older versions with an error that does not say so.
pub fn check_node_for_playwright() -> Result<()> {
    let version = process::capture(process::command("node").arg("--version"))?;
    match major_version(&version) {
        Some(major) if major >= 20 => Ok(()),
        _ => bail!("Node.js is {}, and Playwright needs 20 or newer: install a newer one", version.trim()),
    }
}

/// `v20.20.2` is 20.
fn major_version(text: &str) -> Option<u32> {
    text.trim().strip_prefix('v')?.split('.').next()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::{locked_version, major_version};

    #[test]
    fn major_version_of_node() {
        assert_eq!(major_version("v20.20.2\n"), Some(20));
        assert_eq!(major_version("what?"), None);
    }

    #[test]
    fn locked_version_does_not_mix_up_packages_with_a_common_prefix() {
        let lock = "[[package]]\nname = \"wasm-bindgen-futures\"\nversion = \"0.4.80\"\n\n\
                    [[package]]\nname = \"wasm-bindgen\"\nversion = \"0.2.130\"\nsource = \"x\"\n";
        assert_eq!(locked_version(lock, "wasm-bindgen"), Some("0.2.130"));
        assert_eq!(locked_version(lock, "wasm"), None);
    }
}
