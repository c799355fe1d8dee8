//! `cargo xtask test`: every check of the project, in an order that finds cheap faults first. Each step counts its own
//! tests; a step that fails does not stop the others. The last line is `N passed, M failed`.

use std::fs;
use std::process::{Command, ExitCode};
use std::thread;
use std::time::Instant;

use anyhow::{Context, Result, anyhow, bail};
use clap::Args;

use crate::bundle::{self, Profile};
use crate::counts::{self, Tally};
use crate::setup::{self, Environment};
use crate::toolchain::TARGET;
use crate::{kernels, models, paths, process, report, samples, system, webnn_browser};

/// On CI, the longest that each of the three test steps may take. One that hangs is stopped and counted as failed, so
/// that the other steps and the line of counts still come.
const LIMIT_MINUTES: u32 = 30;

const TEST_MODELS: [&str; 4] = ["whisper-tiny.en", "whisper-base", "all-MiniLM-L6-v2", "vit-small-stamps"];

/// Run every check: format, lints, native tests, the release build, browser tests, end-to-end tests.
///
/// Works on a fresh machine: installs and fetches what is missing. Something that cannot be had (a browser, a GPU
/// adapter, a model) is a failure and no skip. Ends with one line of counts; exit code 1 if anything failed.
#[derive(Args)]
pub struct TestArgs {
    /// Only format, native lints and native tests.
    #[arg(long)]
    quick: bool,
    /// Run more of the end-to-end tests in Firefox and WebKit too (sets RILL_BROWSERS=all for Playwright).
    #[arg(long, conflicts_with = "quick")]
    browsers: bool,
}

/// Runs the command.
pub fn run(args: &TestArgs) -> Result<ExitCode> {
    let mut session = Session::default();
    session.step("format", || check(process::command("cargo").args(["fmt", "--all", "--check"])));
    if args.quick {
        session.step("system packages", || system::ensure_vulkan().map(|()| Tally::PASS));
        native_steps(&mut session);
        return Ok(session.finish());
    }

    let mut env = None;
    session.step("setup", || {
        env = Some(setup::run(setup::Scope::Test)?);
        if args.browsers {
            system::ensure_sound()?;
        }
        Ok(Tally::PASS)
    });
    native_steps(&mut session);
    let env = env.as_ref();
    thread::scope(|scope| {
        // For minutes the build is one compiler at work on the library.
        let lints = scope.spawn(|| wasm_lints(ready(env)?));
        session.step("release build", || {
            bundle::build(ready(env)?, Profile::Release, &["--test", "web"])?;
            Ok(Tally::PASS)
        });
        session.step("lints, wasm32 (beside the build)", || lints.join().map_err(|_| anyhow!("the lints panicked"))?);
    });
    session.step("browser tests", || browser_tests(ready(env)?));
    session.step("end-to-end tests", || end_to_end_tests(ready(env)?, args.browsers));
    Ok(session.finish())
}

fn native_steps(session: &mut Session) {
    session.step("lints, native", || {
        let mut clippy = process::command("cargo");
        check(clippy.args(["clippy", "--workspace", "--all-targets", "--", "-D", "warnings"]))
    });
    session.step("models and samples", || {
        models::fetch(&TEST_MODELS, &paths::models())?;
        samples::fetch(&paths::models())?;
        Ok(Tally::PASS)
    });
    session.step("native tests", native_tests);
}

fn native_tests() -> Result<Tally> {
    let mut test = process::command("cargo");
    test.args(["test", "--workspace", "--no-fail-fast"]);
    test.env("REQUIRE_GPU", "1").env("RILL_MODELS", paths::models());
    let chosen_by_user = ["VK_DRIVER_FILES", "VK_ICD_FILENAMES"].iter().any(|name| std::env::var_os(name).is_some());
    // Without a GPU, drivers for one only slow the search down or confuse it: name the software driver.
    let lavapipe = system::lavapipe().filter(|_| !chosen_by_user && !system::has_gpu_device());
    if let Some(driver) = lavapipe {
        report::note(format!("no GPU here: testing on {}", driver.display()));
        test.env("VK_DRIVER_FILES", &driver).env("VK_ICD_FILENAMES", &driver);
    }
    count_cargo(test)
}

/// In a folder of their own, as cargo works in one at a time.
fn wasm_lints(env: &Environment) -> Result<Tally> {
    let mut clippy = env.wasm_command("cargo");
    clippy.args(["clippy", "--quiet", "--release", "--package", "rill", "--lib", "--bin", "app", "--bin", "worker"]);
    clippy.args(["--target", TARGET, "--target-dir"]).arg(paths::root().join("target/lints"));
    check(clippy.args(["--", "-D", "warnings"]))?;
    kernels::lint(env)?;
    Ok(Tally { passed: 2, failed: 0 })
}

fn browser_tests(env: &Environment) -> Result<Tally> {
    let driver = system::chromedriver().context("ChromeDriver is not installed: run `cargo xtask setup`")?;
    let mut test = env.wasm_command("cargo");
    // Optimised like the page, so that the dependencies are those that Trunk has just built.
    test.args(["test", "--release", "--package", "rill", "--target", TARGET, "--test", "web", "--no-fail-fast"]);
    // Software adapters are slow; the runner's own limit of 20 s for everything is too short for whole models.
    test.env("CHROMEDRIVER", driver).env("WASM_BINDGEN_TEST_TIMEOUT", "900").env("RILL_MODELS", paths::models());
    count_cargo(test)
}

fn end_to_end_tests(env: &Environment, all_browsers: bool) -> Result<Tally> {
    let e2e = paths::e2e();
    let chromium = system::chromium().context("Chromium is not installed: run `cargo xtask setup`")?;
    // Playwright makes the folder of its results anew, so the report lies outside of it.
    let json_path = e2e.join("report/results.json");
    fs::remove_file(&json_path).ok();
    let mut playwright = env.command("npx");
    playwright.args(["--no-install", "playwright", "test", "--reporter=list,json"]).current_dir(&e2e);
    playwright.env("PLAYWRIGHT_JSON_OUTPUT_FILE", &json_path).env("CHROMIUM", chromium);
    playwright.env("RILL_MODELS", paths::models()).env("CHROMIUM_WEBNN", webnn_browser::ensure()?);
    if let Some(firefox) = system::firefox() {
        playwright.env("FIREFOX", firefox);
    }
    // The configuration starts the server: with this very program there is no second build.
    playwright.env("RILL_XTASK", std::env::current_exe().context("this program has no path")?);
    if all_browsers {
        playwright.env("RILL_BROWSERS", "all");
    }
    let status = process::limited(playwright, LIMIT_MINUTES).status().context("cannot start npx")?;
    let json = fs::read_to_string(&json_path)
        .with_context(|| format!("Playwright ended with {status} and left no report in {}", json_path.display()))?;
    let tally = counts::from_playwright(&json).with_context(|| format!("{} is not a report", json_path.display()))?;
    Ok(tally.judged_by(status.success()))
}

fn ready(env: Option<&Environment>) -> Result<&Environment> {
    env.context("not run, because the setup failed")
}

/// A step that is one check.
fn check(command: &mut Command) -> Result<Tally> {
    process::run(command.current_dir(paths::root())).map(|()| Tally::PASS)
}

/// A step whose program prints test results in cargo's form.
fn count_cargo(command: Command) -> Result<Tally> {
    let (status, output) = process::tee(process::limited(command, LIMIT_MINUTES).current_dir(paths::root()))?;
    let tally = counts::from_cargo(&output);
    if tally == Tally::default() && status.success() {
        bail!("no test ran");
    }
    Ok(tally.judged_by(status.success()))
}

/// The steps so far.
#[derive(Default)]
struct Session {
    lines: Vec<String>,
    total: Tally,
}

impl Session {
    /// Runs a step. An error is one failure.
    fn step(&mut self, name: &str, work: impl FnOnce() -> Result<Tally>) {
        println!("\n==== {name}");
        let start = Instant::now();
        let (tally, why) = match work() {
            Ok(tally) => (tally, String::new()),
            Err(error) => {
                println!("error: {error:#}");
                (Tally::FAIL, format!("  ({error})"))
            }
        };
        let seconds = start.elapsed().as_secs_f64();
        let mark = if tally.failed == 0 { "ok    " } else { "FAILED" };
        let line = format!("{mark} {name}: {} passed, {} failed, {seconds:.0} s{why}", tally.passed, tally.failed);
        println!("{line}");
        self.lines.push(line);
        self.total += tally;
    }

    /// Prints the summary; its last line is the plain line of counts.
    fn finish(self) -> ExitCode {
        println!("\n==== summary");
        for line in &self.lines {
            println!("{line}");
        }
        println!("{} passed, {} failed", self.total.passed, self.total.failed);
        if self.total.failed == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE }
    }
}
