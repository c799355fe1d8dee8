//! Text to token ids and back.

mod byte_pairs;
pub mod stream;
pub mod tokenizer;
pub mod vocabulary;
pub mod whisper;

pub use stream::TextStream;
pub use tokenizer::{EncodeOptions, Tokenizer};
pub use vocabulary::read_tokenizer;
pub use whisper::WhisperTokens;
