//! How many words of a transcript are wrong: the word error rate that speech recognition is judged by.
//!
//! Texts are compared as Whisper's English normaliser does (openai/whisper, `normalizers/english.py`), as far as it concerns words:
//! case, punctuation, remarks in brackets, hesitations, contractions and titles do not count. Numbers in words and in figures stay
//! different, and so do British and American spellings: both errors are in every precision's figure alike.

/// Words that a transcript lacks, has wrongly or has too many, and the words that were said.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct WordErrors {
    /// Insertions, deletions and substitutions of the shortest way from one text to the other.
    pub n_errors: usize,
    /// Words of the reference.
    pub n_words: usize,
}

impl WordErrors {
    /// Of one text.
    pub fn between(reference: &str, got: &str) -> Self {
        let (reference, got) = (words(reference), words(got));
        Self { n_errors: edits(&reference, &got), n_words: reference.len() }
    }

    /// Errors in a hundred words; of a reference without words, 0 or 100.
    pub fn percent(&self) -> f64 {
        match (self.n_errors, self.n_words) {
            (0, _) => 0.0,
            (_, 0) => 100.0,
            (errors, words) => 100.0 * errors as f64 / words as f64,
        }
    }
}

impl std::ops::AddAssign for WordErrors {
    fn add_assign(&mut self, other: Self) {
        self.n_errors += other.n_errors;
        self.n_words += other.n_words;
    }
}

/// What people say while they think.
const HESITATIONS: [&str; 6] = ["hmm", "mm", "mhm", "mmm", "uh", "um"];

/// Endings that are words of their own, and whole words that are short for others.
const ENDINGS: [(&str, &str); 8] = [
    ("n't", " not"),
    ("'re", " are"),
    ("'s", " is"),
    ("'d", " would"),
    ("'ll", " will"),
    ("'t", " not"),
    ("'ve", " have"),
    ("'m", " am"),
];
const SHORT: [(&str, &str); 16] = [
    ("won't", "will not"),
    ("can't", "can not"),
    ("let's", "let us"),
    ("ain't", "aint"),
    ("y'all", "you all"),
    ("wanna", "want to"),
    ("gotta", "got to"),
    ("gonna", "going to"),
    ("mr", "mister"),
    ("mrs", "missus"),
    ("st", "saint"),
    ("dr", "doctor"),
    ("prof", "professor"),
    ("capt", "captain"),
    ("gov", "governor"),
    ("jr", "junior"),
];

/// The words of a text, as they are compared.
pub fn words(text: &str) -> Vec<String> {
    let text = without_remarks(&text.to_lowercase()).replace('\u{2019}', "'");
    let is_part = |c: char| c.is_alphanumeric() || c == '\'';
    // A comma or point between figures belongs to the number.
    let chars: Vec<char> = text.chars().collect();
    let mut kept = String::new();
    for (i, &c) in chars.iter().enumerate() {
        let between_digits =
            i > 0 && chars[i - 1].is_ascii_digit() && chars.get(i + 1).is_some_and(|next| next.is_ascii_digit());
        match c {
            ',' if between_digits => {}
            '.' if between_digits => kept.push(c),
            c if is_part(c) => kept.push(c),
            _ => kept.push(' '),
        }
    }
    kept.split_whitespace().flat_map(expanded).filter(|word| !HESITATIONS.contains(&word.as_str())).collect()
}

/// The text without what stands in brackets.
fn without_remarks(text: &str) -> String {
    let mut depth = 0usize;
    let mut kept = String::new();
    for c in text.chars() {
        match c {
            '[' | '(' | '<' => depth += 1,
            ']' | ')' | '>' => depth = depth.saturating_sub(1),
            c if depth == 0 => kept.push(c),
            _ => {}
        }
    }
    kept
}

/// The words that one of the text stands for.
fn expanded(word: &str) -> Vec<String> {
    let long = match SHORT.iter().find(|(short, _)| *short == word) {
        Some((_, long)) => (*long).to_string(),
        None => match ENDINGS.iter().find_map(|(end, long)| Some((word.strip_suffix(end)?, long))) {
            Some((stem, long)) if !stem.is_empty() => format!("{stem}{long}"),
            _ => word.to_string(),
        },
    };
    long.split_whitespace().map(|word| word.replace('\'', "")).filter(|word| !word.is_empty()).collect()
}

/// Levenshtein's distance.
pub fn edits<T: PartialEq>(from: &[T], to: &[T]) -> usize {
    let mut row: Vec<usize> = (0..=to.len()).collect();
    for (i, a) in from.iter().enumerate() {
        let mut diagonal = row[0];
        row[0] = i + 1;
        for (j, b) in to.iter().enumerate() {
            let changed = diagonal + usize::from(a != b);
            diagonal = row[j + 1];
            row[j + 1] = changed.min(row[j] + 1).min(diagonal + 1);
        }
    }
    row[to.len()]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn case_points_titles_and_contractions_are_no_errors() {
        let said = "Mister Quilter can not wait, I will not either; it is 1,455.";
        let heard = "mr. quilter can't wait: I won't either. (coughs) Um, it's 1455";
        assert_eq!(WordErrors::between(said, heard), WordErrors { n_errors: 0, n_words: 12 });
    }

    #[test]
    fn a_word_missed_a_word_added_and_a_word_misheard_are_one_error_each() {
        let said = "the quick brown fox jumps over the lazy dog";
        assert_eq!(WordErrors::between(said, "the brown fox jumps over the lazy dog").n_errors, 1);
        assert_eq!(WordErrors::between(said, "the very quick brown fox jumps over the lazy dog").n_errors, 1);
        assert_eq!(WordErrors::between(said, "the quick brown fox jump over the lazy dog").n_errors, 1);
        assert_eq!(WordErrors::between(said, "").percent(), 100.0);
    }

    #[test]
    fn words_out_of_silence_are_errors_too() {
        assert_eq!(WordErrors::between("", "").percent(), 0.0);
        assert_eq!(WordErrors::between("", "thank you").percent(), 100.0);
    }
}
