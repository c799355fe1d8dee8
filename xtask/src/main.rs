//! `cargo xtask`: everything around the program.
fn main() {}
