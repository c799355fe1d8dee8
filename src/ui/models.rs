//! Models as visitors name them: on the hub, by an address, as files; and in which tab each task is at home.

use crate::protocol::reference::Reference;
use crate::protocol::{ModelInfo, Task};

/// A model that is known by nothing but what it was asked for with.
pub fn stranger(id: String, task: Task) -> ModelInfo {
    let reference = Reference::parse(&id).ok();
    let (hub_id, summary) = match &reference {
        Some(Reference::Hub(repository)) => (repository.to_string(), "From the model hub."),
        Some(Reference::Address(_)) => (String::new(), "From that address."),
        None => (String::new(), "From files that you chose; nothing of it is kept after this visit."),
    };
    let title = reference.map_or_else(|| id.clone(), |reference| reference.title());
    ModelInfo {
        hub_id,
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

/// What a visitor typed as the name of a model, made into what a load asks for. `Err` says what is expected.
pub fn address(typed: &str) -> Result<String, &'static str> {
    let reference = Reference::parse(typed).map_err(|_| {
        "Write owner/name as on the model hub, owner/name@revision, or the address of a folder with the model's files."
    })?;
    Ok(reference.to_string())
}

/// Whether a choice that was kept names a model that can be fetched again on the next visit.
pub fn is_address(id: &str) -> bool {
    Reference::parse(id).is_ok()
}

/// The name of a model from files in this folder, where the browser told it. It is no name that the hub could have.
pub fn name_of_files(folder: Option<&str>, n_before: usize) -> String {
    folder.map_or_else(|| format!("Your files {}", n_before + 1), |folder| format!("{folder} (your files)"))
}

/// Whether files with these paths look like those of a model rather than something to work on.
pub fn are_of_a_model<'a>(paths: impl IntoIterator<Item = &'a str>) -> bool {
    paths.into_iter().map(name).any(|name| name == "config.json" || name.ends_with(".safetensors"))
}

/// The files that every model needs and that are not among those with these paths.
pub fn missing_files<'a>(paths: impl IntoIterator<Item = &'a str>) -> Vec<&'static str> {
    let names: Vec<&str> = paths.into_iter().map(name).collect();
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

/// The last part of a path.
fn name(path: &str) -> &str {
    path.rsplit('/').next().unwrap_or(path)
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
        assert_eq!(address("t5-small").as_deref(), Ok("t5-small"));
        assert_eq!(address("a/b@refs/pr/7").as_deref(), Ok("a/b@refs/pr/7"));
        assert_eq!(address("https://huggingface.co/a/b/tree/v1.0").as_deref(), Ok("a/b@v1.0"));
        assert_eq!(address("https://example.org/models/mine/").as_deref(), Ok("https://example.org/models/mine"));
        for wrong in ["", "flan t5", "a/b/c", "https://huggingface.co/datasets/a/b", "über/name", "/x", "a/b@"] {
            assert!(address(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn files_are_named_as_no_repository_is() {
        for folder in [None, Some("vit")] {
            let name = name_of_files(folder, 0);
            assert!(!is_address(&name), "{name}");
            assert_eq!(stranger(name.clone(), Task::FillMask).title, name);
        }
    }

    #[test]
    fn pictures_and_recordings_are_not_taken_for_a_model() {
        assert!(are_of_a_model(["tokenizer.json", "model-00001-of-00002.safetensors"]));
        assert!(are_of_a_model(["mini/1_Pooling/config.json", "mini/config.json"]));
        assert!(missing_files(["mini/config.json", "mini/model.safetensors"]).is_empty());
        assert!(!are_of_a_model(["photo.png", "notes.txt", "labels.json"]));
        assert_eq!(missing_files(["tokenizer.json"]), ["config.json", "model.safetensors"]);
    }
}
