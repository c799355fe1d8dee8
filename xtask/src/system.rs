//! What the operating system's packages provide: browsers, drivers, Vulkan. Installed with apt where there is apt;
//! elsewhere the error says what to install.

use std::env;
use std::ffi::OsStr;
use std::fs;
use std::path::PathBuf;
use std::process::Command;

use anyhow::{Context, Result, bail};

use crate::{process, report};

/// Something that must be on the machine, and the Debian package that brings it.
struct Need {
    what: &'static str,
    package: &'static str,
    present: fn() -> bool,
}

const CHROMIUM: Need = Need { what: "Chromium", package: "chromium", present: || chromium().is_some() };
const CHROMEDRIVER: Need =
    Need { what: "ChromeDriver", package: "chromium-driver", present: || chromedriver().is_some() };
const VULKAN_DRIVER: Need =
    Need { what: "a Vulkan driver", package: "mesa-vulkan-drivers", present: has_vulkan_driver };
const VULKAN_LOADER: Need = Need { what: "the Vulkan loader", package: "libvulkan1", present: has_vulkan_loader };
const FIREFOX: Need = Need { what: "Firefox", package: "firefox-esr", present: || firefox().is_some() };
const WEBKIT: Need =
    Need { what: "WebKitGTK's WebDriver", package: "webkit2gtk-driver", present: || on_linux("WebKitWebDriver") };
const DISPLAY: Need =
    Need { what: "a display for WebKitGTK to draw on", package: "xvfb", present: || on_linux("Xvfb") };
const SOUND: Need =
    Need { what: "a sound server for virtual microphones", package: "pulseaudio", present: || on_linux("pulseaudio") };
const SOUND_TOOLS: Need =
    Need { what: "its tools", package: "pulseaudio-utils", present: || on_linux("pactl") && on_linux("paplay") };
const NODE: Need = Need { what: "Node.js", package: "nodejs", present: || process::find("node").is_some() };
const NPM: Need = Need { what: "npm", package: "npm", present: || process::find("npm").is_some() };
const PIP: Need = Need { what: "Python's pip", package: "python3-pip", present: has_pip };

/// The browser that tests drive. `CHROMIUM` names another one.
pub fn chromium() -> Option<PathBuf> {
    from_env_or_path("CHROMIUM", &["chromium", "chromium-browser", "google-chrome", "google-chrome-stable"])
}

/// Its WebDriver server, of the same version. `CHROMEDRIVER` names another one.
pub fn chromedriver() -> Option<PathBuf> {
    from_env_or_path("CHROMEDRIVER", &["chromedriver"])
}

/// Firefox, which end-to-end tests drive as well. `FIREFOX` names another one.
pub fn firefox() -> Option<PathBuf> {
    from_env_or_path("FIREFOX", &["firefox-esr", "firefox"])
}

/// Installs what the tests drive.
pub fn ensure_test_packages() -> Result<()> {
    ensure(&[CHROMIUM, CHROMEDRIVER, FIREFOX, WEBKIT, DISPLAY, VULKAN_DRIVER, VULKAN_LOADER])?;
    let paths = [chromium(), chromedriver(), firefox(), process::find("WebKitWebDriver")]
        .into_iter()
        .flatten()
        .map(|path| path.display().to_string());
    report::note(format!("{}, Vulkan", paths.collect::<Vec<_>>().join(", ")));
    Ok(())
}

/// Installs what native GPU tests run on.
pub fn ensure_vulkan() -> Result<()> {
    ensure(&[VULKAN_DRIVER, VULKAN_LOADER])
}

/// Installs what `cargo xtask test --browsers` needs beside the browsers: Firefox hears no microphone without a sound server.
pub fn ensure_sound() -> Result<()> {
    ensure(&[SOUND, SOUND_TOOLS])
}

/// Installs Node.js and npm.
pub fn ensure_node() -> Result<()> {
    ensure(&[NODE, NPM])
}

/// Installs Python's package client.
pub fn ensure_pip() -> Result<()> {
    ensure(&[PIP])
}

/// The description file of Mesa's software Vulkan driver, lavapipe.
pub fn lavapipe() -> Option<PathBuf> {
    vulkan_drivers().into_iter().find(|path| {
        path.file_name()
            .and_then(OsStr::to_str)
            .is_some_and(|name| name.starts_with("lvp_icd") && name.ends_with("json"))
    })
}

/// Whether a GPU's device file is there; without one only a software driver can work.
pub fn has_gpu_device() -> bool {
    let has = |dir: &str, prefix: &str| {
        fs::read_dir(dir)
            .is_ok_and(|entries| entries.flatten().any(|entry| entry.file_name().to_string_lossy().starts_with(prefix)))
    };
    has("/dev/dri", "renderD") || has("/dev", "nvidia0")
}

/// Installs Debian packages, whether present or not. Needs root or sudo.
pub fn apt_install(packages: &[&str]) -> Result<()> {
    report::note(format!("installing {} with apt", packages.join(", ")));
    // The package lists of a fresh machine are old or missing. A failing mirror may still have what is needed.
    if let Err(error) = process::run(privileged("apt-get").args(["update", "-qq"])) {
        report::note(format!("going on without fresh package lists: {error:#}"));
    }
    let mut install = privileged("apt-get");
    install.args(["install", "-y", "-qq", "--no-install-recommends"]).args(packages);
    process::run(&mut install).with_context(|| {
        format!("install these packages by hand, then repeat the command: apt-get install {}", packages.join(" "))
    })
}

/// A command run as root: directly, or by sudo.
pub fn privileged(program: &str) -> Command {
    let is_root = process::capture(process::command("id").arg("-u")).is_ok_and(|uid| uid.trim() == "0");
    let mut command = if is_root { process::command("env") } else { process::command("sudo") };
    if !is_root {
        command.arg("env");
    }
    command.arg("DEBIAN_FRONTEND=noninteractive").arg(program);
    command
}

fn ensure(needs: &[Need]) -> Result<()> {
    let missing: Vec<&Need> = needs.iter().filter(|need| !(need.present)()).collect();
    if missing.is_empty() {
        return Ok(());
    }
    let what = missing.iter().map(|need| need.what).collect::<Vec<_>>().join(", ");
    let packages: Vec<&str> = missing.iter().map(|need| need.package).collect();
    if process::find("apt-get").is_none() {
        bail!(
            "missing: {what}. There is no apt here: install it with your system's package manager (Debian calls it {})",
            packages.join(", ")
        );
    }
    apt_install(&packages)?;
    match missing.iter().find(|need| !(need.present)()) {
        Some(need) => bail!("apt installed {}, but {} is still not found", need.package, need.what),
        None => Ok(()),
    }
}

fn from_env_or_path(variable: &str, programs: &[&str]) -> Option<PathBuf> {
    let named = env::var_os(variable).filter(|value| !value.is_empty()).map(PathBuf::from);
    named.or_else(|| programs.iter().find_map(|program| process::find(program)))
}

/// Whether a program is there that only Linux needs.
fn on_linux(program: &str) -> bool {
    !cfg!(target_os = "linux") || process::find(program).is_some()
}

fn has_pip() -> bool {
    process::capture(process::command("python3").args(["-m", "pip", "--version"])).is_ok()
}

fn vulkan_drivers() -> Vec<PathBuf> {
    let dirs = ["/usr/share/vulkan/icd.d", "/usr/local/share/vulkan/icd.d", "/etc/vulkan/icd.d"];
    dirs.iter().filter_map(|dir| fs::read_dir(dir).ok()).flatten().flatten().map(|entry| entry.path()).collect()
}

fn has_vulkan_driver() -> bool {
    // Outside Linux the driver comes with the system.
    !cfg!(target_os = "linux") || if has_gpu_device() { !vulkan_drivers().is_empty() } else { lavapipe().is_some() }
}

fn has_vulkan_loader() -> bool {
    if !cfg!(target_os = "linux") {
        return true;
    }
    let dirs = ["/usr/lib/x86_64-linux-gnu", "/usr/lib/aarch64-linux-gnu", "/usr/lib64", "/usr/lib", "/usr/local/lib"];
    dirs.iter().any(|dir| PathBuf::from(dir).join("libvulkan.so.1").exists())
}
