//! The models, one to a file; each reads like its paper and uses the checkpoint's own names.

pub mod whisper;
