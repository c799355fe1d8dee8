//! A model's tokenizer, read from its `tokenizer.json` by the reference implementation.
//!
//! What a family's special tokens mean is left to that family, for Whisper to [`super::whisper`].

use std::collections::BTreeMap;
use std::sync::Arc;

use serde_json::value::RawValue;
use tokenizers::AddedToken;

use super::byte_pairs;
use crate::engine::{Error, Result};

/// How to encode a text.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct EncodeOptions {
    /// Whether the ids get the tokens around them that the file's post-processor demands (`[CLS]` ... `[SEP]`).
    pub add_special_tokens: bool,
    /// Most ids, special ones included; longer texts lose their end. `None` keeps all.
    pub max_length: Option<usize>,
}

/// Text to ids and back. Cloning is cheap.
#[derive(Clone)]
pub struct Tokenizer {
    inner: Arc<tokenizers::Tokenizer>,
}

impl Tokenizer {
    /// Reads a `tokenizer.json`.
    ///
    /// Truncation and padding that are written in the file are switched off: they belong to one use of the model
    /// (MiniLM's file pads every text to 128 tokens), [`EncodeOptions`] to this one.
    ///
    /// # Errors
    /// [`Error::Corrupt`] where the file is not a tokenizer.
    pub fn from_json(json: &[u8]) -> Result<Self> {
        let corrupt = |reason: String| Error::Corrupt { file: "tokenizer.json".into(), reason };
        let mut inner = read(json).map_err(|error| corrupt(format!("it does not describe a tokenizer ({error})")))?;
        inner.with_truncation(None).map_err(|error| corrupt(error.to_string()))?;
        inner.with_padding(None);
        Ok(Self { inner: Arc::new(inner) })
    }

    /// The ids of a text.
    ///
    /// # Errors
    /// [`Error::Input`] where the tokenizer refuses the text.
    pub fn encode(&self, text: &str, options: EncodeOptions) -> Result<Vec<u32>> {
        let refused = |error: tokenizers::Error| Error::Input(format!("this text cannot be tokenized: {error}"));
        let mut encoding = self.inner.encode_fast(text, false).map_err(refused)?;
        if let Some(max_length) = options.max_length {
            // Cut before the closing token is added, so that the model still sees it.
            let n_special = if options.add_special_tokens { self.n_added_tokens() } else { 0 };
            encoding.truncate(max_length.saturating_sub(n_special), 0, tokenizers::TruncationDirection::Right);
        }
        if options.add_special_tokens {
            encoding = self.inner.post_process(encoding, None, true).map_err(refused)?;
        }
        Ok(encoding.get_ids().to_vec())
    }

    /// The text of some ids. Ids that the vocabulary does not have are left out.
    ///
    /// # Errors
    /// [`Error::Corrupt`] where the file's decoder fails.
    pub fn decode(&self, ids: &[u32], skip_special_tokens: bool) -> Result<String> {
        self.inner.decode(ids, skip_special_tokens).map_err(|error| Error::Corrupt {
            file: "tokenizer.json".into(),
            reason: format!("its decoder fails ({error})"),
        })
    }

    /// The id of a token, written as in the file (`<|en|>`, `[CLS]`).
    pub fn token_id(&self, content: &str) -> Option<u32> {
        self.inner.token_to_id(content)
    }

    /// How an id is written in the file.
    pub fn token(&self, id: u32) -> Option<String> {
        self.inner.id_to_token(id)
    }

    /// Number of ids, special ones included.
    pub fn vocab_size(&self) -> usize {
        self.inner.get_vocab_size(true)
    }

    fn n_added_tokens(&self) -> usize {
        use tokenizers::PostProcessor;
        self.inner.get_post_processor().map_or(0, |post_processor| post_processor.added_tokens(false))
    }
}

/// Reads a file; byte pairs in one pass, other vocabularies as the reference implementation does.
fn read(json: &[u8]) -> std::result::Result<tokenizers::Tokenizer, String> {
    let wrong = |error: serde_json::Error| error.to_string();
    let mut file: BTreeMap<String, &RawValue> = serde_json::from_slice(json).map_err(wrong)?;
    let model = file.get("model").ok_or("it has no `model`")?;
    let Some(model) = byte_pairs::read(model.get())? else {
        return serde_json::from_slice(json).map_err(wrong);
    };
    // The reference implementation reads the rest, then gets the model; only then are added tokens found in it.
    let none = serde_json::from_str::<&RawValue>(r#"{"type":"BPE","vocab":{},"merges":[]}"#).map_err(wrong)?;
    file.insert("model".into(), none);
    let added: Vec<AddedToken> = match file.remove("added_tokens") {
        Some(added) => serde_json::from_str(added.get()).map_err(wrong)?,
        None => Vec::new(),
    };
    let rest = serde_json::to_string(&file).map_err(wrong)?;
    let mut inner: tokenizers::Tokenizer = serde_json::from_str(&rest).map_err(wrong)?;
    inner.with_model(model);
    inner.add_tokens(&added);
    Ok(inner)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A word-level tokenizer with truncation and padding written in it, as MiniLM's has.
    fn padded() -> Tokenizer {
        let json = r#"{"version":"1.0",
            "truncation":{"direction":"Right","max_length":3,"strategy":"LongestFirst","stride":0},
            "padding":{"strategy":{"Fixed":6},"direction":"Right","pad_to_multiple_of":null,"pad_id":0,"pad_type_id":0,"pad_token":"[PAD]"},
            "added_tokens":[{"id":1,"content":"[CLS]","single_word":false,"lstrip":false,"rstrip":false,"normalized":false,"special":true},
                {"id":2,"content":"[SEP]","single_word":false,"lstrip":false,"rstrip":false,"normalized":false,"special":true}],
            "normalizer":null,"pre_tokenizer":{"type":"Whitespace"},
            "post_processor":{"type":"BertProcessing","sep":["[SEP]",2],"cls":["[CLS]",1]},"decoder":null,
            "model":{"type":"WordLevel","vocab":{"[PAD]":0,"[CLS]":1,"[SEP]":2,"a":3,"b":4,"c":5,"d":6,"[UNK]":7},"unk_token":"[UNK]"}}"#;
        Tokenizer::from_json(json.as_bytes()).unwrap()
    }

    #[test]
    fn tokenizer_ignores_padding_and_truncation_written_in_the_file() {
        let plain = padded().encode("a b c d", EncodeOptions::default()).unwrap();
        assert_eq!(plain, [3, 4, 5, 6]);
        let options = EncodeOptions { add_special_tokens: true, max_length: None };
        assert_eq!(padded().encode("a", options).unwrap(), [1, 3, 2]);
    }

    #[test]
    fn tokenizer_keeps_the_closing_token_of_a_text_that_is_cut() {
        let options = EncodeOptions { add_special_tokens: true, max_length: Some(4) };
        assert_eq!(padded().encode("a b c d", options).unwrap(), [1, 3, 4, 2]);
        assert_eq!(padded().encode("", options).unwrap(), [1, 2]);
        let plain = EncodeOptions { add_special_tokens: false, max_length: Some(2) };
        assert_eq!(padded().encode("a b c d", plain).unwrap(), [3, 4]);
    }

    #[test]
    fn byte_pairs_are_read_as_by_the_reference_implementation() {
        let file = serde_json::json!({
            "version": "1.0",
            "truncation": null,
            "padding": null,
            "added_tokens": [
                { "id": 4, "content": "<end>", "single_word": false, "lstrip": false, "rstrip": false, "normalized": false, "special": true },
                { "id": 3, "content": "ab", "single_word": true, "lstrip": false, "rstrip": false, "normalized": false, "special": false },
            ],
            "normalizer": { "type": "Lowercase" },
            "pre_tokenizer": { "type": "ByteLevel", "add_prefix_space": false, "trim_offsets": true, "use_regex": true },
            "post_processor": null,
            "decoder": { "type": "ByteLevel", "add_prefix_space": true, "trim_offsets": true, "use_regex": true },
            "model": { "type": "BPE", "vocab": { "a": 0, "b": 1, "\u{120}": 2, "ab": 3 }, "merges": ["a b"] },
        });
        let reference: tokenizers::Tokenizer = serde_json::from_value(file.clone()).unwrap();
        let ours = read(file.to_string().as_bytes()).unwrap();
        let written = |tokenizer: &tokenizers::Tokenizer| serde_json::to_value(tokenizer).unwrap();
        assert_eq!(written(&ours), written(&reference));
        assert_eq!(ours.encode_fast("AB ab<end>", false).unwrap().get_ids(), [3, 2, 3, 4]);
    }

    #[test]
    fn tokenizer_refuses_what_is_not_a_tokenizer() {
        for json in ["", "<!doctype html>", "{}", r#"{"version":"1.0","model":{"type":"BPE"}}"#] {
            assert!(matches!(Tokenizer::from_json(json.as_bytes()), Err(Error::Corrupt { .. })), "{json}");
        }
    }
}
