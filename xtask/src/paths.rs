//! Where things are: the repository's folders and the per-user cache. Creates nothing.

use std::env;
use std::path::{Path, PathBuf};

/// The repository's root.
pub fn root() -> PathBuf {
    // `cargo run` names the package's folder, so a binary built in one checkout still works after the checkout moved.
    let package = env::var_os("CARGO_MANIFEST_DIR").map_or_else(|| env!("CARGO_MANIFEST_DIR").into(), PathBuf::from);
    package.parent().map(Path::to_path_buf).unwrap_or(package)
}

/// The built page.
pub fn dist() -> PathBuf {
    root().join("dist")
}

/// The end-to-end tests, which also hold the npm tools.
pub fn e2e() -> PathBuf {
    root().join("e2e")
}

/// Fetched models, git-ignored.
pub fn models() -> PathBuf {
    root().join("models")
}

/// `~/.cache/rill`, by the platform's custom for caches.
pub fn cache() -> PathBuf {
    let base = env::var_os("XDG_CACHE_HOME")
        .filter(|dir| !dir.is_empty())
        .map(PathBuf::from)
        .or_else(|| env::home_dir().map(|home| home.join(".cache")))
        .unwrap_or_else(env::temp_dir);
    base.join("rill")
}

/// Build tools, reused by every checkout. `RILL_TOOLS` names another folder.
pub fn tools() -> PathBuf {
    env::var_os("RILL_TOOLS").filter(|dir| !dir.is_empty()).map_or_else(|| cache().join("tools"), PathBuf::from)
}

/// Downloaded packages, kept so that a second checkout needs no network.
pub fn packages() -> PathBuf {
    cache().join("packages")
}
