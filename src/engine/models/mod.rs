//! The models, one to a file; each reads like its paper and uses the checkpoint's own names.

pub mod bert;
pub mod bert_config;
pub mod cards;
pub mod clip;
mod pre_norm;
pub mod t5;
pub mod vit;
pub mod whisper;

pub use cards::{MODELS, ModelCard};
