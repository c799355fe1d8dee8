//! The vocabulary and the merges of a byte-pair tokenizer (Sennrich et al. 2016, <https://aclanthology.org/P16-1162/>), read from a
//! `tokenizer.json` in one pass.
//!
//! The reference implementation can read them, too, by way of three copies of the file in memory: Whisper's 50 000 merges took it more than
//! twice as long, a quarter of what the engine's thread has to do for a warm start.

use serde::de::{Deserialize, Deserializer, Error, SeqAccess, Visitor};
use std::fmt;
use tokenizers::models::bpe::{BPE, BpeBuilder, Vocab};

/// `model` of a `tokenizer.json` of the type `BPE`; what is optional is `null` or missing where it is not used.
#[derive(serde::Deserialize)]
struct BytePairs {
    vocab: Vocab,
    merges: Vec<Merge>,
    dropout: Option<f32>,
    unk_token: Option<String>,
    continuing_subword_prefix: Option<String>,
    end_of_word_suffix: Option<String>,
    fuse_unk: Option<bool>,
    byte_fallback: Option<bool>,
    ignore_merges: Option<bool>,
}

/// Two tokens that become one. Older files write `"a b"`, newer ones `["a", "b"]`.
#[derive(Debug, PartialEq)]
struct Merge(String, String);

/// Reads `model`.
///
/// # Errors
/// In words, where it is none or its merges are of tokens that it does not have.
pub fn read(model: &str) -> Result<BPE, String> {
    let mut pairs: BytePairs = serde_json::from_str(model).map_err(|error| error.to_string())?;
    pairs.restore_first_merge();
    let merges = pairs.merges.into_iter().map(|Merge(left, right)| (left, right)).collect();
    let mut builder = BpeBuilder::new()
        .vocab_and_merges(pairs.vocab, merges)
        .fuse_unk(pairs.fuse_unk.unwrap_or_default())
        .byte_fallback(pairs.byte_fallback.unwrap_or_default())
        .ignore_merges(pairs.ignore_merges.unwrap_or_default());
    if let Some(dropout) = pairs.dropout {
        builder = builder.dropout(dropout);
    }
    if let Some(token) = pairs.unk_token {
        builder = builder.unk_token(token);
    }
    if let Some(prefix) = pairs.continuing_subword_prefix {
        builder = builder.continuing_subword_prefix(prefix);
    }
    if let Some(suffix) = pairs.end_of_word_suffix {
        builder = builder.end_of_word_suffix(suffix);
    }
    builder.build().map_err(|error| error.to_string())
}

impl BytePairs {
    /// Puts back the first merge of a byte-level vocabulary where its file lost it.
    ///
    /// Files of multilingual Whisper begin their merges with the second one; without `Ġ t`, " the" becomes two tokens that
    /// the model never saw together. The ids tell: the 256 bytes come first, then the merges in their order.
    fn restore_first_merge(&mut self) {
        let Some((first, _)) = self.vocab.iter().find(|(_, id)| **id == 256) else { return };
        let mut symbols = first.chars();
        let (Some(left), Some(right), None) = (symbols.next(), symbols.next(), symbols.next()) else { return };
        let merge = Merge(left.into(), right.into());
        // A vocabulary without merges means it.
        if !self.merges.is_empty() && !self.merges.contains(&merge) {
            self.merges.insert(0, merge);
        }
    }
}

impl<'de> Deserialize<'de> for Merge {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct EitherForm;

        impl<'de> Visitor<'de> for EitherForm {
            type Value = Merge;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, "a merge of two tokens, as `a b` or as a list")
            }

            fn visit_str<E: Error>(self, text: &str) -> Result<Merge, E> {
                match text.split_once(' ') {
                    Some((left, right)) if !right.contains(' ') => Ok(Merge(left.into(), right.into())),
                    _ => Err(E::custom(format!("`{text}` is no merge of two tokens"))),
                }
            }

            fn visit_seq<A: SeqAccess<'de>>(self, mut tokens: A) -> Result<Merge, A::Error> {
                match (tokens.next_element()?, tokens.next_element()?, tokens.next_element::<String>()?) {
                    (Some(left), Some(right), None) => Ok(Merge(left, right)),
                    _ => Err(A::Error::custom("a merge is of two tokens")),
                }
            }
        }

        deserializer.deserialize_any(EitherForm)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::{Value, json};

    fn pairs(merges: Value) -> BytePairs {
        let vocab = json!({ "a": 0, "b": 1, "c": 2, "ab": 256, "abc": 257 });
        serde_json::from_value(json!({ "type": "BPE", "vocab": vocab, "merges": merges })).unwrap()
    }

    #[test]
    fn the_first_merge_is_restored_where_the_file_lost_it() {
        let whole = [Merge("a".into(), "b".into()), Merge("ab".into(), "c".into())];
        for merges in [json!(["ab c"]), json!([["ab", "c"]]), json!(["a b", "ab c"])] {
            let mut pairs = pairs(merges);
            pairs.restore_first_merge();
            assert_eq!(pairs.merges, whole);
        }
        let mut none = pairs(json!([]));
        none.restore_first_merge();
        assert_eq!(none.merges, [], "a vocabulary without merges means it");
    }

    #[test]
    fn options_are_those_of_the_reference_implementation() {
        let model = json!({
            "type": "BPE", "dropout": null, "unk_token": "<u>", "continuing_subword_prefix": "", "end_of_word_suffix": "</w>",
            "fuse_unk": true, "byte_fallback": true, "ignore_merges": true,
            "vocab": { "<u>": 0, "a": 1, "b</w>": 2, "ab</w>": 3 }, "merges": ["a b</w>"],
        });
        let model = model.to_string();
        let reference: BPE = serde_json::from_str(&model).unwrap();
        assert!(read(&model) == Ok(reference));
    }

    #[test]
    fn what_is_no_merge_is_named() {
        for (merge, told) in [
            (json!("ab"), "`ab` is no merge"),
            (json!("a b c"), "`a b c` is no merge"),
            (json!(["a"]), "of two tokens"),
            (json!(["a", "b", "c"]), "of two tokens"),
            (json!(7), "as `a b` or as a list"),
            (json!("a z"), "out of vocabulary"),
        ] {
            let model = json!({ "vocab": { "a": 0, "b": 1 }, "merges": [merge] });
            let error = read(&model.to_string()).unwrap_err();
            assert!(error.contains(told), "{merge}: {error}");
        }
    }
}
