//! The kernels that models are made of, each by itself: which are measured, and how fast one is on a backend.

use super::{BackendChoice, Bound, Precision, TimedBy};
use serde::{Deserialize, Serialize};

/// A kernel with the shapes that Whisper tiny.en and base and MiniLM give it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum BenchKernel {
    /// 1,500 rows of 384 with a matrix of 1,536 rows, weights as checkpoints store them.
    WideProduct,
    /// The same with weights in int8.
    WideProductInt8,
    /// 1,500 rows of 512 with a matrix of 512 rows, weights as stored.
    SquareProduct,
    /// 4,096 rows of 4,096 with a matrix as large, weights as stored: the most that a product reaches.
    LargeProduct,
    /// One row of 384 with a table of 51,864 rows, weights as stored: a token's logits.
    Vocabulary,
    /// Attention of 1,500 positions to each other, 6 heads of 64.
    EncoderAttention,
    /// Attention of one row over the keys and values of the 224 before it, 6 heads of 64.
    DecoderAttention,
    /// A convolution of 3,000 frames of 80 to 384 channels, 3 frames wide.
    Convolution,
    /// The normalisation of 1,500 rows of 384.
    LayerNorm,
    /// The features of 30 s of sound.
    LogMel,
}

impl BenchKernel {
    /// All of them, in the order in which they are measured.
    pub const ALL: [Self; 10] = [
        Self::WideProduct,
        Self::WideProductInt8,
        Self::SquareProduct,
        Self::LargeProduct,
        Self::Vocabulary,
        Self::EncoderAttention,
        Self::DecoderAttention,
        Self::Convolution,
        Self::LayerNorm,
        Self::LogMel,
    ];

    /// Those that take most of a speech model's time.
    pub const FEW: [Self; 3] = [Self::WideProduct, Self::Vocabulary, Self::EncoderAttention];

    /// Its name for people.
    pub fn title(self) -> &'static str {
        match self {
            Self::WideProduct => "Matrix product, 384 × 1,536",
            Self::WideProductInt8 => "Matrix product, 384 × 1,536, int8",
            Self::SquareProduct => "Matrix product, 512 × 512",
            Self::LargeProduct => "Matrix product, 4,096 × 4,096",
            Self::Vocabulary => "One row with the vocabulary",
            Self::EncoderAttention => "Attention of an encoder",
            Self::DecoderAttention => "Attention of a decoder",
            Self::Convolution => "Convolution",
            Self::LayerNorm => "Layer norm",
            Self::LogMel => "Log-mel features",
        }
    }

    /// What its speed is told in: products and sums, or bytes where it does little with each.
    pub fn counts(self) -> Bound {
        match self {
            Self::WideProduct
            | Self::WideProductInt8
            | Self::SquareProduct
            | Self::LargeProduct
            | Self::EncoderAttention
            | Self::Convolution => Bound::Arithmetic,
            Self::Vocabulary | Self::DecoderAttention | Self::LayerNorm | Self::LogMel => Bound::Memory,
        }
    }

    /// Whether its weights are quantised, which WebNN has no kernels for.
    pub fn is_quantized(self) -> bool {
        self == Self::WideProductInt8
    }
}

/// How fast a kernel is on a backend. What it computes was right before it was timed.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct KernelFigure {
    /// Which.
    pub kernel: BenchKernel,
    /// On what.
    pub backend: BackendChoice,
    /// The GPU or processor, as its driver names it.
    pub adapter: String,
    /// The shape that was timed, in words: on slow devices the first part of the rows.
    pub shape: String,
    /// In what its weights are held; `None` where it has no matrix of them.
    pub weights: Option<Precision>,
    /// Microseconds of one run, measured so many times; on a GPU once, the best of three.
    pub samples_us: Vec<f64>,
    /// Products and sums of a run; 0 where they are not counted.
    pub flops: u64,
    /// Bytes that a run has to read and write.
    pub bytes: u64,
    /// Of the adapter's measured peak, on a GPU; see [`super::Rate::share`].
    pub share: Option<f64>,
    /// By which clock.
    pub timed_by: TimedBy,
}
