//! What the visitor chose, kept in this browser. The form for it is `settings_panel`.

use serde::{Deserialize, Serialize};

use crate::protocol::{
    BackendChoice, GenerateOptions, KernelLevel, LoadRequest, MemoryLevel, Precision, Source, SpeechTask, Task,
    TranscribeOptions,
};

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
    /// The model chosen for a task, where one was.
    models: Vec<(Task, String)>,
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
    /// Pieces that are received at once.
    pub parallel_components: u32,
    /// How memory is spent.
    pub memory_level: MemoryLevel,
    /// How far a GPU's kernels go.
    pub kernel_level: KernelLevel,
    /// Whether the kernels of a model are tried on this GPU when it is loaded.
    pub tune: bool,
    /// Whether pipelines of models that were used here before are made when the page opens.
    pub precompile: bool,
    /// Most MB that a model may take; `None` for as much as the device gives.
    pub memory_budget_mb: Option<u32>,
    /// Windows of speech, or texts, that are decoded at once.
    pub batch_size: u32,
    /// How text is generated.
    pub generate: GenerateOptions,
    /// Whether each line is a text of its own for the model that writes.
    pub line_by_line: bool,
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
            models: Vec::new(),
            backend: BackendChoice::Auto,
            precision: Precision::F32,
            fallbacks: true,
            source: Source::Auto,
            chunk_bytes: LoadRequest::DEFAULT_CHUNK_BYTES,
            parallel_components: LoadRequest::DEFAULT_PARALLEL,
            memory_level: MemoryLevel::default(),
            kernel_level: KernelLevel::default(),
            tune: false,
            precompile: false,
            memory_budget_mb: None,
            batch_size: 1,
            generate: GenerateOptions::default(),
            line_by_line: true,
            language: None,
            task: SpeechTask::Transcribe,
            timestamps: true,
            microphone: None,
            measured: None,
        }
    }
}

impl Settings {
    /// The model that was chosen for a task.
    pub fn model(&self, task: Task) -> Option<&String> {
        self.models.iter().find(|(of, _)| *of == task).map(|(_, model)| model)
    }

    /// Choose the model for a task.
    pub fn choose_model(&mut self, task: Task, model: String) {
        self.models.retain(|(of, _)| *of != task);
        self.models.push((task, model));
    }

    /// Defaults for how models are loaded and how speech is written down; what belongs to other panels stays.
    pub fn reset(&mut self) {
        let kept = std::mem::take(self);
        let Settings { theme, models, microphone, measured, generate, line_by_line, .. } = kept;
        *self = Settings { theme, models, microphone, measured, generate, line_by_line, ..Settings::default() };
    }

    /// How to load `model` for a task. Models that decode nothing follow what each run asks for.
    pub fn load_request(&self, task: Task, model: &str) -> LoadRequest {
        let decodes = matches!(task, Task::SpeechToText | Task::TextToText);
        LoadRequest {
            backend: self.backend,
            precision: self.precision,
            source: self.source.clone(),
            chunk_bytes: self.chunk_bytes,
            parallel_components: self.parallel_components,
            memory_level: self.memory_level,
            kernel_level: self.kernel_level,
            tune: self.tune,
            memory_budget_mb: self.memory_budget_mb,
            batch_size: if decodes { self.batch_size.clamp(1, LoadRequest::MOST_BATCH) } else { 1 },
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

/// What a memory level is called, and what it does, in a sentence.
pub fn memory_words(level: MemoryLevel) -> (&'static str, &'static str) {
    match level {
        MemoryLevel::KeepAll => {
            ("keep everything", "Every intermediate result has memory of its own: the most memory.")
        }
        MemoryLevel::Share => {
            ("share", "Intermediate results that are not needed at the same time share memory; as fast, and exact.")
        }
        MemoryLevel::Quantize => (
            "small weights",
            "As before, with weights of 8 bits where nothing smaller is chosen: about a quarter of what weights of 32 bits take, half of 16.",
        ),
        MemoryLevel::Stream => (
            "layer by layer",
            "Weights pass through a small window of memory: a model that is larger than the memory runs, slowly.",
        ),
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
    fn each_task_has_one_chosen_model_and_a_reset_keeps_it() {
        let mut settings = Settings { precision: Precision::Int8, ..Settings::default() };
        settings.choose_model(Task::TextToText, "a".into());
        settings.choose_model(Task::ImageText, "b".into());
        settings.choose_model(Task::TextToText, "c".into());
        let json = serde_json::to_string(&settings).unwrap();
        let mut settings: Settings = serde_json::from_str(&json).unwrap();
        settings.reset();
        assert_eq!(settings.model(Task::TextToText).map(String::as_str), Some("c"));
        assert_eq!(settings.model(Task::ImageText).map(String::as_str), Some("b"));
        assert_eq!((settings.model(Task::FillMask), settings.precision), (None, Precision::F32));
    }

    #[test]
    fn only_models_that_decode_are_loaded_for_several_inputs() {
        let settings = Settings { batch_size: 4, ..Settings::default() };
        assert_eq!(settings.load_request(Task::SpeechToText, "a").batch_size, 4);
        assert_eq!(settings.load_request(Task::TextToText, "a").batch_size, 4);
        assert_eq!(settings.load_request(Task::TextEmbedding, "a").batch_size, 1);
        let kept = Settings { batch_size: 4000, ..Settings::default() };
        assert_eq!(kept.load_request(Task::SpeechToText, "a").batch_size, LoadRequest::MOST_BATCH);
    }

    #[test]
    fn an_english_only_model_is_never_asked_for_another_language() {
        let settings = Settings { language: Some("de".into()), task: SpeechTask::Translate, ..Settings::default() };
        assert_eq!(settings.transcribe_options(false).language, None);
        assert_eq!(settings.transcribe_options(false).task, SpeechTask::Transcribe);
        assert_eq!(settings.transcribe_options(true).language.as_deref(), Some("de"));
    }
}
