//! Sentences: ranked by meaning, found in a long text, completed where a word is missing.

pub mod gap;
pub mod rank;
pub mod search;
