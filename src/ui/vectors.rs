//! Arithmetic of the page on vectors that a model gave: how alike they are, which are best, how labels compete.

/// The product of two vectors; of unit vectors it is the cosine of their angle.
pub fn dot(a: &[f32], b: &[f32]) -> f32 {
    a.iter().zip(b).map(|(a, b)| a * b).sum()
}

/// The cosine of the angle between two vectors of any length; 0 where one has none.
pub fn cosine(a: &[f32], b: &[f32]) -> f32 {
    let lengths = (dot(a, a) * dot(b, b)).sqrt();
    if lengths > 0.0 { dot(a, b) / lengths } else { 0.0 }
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

/// What cosines were multiplied with before they became these probabilities by [`softmax`]: its one unknown, so that more
/// labels can compete without asking the model for pictures again. `None` where the numbers do not tell: all alike, or one of
/// them far too small.
pub fn scale_of(probabilities: &[f32], cosines: &[f32]) -> Option<f32> {
    let known = || probabilities.iter().zip(cosines).filter(|(p, _)| **p > 1e-30);
    let lowest = known().min_by(|a, b| a.1.total_cmp(b.1))?;
    let highest = known().max_by(|a, b| a.1.total_cmp(b.1))?;
    let apart = highest.1 - lowest.1;
    (apart > 1e-4).then(|| (highest.0.ln() - lowest.0.ln()) / apart).filter(|scale| scale.is_finite() && *scale > 0.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_scale_is_found_again_from_what_it_did() {
        let cosines = [0.31, 0.22, 0.27];
        let probabilities = softmax(&cosines.map(|cosine| 100.0 * cosine));
        assert!((probabilities.iter().sum::<f32>() - 1.0).abs() < 1e-6);
        assert!((scale_of(&probabilities, &cosines).unwrap() - 100.0).abs() < 0.01);
    }

    #[test]
    fn the_scale_is_found_where_the_model_is_sure() {
        let cosines = [0.71, 0.32, 0.08];
        let probabilities = softmax(&cosines.map(|cosine| 60.0 * cosine));
        assert!((scale_of(&probabilities, &cosines).unwrap() - 60.0).abs() < 0.01);
    }

    #[test]
    fn numbers_that_do_not_tell_the_scale_are_not_taken_for_it() {
        assert_eq!(scale_of(&[0.5, 0.5], &[0.2, 0.2]), None);
        assert_eq!(scale_of(&[1.0, 0.0], &[0.9, -0.9]), None);
        assert_eq!(scale_of(&[], &[]), None);
    }

    #[test]
    fn a_cosine_knows_no_length() {
        assert_eq!(cosine(&[3.0, 0.0], &[0.5, 0.0]), 1.0);
        assert_eq!(cosine(&[0.0, 0.0], &[1.0, 0.0]), 0.0);
    }

    #[test]
    fn the_best_come_first() {
        assert_eq!(best([0.1, 0.9, 0.5], 2), [(1, 0.9), (2, 0.5)]);
    }
}
