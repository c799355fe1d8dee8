//! The engine's entry in its Web Worker: everything else is in the library.

#[cfg(target_arch = "wasm32")]
fn main() {
    rill::worker::start();
}

#[cfg(not(target_arch = "wasm32"))]
fn main() {
    eprintln!("this binary is the engine's Web Worker: `cargo xtask serve` builds it for the browser");
}
