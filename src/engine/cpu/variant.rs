//! Which build of the kernels this browser can run, found out by trying.

use js_sys::{Reflect, Uint8Array, WebAssembly};

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
    pub fn best() -> Option<Self> {
        has_simd().then(|| Self { relaxed: has_relaxed_simd(), threads: has_threads() })
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

/// Whether a function that computes `(f32x4.add (f32x4.splat 1.5) ..)` compiles and is right.
pub fn has_simd() -> bool {
    // f32.const 1.5; f32x4.splat; f32.const 2; f32x4.splat; f32x4.add; f32x4.extract_lane 3
    runs(
        &[&constant(1.5)[..], &[0xfd, 0x13], &constant(2.0), &[0xfd, 0x13, 0xfd, 0xe4, 0x01, 0xfd, 0x1f, 3]].concat(),
        3.5,
    )
}

/// Whether a function that computes `(f32x4.relaxed_madd (splat 3) (splat 0.5) (splat 1))` compiles and is right.
pub fn has_relaxed_simd() -> bool {
    let code = [
        &constant(3.0)[..],
        &[0xfd, 0x13],
        &constant(0.5),
        &[0xfd, 0x13],
        &constant(1.0),
        &[0xfd, 0x13, 0xfd, 0x85, 0x02, 0xfd, 0x1f, 3],
    ];
    runs(&code.concat(), 2.5)
}

/// Whether memory can be shared: the page is cross-origin isolated, and a shared memory can be made and used.
pub fn has_threads() -> bool {
    let isolated = Reflect::get(&js_sys::global(), &"crossOriginIsolated".into()).is_ok_and(|v| v.is_truthy());
    isolated && super::web::new_memory(1, true).is_ok()
}

/// `f32.const`
fn constant(value: f32) -> Vec<u8> {
    [&[0x43][..], &value.to_le_bytes()].concat()
}

/// Makes `(module (func (export "f") (result f32) CODE))`, calls it and compares.
fn runs(code: &[u8], expected: f32) -> bool {
    let body_len = code.len() as u8 + 2; // The number of locals before, the end behind.
    let module = [
        &[0, b'a', b's', b'm', 1, 0, 0, 0][..],
        &[1, 5, 1, 0x60, 0, 1, 0x7d],
        &[3, 2, 1, 0],
        &[7, 5, 1, 1, b'f', 0, 0],
        &[10, body_len + 2, 1, body_len, 0],
        code,
        &[0x0b],
    ]
    .concat();
    let run = || {
        let module = WebAssembly::Module::new(&Uint8Array::from(&module[..]).into())?;
        let instance = WebAssembly::Instance::new(&module, &js_sys::Object::new())?;
        let f: js_sys::Function = Reflect::get(&instance.exports(), &"f".into())?.into();
        f.call0(&wasm_bindgen::JsValue::UNDEFINED)
    };
    run().is_ok_and(|value| value.as_f64() == Some(f64::from(expected)))
}
