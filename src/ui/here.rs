//! What is known of this page and its browser without trying anything.

use js_sys::Reflect;

use crate::BUILD;

/// The version of Rill, and the build where it has a name of its own.
pub fn version() -> String {
    let version = env!("CARGO_PKG_VERSION");
    if BUILD == version { version.into() } else { format!("{version}, build {BUILD}") }
}

/// Now, in universal time, as ISO 8601 writes it.
pub fn time() -> String {
    js_sys::Date::new_0().to_iso_string().into()
}

/// The browser as it names itself.
pub fn agent() -> String {
    web_sys::window().and_then(|window| window.navigator().user_agent().ok()).unwrap_or_default()
}

/// The processor's cores as the browser tells them.
pub fn cores() -> f64 {
    web_sys::window().map_or(0.0, |window| window.navigator().hardware_concurrency())
}

/// Whether threads may share memory on this page.
pub fn is_isolated() -> bool {
    Reflect::get(&js_sys::global(), &"crossOriginIsolated".into()).is_ok_and(|value| value.is_truthy())
}
