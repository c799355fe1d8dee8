//! A Rust toolchain with the wasm32-unknown-unknown standard library. Three ways, the first that works: the active
//! toolchain has it; rustup fetches it; on Debian, `rustc-web` with the standard library built from its source package
//! (for machines where rustup can fetch nothing, which say so by `RUSTUP_AUTO_INSTALL=0`).

use std::env;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use anyhow::{Context, Result, bail};

use crate::{paths, process, report, system};

/// What the page is compiled for.
pub const TARGET: &str = "wasm32-unknown-unknown";

/// The names under which rustup may know Debian's toolchain; the second where the first is taken by something else.
const DEBIAN_NAMES: [&str; 2] = ["web", "rill-web"];

const DEBIAN_PACKAGES: [&str; 6] =
    ["rustc-web", "cargo-web", "rust-web-src", "rust-web-llvm", "rust-web-clippy", "rustfmt-web"];

/// Which toolchain builds for wasm32.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Toolchain {
    /// The one that is active anyway.
    Active,
    /// One that rustup knows by this name.
    Named(String),
    /// Debian's, on a machine without rustup.
    System,
}

impl Toolchain {
    /// Makes `command` and the cargo and rustc it starts use this toolchain.
    pub fn select(&self, command: &mut Command) {
        match self {
            Self::Active => {}
            Self::Named(name) => {
                // `cargo xtask` leaves the path of its own cargo in the environment, which some tools would start.
                command.env("RUSTUP_TOOLCHAIN", name).env_remove("CARGO");
            }
            Self::System => {
                command.env("RUSTC", "/usr/bin/rustc").env("CARGO", "/usr/bin/cargo");
            }
        }
    }

    fn rustc(&self) -> Command {
        let mut rustc = process::command(if *self == Self::System { "/usr/bin/rustc" } else { "rustc" });
        self.select(&mut rustc);
        rustc
    }
}

/// Finds or makes a toolchain that can build for wasm32.
pub fn ensure() -> Result<Toolchain> {
    if has_std(&Toolchain::Active) {
        return found(Toolchain::Active, "the active toolchain has it");
    }
    let has_rustup = process::find("rustup").is_some();
    // What an earlier run made, before anything is fetched.
    if let Some(sysroot) = debian_sysroot().filter(|sysroot| has_current_std(sysroot) && missing_linker().is_none()) {
        let toolchain = if has_rustup { Toolchain::Named(link(&sysroot)?) } else { Toolchain::System };
        return found(toolchain, "Debian's rustc-web");
    }
    let may_fetch = env::var("RUSTUP_AUTO_INSTALL").map_or(true, |value| value != "0");
    if has_rustup && may_fetch {
        let mut add = process::command("rustup");
        match process::run_within(add.args(["target", "add", TARGET]), Duration::from_secs(300)) {
            Ok(()) if has_std(&Toolchain::Active) => return found(Toolchain::Active, "rustup added it"),
            Ok(()) => report::note("rustup added the target, but its standard library is not found"),
            Err(error) => report::note(format!("rustup could not add it: {error:#}")),
        }
    }
    if process::find("apt-get").is_none() {
        bail!("no way to get Rust's {TARGET} here: make `rustup target add {TARGET}` work, then repeat the command");
    }
    debian(has_rustup)
}

fn found(toolchain: Toolchain, how: &str) -> Result<Toolchain> {
    let version = process::capture(toolchain.rustc().arg("--version"))?;
    report::note(format!("{how}: {}", version.trim()));
    Ok(toolchain)
}

fn has_std(toolchain: &Toolchain) -> bool {
    let libdir = process::capture(toolchain.rustc().args(["--print", "target-libdir", "--target", TARGET]));
    libdir.is_ok_and(|dir| {
        let has = |crate_name: &str| rlibs(Path::new(dir.trim())).iter().any(|path| names_crate(path, crate_name));
        has("core") && has("std")
    })
}

/// `libcore-68ceb7eb87ac5576.rlib` is core; a std that was built by cargo is plain `libstd.rlib`.
fn names_crate(rlib: &Path, crate_name: &str) -> bool {
    let stem = rlib.file_stem().unwrap_or_default().to_string_lossy();
    let rest = stem.strip_prefix("lib").and_then(|stem| stem.strip_prefix(crate_name));
    rest.is_some_and(|rest| rest.is_empty() || rest.starts_with('-'))
}

fn rlibs(dir: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(dir).map(|entries| entries.flatten().map(|entry| entry.path()).collect::<Vec<_>>());
    entries.unwrap_or_default().into_iter().filter(|path| path.extension().is_some_and(|ext| ext == "rlib")).collect()
}

fn debian(has_rustup: bool) -> Result<Toolchain> {
    let missing: Vec<&str> = DEBIAN_PACKAGES.into_iter().filter(|package| !is_installed(package)).collect();
    if !missing.is_empty() {
        system::apt_install(&missing)?;
    }
    if let Some(linker) = missing_linker() {
        system::apt_install(&[&linker])?;
    }
    let sysroot = debian_sysroot().context("rustc-web is installed, but /usr/bin/rustc does not run")?;
    if !has_current_std(&sysroot) {
        build_std(&sysroot)?;
    }
    if !has_current_std(&sysroot) {
        bail!("the standard library was built, but rustc does not find it in {}", std_dir(&sysroot).display());
    }
    let toolchain = if has_rustup { Toolchain::Named(link(&sysroot)?) } else { Toolchain::System };
    found(toolchain, "Debian's rustc-web")
}

/// The package of the linker, where it is missing: rust-web-llvm has `rust-lld` as a link to `lld-22` or so, which has
/// its own package of the same name, on which nothing depends.
fn missing_linker() -> Option<String> {
    let link = Path::new("/usr/bin/rust-lld");
    if link.exists() {
        return None;
    }
    fs::read_link(link).ok()?.file_name()?.to_str().map(str::to_owned)
}

fn debian_sysroot() -> Option<PathBuf> {
    let sysroot = process::capture(process::command("/usr/bin/rustc").args(["--print", "sysroot"])).ok()?;
    Some(PathBuf::from(sysroot.trim()))
}

fn std_dir(sysroot: &Path) -> PathBuf {
    sysroot.join("lib/rustlib").join(TARGET).join("lib")
}

/// Whether the standard library is there and was built for this very compiler: an upgrade makes it useless.
fn has_current_std(sysroot: &Path) -> bool {
    let stamp = fs::read_to_string(std_dir(sysroot).join(".stamp")).unwrap_or_default();
    has_std(&Toolchain::System) && compiler_commit().is_ok_and(|commit| commit == stamp.trim())
}

fn is_installed(package: &str) -> bool {
    let mut query = process::command("dpkg-query");
    query.args(["-W", "-f=${db:Status-Status}", package]);
    process::capture(&mut query).is_ok_and(|status| status.trim() == "installed")
}

fn compiler_commit() -> Result<String> {
    let version = process::capture(process::command("/usr/bin/rustc").arg("-vV"))?;
    let commit = version.lines().find_map(|line| line.strip_prefix("commit-hash: "));
    commit.map(str::to_owned).with_context(|| format!("`/usr/bin/rustc -vV` names no commit: {version}"))
}

/// Builds the standard library from Debian's `rust-web-src` and puts it into the sysroot.
fn build_std(sysroot: &Path) -> Result<()> {
    report::note("building the standard library for wasm32 (about a minute)");
    let source = sysroot.join("lib/rustlib/src/rust/library/sysroot");
    let source = source.canonicalize().with_context(|| format!("cannot find {}", source.display()))?;
    let work = paths::cache().join("std-build");
    let mut cargo = process::command("/usr/bin/cargo");
    // The source is built where it lies: crate hashes depend on the path, cargo does not notice a changed sysroot,
    // and with other hashes every existing target folder would fail with E0463.
    cargo.current_dir(&source).args(["build", "--locked", "--release", "--target", TARGET, "--target-dir"]).arg(&work);
    cargo.args(["--features", "panic-unwind compiler-builtins-mem"]);
    for variable in ["RUSTUP_TOOLCHAIN", "CARGO_ENCODED_RUSTFLAGS", "CARGO_BUILD_TARGET", "CARGO_TARGET_DIR"] {
        cargo.env_remove(variable);
    }
    cargo.env("PATH", "/usr/bin:/bin").env("RUSTC", "/usr/bin/rustc").env("CARGO_INCREMENTAL", "0");
    cargo.env("RUSTC_BOOTSTRAP", "1"); // The standard library uses unstable features by nature.
    // Private crates of the standard library stay private; bitcode lets LTO reach into it.
    cargo.env("RUSTFLAGS", "-Zforce-unstable-if-unmarked -Cembed-bitcode=yes");
    process::run(&mut cargo).context("building Rust's standard library for wasm32 failed")?;

    let built = rlibs(&work.join(TARGET).join("release/deps"));
    let wanted = built.iter().filter(|path| !names_crate(path, "sysroot")); // Only there to pull in the others.
    let lib = std_dir(sysroot);
    let stamp = work.join(".stamp");
    fs::write(&stamp, compiler_commit()?).with_context(|| format!("cannot write {}", stamp.display()))?;
    process::run(system::privileged("rm").arg("-rf").arg(&lib))?;
    process::run(system::privileged("mkdir").arg("-p").arg(&lib))?;
    process::run(system::privileged("cp").args(wanted).arg(&stamp).arg(&lib))?;
    fs::remove_dir_all(&work).with_context(|| format!("cannot remove {}", work.display()))
}

/// Makes rustup know Debian's toolchain and gives its name.
fn link(sysroot: &Path) -> Result<String> {
    let known = process::capture(process::command("rustup").args(["toolchain", "list"]))?;
    let known: Vec<&str> = known.lines().filter_map(|line| line.split_whitespace().next()).collect();
    for name in DEBIAN_NAMES {
        if !known.contains(&name) {
            process::run(process::command("rustup").args(["toolchain", "link", name]).arg(sysroot))?;
            return Ok(name.into());
        }
        let linked_to = process::capture(Toolchain::Named(name.into()).rustc().args(["--print", "sysroot"]));
        if linked_to.is_ok_and(|path| Path::new(path.trim()) == sysroot) {
            return Ok(name.into());
        }
    }
    bail!(
        "rustup has other toolchains named {}: remove one with `rustup toolchain uninstall`",
        DEBIAN_NAMES.join(" and ")
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn standard_library_files_are_told_apart_by_their_crate() {
        assert!(names_crate(Path::new("/x/libcore-68ceb7eb87ac5576.rlib"), "core"));
        assert!(names_crate(Path::new("/x/libstd.rlib"), "std"));
        assert!(!names_crate(Path::new("/x/libstd_detect-be65387047eef3f1.rlib"), "std"));
    }
}
