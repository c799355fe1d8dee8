//! Native measurements of the engine.
fn main() {}
