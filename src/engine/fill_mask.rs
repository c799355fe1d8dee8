//! Words for the gaps of texts, by an encoder with a head for masked tokens: the pipeline `fill-mask` of Hugging Face's transformers.

use super::batch::{Group, Size, group};
use super::embed::{EmbeddingModel, Run, at_once};
use super::error::which;
use super::models::bert::MASKS;
use super::session::Watch;
use super::{Error, Result};
use crate::protocol::MaskCandidate;
use std::ops::Range;

/// A text with its tokens.
struct Masked<'a> {
    text: &'a str,
    /// Positions of its gaps among its tokens.
    positions: Vec<usize>,
    /// Where its gaps are written.
    places: Vec<Range<usize>>,
}

impl EmbeddingModel {
    /// How a gap is written, where the model can fill one.
    pub fn mask_token(&self) -> Option<&str> {
        self.bert.mask_head.as_ref().and(self.mask_token.as_deref())
    }

    /// For each text the `top_k` most probable tokens of each of its gaps, the gaps in order, the most probable token of each first.
    /// Gaps are found each for itself, the others left open. At most `batch_size` texts are computed at once. `watch` hears after each batch the share of the texts that is done.
    ///
    /// # Errors
    /// [`Error::Input`] where the model has no head for this, where a text has no gap, more than [`MASKS`] or one behind the last
    /// token that the model takes; otherwise as [`EmbeddingModel::embed`].
    pub async fn fill_mask(
        &mut self,
        texts: &[String],
        top_k: usize,
        batch_size: Option<u32>,
        watch: &mut Watch<'_>,
    ) -> Result<Vec<Vec<MaskCandidate>>> {
        let (Some(head), Some(token)) = (self.bert.mask_head.clone(), self.mask_token.clone()) else {
            return Err(Error::Input(
                "this model has no head that finds masked words; choose one for fill-mask".into(),
            ));
        };
        let mask_id = self.tokenizer.token_id(&token);
        let (ids, _) = self.encode(texts)?;
        let masked = texts.iter().zip(&ids).enumerate().map(|(idx, (text, ids))| {
            let positions: Vec<usize> = (0..ids.len()).filter(|&i| Some(ids[i]) == mask_id).collect();
            let places: Vec<_> = text.match_indices(&token).map(|(at, found)| at..at + found.len()).collect();
            self.check_gaps(&which("text", idx, texts.len()), &token, positions.len(), places.len())?;
            Ok(Masked { text, positions, places })
        });
        let masked: Vec<Masked> = masked.collect::<Result<_>>()?;
        let sizes =
            ids.iter().zip(&masked).map(|(ids, masked)| Size { n_tokens: ids.len(), n_masks: masked.positions.len() });
        let groups = group(&self.bert.batches, &sizes.collect::<Vec<_>>(), at_once(batch_size))?;
        let runs = groups.into_iter().map(|group| {
            let seq_len = self.bert.batches[group.shape].seq_len;
            let in_batch = |(row, &text): (usize, &usize)| {
                masked[text].positions.iter().map(move |position| (row * seq_len + position) as u32)
            };
            let mut rows: Vec<u32> = group.texts.iter().enumerate().flat_map(in_batch).collect();
            let fitting = head.graphs.iter().find(|(n, _, _)| *n >= rows.len());
            let &(_, graph, logits) = fitting.ok_or_else(|| Error::Internal("a batch with too many masks".into()))?;
            rows.resize(MASKS, 0);
            Ok(Run { group, write: Some((head.rows, rows)), then: Some(graph), read: logits })
        });
        let runs: Vec<Run> = runs.collect::<Result<_>>()?;
        let vocab_size = self.bert.config.vocab_size;
        let mut found: Vec<Vec<Vec<(u32, f32)>>> = vec![Vec::new(); texts.len()];
        let mut on_run = |group: &Group, logits: Vec<f32>| {
            let mut rows = logits.chunks_exact(vocab_size);
            for &text in &group.texts {
                let rows = rows.by_ref().take(masked[text].positions.len());
                found[text] = rows.map(|row| most_probable(row, top_k)).collect::<Result<_>>()?;
            }
            Ok(())
        };
        self.run_all(&ids, runs, &mut on_run, watch).await?;
        masked.iter().zip(found).map(|(masked, found)| self.candidates(masked, found)).collect()
    }

    fn check_gaps(&self, which: &str, token: &str, n_found: usize, n_written: usize) -> Result<()> {
        if n_written == 0 && n_found == 0 {
            return Err(Error::Input(format!("{which} has no gap: write `{token}` where a word is missing")));
        }
        if n_found < n_written {
            let most = self.max_tokens;
            let message = format!("a gap of {which} lies behind the {most} tokens that the model takes: shorten it");
            return Err(Error::Input(message));
        }
        if n_found > MASKS {
            return Err(Error::Input(format!("{which} has {n_found} gaps; {MASKS} can be filled at once")));
        }
        Ok(())
    }

    fn candidates(&self, masked: &Masked, found: Vec<Vec<(u32, f32)>>) -> Result<Vec<MaskCandidate>> {
        let mut all = Vec::new();
        for (mask, of_mask) in found.into_iter().enumerate() {
            for (token, score) in of_mask {
                let text = self.tokenizer.decode(&[token], false)?.trim().to_string();
                let sequence = match masked.places.get(mask) {
                    Some(place) => filled(masked.text, place, &text, self.continues_a_word(token)),
                    // The tokenizer finds gaps in other writings too; then there is nothing to replace.
                    None => masked.text.to_string(),
                };
                all.push(MaskCandidate { mask: mask as u32, token, text, score, sequence });
            }
        }
        Ok(all)
    }

    /// Whether a token is the rest of the word before it.
    fn continues_a_word(&self, token: u32) -> bool {
        let token = self.tokenizer.token(token).unwrap_or_default();
        // WordPiece marks what continues a word, byte-level BPE and SentencePiece what begins one.
        match self.tokenizer.token_id("##s") {
            Some(_) => token.starts_with("##"),
            None => !token.starts_with(['Ġ', '▁']),
        }
    }
}

/// A text with a word in place of a gap.
fn filled(text: &str, gap: &Range<usize>, word: &str, continues: bool) -> String {
    let (before, after) = (&text[..gap.start], &text[gap.end..]);
    match continues {
        true => format!("{}{}{after}", before.trim_end(), word.trim_start_matches("##")),
        false => format!("{before}{word}{after}"),
    }
}

/// The `top_k` tokens with the greatest logits, and their probabilities among all.
fn most_probable(logits: &[f32], top_k: usize) -> Result<Vec<(u32, f32)>> {
    let most = logits.iter().copied().fold(f32::NEG_INFINITY, f32::max);
    let sum: f64 = logits.iter().map(|&logit| f64::from(logit - most).exp()).sum();
    if !sum.is_finite() || logits.windows(2).all(|pair| pair[0] == pair[1]) {
        let reason = format!("logits of a masked word are all the same or no numbers (the greatest is {most})");
        return Err(Error::Numerics { what: "logits".into(), reason });
    }
    let mut order: Vec<u32> = (0..logits.len() as u32).collect();
    let top_k = top_k.clamp(1, order.len());
    let descending = |a: &u32, b: &u32| logits[*b as usize].total_cmp(&logits[*a as usize]);
    order.select_nth_unstable_by(top_k - 1, descending);
    order.truncate(top_k);
    order.sort_by(descending);
    let score = |token: u32| (f64::from(logits[token as usize] - most).exp() / sum) as f32;
    Ok(order.into_iter().map(|token| (token, score(token))).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fill_mask_takes_the_greatest_logits_with_their_probabilities() {
        let top = most_probable(&[0.0, 3.0, 1.0, 2.0], 2).unwrap();
        assert_eq!(top.iter().map(|(token, _)| *token).collect::<Vec<_>>(), [1, 3]);
        let sum = 1.0 + 3.0f32.exp() + 1.0f32.exp() + 2.0f32.exp();
        assert!((top[0].1 - 3.0f32.exp() / sum).abs() < 1e-6, "{top:?}");
        assert_eq!(most_probable(&[0.0, 1.0], 9).unwrap().len(), 2, "no more than there are");
        assert!(most_probable(&[1.0, 1.0, 1.0], 1).is_err(), "a GPU that does not compute");
        assert!(most_probable(&[1.0, f32::NAN], 1).is_err());
    }

    #[test]
    fn fill_mask_puts_a_word_in_its_gap_and_the_rest_of_a_word_behind_its_beginning() {
        let text = "It is play [MASK] here.";
        let gap = 11..17;
        assert_eq!(filled(text, &gap, "time", false), "It is play time here.");
        assert_eq!(filled(text, &gap, "##ing", true), "It is playing here.");
    }
}
