//! What the sentences panel knows: sentences ranked, a text that is searched, gaps that are filled.

use std::ops::Range;
use std::sync::Arc;

use leptos::prelude::*;

use crate::protocol::{MaskCandidate, PipelineId};
use crate::ui::passages::Cut;
use crate::ui::vectors;

/// The texts that are being compared.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Comparison {
    /// What the sentences are compared with.
    pub query: String,
    /// The sentences asked about, in the visitor's order.
    pub sentences: Vec<String>,
    /// Sentences with their similarity to the query (-1 to 1), the most similar first.
    pub ranked: Vec<(String, f32)>,
    /// How many of the texts were longer than the model takes.
    pub n_cut: u32,
}

impl Comparison {
    /// The first vector is the query's, the others the sentences'. All have length 1, so a dot product is the cosine.
    pub fn rank(&mut self, embeddings: &[Vec<f32>], n_cut: u32) {
        let Some((query, sentences)) = embeddings.split_first() else { return };
        let scores = sentences.iter().map(|vector| vectors::dot(query, vector));
        self.ranked = self.sentences.iter().cloned().zip(scores).collect();
        self.ranked.sort_by(|a, b| b.1.total_cmp(&a.1));
        self.n_cut = n_cut;
    }
}

/// A text to search in.
#[derive(Debug, Clone, PartialEq)]
pub struct Document {
    /// The file's name; `None` for what was typed or pasted.
    pub file: Option<String>,
    /// All of it.
    pub text: Arc<str>,
}

/// What a text became so that it can be searched.
#[derive(Debug, Clone, PartialEq)]
pub struct Index {
    /// Of which text.
    pub text: Arc<str>,
    /// How it was cut.
    pub cut: Cut,
    /// By which model.
    pub pipeline: PipelineId,
    /// Where its passages lie, as bytes of the text.
    pub passages: Arc<[Range<usize>]>,
    /// A unit vector for each of the first passages; all of them once the work is done.
    pub vectors: Vec<Vec<f32>>,
    /// How many passages were longer than the model takes.
    pub n_cut: u32,
}

impl Index {
    /// Whether every passage has its vector.
    pub fn is_complete(&self) -> bool {
        self.vectors.len() == self.passages.len()
    }
}

/// What was found.
#[derive(Debug, Clone, PartialEq)]
pub struct Hits {
    /// What was asked.
    pub query: String,
    /// The text in which it was found.
    pub text: Arc<str>,
    /// Its passages.
    pub passages: Arc<[Range<usize>]>,
    /// Numbers of the best passages with their similarity, the best first.
    pub best: Vec<(usize, f32)>,
    /// Milliseconds from question to answer.
    pub took_ms: f64,
}

/// The panel's signals.
#[derive(Debug, Clone, Copy, Default)]
pub struct Sentences {
    /// The ranking.
    pub comparison: RwSignal<Comparison>,
    /// The text to search in.
    pub document: RwSignal<Option<Document>>,
    /// How it is cut.
    pub cut: RwSignal<Cut>,
    /// What it became.
    pub index: RwSignal<Option<Index>>,
    /// What is asked of it.
    pub question: RwSignal<String>,
    /// What was found.
    pub hits: RwSignal<Option<Hits>>,
    /// The text with gaps that is being filled, gaps as the visitor writes them.
    pub gapped: RwSignal<String>,
    /// Words for its gaps.
    pub candidates: RwSignal<Vec<MaskCandidate>>,
}
