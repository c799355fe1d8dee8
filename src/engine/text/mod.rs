//! Text to token ids and back.

pub mod stream;
pub mod tokenizer;
pub mod whisper;

pub use stream::TextStream;
pub use tokenizer::{EncodeOptions, Tokenizer};
pub use whisper::WhisperTokens;
