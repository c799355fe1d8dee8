//! The pipelines of a GPU: which there are, what making them took, and what the shader compiler had to say.

use serde::{Deserialize, Serialize};

/// Which of the listed pipelines are made.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub enum Precompile {
    /// Those that a model's first run needs.
    #[default]
    Essential,
    /// Those of one op.
    Operation(String),
    /// All.
    All,
}

impl Precompile {
    /// Whether a pipeline of `op` is meant.
    pub fn takes(&self, op: &str, essential: bool) -> bool {
        match self {
            Precompile::Essential => essential,
            Precompile::Operation(wanted) => wanted == op,
            Precompile::All => true,
        }
    }
}

/// The pipelines that were made in this visit, and those of models that were used here before.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
pub struct PipelineManifest {
    /// The adapter.
    pub adapter: String,
    /// Those of models first, essential ones in front.
    pub pipelines: Vec<PipelineEntry>,
    /// Whether everything that the shader compiler says is noted. What it refuses always is.
    pub logging: bool,
    /// What it said in this visit, in order.
    pub messages: Vec<CompilerMessage>,
}

/// A variant of a kernel.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct PipelineEntry {
    /// The op; for what belongs to no model what it is for.
    pub op: String,
    /// The kernel, a file of `shaders/`.
    pub shader: String,
    /// The types of its elements and its constants, as words.
    pub variant: String,
    /// The models that use it, as far as they were loaded here.
    pub models: Vec<String>,
    /// Whether the first run of one of them needs it; the rest is for inputs of other kinds.
    pub essential: bool,
    /// Milliseconds that making it took when it was listed first; the browser may have known it from before.
    pub cold_ms: Option<f64>,
    /// The same at the latest visit after that.
    pub warm_ms: Option<f64>,
    /// How it was made in this visit, if it was.
    pub made: Option<Making>,
}

impl PipelineEntry {
    /// How soon it is needed, in a word.
    pub fn priority(&self) -> &'static str {
        match (self.essential, self.models.is_empty()) {
            (true, _) => "essential",
            (false, false) => "rest",
            (false, true) => "no model's",
        }
    }
}

/// How a pipeline was made.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Making {
    /// Milliseconds from its beginning until it was there. In a browser others were made meanwhile.
    pub ms: f64,
    /// Whether the browser made it meanwhile, while the page went on.
    pub ahead: bool,
    /// Its place in the order in which pipelines were begun, counted from 1.
    pub order: u32,
}

/// How bad a message of the shader compiler is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum MessageKind {
    /// The shader is refused.
    Error,
    /// It works, but may not be meant so.
    Warning,
    /// Anything else.
    Info,
}

/// What the shader compiler said.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct CompilerMessage {
    /// How bad it is.
    pub kind: MessageKind,
    /// Its words.
    pub message: String,
    /// The kernel; empty where it is about several.
    pub shader: String,
    /// The line of the assembled text, counted from 1; 0 where none is named.
    pub line: u32,
    /// What stands in that line.
    pub source: String,
}

impl CompilerMessage {
    /// Where that is, as words that follow its kind; empty where it is not known.
    pub fn place(&self) -> String {
        match (self.shader.as_str(), self.line) {
            ("", _) => String::new(),
            (shader, 0) => format!(" in {shader}"),
            (shader, line) => format!(" in {shader}, line {line}"),
        }
    }
}
