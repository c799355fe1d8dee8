//! `cargo xtask setup`: brings a machine to the point where the page builds and the tests run. Orders the steps; the
//! work is in `toolchain` (wasm32), `tools` (cargo and npm tools), `system` (what the distribution installs) and `webnn_browser`.

use std::env;
use std::ffi::OsString;
use std::path::PathBuf;
use std::process::Command;

use anyhow::{Context, Result};

use crate::toolchain::Toolchain;
use crate::{paths, process, report, system, toolchain, tools, webnn_browser};

/// How much has to be there.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Scope {
    /// The page builds.
    Build,
    /// The page builds and every test can run.
    Test,
}

/// Where the tools are, for the commands that build and test.
pub struct Environment {
    toolchain: Toolchain,
    path: OsString,
}

impl Environment {
    /// A program with the tools on its PATH, started in the repository's root.
    pub fn command(&self, program: &str) -> Command {
        let mut command = process::command(program);
        command.env("PATH", &self.path).current_dir(paths::root());
        command
    }

    /// As `command`, with the Rust toolchain that can build for wasm32. Every such build bears the same name, so that the
    /// tests use what the page was built from.
    pub fn wasm_command(&self, program: &str) -> Command {
        let mut command = self.command(program);
        self.toolchain.select(&mut command);
        // Trunk names the worker's files without a hash: the page asks for those of its own commit.
        if let Some(commit) = commit() {
            command.env("RILL_BUILD", commit);
        }
        command
    }
}

/// The commit that is built, `None` outside a checkout.
fn commit() -> Option<String> {
    let output = Command::new("git").args(["rev-parse", "--short", "HEAD"]).current_dir(paths::root()).output().ok()?;
    let name = String::from_utf8(output.stdout).ok()?.trim().to_string();
    (output.status.success() && !name.is_empty()).then_some(name)
}

/// Installs what is missing for `scope`; quick when nothing is.
pub fn run(scope: Scope) -> Result<Environment> {
    let toolchain = report::step("Rust for wasm32-unknown-unknown", toolchain::ensure)?;
    let mut dirs: Vec<PathBuf> = report::step("wasm-bindgen and trunk", tools::ensure_cargo_tools)?;
    dirs.push(report::step("wasm-opt and Playwright (npm)", tools::ensure_npm_tools)?);
    if scope == Scope::Test {
        report::step("Browsers, their drivers and a Vulkan driver", system::ensure_test_packages)?;
        tools::check_node_for_playwright()?;
        report::step("Chromium with WebNN", webnn_browser::ensure)?;
    }
    let old_path = env::var_os("PATH").unwrap_or_default();
    let path = env::join_paths(dirs.into_iter().chain(env::split_paths(&old_path)))
        .context("a tool folder has a character that the PATH cannot hold: set RILL_TOOLS to another folder")?;
    Ok(Environment { toolchain, path })
}
