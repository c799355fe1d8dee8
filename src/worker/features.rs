//! Feature tests by name: each tries the thing and says what came of it.

use crate::engine::ladder::Ladder;
use crate::engine::{Error, Result};
use crate::protocol::{FEATURES, FeatureReport};

/// Tests a feature by its name.
pub(super) async fn test(ladder: &Ladder, name: &str) -> Result<FeatureReport> {
    if let Some(report) = ladder.feature(name).await {
        return Ok(report);
    }
    match browser_feature(name).await {
        Some((supported, reason)) => Ok(FeatureReport { name: name.into(), supported, reason }),
        None => Err(Error::Input(format!("there is no feature test `{name}`; known are {}", FEATURES.join(", ")))),
    }
}

#[cfg(target_arch = "wasm32")]
async fn browser_feature(name: &str) -> Option<(bool, String)> {
    use js_sys::{Reflect, Uint8Array, WebAssembly};
    let global = js_sys::global();
    let truthy = |key: &str| Reflect::get(&global, &key.into()).is_ok_and(|value| value.is_truthy());
    Some(match name {
        "wasm.simd" => {
            // (module (func (result v128) (v128.const i32x4 0 0 0 0)))
            let mut module =
                vec![0, 97, 115, 109, 1, 0, 0, 0, 1, 5, 1, 96, 0, 1, 123, 3, 2, 1, 0, 10, 22, 1, 20, 0, 253, 12];
            module.extend([0; 16]);
            module.push(11);
            let valid = WebAssembly::validate(&Uint8Array::from(&module[..]).into()).unwrap_or(false);
            (valid, format!("a module with a SIMD instruction is {}", if valid { "valid" } else { "refused" }))
        }
        "wasm.threads" => {
            let isolated = truthy("crossOriginIsolated");
            let shared = truthy("SharedArrayBuffer");
            let reason = match (isolated, shared) {
                (true, true) => "the page is cross-origin isolated and memory can be shared",
                (false, _) => "the page is not cross-origin isolated: the server has to send COOP and COEP headers",
                (true, false) => "this browser has no SharedArrayBuffer",
            };
            (isolated && shared, reason.into())
        }
        "storage" => match crate::engine::weights::ModelCache::open().await {
            Ok(_) => (true, "the database for models could be opened".into()),
            Err(e) => (false, e.to_string()),
        },
        _ => return None,
    })
}

/// Natively there is no browser to test.
#[cfg(not(target_arch = "wasm32"))]
async fn browser_feature(name: &str) -> Option<(bool, String)> {
    FEATURES.contains(&name).then(|| (false, "this is no browser".into()))
}
