//! What the visitor chose, kept in this browser. The form for it is `settings_panel`.

use serde::{Deserialize, Serialize};

use crate::protocol::{BackendChoice, LoadRequest, Precision, Source, SpeechTask, TranscribeOptions};

/// Light, dark, or what the system says.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Theme {
    /// What the system says.
    #[default]
    System,
    /// Always light.
    Light,
    /// Always dark.
    Dark,
}

/// Every choice; the defaults are right for a first visit.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Settings {
    /// Colour scheme.
    pub theme: Theme,
    /// Model for speech; `None` is the engine's default.
    pub speech_model: Option<String>,
    /// Which backend.
    pub backend: BackendChoice,
    /// Which precision.
    pub precision: Precision,
    /// Whether a backend that fails gives way to the next.
    pub fallbacks: bool,
    /// Where model files come from.
    pub source: Source,
    /// Bytes fetched with one request.
    pub chunk_bytes: u32,
    /// Language code; `None` detects it.
    pub language: Option<String>,
    /// Transcribe or translate.
    pub task: SpeechTask,
    /// Whether the model writes timestamps.
    pub timestamps: bool,
    /// The browser's id of the microphone; `None` is its default.
    pub microphone: Option<String>,
    /// How fast speech was worked through here the last time.
    pub measured: Option<Measured>,
}

/// A speed that was measured on this machine.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Measured {
    /// On what.
    pub adapter: String,
    /// Through what.
    pub backend: BackendChoice,
    /// Seconds of work for a second of audio.
    pub rtf: f64,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            theme: Theme::System,
            speech_model: None,
            backend: BackendChoice::Auto,
            precision: Precision::F32,
            fallbacks: true,
            source: Source::Auto,
            chunk_bytes: LoadRequest::DEFAULT_CHUNK_BYTES,
            language: None,
            task: SpeechTask::Transcribe,
            timestamps: true,
            microphone: None,
            measured: None,
        }
    }
}

impl Settings {
    /// How to load `model`.
    pub fn load_request(&self, model: &str) -> LoadRequest {
        LoadRequest {
            backend: self.backend,
            precision: self.precision,
            source: self.source.clone(),
            chunk_bytes: self.chunk_bytes,
            ..LoadRequest::new(model)
        }
    }

    /// How to transcribe. A model that knows English only is asked for nothing else.
    pub fn transcribe_options(&self, multilingual: bool) -> TranscribeOptions {
        let mut options = TranscribeOptions { timestamps: self.timestamps, ..TranscribeOptions::default() };
        if multilingual {
            options.language = self.language.clone();
            options.task = self.task;
        }
        options
    }
}

#[cfg(target_arch = "wasm32")]
mod store {
    use super::Settings;

    const KEY: &str = "rill.settings";

    /// The kept choices, or the defaults where there are none or the browser keeps nothing.
    pub fn load() -> Settings {
        let kept = storage().and_then(|storage| storage.get_item(KEY).ok().flatten());
        // What another version wrote and this one cannot read is worth no error: the defaults serve.
        kept.and_then(|json| serde_json::from_str(&json).ok()).unwrap_or_default()
    }

    /// Keep the choices. A browser that keeps nothing (a private window) only forgets them.
    pub fn save(settings: &Settings) {
        if let (Some(storage), Ok(json)) = (storage(), serde_json::to_string(settings)) {
            let _ = storage.set_item(KEY, &json);
        }
    }

    fn storage() -> Option<web_sys::Storage> {
        web_sys::window()?.local_storage().ok().flatten()
    }
}

#[cfg(target_arch = "wasm32")]
pub use store::{load, save};

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn settings_of_another_version_keep_what_is_still_known() {
        let settings: Settings = serde_json::from_str(r#"{"theme": "dark", "gone": 3}"#).unwrap();
        assert_eq!(settings, Settings { theme: Theme::Dark, ..Settings::default() });
    }

    #[test]
    fn an_english_only_model_is_never_asked_for_another_language() {
        let settings = Settings { language: Some("de".into()), task: SpeechTask::Translate, ..Settings::default() };
        assert_eq!(settings.transcribe_options(false).language, None);
        assert_eq!(settings.transcribe_options(false).task, SpeechTask::Transcribe);
        assert_eq!(settings.transcribe_options(true).language.as_deref(), Some("de"));
    }
}
