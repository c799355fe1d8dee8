//! Models as visitors name them: on the hub, by an address, as files; and in which tab each task is at home.

use crate::protocol::{ModelInfo, Task};

/// A model that is known by nothing but its address.
pub fn stranger(id: String, task: Task) -> ModelInfo {
    let title = id.trim_end_matches('/').rsplit('/').next().unwrap_or(&id).to_string();
    let summary = if id.contains("://") { "From that address." } else { "From the model hub." };
    ModelInfo {
        hub_id: if id.contains("://") { String::new() } else { id.clone() },
        id,
        title,
        summary: summary.into(),
        task,
        multilingual: false,
        size_bytes: 0,
        licence: String::new(),
        default: false,
    }
}

/// What a visitor typed as the name of a model, made into what a load asks for: `owner/name` on the hub, also as the address
/// of its page, or the address of a folder. `Err` says what is expected.
pub fn address(typed: &str) -> Result<String, &'static str> {
    const EXPECTED: &str = "Write owner/name as on the model hub, or the address of a folder with the model's files.";
    let typed = typed.trim().trim_end_matches('/');
    if let Some(path) = ["https://huggingface.co/", "http://huggingface.co/", "huggingface.co/", "hf.co/"]
        .iter()
        .find_map(|hub| typed.strip_prefix(hub))
    {
        let mut parts = path.split('/');
        return match (parts.next(), parts.next()) {
            (Some(owner), Some(name)) if !owner.is_empty() && !name.is_empty() => Ok(format!("{owner}/{name}")),
            _ => Err(EXPECTED),
        };
    }
    if typed.starts_with("https://") || typed.starts_with("http://") {
        return Ok(typed.into());
    }
    let is_part = |part: &str| {
        !part.is_empty() && part.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.'))
    };
    match typed.split_once('/') {
        Some((owner, name)) if is_part(owner) && is_part(name) => Ok(typed.into()),
        _ => Err(EXPECTED),
    }
}

/// Whether files look like those of a model rather than something to work on.
pub fn are_of_a_model<'a>(names: impl IntoIterator<Item = &'a str>) -> bool {
    names.into_iter().any(|name| name == "config.json" || name.ends_with(".safetensors"))
}

/// The files that every model needs and that are not among these.
pub fn missing_files(names: &[String]) -> Vec<&'static str> {
    let has = |test: &dyn Fn(&str) -> bool| names.iter().any(|name| test(name));
    let mut missing = Vec::new();
    if !has(&|name| name == "config.json") {
        missing.push("config.json");
    }
    if !has(&|name| name.ends_with(".safetensors")) {
        missing.push("model.safetensors");
    }
    missing
}

/// What a model of this task is, as the end of "It is …".
pub fn kind(task: Task) -> &'static str {
    match task {
        Task::SpeechToText => "a speech model",
        Task::TextEmbedding => "a model that compares sentences",
        Task::FillMask => "a model that fills gaps in sentences",
        Task::TextToText => "a model that writes text for text",
        Task::ImageClassification => "a model that names what is on pictures",
        Task::ImageFeatures => "a model that turns pictures into vectors",
        Task::ImageText => "a model that compares pictures with words",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_model_can_be_named_as_the_hub_shows_it() {
        for typed in [
            "google/flan-t5-small",
            " https://huggingface.co/google/flan-t5-small/tree/main ",
            "hf.co/google/flan-t5-small/",
        ] {
            assert_eq!(address(typed).as_deref(), Ok("google/flan-t5-small"));
        }
        assert_eq!(address("https://example.org/models/mine/").as_deref(), Ok("https://example.org/models/mine"));
        for wrong in ["", "flan-t5", "a/b/c", "https://huggingface.co/google", "über/name", "/x"] {
            assert!(address(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn pictures_and_recordings_are_not_taken_for_a_model() {
        assert!(are_of_a_model(["tokenizer.json", "model-00001-of-00002.safetensors"]));
        assert!(!are_of_a_model(["photo.png", "notes.txt", "labels.json"]));
        assert_eq!(missing_files(&["tokenizer.json".into()]), ["config.json", "model.safetensors"]);
    }
}
