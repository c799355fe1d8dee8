//! Arithmetic of the page on vectors that a model gave: how alike they are, which are best, how labels compete.

/// The product of two vectors.
fn dot(a: &[f32], b: &[f32]) -> f32 {
    a.iter().zip(b).map(|(a, b)| a * b).sum()
}

/// The cosine of the angle between two vectors of any length; 0 where one has none.
pub fn cosine(a: &[f32], b: &[f32]) -> f32 {
    let lengths = (dot(a, a) * dot(b, b)).sqrt();
    if lengths > 0.0 { dot(a, b) / lengths } else { 0.0 }
}

/// The numbers of the `count` vectors whose angle to `query` is smallest, with its cosine, the nearest first. Their lengths say nothing:
/// not every sentence model makes vectors of length 1.
pub fn nearest<'a>(query: &[f32], vectors: impl IntoIterator<Item = &'a [f32]>, count: usize) -> Vec<(usize, f32)> {
    best(vectors.into_iter().map(|vector| cosine(query, vector)), count)
}

/// The numbers of the `count` highest scores with these scores, the highest first.
pub fn best(scores: impl IntoIterator<Item = f32>, count: usize) -> Vec<(usize, f32)> {
    let mut scores: Vec<(usize, f32)> = scores.into_iter().enumerate().collect();
    scores.sort_by(|a, b| b.1.total_cmp(&a.1));
    scores.truncate(count);
    scores
}

/// Probabilities of things that compete with these scores.
pub fn softmax(scores: &[f32]) -> Vec<f32> {
    let highest = scores.iter().copied().fold(f32::NEG_INFINITY, f32::max);
    let powers: Vec<f32> = scores.iter().map(|score| (score - highest).exp()).collect();
    let sum: f32 = powers.iter().sum();
    powers.into_iter().map(|power| power / sum).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_competes_adds_up_to_one() {
        let probabilities = softmax(&[31.0, 22.0, 27.0]);
        assert!((probabilities.iter().sum::<f32>() - 1.0).abs() < 1e-6);
        assert!((probabilities[0] / probabilities[2] - 4f32.exp()).abs() < 1e-3);
    }

    #[test]
    fn a_cosine_knows_no_length() {
        assert_eq!(cosine(&[3.0, 0.0], &[0.5, 0.0]), 1.0);
        assert_eq!(cosine(&[0.0, 0.0], &[1.0, 0.0]), 0.0);
    }

    #[test]
    fn the_nearest_is_found_by_its_angle_and_not_by_its_length() {
        let vectors: [&[f32]; 3] = [&[30.0, 40.0], &[0.2, 0.01], &[-5.0, 0.0]];
        let nearest = nearest(&[2.0, 0.0], vectors, 2);
        assert_eq!(nearest.iter().map(|(n, _)| *n).collect::<Vec<_>>(), [1, 0]);
        assert!((nearest[1].1 - 0.6).abs() < 1e-6, "{nearest:?}");
    }

    #[test]
    fn the_best_come_first() {
        assert_eq!(best([0.1, 0.9, 0.5], 2), [(1, 0.9), (2, 0.5)]);
    }
}
