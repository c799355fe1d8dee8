//! The page's entry: everything else is in the library.

#[cfg(target_arch = "wasm32")]
fn main() {
    rill::ui::mount();
}

#[cfg(not(target_arch = "wasm32"))]
fn main() {
    eprintln!("this binary is the web page: `cargo xtask serve` builds it for the browser and serves it");
}
