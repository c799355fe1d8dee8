//! The operations, one to a file: shape rule, definition on the processor, kernel on the GPU.

pub mod attention;
pub mod attention_cached;
pub mod attention_combine;
pub mod attention_cross;
pub mod conv1d;
pub mod decode_state;
pub mod distance_bias;
pub mod embed;
pub mod gated;
pub mod gather;
pub mod layer_norm;
pub mod linear;
pub mod log_mel;
pub mod math;
pub mod max_parts;
pub mod mel_scale;
pub mod pool;
pub mod row_at;
pub mod sample_cutoff;
pub mod sample_pick;
pub mod sample_scan;
pub mod scale;
pub mod sot_stats;
pub mod store_rows;
pub mod top_tokens;
