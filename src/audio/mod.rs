//! From a microphone or a file to 16 kHz mono samples, and back to WAV.

pub mod wav;
