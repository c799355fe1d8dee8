//! The tests that need a browser, in one program, in a worker of the browser that ChromeDriver drives:
//! `cargo test --release --target wasm32-unknown-unknown --test web`.

#![cfg(target_arch = "wasm32")]

use wasm_bindgen_test::wasm_bindgen_test_configure;

mod cache;
#[path = "../checks/mod.rs"]
mod checks;
mod ops;
#[path = "../checks/versions.rs"]
mod versions;

wasm_bindgen_test_configure!(run_in_dedicated_worker);
