//! Rill: speech, text and vision models on the visitor's own GPU, in a web page.
//!
//! Reading order: [`protocol`] is all that the page and the engine say to each other; [`engine`] records models as
//! graphs and runs them on a GPU or on the processor; `worker` puts the engine into a Web Worker; `audio` turns a
//! microphone or a file into samples; `ui` is the page.

pub mod audio;
pub mod engine;
pub mod protocol;
pub mod ui;
pub mod worker;
