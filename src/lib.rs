//! Rill: speech, text and vision models on the visitor's own GPU, in a web page.
//!
//! Reading order: [`protocol`] is all that the page and the engine say to each other; [`engine`] records models as
//! graphs and runs them on a GPU or on the processor; `worker` puts the engine into a Web Worker; `audio` turns a
//! microphone or a file into samples; `ui` is the page; [`word_errors`] tells how wrong a transcript is.

pub mod audio;
pub mod engine;
pub mod protocol;
pub mod ui;
pub mod word_errors;
pub mod worker;

/// Names this build: page and engine of different builds never meet, and what one build measured says nothing of another.
pub const BUILD: &str = match option_env!("RILL_BUILD") {
    Some(build) => build,
    None => env!("CARGO_PKG_VERSION"),
};
