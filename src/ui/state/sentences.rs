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
    /// Texts that the model could not read, with the reason.
    pub unread: Vec<(String, String)>,
    /// How many of the texts were longer than the model takes.
    pub n_cut: u32,
}

impl Comparison {
    /// Rank the sentences by their vectors, as far as these are there; the query's is the first of them.
    pub fn rank(&mut self, embeddings: &[Option<Vec<f32>>]) {
        let Some((Some(query), sentences)) = embeddings.split_first() else { return };
        let known = self.sentences.iter().zip(sentences).filter_map(|(text, vector)| Some((text, vector.as_deref()?)));
        let (texts, known): (Vec<&String>, Vec<&[f32]>) = known.unzip();
        let nearest = vectors::nearest(query, known, texts.len());
        self.ranked = nearest.into_iter().map(|(n, cosine)| (texts[n].clone(), cosine)).collect();
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
    /// For each passage its vector or why it has none; `None` where it was not yet asked about.
    pub vectors: Vec<Option<Result<Vec<f32>, String>>>,
    /// How many passages were longer than the model takes.
    pub n_cut: u32,
}

impl Index {
    /// Whether every passage was asked about.
    pub fn is_complete(&self) -> bool {
        self.vectors.iter().all(Option::is_some)
    }

    /// The numbers of those that were not.
    pub fn waiting(&self) -> Vec<usize> {
        (0..self.vectors.len()).filter(|n| self.vectors[*n].is_none()).collect()
    }

    /// Numbers of the passages nearest to this vector, with their similarity.
    pub fn nearest(&self, vector: &[f32], count: usize) -> Vec<(usize, f32)> {
        let read = self.vectors.iter().enumerate().filter_map(|(n, seen)| Some((n, seen.as_ref()?.as_deref().ok()?)));
        let (numbers, read): (Vec<usize>, Vec<&[f32]>) = read.unzip();
        vectors::nearest(vector, read, count).into_iter().map(|(at, cosine)| (numbers[at], cosine)).collect()
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
