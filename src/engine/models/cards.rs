//! The models that the page offers before anything is loaded.

use crate::protocol::{ModelInfo, Task};

/// A model that is known by name. Any other repository of a known architecture loads too, by its address.
#[derive(Debug, Clone, Copy)]
pub struct ModelCard {
    /// Folder name under the models folder.
    pub id: &'static str,
    title: &'static str,
    summary: &'static str,
    task: Task,
    multilingual: bool,
    size_bytes: u64,
    licence: &'static str,
    /// `owner/name` on the model hub.
    pub hub_id: &'static str,
}

/// Every card, the default model first.
pub const MODELS: &[ModelCard] = &[
    ModelCard {
        id: "whisper-tiny.en",
        title: "Whisper tiny, English",
        summary: "Fastest. Good for clear English speech.",
        task: Task::SpeechToText,
        multilingual: false,
        size_bytes: 77_092_000,
        licence: "MIT",
        hub_id: "openai/whisper-tiny.en",
    },
    ModelCard {
        id: "whisper-base",
        title: "Whisper base, 99 languages",
        summary: "More accurate, detects the language, translates roughly into English.",
        task: Task::SpeechToText,
        multilingual: true,
        size_bytes: 146_847_000,
        licence: "MIT",
        hub_id: "openai/whisper-base",
    },
    ModelCard {
        id: "all-MiniLM-L6-v2",
        title: "MiniLM sentence embeddings",
        summary: "Turns sentences into vectors that are near each other when their meanings are.",
        task: Task::TextEmbedding,
        multilingual: false,
        size_bytes: 91_336_000,
        licence: "Apache-2.0",
        hub_id: "sentence-transformers/all-MiniLM-L6-v2",
    },
];

/// The largest tensor of them all and its bytes in 32 bits: what a device's limits are held against.
pub const LARGEST_TENSOR: (&str, u64) = ("Whisper base's table of 51,865 tokens", 51_865 * 512 * 4);

impl ModelCard {
    /// The card of that id.
    pub fn find(id: &str) -> Option<&'static ModelCard> {
        MODELS.iter().find(|card| card.id == id)
    }

    /// What the page shows.
    pub fn info(&self) -> ModelInfo {
        ModelInfo {
            id: self.id.into(),
            title: self.title.into(),
            summary: self.summary.into(),
            task: self.task,
            multilingual: self.multilingual,
            size_bytes: self.size_bytes,
            licence: self.licence.into(),
            hub_id: self.hub_id.into(),
            default: self.id == MODELS[0].id,
        }
    }
}
