//! The operations, one to a file: shape rule, definition on the processor, kernel on the GPU.

pub mod attention;
pub mod attention_cached;
pub mod attention_combine;
pub mod attention_cross;
pub mod class_mean;
pub mod conv1d;
pub mod decode_state;
pub mod embed;
pub mod gather;
pub mod layer_norm;
pub mod layer_scale;
pub mod linear;
pub mod log_mel;
pub mod math;
pub mod max_parts;
pub mod mel_scale;
pub mod picture_tokens;
pub mod pool;
pub mod row_at;
pub mod sample_pick;
pub mod sample_scan;
pub mod sot_stats;
