//! What Whisper's special tokens are called and which ids they have.
//!
//! The vocabulary is ordered: text tokens, end of text, start of transcript, one token for each language, the tasks,
//! start of language model, start of previous text, no speech, no timestamps, and 1501 timestamps 0.02 s apart
//! (<https://github.com/openai/whisper/blob/main/whisper/tokenizer.py>). How they are used is left to the model.

use serde_json::Value;

use super::Tokenizer;
use crate::engine::{Error, Result};

/// Seconds between two timestamp tokens.
pub const TIMESTAMP_STEP_S: f64 = 0.02;

/// The ids that transcription needs. Text tokens are those below [`Self::eot`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WhisperTokens {
    /// Start of transcript.
    pub sot: u32,
    /// End of text; every text token is below it.
    pub eot: u32,
    /// The task of writing down what is said in its own language.
    pub transcribe: u32,
    /// The task of writing it down in English.
    pub translate: u32,
    /// Start of the text before this window.
    pub sot_prev: u32,
    /// Nothing is said. Its name differs between files (`<|nospeech|>`, `<|nocaptions|>`), its place does not.
    pub no_speech: u32,
    /// Asks for text without timestamps.
    pub no_timestamps: u32,
    /// The timestamp 0.00; later ones follow in steps of [`TIMESTAMP_STEP_S`].
    pub timestamp_begin: u32,
    /// Latest timestamp, counted from `timestamp_begin`, that a window may begin with.
    pub max_initial_timestamp: Option<u32>,
    /// Language codes and their ids, in the order of the ids; empty where the model knows English only.
    pub languages: Vec<(String, u32)>,
    /// Ids that are never decoded: those the checkpoint lists, and the task and start tokens. Sorted.
    pub suppress: Vec<u32>,
    /// Ids that a window never begins with.
    pub begin_suppress: Vec<u32>,
    /// Whether the model knows other languages than English.
    pub is_multilingual: bool,
}

impl WhisperTokens {
    /// Finds the ids in a tokenizer and a checkpoint's `generation_config.json` ([`Value::Null`] where it has none).
    ///
    /// # Errors
    /// [`Error::Corrupt`] where the tokenizer is not Whisper's or the two files contradict each other.
    pub fn new(tokenizer: &Tokenizer, generation_config: &Value) -> Result<Self> {
        let token = |content: &str| {
            tokenizer.token_id(content).ok_or_else(|| Error::Corrupt {
                file: "tokenizer.json".into(),
                reason: format!("it has no token `{content}`; a Whisper tokenizer was expected"),
            })
        };
        let config = GenerationConfig(generation_config);
        let eot = config.agreed("eos_token_id", token("<|endoftext|>")?)?;
        let sot = config.agreed("decoder_start_token_id", token("<|startoftranscript|>")?)?;
        let no_timestamps = config.agreed("no_timestamps_token_id", token("<|notimestamps|>")?)?;
        let sot_prev = config.agreed("prev_sot_token_id", token("<|startofprev|>")?)?;
        let (translate, transcribe) = (token("<|translate|>")?, token("<|transcribe|>")?);
        // Found by place: see the field.
        let no_speech = no_timestamps - 1;
        if !(eot < sot && sot < translate && sot_prev < no_speech) {
            return Err(Error::Corrupt {
                file: "tokenizer.json".into(),
                reason: format!(
                    "its special tokens are not in Whisper's order: end {eot}, start {sot}, translate {translate}, \
                     previous text {sot_prev}, no timestamps {no_timestamps}"
                ),
            });
        }

        // The English models end their text tokens one id earlier than the others.
        let is_multilingual = generation_config["is_multilingual"].as_bool().unwrap_or(eot >= 50_257);
        let languages = if is_multilingual { languages(tokenizer, sot + 1..translate.min(transcribe)) } else { vec![] };

        let mut suppress = config.ids("suppress_tokens")?.unwrap_or_default();
        suppress.extend([sot, translate, transcribe, token("<|startoflm|>")?, sot_prev, no_speech]);
        suppress.sort_unstable();
        suppress.dedup();
        let begin_suppress = match config.ids("begin_suppress_tokens")? {
            Some(ids) => ids,
            None => token("Ġ").map(|blank| vec![blank, eot])?,
        };
        Ok(Self {
            sot,
            eot,
            transcribe,
            translate,
            sot_prev,
            no_speech,
            no_timestamps,
            timestamp_begin: no_timestamps + 1,
            max_initial_timestamp: config.id("max_initial_timestamp_index")?,
            languages,
            suppress,
            begin_suppress,
            is_multilingual,
        })
    }

    /// The id of a language code (`en`, `de`, ...).
    pub fn language(&self, code: &str) -> Option<u32> {
        self.languages.iter().find(|(known, _)| known == code).map(|&(_, id)| id)
    }

    /// Seconds of a timestamp token from the start of its window; `None` for every other token.
    pub fn timestamp_s(&self, id: u32) -> Option<f64> {
        id.checked_sub(self.timestamp_begin).map(|steps| f64::from(steps) * TIMESTAMP_STEP_S)
    }

    /// The text of some ids, timestamps and special tokens left out.
    ///
    /// # Errors
    /// Those of [`Tokenizer::decode`].
    pub fn text(&self, tokenizer: &Tokenizer, ids: &[u32]) -> Result<String> {
        let text_ids: Vec<u32> = ids.iter().copied().filter(|&id| id < self.eot).collect();
        tokenizer.decode(&text_ids, true)
    }
}

/// The language tokens `<|xx|>` among some ids.
fn languages(tokenizer: &Tokenizer, ids: std::ops::Range<u32>) -> Vec<(String, u32)> {
    ids.filter_map(|id| {
        let token = tokenizer.token(id)?;
        let code = token.strip_prefix("<|")?.strip_suffix("|>")?;
        Some((code.to_string(), id))
    })
    .collect()
}

/// A `generation_config.json`, read field by field: hub repositories differ in which fields they have.
struct GenerationConfig<'a>(&'a Value);

impl GenerationConfig<'_> {
    fn id(&self, field: &str) -> Result<Option<u32>> {
        match &self.0[field] {
            Value::Null => Ok(None),
            value => id_from_json(value).map(Some).ok_or_else(|| self.wrong(field, value)),
        }
    }

    fn ids(&self, field: &str) -> Result<Option<Vec<u32>>> {
        match &self.0[field] {
            Value::Null => Ok(None),
            Value::Array(values) => {
                let ids = values.iter().map(|value| id_from_json(value).ok_or_else(|| self.wrong(field, value)));
                ids.collect::<Result<_>>().map(Some)
            }
            value => Err(self.wrong(field, value)),
        }
    }

    /// `tokenizer_id`, unless this file says otherwise.
    fn agreed(&self, field: &str, tokenizer_id: u32) -> Result<u32> {
        match self.id(field)? {
            Some(id) if id != tokenizer_id => Err(Error::Corrupt {
                file: "generation_config.json".into(),
                reason: format!(
                    "its `{field}` is {id}, the tokenizer has {tokenizer_id}: the files do not belong together"
                ),
            }),
            _ => Ok(tokenizer_id),
        }
    }

    fn wrong(&self, field: &str, value: &Value) -> Error {
        Error::Corrupt {
            file: "generation_config.json".into(),
            reason: format!("its `{field}` holds {value}, a token id was expected"),
        }
    }
}

fn id_from_json(value: &Value) -> Option<u32> {
    value.as_u64().and_then(|id| u32::try_from(id).ok())
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    /// Whisper's special tokens over a vocabulary of two text tokens.
    fn tokenizer(names: &[&str]) -> Tokenizer {
        let added: Vec<Value> = names
            .iter()
            .zip(2..)
            .map(|(name, id)| {
                json!({"id": id, "content": name, "special": true, "single_word": false, "lstrip": false,
                    "rstrip": false, "normalized": false})
            })
            .collect();
        let json = json!({"version": "1.0", "added_tokens": added, "pre_tokenizer": null, "normalizer": null,
            "post_processor": null, "decoder": null, "truncation": null, "padding": null,
            "model": {"type": "BPE", "vocab": {"a": 0, "Ġ": 1}, "merges": []}});
        Tokenizer::from_json(json.to_string().as_bytes()).unwrap()
    }

    const NAMES: [&str; 12] = [
        "<|endoftext|>",
        "<|startoftranscript|>",
        "<|en|>",
        "<|de|>",
        "<|translate|>",
        "<|transcribe|>",
        "<|startoflm|>",
        "<|startofprev|>",
        "<|nocaptions|>",
        "<|notimestamps|>",
        "<|0.00|>",
        "<|0.02|>",
    ];

    #[test]
    fn whisper_finds_its_tokens_by_name_and_no_speech_by_place() {
        let config = json!({"is_multilingual": true, "suppress_tokens": [0], "eos_token_id": 2});
        let tokens = WhisperTokens::new(&tokenizer(&NAMES), &config).unwrap();
        assert_eq!((tokens.eot, tokens.sot, tokens.no_speech, tokens.no_timestamps), (2, 3, 10, 11));
        assert_eq!(tokens.languages, [("en".to_string(), 4), ("de".to_string(), 5)]);
        assert_eq!(tokens.language("de"), Some(5));
        assert_eq!(tokens.suppress, [0, 3, 6, 7, 8, 9, 10]);
        assert_eq!(tokens.begin_suppress, [1, 2]);
        assert_eq!(tokens.timestamp_s(13), Some(0.02));
        assert_eq!(tokens.timestamp_s(11), None);
    }

    #[test]
    fn whisper_without_a_generation_config_still_works() {
        let tokens = WhisperTokens::new(&tokenizer(&NAMES), &Value::Null).unwrap();
        assert!(!tokens.is_multilingual && tokens.languages.is_empty());
        assert_eq!(tokens.max_initial_timestamp, None);
    }

    #[test]
    fn whisper_refuses_files_that_contradict_each_other() {
        for (config, words) in [
            (json!({"eos_token_id": 50257}), "do not belong together"),
            (json!({"suppress_tokens": [1, "x"]}), "`suppress_tokens` holds \"x\""),
            (json!({"suppress_tokens": 7}), "`suppress_tokens` holds 7"),
            (json!({"eos_token_id": -1}), "a token id was expected"),
        ] {
            let message = WhisperTokens::new(&tokenizer(&NAMES), &config).unwrap_err().to_string();
            assert!(message.contains(words), "{message}");
        }
        let message = WhisperTokens::new(&tokenizer(&NAMES[..4]), &Value::Null).unwrap_err().to_string();
        assert!(message.contains("<|notimestamps|>"), "{message}");
        let mut shuffled = NAMES;
        shuffled.reverse();
        let message = WhisperTokens::new(&tokenizer(&shuffled), &Value::Null).unwrap_err().to_string();
        assert!(message.contains("not in Whisper's order"), "{message}");
    }
}
