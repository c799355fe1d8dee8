//! Which build of the kernels this browser can run.

use crate::engine::wasm_features;

/// A build of the kernels.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Variant {
    /// Fused multiply-add and its kin (the relaxed SIMD proposal).
    pub relaxed: bool,
    /// Several threads over a shared memory.
    pub threads: bool,
}

impl Variant {
    /// The fastest that works here; `None` without SIMD.
    pub async fn best() -> Option<Self> {
        let has = wasm_features::available().await;
        has.simd.then_some(Self { relaxed: has.relaxed_simd, threads: has.threads })
    }

    /// The stem of its file.
    pub fn name(self) -> &'static str {
        match (self.relaxed, self.threads) {
            (true, true) => "relaxed-threads",
            (true, false) => "relaxed",
            (false, true) => "simd-threads",
            (false, false) => "simd",
        }
    }
}
