//! What the benchmark measures: which models on which backends in which precisions, on what inputs, and which answers are right.

use super::record::{Accuracy, Case, Scope};
use crate::protocol::{BackendChoice, BackendReport, MaskCandidate, ModelInfo, Precision, Task};
use crate::word_errors::WordErrors;

/// The models that everybody measures in full, so that results can be compared: one of each kind, the smallest.
const MODELS: [&str; 5] =
    ["whisper-tiny.en", "all-MiniLM-L6-v2", "deit-tiny-patch16-224", "clip-emoji", WRITES_NUMBERS];

/// Whether the suite has this model.
pub fn has(model: &ModelInfo, scope: Scope) -> bool {
    match scope {
        Scope::Short => model.default,
        Scope::Full => MODELS.contains(&model.id.as_str()),
    }
}

/// A recording of the samples and what is said in it; all are in the public domain.
#[derive(Debug, Clone, Copy)]
pub struct Clip {
    /// Its file below the models' folder.
    pub file: &'static str,
    /// What is said.
    pub said: &'static str,
}

/// The first is timed, all are judged.
pub const CLIPS: [Clip; 2] = [
    Clip {
        file: "samples/jfk.wav",
        said: "And so, my fellow Americans, ask not what your country can do for you, ask what you can do for your country.",
    },
    Clip {
        file: "samples/austen-0870.wav",
        said: "And Mister John Dashwood had then leisure to consider how much there might be prudently in his power to do for them.",
    },
];

/// Sentences in pairs that say the same in other words: the nearest of each is the other of its pair.
pub const SENTENCES: [&str; 16] = [
    "A man is playing a guitar.",
    "Someone makes music on a stringed instrument.",
    "The train to Berlin leaves at noon.",
    "At twelve o'clock the railway service departs for Germany's capital.",
    "The soup needs more salt.",
    "This broth tastes bland and should be seasoned.",
    "She broke her arm while skiing.",
    "A fall on the slopes left her with a fractured limb.",
    "The bank raised its interest rates.",
    "Borrowing money became more expensive at the lender.",
    "Our cat sleeps on the windowsill.",
    "The kitten naps by the window.",
    "It rained all through the night.",
    "From dusk to dawn there was a steady downpour.",
    "The new phone has a better camera.",
    "The latest handset takes sharper pictures.",
];

/// What is written, by the small model that ships with the page, and the only right answer.
pub const NUMBERS: [(&str, &str); 8] = [
    ("number to English: 42", "forty-two"),
    ("number to German: 21", "einundzwanzig"),
    ("number to French: 80", "quatre-vingts"),
    ("number to Spanish: 16", "dieciséis"),
    ("number to Italian: 7", "sette"),
    ("number to English: 1984", "one thousand, nine hundred and eighty-four"),
    ("number to Portuguese: 10", "dez"),
    ("number to Dutch: 12", "twaalf"),
];
/// The id of that model.
const WRITES_NUMBERS: &str = "t5-numbers";

/// What other models write.
pub const PROMPTS: [&str; 2] =
    ["translate English to German: The house is small.", "translate English to German: I have two brothers."];

/// Gaps and the words for them; the gap is written as `_`.
pub const GAPS: [(&str, &str); 4] = [
    ("The capital of France is _.", "paris"),
    ("He put the milk into the _.", "fridge"),
    ("The opposite of hot is _.", "cold"),
    ("Two plus two is _.", "four"),
];

/// The pictures that ship with the page, and what is on them in the words of the model that knows them.
pub const PICTURES: [(&str, &str); 6] = [
    ("dog_face", "dog face"),
    ("red_apple", "red apple"),
    ("automobile", "automobile"),
    ("guitar", "guitar"),
    ("house", "house"),
    ("grinning_face", "grinning face"),
];

/// What a model of a task is given, in words.
fn input(task: Task, model: &str) -> &'static str {
    match task {
        Task::SpeechToText => "11 s of speech",
        Task::TextEmbedding => "16 sentences",
        Task::FillMask => "4 sentences with a gap",
        Task::TextToText if model == WRITES_NUMBERS => "8 numbers",
        Task::TextToText => "2 sentences",
        Task::ImageClassification | Task::ImageFeatures => "6 pictures",
        Task::ImageText => "6 pictures, 6 texts",
    }
}

/// Everything that is to be measured, in order: by model, then by backend, f32 first.
pub fn cases(models: &[ModelInfo], backends: &[BackendReport], scope: Scope) -> Vec<Case> {
    let mut cases = Vec::new();
    for model in models {
        for report in backends.iter().filter(|report| report.available) {
            for precision in precisions(report, scope) {
                cases.push(Case {
                    model: model.id.clone(),
                    title: model.title.clone(),
                    task: model.task,
                    backend: report.backend,
                    precision,
                    input: input(model.task, &model.id).into(),
                });
            }
        }
    }
    cases
}

fn precisions(report: &BackendReport, scope: Scope) -> Vec<Precision> {
    let has_f16 = report.features.iter().any(|feature| feature.name == "webgpu.f16" && feature.supported);
    match (scope, report.backend) {
        (Scope::Short, _) | (_, BackendChoice::WebNn | BackendChoice::Auto) => vec![Precision::F32],
        (Scope::Full, BackendChoice::WebGpu) if has_f16 => vec![Precision::F32, Precision::F16, Precision::Int8],
        (Scope::Full, _) => vec![Precision::F32, Precision::Int8],
    }
}

/// How wrong transcripts of the first of [`CLIPS`] are.
pub fn judge_transcripts(texts: &[String]) -> Option<Accuracy> {
    let mut errors = WordErrors::default();
    CLIPS.iter().zip(texts).for_each(|(clip, text)| errors += WordErrors::between(clip.said, text));
    (!texts.is_empty()).then(|| Accuracy::WordErrorRate(errors.percent()))
}

/// How many of [`SENTENCES`] have their partner as the nearest, by vectors of length 1.
pub fn judge_vectors(vectors: &[Vec<f32>]) -> Option<Accuracy> {
    let dot = |a: &[f32], b: &[f32]| a.iter().zip(b).map(|(a, b)| a * b).sum::<f32>();
    let nearest = |i: usize| {
        let others = (0..vectors.len()).filter(|&j| j != i);
        others.max_by(|&a, &b| dot(&vectors[i], &vectors[a]).total_cmp(&dot(&vectors[i], &vectors[b])))
    };
    right((0..vectors.len()).map(|i| nearest(i) == Some(i ^ 1)))
}

/// How many texts are those of [`NUMBERS`]; of another model's nothing is known.
pub fn judge_texts(model: &str, texts: &[String]) -> Option<Accuracy> {
    let expected = NUMBERS.iter().zip(texts).map(|((_, expected), text)| text.trim() == *expected);
    (model == WRITES_NUMBERS).then(|| right(expected)).flatten()
}

/// What a model that writes is given.
pub fn prompts(model: &str) -> Vec<String> {
    match model {
        WRITES_NUMBERS => NUMBERS.iter().map(|(prompt, _)| prompt.to_string()).collect(),
        _ => PROMPTS.map(String::from).to_vec(),
    }
}

/// How many of [`GAPS`] have the right word among their candidates.
pub fn judge_gaps(candidates: &[Vec<MaskCandidate>]) -> Option<Accuracy> {
    let has = |found: &[MaskCandidate], word: &str| found.iter().any(|one| one.text.trim().to_lowercase() == word);
    right(GAPS.iter().zip(candidates).map(|((_, word), found)| has(found, word)))
}

/// How many of [`PICTURES`] fit their own words best.
pub fn judge_matches(scores: &[Vec<f32>]) -> Option<Accuracy> {
    let best = |scores: &[f32]| (0..scores.len()).max_by(|&a, &b| scores[a].total_cmp(&scores[b]));
    right(scores.iter().enumerate().map(|(i, scores)| best(scores) == Some(i)))
}

fn right(answers: impl Iterator<Item = bool>) -> Option<Accuracy> {
    let answers: Vec<bool> = answers.collect();
    let right = answers.iter().filter(|is_right| **is_right).count() as u32;
    (!answers.is_empty()).then_some(Accuracy::Right { right, of: answers.len() as u32 })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::protocol::FeatureReport;

    fn backend(backend: BackendChoice, available: bool, has_f16: bool) -> BackendReport {
        let f16 = FeatureReport { name: "webgpu.f16".into(), supported: has_f16, reason: String::new(), probe_ms: 0.0 };
        BackendReport {
            backend,
            available,
            reason: String::new(),
            adapter: String::new(),
            software: false,
            features: vec![f16],
            probe_ms: 0.0,
        }
    }

    fn model(id: &str, task: Task) -> ModelInfo {
        ModelInfo {
            id: id.into(),
            title: id.into(),
            summary: String::new(),
            task,
            multilingual: false,
            size_bytes: 0,
            licence: String::new(),
            hub_id: String::new(),
            default: false,
        }
    }

    fn of(cases: &[Case]) -> Vec<(&str, BackendChoice, Precision)> {
        cases.iter().map(|case| (case.model.as_str(), case.backend, case.precision)).collect()
    }

    #[test]
    fn every_available_backend_is_measured_in_what_it_has() {
        use BackendChoice::{Wasm, WebGpu, WebNn};
        use Precision::{F16, F32, Int8};
        let models = [model("a", Task::SpeechToText)];
        let backends = [backend(WebGpu, true, true), backend(WebNn, false, false), backend(Wasm, true, false)];
        let full = cases(&models, &backends, Scope::Full);
        assert_eq!(
            of(&full),
            [("a", WebGpu, F32), ("a", WebGpu, F16), ("a", WebGpu, Int8), ("a", Wasm, F32), ("a", Wasm, Int8)]
        );
        let short = cases(&models, &backends, Scope::Short);
        assert_eq!(of(&short), [("a", WebGpu, F32), ("a", Wasm, F32)]);
        assert!(cases(&models, &[backend(Wasm, false, false)], Scope::Full).is_empty());
    }

    #[test]
    fn transcripts_are_judged_by_words() {
        let said: Vec<String> = CLIPS.iter().map(|clip| clip.said.to_lowercase()).collect();
        assert_eq!(judge_transcripts(&said), Some(Accuracy::WordErrorRate(0.0)));
        // Twenty-two words, of which one is wrong.
        let wrong = vec![CLIPS[0].said.replace("country.", "county.")];
        assert_eq!(judge_transcripts(&wrong), Some(Accuracy::WordErrorRate(100.0 / 22.0)));
        assert_eq!(judge_transcripts(&[]), None);
    }

    #[test]
    fn sentences_are_right_where_the_partner_is_nearest() {
        let vectors = |angles: &[f32]| angles.iter().map(|a| vec![a.cos(), a.sin()]).collect::<Vec<_>>();
        let all = judge_vectors(&vectors(&[0.0, 0.1, 1.0, 1.1]));
        assert_eq!(all, Some(Accuracy::Right { right: 4, of: 4 }));
        let half = judge_vectors(&vectors(&[0.0, 1.5, 0.1, 1.6]));
        assert_eq!(half, Some(Accuracy::Right { right: 0, of: 4 }));
    }

    #[test]
    fn texts_pictures_and_gaps_are_held_against_the_right_answers() {
        let mut texts: Vec<String> = NUMBERS.iter().map(|(_, text)| format!("{text} ")).collect();
        texts[3] = "dieciseis".into();
        assert_eq!(judge_texts("t5-numbers", &texts), Some(Accuracy::Right { right: 7, of: 8 }));
        assert_eq!(judge_texts("flan-t5-small", &texts), None);
        let scores = [vec![0.9, 0.1], vec![0.6, 0.4]];
        assert_eq!(judge_matches(&scores), Some(Accuracy::Right { right: 1, of: 2 }));
        let candidate =
            |text: &str| MaskCandidate { mask: 0, token: 0, text: text.into(), score: 1.0, sequence: String::new() };
        let found = [vec![candidate("lyon"), candidate(" Paris")], vec![candidate("car")]];
        assert_eq!(judge_gaps(&found), Some(Accuracy::Right { right: 1, of: 2 }));
    }
}
