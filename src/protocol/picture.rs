//! Runs of picture models, and what came of them. Pictures travel beside the command, as files; they are decoded in the worker.

use serde::{Deserialize, Serialize};

/// A label for a picture.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct LabelScore {
    /// The label, as the model's configuration names it.
    pub label: String,
    /// Its probability.
    pub score: f32,
}

/// How well pictures and texts fit.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Matches {
    /// For each picture the probability of each text, which add up to 1.
    pub scores: Vec<Vec<f32>>,
    /// A unit vector for each picture.
    pub image_embeddings: Vec<Vec<f32>>,
    /// A unit vector for each text.
    pub text_embeddings: Vec<Vec<f32>>,
    /// The model's own: a picture's scores are the softmax of its dot products with the texts, multiplied by this.
    pub logit_scale: f32,
}
