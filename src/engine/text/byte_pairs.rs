//! The vocabulary and the merges of a byte-pair tokenizer (Sennrich et al. 2016, <https://aclanthology.org/P16-1162/>), read from a
//! `tokenizer.json` in one pass.
//!
//! The reference implementation can read them, too, by way of three copies of the file in memory, which takes longer: the tokenizer of
//! Whisper base is a quarter of what the engine's thread has to do for a warm start.

use serde::de::{Deserialize, Deserializer, Error, SeqAccess, Visitor};
use std::fmt;
use tokenizers::models::bpe::{BPE, BpeBuilder, Vocab};

/// `model` of a `tokenizer.json` of the type `BPE` (older files have no type); what is optional is `null` or missing where it is not used.
#[derive(serde::Deserialize)]
struct BytePairs {
    #[serde(rename = "type")]
    kind: Option<String>,
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

/// Reads `model`; `None` where it is another kind of vocabulary.
///
/// # Errors
/// In words, where its merges are of tokens that it does not have.
pub fn read(model: &str) -> Result<Option<BPE>, String> {
    let pairs = serde_json::from_str::<BytePairs>(model).ok();
    let Some(mut pairs) = pairs.filter(|pairs| pairs.kind.as_ref().is_none_or(|kind| kind == "BPE")) else {
        return Ok(None);
    };
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
    builder.build().map(Some).map_err(|error| error.to_string())
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
        assert!(read(&model) == Ok(Some(reference)));
    }

    #[test]
    fn merges_are_of_two_tokens_that_are_there() {
        for merge in [json!("ab"), json!("a b c"), json!(["a"]), json!(["a", "b", "c"]), json!(7)] {
            assert!(serde_json::from_value::<Merge>(merge.clone()).is_err(), "{merge}");
        }
        let model = |kind: &str| json!({ "type": kind, "vocab": { "a": 0, "b": 1 }, "merges": ["a b"] }).to_string();
        let error = read(&model("BPE")).unwrap_err();
        assert!(error.contains("ab"), "{error}");
        assert!(read(&model("WordPiece")) == Ok(None));
        assert!(read(r#"{"type":"WordLevel","vocab":{"a":0},"unk_token":"a"}"#) == Ok(None));
    }
}
