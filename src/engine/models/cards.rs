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
    /// `owner/name` on the model hub, with `@revision` where it is not the main one; empty for a model that is nowhere
    /// but in the app's own folder.
    pub hub_id: &'static str,
}

/// Every card, the default model first; the first of each task is that task's own default.
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
    ModelCard {
        id: "t5-numbers",
        title: "T5 numbers, made for Rill",
        summary: "Writes numbers in words in eight languages, and nothing else.",
        task: Task::TextToText,
        multilingual: true,
        size_bytes: 15_588_000,
        licence: "MIT or Apache-2.0",
        hub_id: "",
    },
    ModelCard {
        id: "t5-small",
        title: "T5 small",
        summary: "Translates English into German, French and Romanian, and summarises, as well as 60 million parameters can.",
        task: Task::TextToText,
        multilingual: true,
        size_bytes: 243_433_000,
        licence: "Apache-2.0",
        hub_id: "google-t5/t5-small",
    },
    ModelCard {
        id: "flan-t5-small",
        title: "FLAN-T5 small",
        summary: "Follows simple instructions in English; often wrong about facts.",
        task: Task::TextToText,
        multilingual: true,
        size_bytes: 310_295_000,
        licence: "Apache-2.0",
        hub_id: "google/flan-t5-small",
    },
    ModelCard {
        id: "clip-emoji",
        title: "CLIP emoji, made for Rill",
        summary: "Knows emoji drawings by name, not photographs.",
        task: Task::ImageText,
        multilingual: false,
        size_bytes: 15_810_000,
        licence: "MIT or Apache-2.0",
        hub_id: "",
    },
    ModelCard {
        id: "clip-vit-base-patch32",
        title: "CLIP ViT-B/32",
        summary: "Compares photographs with any words in English.",
        task: Task::ImageText,
        multilingual: false,
        size_bytes: 607_386_000,
        licence: "MIT",
        // Its main revision has weights for PyTorch alone; these are the same, converted by the hub.
        hub_id: "openai/clip-vit-base-patch32@refs/pr/15",
    },
    ModelCard {
        id: "deit-tiny-patch16-224",
        title: "DeiT tiny",
        summary: "Names what is on a photograph, among the 1000 classes of ImageNet. Small and quick.",
        task: Task::ImageClassification,
        multilingual: false,
        size_bytes: 22_882_000,
        licence: "Apache-2.0",
        hub_id: "facebook/deit-tiny-patch16-224",
    },
    ModelCard {
        id: "vit-base-patch16-224",
        title: "ViT base",
        summary: "The same with more layers and more width: more often right.",
        task: Task::ImageClassification,
        multilingual: false,
        size_bytes: 346_364_000,
        licence: "Apache-2.0",
        hub_id: "google/vit-base-patch16-224",
    },
    ModelCard {
        id: "vit-small-stamps",
        title: "ViT small, drawn things",
        summary: "Names sixteen kinds of drawn things, such as birds, fruit and road signs: seven of ten right on drawings it has not seen.",
        task: Task::ImageClassification,
        multilingual: false,
        size_bytes: 43_277_000,
        licence: "MIT; backbone Apache-2.0",
        hub_id: "",
    },
    ModelCard {
        id: "dinov2-small",
        title: "DINOv2 small",
        summary: "Turns photographs into vectors that are near each other when the photographs are alike.",
        task: Task::ImageFeatures,
        multilingual: false,
        size_bytes: 88_251_000,
        licence: "Apache-2.0",
        hub_id: "facebook/dinov2-small",
    },
    ModelCard {
        id: "distilbert-base-uncased",
        title: "DistilBERT base",
        summary: "Finds the words that fit a gap in an English sentence, with half of BERT's layers.",
        task: Task::FillMask,
        multilingual: false,
        size_bytes: 268_422_000,
        licence: "Apache-2.0",
        hub_id: "distilbert/distilbert-base-uncased",
    },
    ModelCard {
        id: "bert-base-uncased",
        title: "BERT base",
        summary: "Finds the words that fit a gap in an English sentence.",
        task: Task::FillMask,
        multilingual: false,
        size_bytes: 440_917_000,
        licence: "Apache-2.0",
        hub_id: "google-bert/bert-base-uncased",
    },
];

/// The largest tensor of them all and its bytes in 32 bits: what a device's limits are held against.
pub const LARGEST_TENSOR: (&str, u64) = ("Whisper base's table of 51,865 tokens", 51_865 * 512 * 4);

/// Those that ship with the app.
const SHIPPED: [&str; 2] = ["clip-emoji", "t5-numbers"];

impl ModelCard {
    /// Whether it can be loaded here: from the model hub, or from the app's own folder, which has the models that ship with the app and
    /// `own`.
    pub fn is_within_reach(&self, own: &[String]) -> bool {
        !self.hub_id.is_empty() || SHIPPED.contains(&self.id) || own.iter().any(|id| id == self.id)
    }

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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::protocol::reference::HubRepository;
    use std::collections::HashSet;

    #[test]
    fn every_card_has_an_id_of_its_own() {
        let mut ids = HashSet::new();
        let twice: Vec<&str> = MODELS.iter().map(|card| card.id).filter(|id| !ids.insert(*id)).collect();
        assert!(twice.is_empty(), "{twice:?}");
    }

    #[test]
    fn cards_name_repositories_that_can_be_asked_for() {
        for card in MODELS.iter().filter(|card| !card.hub_id.is_empty()) {
            let repository = HubRepository::parse(card.hub_id).expect("a repository");
            assert_eq!(repository.to_string(), card.hub_id);
            assert!(repository.id.ends_with(card.id), "{} is called {}", card.hub_id, card.id);
        }
    }

    #[test]
    fn a_model_that_is_nowhere_is_not_offered() {
        let offered = |own: &[String]| -> Vec<&str> {
            let within_reach = MODELS.iter().filter(|card| card.hub_id.is_empty() && card.is_within_reach(own));
            within_reach.map(|card| card.id).collect()
        };
        assert_eq!(offered(&[]), ["t5-numbers", "clip-emoji"]);
        assert_eq!(offered(&["vit-small-stamps".into()]), ["t5-numbers", "clip-emoji", "vit-small-stamps"]);
    }

    #[test]
    fn the_list_that_ships_with_the_page_is_what_ships_with_it() {
        let folder = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("public/models");
        let index = std::fs::read(folder.join("index.json")).expect("a list");
        let index: serde_json::Value = serde_json::from_slice(&index).expect("JSON");
        assert_eq!(index["models"], serde_json::json!(SHIPPED));
        for id in SHIPPED {
            assert!(folder.join(id).join("model.safetensors").exists(), "{id}");
        }
    }

    #[test]
    fn every_task_has_a_model_on_the_list() {
        let tasks = [
            Task::SpeechToText,
            Task::TextEmbedding,
            Task::FillMask,
            Task::TextToText,
            Task::ImageClassification,
            Task::ImageFeatures,
            Task::ImageText,
        ];
        for task in tasks {
            assert!(MODELS.iter().any(|card| card.task == task), "{task:?}");
        }
    }
}
