//! The file that a repository keeps its tokenizer in: `tokenizer.json`, or, in BERT's older repositories, `vocab.txt` alone.

use serde_json::{Value, json};

use super::Tokenizer;
use crate::engine::model::parse;
use crate::engine::weights::ModelFiles;
use crate::engine::{Error, Result};

const FILE: &str = "tokenizer.json";
/// WordPiece's vocabulary, a token a line.
const VOCABULARY: &str = "vocab.txt";
/// Vocabularies that are not read here.
const OTHERS: [&str; 4] = ["spiece.model", "sentencepiece.bpe.model", "vocab.json", "merges.txt"];

/// Reads a model's tokenizer.
///
/// # Errors
/// [`Error::Unsupported`] that names the file where there is only a vocabulary of another kind, [`Error::Fetch`] where there is none.
pub async fn read_tokenizer(files: &ModelFiles) -> Result<Tokenizer> {
    if let Some(json) = files.read(FILE).await? {
        return Tokenizer::from_json(&json);
    }
    if let Some(vocabulary) = files.read(VOCABULARY).await? {
        let config = match files.read("tokenizer_config.json").await? {
            Some(bytes) => parse("tokenizer_config.json", &bytes)?,
            None => Value::Null,
        };
        return Tokenizer::from_json(&serde_json::to_vec(&word_piece(&vocabulary, &config)?).map_err(corrupt)?);
    }
    for other in OTHERS {
        if files.read(other).await?.is_some() {
            return Err(Error::Unsupported(format!(
                "its tokenizer is in `{other}` alone; expected `{FILE}`. `AutoTokenizer.from_pretrained(...).save_pretrained(...)` of \
                 Hugging Face's transformers writes it: put it beside the other files"
            )));
        }
    }
    Err(files.missing(FILE))
}

fn corrupt(reason: impl ToString) -> Error {
    Error::Corrupt { file: VOCABULARY.into(), reason: reason.to_string() }
}

/// What `BertTokenizer` of Hugging Face's transformers does with such a vocabulary, as a `tokenizer.json`.
fn word_piece(vocabulary: &[u8], config: &Value) -> Result<Value> {
    let text = std::str::from_utf8(vocabulary).map_err(corrupt)?;
    let tokens: Vec<&str> = text.lines().map(str::trim_end).collect();
    let special = |key: &str, usual: &'static str| {
        let token = &config[key];
        token.as_str().or(token["content"].as_str()).unwrap_or(usual).to_string()
    };
    let id = |token: &str| tokens.iter().position(|known| *known == token);
    let needed = |token: &str| id(token).ok_or_else(|| corrupt(format!("it has no token `{token}`")));
    let [unk, cls, sep] = [("unk_token", "[UNK]"), ("cls_token", "[CLS]"), ("sep_token", "[SEP]")]
        .map(|(key, usual)| special(key, usual));
    let (cls_id, sep_id) = (needed(&cls)?, needed(&sep)?);
    needed(&unk)?;
    let others = [special("pad_token", "[PAD]"), special("mask_token", "[MASK]")];
    let added = [&unk, &cls, &sep].into_iter().chain(&others).filter_map(|token| Some((id(token)?, token)));
    let added = added.map(|(id, token)| {
        json!({"id": id, "content": token, "single_word": false, "lstrip": false, "rstrip": false, "normalized": false, "special": true})
    });
    let vocab: serde_json::Map<String, Value> =
        tokens.iter().enumerate().map(|(id, token)| (token.to_string(), id.into())).collect();
    Ok(json!({
        "version": "1.0",
        "added_tokens": added.collect::<Vec<_>>(),
        "normalizer": {
            "type": "BertNormalizer",
            "clean_text": true,
            "handle_chinese_chars": config["tokenize_chinese_chars"].as_bool().unwrap_or(true),
            "strip_accents": config["strip_accents"],
            "lowercase": config["do_lower_case"].as_bool().unwrap_or(true),
        },
        "pre_tokenizer": {"type": "BertPreTokenizer"},
        "post_processor": {"type": "BertProcessing", "sep": [sep, sep_id], "cls": [cls, cls_id]},
        "decoder": {"type": "WordPiece", "prefix": "##", "cleanup": true},
        "model": {
            "type": "WordPiece",
            "unk_token": unk,
            "continuing_subword_prefix": "##",
            "max_input_chars_per_word": 100,
            "vocab": vocab,
        },
    }))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::engine::text::EncodeOptions;

    fn tokenizer(config: Value) -> Tokenizer {
        let vocabulary = "[PAD]\n[UNK]\n[CLS]\n[SEP]\n[MASK]\nplay\n##ing\ncafe\nCaf\u{e9}\n.\n";
        let json = word_piece(vocabulary.as_bytes(), &config).expect("a tokenizer");
        Tokenizer::from_json(&serde_json::to_vec(&json).expect("JSON")).expect("a tokenizer")
    }

    #[test]
    fn a_vocabulary_alone_is_a_tokenizer() {
        let options = EncodeOptions { add_special_tokens: true, max_length: None };
        let tokenizer = tokenizer(Value::Null);
        assert_eq!(tokenizer.encode("Playing [MASK].", options).expect("ids"), [2, 5, 6, 4, 9, 3]);
        assert_eq!(tokenizer.encode("Caf\u{e9} x", options).expect("ids"), [2, 7, 1, 3], "lower case, without accents");
        assert_eq!(tokenizer.decode(&[2, 5, 6, 3], true).expect("text"), "playing");
    }

    #[test]
    fn a_vocabulary_of_cased_words_keeps_their_case() {
        let options = EncodeOptions::default();
        let tokenizer = tokenizer(serde_json::json!({"do_lower_case": false}));
        assert_eq!(tokenizer.encode("Caf\u{e9} Play", options).expect("ids"), [8, 1]);
    }

    #[test]
    fn a_vocabulary_without_its_special_tokens_is_refused() {
        let error = word_piece(b"[UNK]\nplay\n", &Value::Null).expect_err("no [CLS]").to_string();
        assert!(error.contains("no token `[CLS]`"), "{error}");
    }
}
