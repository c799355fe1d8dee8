//! The engine in its Web Worker.
