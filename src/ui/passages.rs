//! A long text cut into passages that a model can take: paragraphs, or sentences. It keeps where each lies, so that what
//! is found can be shown in its place.

use std::ops::Range;

/// How a text is cut.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Cut {
    /// At the ends of sentences.
    #[default]
    Sentences,
    /// At empty lines; a paragraph that is too long, at the ends of its sentences.
    Paragraphs,
}

/// Longer passages lose their end in models that take 256 tokens, at about four letters each.
const LONGEST: usize = 900;

/// The passages of `text` as ranges of its bytes, in order, without the white space around them.
pub fn split(text: &str, cut: Cut) -> Vec<Range<usize>> {
    let mut passages = Vec::new();
    for paragraph in paragraphs(text) {
        match cut {
            Cut::Paragraphs if paragraph.len() <= LONGEST => passages.push(paragraph),
            Cut::Paragraphs => passages.extend(packed(sentences(text, paragraph))),
            Cut::Sentences => passages.extend(sentences(text, paragraph)),
        }
    }
    passages.into_iter().flat_map(|passage| halved(text, passage)).collect()
}

/// The lines of a text that say something, without the white space around them.
pub fn lines(text: &str) -> Vec<String> {
    text.lines().map(str::trim).filter(|line| !line.is_empty()).map(String::from).collect()
}

/// The same lines, each only where it comes first.
pub fn distinct_lines(text: &str) -> Vec<String> {
    let mut seen = std::collections::HashSet::new();
    lines(text).into_iter().filter(|line| seen.insert(line.clone())).collect()
}

/// Stretches between empty lines. A heading of Markdown or a point of a list is one by itself.
fn paragraphs(text: &str) -> Vec<Range<usize>> {
    let mut found: Vec<Range<usize>> = Vec::new();
    let mut begins_anew = true;
    let mut at = 0;
    for line in text.split_inclusive('\n') {
        let words = line.trim();
        let start = at + (line.len() - line.trim_start().len());
        at += line.len();
        if words.is_empty() {
            begins_anew = true;
            continue;
        }
        let is_heading = words.starts_with('#');
        let is_point = ["- ", "* ", "+ "].iter().any(|mark| words.starts_with(mark));
        match found.last_mut().filter(|_| !begins_anew && !is_heading && !is_point) {
            Some(paragraph) => paragraph.end = start + words.len(),
            None => found.push(start..start + words.len()),
        }
        begins_anew = is_heading;
    }
    found
}

/// The sentences of a paragraph: each ends with `.`, `!`, `?` or `…` and what closes it, before white space and no small letter,
/// or with the marks of Chinese and Japanese.
fn sentences(text: &str, paragraph: Range<usize>) -> Vec<Range<usize>> {
    let mut found = Vec::new();
    let mut start = paragraph.start;
    let mut letters = text[paragraph.clone()].char_indices().map(|(i, c)| (paragraph.start + i, c)).peekable();
    while let Some((i, letter)) = letters.next() {
        let is_wide = matches!(letter, '。' | '！' | '？');
        if !is_wide && !matches!(letter, '.' | '!' | '?' | '…') {
            continue;
        }
        let mut end = i + letter.len_utf8();
        while let Some((i, closing)) = letters.next_if(|(_, c)| {
            matches!(c, '.' | '!' | '?' | '…' | '"' | '\'' | ')' | ']' | '”' | '’' | '»' | '」' | '』')
        }) {
            end = i + closing.len_utf8();
        }
        let rest = &text[end..paragraph.end];
        let next = rest.trim_start();
        let goes_on = next.starts_with(char::is_lowercase) || (!is_wide && next.len() == rest.len());
        if !goes_on || next.is_empty() {
            found.extend(trimmed(text, start..end));
            start = end;
        }
    }
    found.extend(trimmed(text, start..paragraph.end));
    found
}

/// Neighbours together, as long as they are not too long.
fn packed(sentences: Vec<Range<usize>>) -> Vec<Range<usize>> {
    let mut packed: Vec<Range<usize>> = Vec::new();
    for sentence in sentences {
        match packed.last_mut().filter(|last| sentence.end - last.start <= LONGEST) {
            Some(last) => last.end = sentence.end,
            None => packed.push(sentence),
        }
    }
    packed
}

/// A passage without ends of sentences is cut where words end.
fn halved(text: &str, passage: Range<usize>) -> Vec<Range<usize>> {
    let mut pieces = Vec::new();
    let mut rest = passage;
    while rest.len() > LONGEST {
        let most = (rest.start..=rest.start + LONGEST).rev().find(|i| text.is_char_boundary(*i)).unwrap_or(rest.end);
        let end = text[rest.start..most].rfind(char::is_whitespace).map_or(most, |space| rest.start + space);
        let end = if end > rest.start { end } else { most };
        pieces.extend(trimmed(text, rest.start..end));
        rest.start = end;
    }
    pieces.extend(trimmed(text, rest));
    pieces
}

/// Without the white space around it; nothing where there is nothing else.
fn trimmed(text: &str, range: Range<usize>) -> Option<Range<usize>> {
    let words = &text[range.clone()];
    let start = range.start + (words.len() - words.trim_start().len());
    let length = words.trim().len();
    (length > 0).then_some(start..start + length)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn cut(text: &str, cut: Cut) -> Vec<&str> {
        split(text, cut).into_iter().map(|passage| &text[passage]).collect()
    }

    #[test]
    fn sentences_end_where_a_reader_would_stop() {
        assert_eq!(
            cut(
                "He said \"Stop!\" Then he left... and came back, e.g. on foot. Version 1.5 works?\nYes",
                Cut::Sentences
            ),
            ["He said \"Stop!\"", "Then he left... and came back, e.g. on foot.", "Version 1.5 works?", "Yes"]
        );
        assert_eq!(cut("猫がいる。犬もいる。", Cut::Sentences), ["猫がいる。", "犬もいる。"]);
    }

    #[test]
    fn paragraphs_are_what_stands_between_empty_lines_and_headings_stand_alone() {
        assert_eq!(
            cut("# Title\nOne line\nand another.\n\n - a point\n - another\n\n\n", Cut::Paragraphs),
            ["# Title", "One line\nand another.", "- a point", "- another"]
        );
    }

    #[test]
    fn what_is_too_long_is_cut_between_words_and_loses_none() {
        let text = "word ".repeat(1000);
        let passages = cut(&text, Cut::Paragraphs);
        assert!(passages.iter().all(|passage| passage.len() <= LONGEST && passage.starts_with("word")));
        assert_eq!(passages.join(" "), text.trim());
        let unbroken = "é".repeat(2000);
        assert_eq!(cut(&unbroken, Cut::Sentences).concat(), unbroken);
        let sentences = "This is a sentence of some length. ".repeat(100);
        assert!(cut(&sentences, Cut::Paragraphs).iter().all(|passage| passage.ends_with("length.")));
    }

    #[test]
    fn nothing_has_no_passages() {
        assert_eq!(cut(" \n\t\n", Cut::Sentences), [""; 0]);
        assert_eq!(lines(" a \n\n b\na"), ["a", "b", "a"]);
        assert_eq!(distinct_lines(" a \n\n b\na"), ["a", "b"]);
    }
}
