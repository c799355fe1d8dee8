//! `cargo xtask bench`: the native bench and the page's bench in Chromium, side by side, or Rill beside other programs.
//!
//! The programs agree on one thing with this file: given `--json FILE` they write their results there as one JSON
//! value, and print a table for people. The clip and the models are below the folder in `RILL_MODELS`.

use std::fs;
use std::path::Path;
use std::process::Command;

use anyhow::{Context, Result};
use clap::Args;
use serde_json::{Value, json};

use crate::bundle::{self, Profile};
use crate::{models, paths, process, report, samples, setup, system};

/// What the peers are measured with, by task. Models of other tasks come with the page or lie in RILL_PEER_MODELS.
const PEER_MODELS: [(&str, &[&str]); 2] =
    [("speech", &["whisper-tiny.en", "whisper-base"]), ("embed", &["all-MiniLM-L6-v2"])];

/// Measure speed natively and in Chromium; print both and write bench-results.json.
///
/// Native: the `bench` binary, release build, on the machine's Vulkan adapter. Browser: the built page in Chromium, by
/// e2e/bench.mjs. Both name the adapter they ran on. Further arguments go to both programs.
///
/// With --peers: Rill beside transformers.js and whisper.cpp in the same browsers, by e2e/peers.mjs. RILL_PEER_MODELS names
/// the folder with the models as transformers.js reads them (e2e/peers/README.md); without it the error says what belongs
/// there.
///
/// With --browsers: the benchmark of the page in Chromium, Firefox and WebKitGTK, by e2e/bench-browsers.mjs.
#[derive(Args)]
pub struct BenchArgs {
    /// Only the native part.
    #[arg(long, conflicts_with = "browser_only")]
    native_only: bool,
    /// Only the browser part.
    #[arg(long)]
    browser_only: bool,
    /// Neither: Rill beside other programs that do the same in a browser.
    #[arg(long, conflicts_with_all = ["native_only", "browser_only"])]
    peers: bool,
    /// Neither: the page's own benchmark in each browser of this machine, as a file that the page's "Compare" opens.
    #[arg(long, conflicts_with_all = ["native_only", "browser_only", "peers"])]
    browsers: bool,
    /// What they do: speech, embed, classify, match, generate, several of them with commas, or all.
    #[arg(long, requires = "peers", default_value = "speech")]
    task: String,
    /// Rill alone, in each of its precisions, instead of the others: speed, memory, agreement.
    #[arg(long, requires = "peers")]
    precisions: bool,
    /// Where the results go.
    #[arg(long, value_name = "FILE", default_value = "bench-results.json")]
    json: String,
    /// Handed on to both programs, after `--`.
    #[arg(last = true)]
    rest: Vec<String>,
}

/// Runs the command. A part that fails is an error at the end, after the other has run and was written.
pub fn run(args: &BenchArgs) -> Result<()> {
    let scope = if args.native_only { setup::Scope::Build } else { setup::Scope::Test };
    let env = setup::run(scope)?;
    models::fetch(&models_of(args), &paths::models())?;
    samples::fetch(&paths::models())?;

    if args.peers {
        bundle::build(&env, Profile::Release, &[])?;
        let mut bench = env.command("node");
        bench.arg(paths::e2e().join("peers.mjs")).args(["--task", &args.task]);
        bench.args(args.precisions.then_some("--precisions"));
        let results = measure("Rill and its peers", bench, "bench-peers.json", &args.rest)?;
        return write(&args.json, &results);
    }
    if args.browsers {
        bundle::build(&env, Profile::Release, &[])?;
        let mut bench = env.command("node");
        bench.arg(paths::e2e().join("bench-browsers.mjs"));
        let results = measure("The page's benchmark, browser after browser", bench, "bench-browsers.json", &args.rest)?;
        return write(&args.json, &results);
    }
    let native = (!args.browser_only).then(|| {
        let mut bench = env.command("cargo");
        bench.args(["run", "--release", "--package", "rill", "--bin", "bench", "--"]);
        measure("Bench, native", bench, "bench-native.json", &args.rest)
    });
    let browser = (!args.native_only).then(|| {
        bundle::build(&env, Profile::Release, &[])?;
        let mut bench = env.command("node");
        bench.arg(paths::e2e().join("bench.mjs"));
        measure("Bench, Chromium", bench, "bench-browser.json", &args.rest)
    });

    let value = |part: &Option<Result<Value>>| match part {
        Some(Ok(value)) => value.clone(),
        Some(Err(_)) | None => Value::Null,
    };
    let results = json!({"native": value(&native), "browser": value(&browser)});
    // Results of an earlier run are not replaced by nothing.
    if results["native"] != Value::Null || results["browser"] != Value::Null {
        write(&args.json, &results)?;
    }
    native.transpose().and(browser.transpose()).map(drop)
}

fn models_of(args: &BenchArgs) -> Vec<&'static str> {
    if !args.peers {
        return vec![models::DEFAULT_MODEL];
    }
    let asked = |task: &str| args.task.split(',').any(|name| name == task || name == "all");
    PEER_MODELS.iter().filter(|(task, _)| asked(task)).flat_map(|(_, models)| models.iter().copied()).collect()
}

fn write(file: &str, results: &Value) -> Result<()> {
    let path = paths::root().join(file);
    fs::write(&path, serde_json::to_string_pretty(results)? + "\n")
        .with_context(|| format!("cannot write {}", path.display()))?;
    println!("\nresults are in {}", path.display());
    Ok(())
}

fn measure(name: &str, mut bench: Command, file: &str, rest: &[String]) -> Result<Value> {
    report::step(name, || {
        let path = paths::root().join("target").join(file);
        fs::create_dir_all(path.parent().unwrap_or(Path::new("."))).context("cannot make target/")?;
        fs::remove_file(&path).ok(); // So that an old result is never taken for a new one.
        bench.arg("--json").arg(&path).args(rest).env("RILL_MODELS", paths::models());
        for (variable, program) in [("CHROMIUM", system::chromium()), ("FIREFOX", system::firefox())] {
            bench.envs(program.map(|program| (variable, program)));
        }
        // The browser's bench starts the server: with this very program there is no second build.
        bench.env("RILL_XTASK", std::env::current_exe().context("this program has no path")?);
        process::run(&mut bench)?;
        let text =
            fs::read_to_string(&path).with_context(|| format!("the bench wrote no results to {}", path.display()))?;
        serde_json::from_str(&text).with_context(|| format!("{} is not JSON", path.display()))
    })
}
