//! From a microphone or a file to 16 kHz mono samples, and back to WAV.

#[cfg(target_arch = "wasm32")]
pub mod capture;
#[cfg(target_arch = "wasm32")]
pub mod files;
pub mod pauses;
pub mod wav;

/// Samples a second of everything that the models hear.
pub const SAMPLE_RATE_HZ: u32 = 16_000;
