//! What a narrower precision costs: how far a model agrees with itself in f32 on the built-in samples.

use super::Precision;
use serde::{Deserialize, Serialize};

/// What agreement is measured by.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum QualityMeasure {
    /// Words in a hundred that differ from the f32 transcript; 0 is best.
    WordErrorRate,
    /// Mean cosine between the vectors; 1 is best.
    Cosine,
    /// Share of pictures that get the same best label; 1 is best.
    TopOne,
    /// Share of tokens that are the same; 1 is best.
    TokenAgreement,
}

/// A model in a narrower precision beside the same model in f32, on the same device and the same samples.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct QualityReport {
    /// The narrower precision.
    pub precision: Precision,
    /// What was measured.
    pub measure: QualityMeasure,
    /// The figure, in the measure's unit.
    pub value: f64,
    /// Over how many words, texts, pictures or tokens.
    pub sample_count: u32,
    /// Bytes in the device's memory in this precision.
    pub bytes: u64,
    /// The same in f32.
    pub bytes_reference: u64,
    /// Milliseconds for all samples in this precision, warm.
    pub ms_reduced: f64,
    /// The same in f32.
    pub ms_reference: f64,
}
