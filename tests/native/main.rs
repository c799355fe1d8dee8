//! The native tests, in one program: what they share is built and linked once. A suite alone is `cargo test --test native SUITE::`.

#![cfg(not(target_arch = "wasm32"))]

mod batched;
mod bert;
mod budget;
mod checkpoint_real;
#[path = "../checks/mod.rs"]
mod checks;
mod clip;
mod components;
mod gpu_times;
mod inspect;
mod interpreter;
mod kernels;
mod memory;
mod minilm;
mod models;
mod ops;
mod performance;
mod pipelines;
mod quality;
mod t5;
mod tidy;
mod tokenizer_golden;
mod tuner;
#[path = "../checks/versions.rs"]
mod versions;
mod vit;
mod webnn;
mod whisper;
mod worker;
