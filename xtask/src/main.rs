//! `cargo xtask`: everything around the program. This file is the command line and hands each command to its module:
//! `setup`, `models`, `samples`, `bundle` (the release build), `kernels` (its wasm modules for the processor), `serve`, `test`, `bench`.

use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::Result;
use clap::{Args, Parser, Subcommand};

mod bench;
mod bundle;
mod counts;
mod digest;
mod kernels;
mod models;
mod paths;
mod process;
mod report;
mod samples;
mod serve;
mod setup;
mod system;
mod test;
mod toolchain;
mod tools;
mod webnn_browser;

/// Set up, build, serve, test and measure Rill.
///
/// On a fresh machine, `cargo xtask serve` is enough: it installs what is missing, fetches the default model, builds
/// and serves the page.
#[derive(Parser)]
#[command(name = "cargo xtask", bin_name = "cargo xtask")]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    Setup(SetupArgs),
    FetchModels(models::FetchArgs),
    FetchSamples(FetchSamplesArgs),
    Build(BuildArgs),
    Serve(serve::ServeArgs),
    Test(test::TestArgs),
    Bench(bench::BenchArgs),
}

/// Install what is missing: the wasm32 target, wasm-bindgen, trunk, wasm-opt, and what the tests drive.
///
/// Safe to repeat; takes about a second when everything is there. Tools go to ~/.cache/rill/tools (RILL_TOOLS names
/// another folder) and are kept by version. System packages are installed with apt where there is apt.
#[derive(Args)]
struct SetupArgs {
    /// Only what building and serving needs: no browsers, no software Vulkan driver, no Playwright checks.
    #[arg(long)]
    build_only: bool,
}

/// Fetch the speech clips that tests and samples use into models/samples (git-ignored).
///
/// JFK's sentence comes from the source package of pywhispercpp, the readings of Jane Austen from Debian's
/// pocketsphinx-testdata. Each file is checked by its sha256; samples.json lists text, source and licence.
#[derive(Args)]
struct FetchSamplesArgs {
    /// The models folder; clips go to its sub-folder `samples`.
    #[arg(long, value_name = "DIR")]
    to: Option<PathBuf>,
}

/// Build the page into dist/, which any static host can serve, also below a sub-path.
#[derive(Args)]
struct BuildArgs {
    /// Build without optimisation: quicker to build, slow to run.
    #[arg(long)]
    debug: bool,
}

fn main() -> ExitCode {
    match run(Cli::parse().command) {
        Ok(code) => code,
        Err(error) => {
            eprintln!("\nerror: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn run(command: Command) -> Result<ExitCode> {
    match command {
        Command::Setup(args) => {
            let scope = if args.build_only { setup::Scope::Build } else { setup::Scope::Test };
            setup::run(scope)?;
        }
        Command::FetchModels(args) => models::run(&args)?,
        Command::FetchSamples(args) => samples::fetch(&args.to.unwrap_or_else(paths::models))?,
        Command::Build(args) => {
            let env = setup::run(setup::Scope::Build)?;
            bundle::build(&env, bundle::Profile::from_debug_flag(args.debug), &[])?;
        }
        Command::Serve(args) => serve::run(&args)?,
        Command::Test(args) => return test::run(&args),
        Command::Bench(args) => bench::run(&args)?,
    }
    Ok(ExitCode::SUCCESS)
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    use super::Cli;

    #[test]
    fn command_line_is_consistent() {
        Cli::command().debug_assert();
    }
}
