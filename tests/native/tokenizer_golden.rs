//! Tokenizers of the real models against the reference's own tokens.
//!
//! `RILL_MODELS` names the folder of the model folders; without it the tests say so and do nothing. The numbers in
//! `golden/tokens.json` come from openai-whisper and sentence-transformers.

use rill::engine::text::{EncodeOptions, TextStream, Tokenizer, WhisperTokens};
use serde_json::Value;

fn golden(model: &str) -> Value {
    let all: Value = serde_json::from_str(include_str!("../golden/tokens.json")).expect("golden/tokens.json is JSON");
    all[model].clone()
}

fn ids(value: &Value) -> Vec<u32> {
    value.as_array().expect("a list of ids").iter().map(|id| id.as_u64().expect("an id") as u32).collect()
}

fn file(model: &str, name: &str) -> Option<Vec<u8>> {
    let Ok(folder) = std::env::var("RILL_MODELS") else {
        println!("skipped: RILL_MODELS names no folder with {model}");
        return None;
    };
    let path = std::path::Path::new(&folder).join(model).join(name);
    Some(std::fs::read(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display())))
}

fn whisper(model: &str) -> Option<(Tokenizer, WhisperTokens)> {
    let tokenizer = Tokenizer::from_json(&file(model, "tokenizer.json")?).unwrap();
    let config: Value = serde_json::from_slice(&file(model, "generation_config.json")?).unwrap();
    let tokens = WhisperTokens::new(&tokenizer, &config).unwrap();
    Some((tokenizer, tokens))
}

const MISSPELLED: [&str; 2] = ["Gudenberg", "shapliness"];

fn segments_match(model: &str) {
    let Some((tokenizer, tokens)) = whisper(model) else { return };
    let golden = golden(model);
    for segment in golden["segments"].as_array().unwrap() {
        let (text, segment_ids) = (segment["text"].as_str().unwrap(), ids(&segment["tokens"]));
        assert_eq!(tokens.text(&tokenizer, &segment_ids).unwrap(), text);
        let mut stream = TextStream::new(&tokenizer, Some(tokens.eot));
        for &id in &segment_ids {
            stream.push(id).unwrap();
        }
        stream.finish().unwrap();
        assert_eq!(stream.text(), text);
        let text_ids: Vec<u32> = segment_ids.into_iter().filter(|&id| id < tokens.eot).collect();
        // Words that the model misspelled are put together from pieces that no tokenizer would choose.
        if !MISSPELLED.iter().any(|word| text.contains(word)) {
            assert_eq!(tokenizer.encode(text, EncodeOptions::default()).unwrap(), text_ids, "{text}");
        }
    }
    assert_eq!(tokens.suppress, ids(&golden["suppress"]));
    let stamps: Vec<f64> =
        ids(&golden["jfk_timestamp_tokens"]).into_iter().filter_map(|id| tokens.timestamp_s(id)).collect();
    assert_eq!((stamps[0], *stamps.last().unwrap()), (0.0, 11.0));
}

#[test]
fn whisper_tiny_en_has_the_references_tokens_and_text() {
    segments_match("whisper-tiny.en");
    let Some((_, tokens)) = whisper("whisper-tiny.en") else { return };
    assert_eq!((tokens.eot, tokens.sot, tokens.no_timestamps, tokens.timestamp_begin), (50256, 50257, 50362, 50363));
    assert!(!tokens.is_multilingual && tokens.languages.is_empty());
    assert_eq!([tokens.sot, tokens.no_timestamps], ids(&golden("whisper-tiny.en")["jfk_prefix"])[..]);
    assert_eq!((tokens.begin_suppress, tokens.max_initial_timestamp), (vec![220, 50256], Some(50)));
}

#[test]
fn whisper_base_has_the_references_tokens_and_text() {
    segments_match("whisper-base");
    let Some((_, tokens)) = whisper("whisper-base") else { return };
    assert_eq!((tokens.eot, tokens.sot, tokens.no_timestamps, tokens.timestamp_begin), (50257, 50258, 50363, 50364));
    assert!(tokens.is_multilingual);
    assert_eq!((tokens.languages.len(), tokens.language("en"), tokens.language("de")), (99, Some(50259), Some(50261)));
    assert_eq!((tokens.transcribe, tokens.translate, tokens.no_speech), (50359, 50358, 50362));
    let prefix = [tokens.sot, tokens.language("en").unwrap(), tokens.transcribe, tokens.no_timestamps];
    assert_eq!(prefix, ids(&golden("whisper-base")["jfk_prefix"])[..]);
}

#[test]
fn minilm_has_the_references_ids() {
    let Some(json) = file("all-MiniLM-L6-v2", "tokenizer.json") else { return };
    let tokenizer = Tokenizer::from_json(&json).unwrap();
    let golden = golden("all-MiniLM-L6-v2");
    let max_length = golden["max_length"].as_u64().map(|length| length as usize);
    let options = EncodeOptions { add_special_tokens: true, max_length };
    for (sentence, expected) in golden["sentences"].as_array().unwrap().iter().zip(golden["ids"].as_array().unwrap()) {
        let sentence = sentence.as_str().unwrap();
        assert_eq!(tokenizer.encode(sentence, options).unwrap(), ids(expected), "{sentence}");
    }
}
