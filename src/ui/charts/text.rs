//! How wide a text will be, judged without a font, and where to break it.
//!
//! The page and its files use whatever font the system has. These widths are those of a wide one (DejaVu Sans), so that
//! a label that fits here fits everywhere.

/// The size of labels, in pixels.
pub const SIZE: f64 = 12.0;
/// From one line of labels to the next, in pixels.
pub const LINE: f64 = 16.0;

/// The width of `text` at `size` pixels, rather too large than too small.
pub fn width(text: &str, size: f64) -> f64 {
    size * text.chars().map(em).sum::<f64>()
}

/// `text` in lines of at most `max` pixels; a word that is longer than a line is broken.
pub fn wrap(text: &str, size: f64, max: f64) -> Vec<String> {
    let mut lines: Vec<String> = Vec::new();
    for word in text.split_whitespace() {
        match lines.last_mut() {
            Some(line) if width(line, size) + size * em(' ') + width(word, size) <= max => {
                line.push(' ');
                line.push_str(word);
            }
            _ => lines.extend(pieces(word, size, max)),
        }
    }
    lines
}

/// A word cut so that each piece fits; a letter always fits.
fn pieces(word: &str, size: f64, max: f64) -> Vec<String> {
    let mut pieces = vec![String::new()];
    let mut used = 0.0;
    for letter in word.chars() {
        let wide = size * em(letter);
        if used > 0.0 && used + wide > max {
            pieces.push(String::new());
            used = 0.0;
        }
        used += wide;
        if let Some(piece) = pieces.last_mut() {
            piece.push(letter);
        }
    }
    pieces
}

/// The width of a letter in units of the font's size.
fn em(letter: char) -> f64 {
    match letter {
        'i' | 'j' | 'l' | '\'' => 0.28,
        'I' | 'f' | 't' | '.' | ',' | ' ' | ':' | ';' | '|' | '/' | '\\' | '-' | '·' | '(' | ')' | '[' | ']' => 0.4,
        'r' | 's' | 'J' | '"' => 0.53,
        'w' | '×' | '+' | '=' | '<' | '>' | '−' | '~' => 0.84,
        'm' | 'M' | 'W' | '%' | '@' | '…' => 1.0,
        'A'..='Z' | '&' => 0.76,
        letter if letter.is_ascii() => 0.64,
        letter if u32::from(letter) < 0x1100 => 0.75,
        _ => 1.1,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_fit_and_nothing_is_lost() {
        let text = "decoder.attention.query_key_value_projection of the second layer";
        let lines = wrap(text, SIZE, 90.0);
        assert!(lines.len() > 3);
        assert!(lines.iter().all(|line| width(line, SIZE) <= 90.0), "{lines:?}");
        assert_eq!(lines.concat().replace(' ', ""), text.replace(' ', ""));
        assert_eq!(wrap("short", SIZE, 90.0), ["short"]);
    }
}
