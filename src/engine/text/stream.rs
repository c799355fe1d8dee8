//! Text that grows token by token.
//!
//! A character may be spread over several tokens, and a token may read differently after another one (a leading space
//! in some vocabularies), so ids are not decoded one by one: a short window of the last ids is, and only what is
//! complete and new is given out. The work for one token does not grow with the text.

use super::Tokenizer;
use crate::engine::Result;

/// What an incomplete character decodes to.
const REPLACEMENT: char = '\u{fffd}';

/// A UTF-8 character has at most four bytes; more tokens than this that give no whole character never will.
const MAX_HELD_TOKENS: usize = 4;

/// Turns ids, fed one by one, into text.
#[derive(Clone)]
pub struct TextStream {
    tokenizer: Tokenizer,
    hidden_from: u32,
    /// Ids whose text was given out last: they stand before the held ones when these are decoded.
    context: Vec<u32>,
    /// Ids whose text is not given out yet.
    held: Vec<u32>,
    text: String,
}

impl TextStream {
    /// A stream that leaves out special tokens as the vocabulary marks them, and every id from `hidden_from` on where
    /// one is given: Whisper's timestamps and task tokens follow its text tokens and are not all marked.
    pub fn new(tokenizer: &Tokenizer, hidden_from: Option<u32>) -> Self {
        Self {
            tokenizer: tokenizer.clone(),
            hidden_from: hidden_from.unwrap_or(u32::MAX),
            context: Vec::new(),
            held: Vec::new(),
            text: String::new(),
        }
    }

    /// Takes the next id and gives the text that is new, often empty.
    ///
    /// # Errors
    /// Those of [`Tokenizer::decode`].
    pub fn push(&mut self, id: u32) -> Result<&str> {
        let old_len = self.text.len();
        if id < self.hidden_from {
            self.held.push(id);
            let fresh = self.decode_held()?;
            let is_complete = !fresh.ends_with(REPLACEMENT) || self.held.len() > MAX_HELD_TOKENS;
            // A special token decodes to nothing and must not become the context.
            if is_complete && fresh.is_empty() {
                self.held.clear();
            } else if is_complete {
                self.give_out(&fresh);
            }
        }
        Ok(&self.text[old_len..])
    }

    /// Gives what was held back: a character that never became whole shows as U+FFFD.
    ///
    /// # Errors
    /// Those of [`Tokenizer::decode`].
    pub fn finish(&mut self) -> Result<&str> {
        let old_len = self.text.len();
        let fresh = self.decode_held()?;
        self.give_out(&fresh);
        Ok(&self.text[old_len..])
    }

    /// All text so far.
    pub fn text(&self) -> &str {
        &self.text
    }

    /// What the held ids add to the text of the context before them.
    fn decode_held(&self) -> Result<String> {
        if self.held.is_empty() {
            return Ok(String::new());
        }
        let before = self.tokenizer.decode(&self.context, true)?;
        let both = self.tokenizer.decode(&[self.context.as_slice(), &self.held].concat(), true)?;
        match both.strip_prefix(before.as_str()) {
            Some(fresh) => Ok(fresh.to_string()),
            // The context ended in a broken character that these bytes happen to mend; it is out already.
            None => self.tokenizer.decode(&self.held, true),
        }
    }

    fn give_out(&mut self, fresh: &str) {
        self.text.push_str(fresh);
        self.context = std::mem::take(&mut self.held);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A byte-level tokenizer of single bytes: ids 0 to 255 are the bytes, 256 is special, 257 on are "timestamps".
    fn bytes() -> Tokenizer {
        // The byte alphabet of GPT-2: printable bytes stand for themselves, the others for characters from U+0100 on.
        let mut next = 256u32;
        let mut vocab = serde_json::Map::new();
        for byte in 0..=255u32 {
            let printable = matches!(byte, 33..=126 | 161..=172 | 174..=255);
            let code = if printable { byte } else { (next, next += 1).0 };
            vocab.insert(char::from_u32(code).unwrap().to_string(), byte.into());
        }
        let added = |id: u32, content: &str, special: bool| {
            serde_json::json!({"id": id, "content": content,
            "special": special, "single_word": false, "lstrip": false, "rstrip": false, "normalized": false})
        };
        let json = serde_json::json!({"version": "1.0", "truncation": null, "padding": null, "normalizer": null,
            "added_tokens": [added(256, "<|endoftext|>", true), added(257, "<|0.00|>", false)],
            "pre_tokenizer": {"type": "ByteLevel", "add_prefix_space": false, "trim_offsets": true, "use_regex": true},
            "post_processor": null,
            "decoder": {"type": "ByteLevel", "add_prefix_space": true, "trim_offsets": true, "use_regex": true},
            "model": {"type": "BPE", "vocab": vocab, "merges": []}});
        Tokenizer::from_json(json.to_string().as_bytes()).unwrap()
    }

    fn pieces(ids: &[u32]) -> (Vec<String>, String) {
        let mut stream = TextStream::new(&bytes(), Some(256));
        let mut pieces: Vec<String> = ids.iter().map(|&id| stream.push(id).unwrap().to_string()).collect();
        pieces.push(stream.finish().unwrap().to_string());
        assert_eq!(pieces.concat(), stream.text());
        (pieces, stream.text().to_string())
    }

    #[test]
    fn text_stream_holds_a_character_back_until_all_its_bytes_are_there() {
        let ids: Vec<u32> = "é今🙂x".bytes().map(u32::from).collect();
        let (pieces, text) = pieces(&ids);
        assert_eq!(text, "é今🙂x");
        assert_eq!(pieces, ["", "é", "", "", "今", "", "", "", "🙂", "x", ""]);
    }

    #[test]
    fn text_stream_leaves_out_special_tokens_and_timestamps() {
        let (_, text) = pieces(&[257, 72, 105, 257, 256, 33]);
        assert_eq!(text, "Hi!");
        // Without a limit, the tokenizer's own marks decide.
        let mut stream = TextStream::new(&bytes(), None);
        assert_eq!(stream.push(256).unwrap(), "");
        assert_eq!(stream.push(257).unwrap(), "<|0.00|>");
    }

    #[test]
    fn text_stream_shows_bytes_that_never_become_a_character_and_goes_on() {
        let (_, text) = pieces(&[0xff, 97, 0xf0, 0x9f]);
        assert_eq!(text, "\u{fffd}a\u{fffd}");
        let (_, many) = pieces(&[0xff; 100]);
        assert_eq!(many.chars().count(), 100);
        let (_, after) = pieces(&[&[0xff; 20][..], &[97, 98]].concat());
        assert!(after.ends_with("ab"));
    }

    #[test]
    fn text_stream_keeps_only_a_few_ids() {
        let tokenizer = bytes();
        let mut stream = TextStream::new(&tokenizer, None);
        for id in 0..10_000 {
            stream.push(97 + id % 26).unwrap();
            assert!(stream.context.len() + stream.held.len() <= 2 * (MAX_HELD_TOKENS + 1));
        }
        assert_eq!(stream.text().len(), 10_000);
    }
}
