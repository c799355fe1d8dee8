//! What a narrower precision costs, shown to the visitor: a model's answers to built-in samples beside those of the same model in f32.
//!
//! The two need not be loaded together: [`answer`] keeps what one of them makes of the samples, [`compare`] sets two of these side by
//! side. Texts and pictures are built in; the clip is served with the page and comes from outside. That f32 itself is right is the
//! business of the golden tests.

use super::image::Pixels;
use super::model::Model;
use super::ops::math::dot;
use super::session::Watch;
use super::vision::PictureCount;
use super::{Error, Result, edge};
use crate::protocol::{GenerateOptions, Precision, QualityMeasure, QualityReport, TranscribeOptions};
use crate::word_errors::{self, WordErrors};

/// Sentences that are turned into vectors.
const SENTENCES: [&str; 8] = [
    "The cat sits outside in the sun.",
    "A dog plays in the garden.",
    "The new movie is awesome.",
    "How do I reset my password?",
    "Interest rates were raised by half a point on Thursday.",
    "Water boils at a hundred degrees at sea level.",
    "She has been playing the violin since she was six years old.",
    "Le train pour Paris part à huit heures.",
];

/// Texts that are answered. What a model was trained for differs; how far two precisions agree can be seen on any text.
const PROMPTS: [&str; 4] = [
    "number to English: 1984",
    "ordinal to English: 21",
    "translate English to German: The house is wonderful.",
    "translate English to French: forty-two",
];
/// Tokens of an answer at most.
const MOST_TOKENS: u32 = 32;

/// What pictures are compared with.
const LABELS: [&str; 8] =
    ["a red circle", "a blue square", "a green triangle", "stripes", "a chessboard", "the sun", "a face", "a tree"];

/// What a model made of the samples.
#[derive(Debug, Clone, PartialEq)]
pub struct Answers {
    said: Said,
    /// Milliseconds for all samples, after an untimed run.
    pub ms: f64,
    /// Bytes in the device's memory.
    pub bytes: u64,
}

#[derive(Debug, Clone, PartialEq)]
enum Said {
    /// A transcript.
    Transcript(String),
    /// A vector for each sample.
    Vectors(Vec<Vec<f32>>),
    /// The best label of each picture.
    Labels(Vec<String>),
    /// The tokens of each answer.
    Tokens(Vec<Vec<u32>>),
}

/// Gives the samples to a model. `speech` is the built-in clip, 16 kHz; other models than those of speech do not look at it. Everything is
/// computed twice and the second run timed, so that neither precision pays for what is made at first use.
///
/// # Errors
/// [`Error::Input`] where a model of speech gets no clip, [`Error::Cancelled`], and what the model's own run returns.
pub async fn answer(model: &mut Model, speech: &[f32], watch: &mut Watch<'_>) -> Result<Answers> {
    run(model, speech, watch).await?;
    let start = edge::Instant::now();
    let said = run(model, speech, watch).await?;
    Ok(Answers { said, ms: edge::ms_since(start), bytes: model.memory_bytes() })
}

async fn run(model: &mut Model, speech: &[f32], watch: &mut Watch<'_>) -> Result<Said> {
    let texts = |texts: &[&str]| texts.iter().map(|text| (*text).to_string()).collect::<Vec<_>>();
    let pictures = pictures()?;
    let count = PictureCount { total: pictures.len(), at_once: None };
    let picture = async |idx: usize| Ok(pictures[idx].clone());
    Ok(match model {
        Model::Speech(model) => {
            if speech.is_empty() {
                return Err(Error::Input(
                    "agreement of a speech model is measured on a clip, and there is none".into(),
                ));
            }
            let options = TranscribeOptions { temperatures: vec![0.0], ..Default::default() };
            let mut job = model.begin(options)?;
            model.transcribe(speech, &mut job, watch, &mut |_| ()).await?;
            Said::Transcript(job.segments.iter().map(|segment| segment.text.as_str()).collect())
        }
        Model::Embedding(model) => Said::Vectors(model.embed(&texts(&SENTENCES), None, watch).await?.vectors),
        Model::Text(model) => {
            let options = GenerateOptions { max_tokens: Some(MOST_TOKENS), ..Default::default() };
            let (answers, _) = model.generate(&texts(&PROMPTS), &options, watch, &mut |_| ()).await?;
            Said::Tokens(answers.into_iter().map(|answer| answer.tokens).collect())
        }
        Model::Vision(model) if model.has_labels() => {
            let best = model.classify(count, picture, 1, watch).await?;
            Said::Labels(
                best.into_iter()
                    .map(|labels| labels.into_iter().next().map_or_else(String::new, |l| l.label))
                    .collect(),
            )
        }
        Model::Vision(model) => Said::Vectors(model.embed(count, picture, watch).await?),
        Model::ImageText(model) => {
            let matches = model.scores(count, picture, &texts(&LABELS), watch).await?;
            Said::Labels(matches.scores.iter().map(|scores| LABELS[best_of(scores)].to_string()).collect())
        }
    })
}

fn best_of(scores: &[f32]) -> usize {
    (0..scores.len()).max_by(|&a, &b| scores[a].total_cmp(&scores[b])).unwrap_or(0)
}

/// Sets the answers of a narrower precision beside those of f32.
///
/// # Errors
/// [`Error::Internal`] where they are of different models.
pub fn compare(reference: &Answers, reduced: &Answers, precision: Precision) -> Result<QualityReport> {
    let (measure, value, sample_count) = match (&reference.said, &reduced.said) {
        (Said::Transcript(expected), Said::Transcript(got)) => {
            let errors = WordErrors::between(expected, got);
            (QualityMeasure::WordErrorRate, errors.percent(), errors.n_words)
        }
        (Said::Vectors(expected), Said::Vectors(got)) => {
            let total: f64 = expected.iter().zip(got).map(|(a, b)| cosine(a, b)).sum();
            (QualityMeasure::Cosine, total / expected.len().max(1) as f64, expected.len())
        }
        (Said::Labels(expected), Said::Labels(got)) => {
            let same = expected.iter().zip(got).filter(|(a, b)| a == b).count();
            (QualityMeasure::TopOne, same as f64 / expected.len().max(1) as f64, expected.len())
        }
        (Said::Tokens(expected), Said::Tokens(got)) => {
            let n: usize = expected.iter().map(Vec::len).sum();
            let wrong: usize = expected.iter().zip(got).map(|(a, b)| word_errors::edits(a, b)).sum();
            (QualityMeasure::TokenAgreement, 1.0 - (wrong as f64 / n.max(1) as f64).min(1.0), n)
        }
        _ => return Err(Error::Internal("the answers of two different models were compared".into())),
    };
    Ok(QualityReport {
        precision,
        measure,
        value,
        sample_count: sample_count as u32,
        bytes: reduced.bytes,
        bytes_reference: reference.bytes,
        ms_reduced: reduced.ms,
        ms_reference: reference.ms,
    })
}

fn cosine(a: &[f32], b: &[f32]) -> f64 {
    dot(a, b) / (dot(a, a) * dot(b, b)).sqrt().max(f64::MIN_POSITIVE)
}

/// Side of a drawn picture in pixels.
const SIDE: usize = 224;

/// Pictures drawn here, so that none has to be fetched: a shape, and where it is not the whole picture a plain ground.
pub fn pictures() -> Result<Vec<Pixels>> {
    type Shape = fn(f32, f32) -> bool;
    let shapes: [(Shape, [u8; 3], [u8; 3]); 8] = [
        (|x, y| x * x + y * y < 0.5, [220, 30, 30], [245, 245, 245]),
        (|x, y| x.abs().max(y.abs()) < 0.6, [30, 60, 200], [250, 250, 240]),
        (|x, y| y < 0.6 && y > -0.7 + 2.0 * x.abs(), [20, 140, 60], [240, 240, 255]),
        (|x, _| (x * 5.0).rem_euclid(1.0) < 0.5, [20, 20, 20], [235, 235, 235]),
        (|x, y| ((x * 4.0).floor() + (y * 4.0).floor()).rem_euclid(2.0) == 0.0, [0, 0, 0], [255, 255, 255]),
        (|x, y| x * x + y * y < 0.25 + 0.25 * (8.0 * y.atan2(x)).cos().max(0.0), [255, 200, 0], [120, 190, 255]),
        (is_face, [250, 210, 60], [60, 60, 80]),
        (
            |x, y| y < 0.2 && x * x + (y + 0.3).powi(2) < 0.3 || ((0.2..0.9).contains(&y) && x.abs() < 0.1),
            [40, 110, 40],
            [190, 225, 250],
        ),
    ];
    let draw = |(shape, ink, ground): (Shape, [u8; 3], [u8; 3])| {
        let place = |i: usize| (i as f32 + 0.5) / SIDE as f32 * 2.0 - 1.0;
        let rgb = (0..SIDE * SIDE).flat_map(|i| if shape(place(i % SIDE), place(i / SIDE)) { ink } else { ground });
        Pixels::new(SIDE, SIDE, rgb.collect())
    };
    shapes.into_iter().map(draw).collect()
}

fn is_face(x: f32, y: f32) -> bool {
    let is_eye = (x.abs() - 0.3).powi(2) + (y + 0.25).powi(2) < 0.01;
    let is_mouth = (0.2..0.3).contains(&(x * x + y * y)) && y > 0.2;
    x * x + y * y < 0.6 && !is_eye && !is_mouth
}

#[cfg(test)]
mod tests {
    use super::*;

    fn answers(said: Said) -> Answers {
        Answers { said, ms: 1.0, bytes: 2 }
    }

    fn value(reference: Said, reduced: Said) -> f64 {
        compare(&answers(reference), &answers(reduced), Precision::Int8).expect("the same kind of answers").value
    }

    #[test]
    fn what_agrees_is_best_and_what_differs_is_counted() {
        let vectors = |v: [f32; 2]| Said::Vectors(vec![v.to_vec(), vec![0.0, 2.0]]);
        assert_eq!(value(vectors([1.0, 0.0]), vectors([3.0, 0.0])), 1.0);
        assert_eq!(value(vectors([1.0, 0.0]), vectors([0.0, 1.0])), 0.5);
        let text = |t: &str| Said::Transcript(t.into());
        assert_eq!(value(text("Ask not, what"), text("ask not what")), 0.0);
        assert_eq!(value(text("ask not what you can"), text("ask what you can")), 20.0);
        let labels = |l: [&str; 2]| Said::Labels(l.map(str::to_string).to_vec());
        assert_eq!(value(labels(["cat", "dog"]), labels(["cat", "cow"])), 0.5);
        let tokens = |t: &[u32]| Said::Tokens(vec![t.to_vec()]);
        assert_eq!(value(tokens(&[1, 2, 3, 4]), tokens(&[1, 3, 4])), 0.75);
    }

    #[test]
    fn answers_of_different_models_are_not_compared() {
        let text = answers(Said::Transcript("a".into()));
        let labels = answers(Said::Labels(vec!["a".into()]));
        assert!(compare(&text, &labels, Precision::Int4).is_err());
    }

    #[test]
    fn every_drawn_picture_has_both_its_colours() {
        for picture in pictures().expect("the pictures have a size") {
            let rgb = picture.rgb();
            assert!(rgb.chunks_exact(3).any(|pixel| pixel != &rgb[..3]));
        }
    }
}
