//! Which texts are computed together: texts of like length, in the recorded shape that wastes the least.

use super::models::bert::{Batch, MASKS};
use super::{Error, Result};

/// Positions that a run costs beside its own, for what it takes to start one: of two shapes with little to choose between, the larger.
pub(super) const POSITIONS_OF_A_RUN: usize = 128;

/// Texts of one run, and its shape.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Group {
    /// Which of the shapes.
    pub shape: usize,
    /// Which of the texts, at most as many as the shape has sequences.
    pub texts: Vec<usize>,
}

/// What decides with whom a text goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Size {
    /// Tokens.
    pub n_tokens: usize,
    /// Masked ones among them that are to be found: a run finds [`MASKS`] at most.
    pub n_masks: usize,
}

/// Shares texts out over runs of at most `most` texts. Each run holds [`MASKS`] masks at most; so must each text.
///
/// # Errors
/// [`Error::Internal`] where no shape holds a text; texts are cut before they come here.
pub fn group(shapes: &[Batch], sizes: &[Size], most: usize) -> Result<Vec<Group>> {
    let mut order: Vec<usize> = (0..sizes.len()).collect();
    order.sort_by_key(|&i| sizes[i].n_tokens);
    let mut groups = Vec::new();
    let mut rest = &order[..];
    while !rest.is_empty() {
        let (shape, n) = best(shapes, sizes, rest, most.max(1))?;
        let (now, later) = rest.split_at(n);
        groups.push(Group { shape, texts: now.to_vec() });
        rest = later;
    }
    // The longest first: what they take is known early, and the end comes evenly.
    groups.reverse();
    Ok(groups)
}

/// The shape for the shortest of the texts that are left, and how many of them it takes.
fn best(shapes: &[Batch], sizes: &[Size], rest: &[usize], most: usize) -> Result<(usize, usize)> {
    let taken = |shape: &Batch| {
        let mut n_masks = 0;
        let fits = rest.iter().take(shape.n_seqs.min(most)).take_while(|&&i| {
            n_masks += sizes[i].n_masks;
            sizes[i].n_tokens <= shape.seq_len && n_masks <= MASKS
        });
        fits.count()
    };
    let candidates =
        shapes.iter().enumerate().map(|(idx, shape)| (idx, shape, taken(shape))).filter(|(_, _, n)| *n > 0);
    // A shape with more sequences than texts may be had would be padding for ever.
    let candidates = candidates.filter(|(_, shape, _)| shape.n_seqs <= most || shape.n_seqs == 1);
    let cost = |shape: &Batch, n: usize| (shape.n_seqs * shape.seq_len + POSITIONS_OF_A_RUN) as f64 / n as f64;
    let cheapest = candidates.min_by(|a, b| cost(a.1, a.2).total_cmp(&cost(b.1, b.2)));
    cheapest
        .map(|(idx, _, n)| (idx, n))
        .ok_or_else(|| Error::Internal(format!("no shape holds a text of {:?}", rest.first().map(|&i| sizes[i]))))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::engine::graph::{GraphId, SlotId};

    fn shapes() -> Vec<Batch> {
        let shape = |(n_seqs, seq_len)| {
            let slot = SlotId(0);
            Batch { n_seqs, seq_len, graph: GraphId(0), ids: slot, lengths: slot, embeddings: slot }
        };
        [(1, 32), (8, 32), (32, 32), (1, 128), (8, 128)].into_iter().map(shape).collect()
    }

    fn grouped(lengths: &[usize], most: usize) -> Vec<Group> {
        let sizes: Vec<Size> = lengths.iter().map(|&n_tokens| Size { n_tokens, n_masks: 0 }).collect();
        group(&shapes(), &sizes, most).unwrap()
    }

    #[test]
    fn batch_puts_texts_of_like_length_together() {
        let mut lengths = vec![20; 40];
        lengths[7] = 100;
        let groups = grouped(&lengths, usize::MAX);
        assert_eq!(groups[0], Group { shape: 3, texts: vec![7] }, "the long one goes alone, and first");
        let mut all: Vec<usize> = groups.iter().flat_map(|group| group.texts.clone()).collect();
        all.sort_unstable();
        assert_eq!(all, (0..40).collect::<Vec<_>>(), "each text is in one group");
        assert_eq!(groups.iter().map(|group| group.texts.len()).max(), Some(32));
    }

    #[test]
    fn batch_takes_a_single_shape_for_one_text_and_a_small_one_for_few() {
        assert_eq!(grouped(&[5], usize::MAX), [Group { shape: 0, texts: vec![0] }]);
        assert_eq!(grouped(&[5; 6], usize::MAX)[0].shape, 1);
        assert_eq!(grouped(&[5; 30], usize::MAX)[0].shape, 2);
        assert_eq!(grouped(&[], usize::MAX), []);
    }

    #[test]
    fn batch_is_never_larger_than_asked_for() {
        assert!(grouped(&[9; 20], 1).iter().all(|group| group.texts.len() == 1 && group.shape == 0));
        assert!(grouped(&[9; 20], 8).iter().all(|group| group.texts.len() <= 8));
        assert!(grouped(&[9; 20], 0).len() == 20, "none at once would never end");
    }

    #[test]
    fn batch_has_no_more_masks_than_its_head_finds() {
        let sizes = [Size { n_tokens: 30, n_masks: 20 }; 3];
        let groups = group(&shapes(), &sizes, usize::MAX).unwrap();
        assert_eq!(groups.iter().map(|group| group.texts.len()).collect::<Vec<_>>(), [1, 1, 1]);
    }
}
