//! The primitives, each under the API's own name, which is also its key in `opSupportLimits`.

use super::Element;

/// Two numbers to one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[expect(missing_docs, reason = "the names are the API's own and say it all")]
pub enum Binary {
    Add,
    Sub,
    Mul,
    Div,
    Max,
    Min,
}

/// Two numbers to yes (1) or no (0).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[expect(missing_docs, reason = "the names are the API's own and say it all")]
pub enum Compare {
    Lesser,
    LesserOrEqual,
}

/// One number to one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Unary {
    /// Square root.
    Sqrt,
    /// Natural logarithm.
    Log,
    /// `x * Phi(x)` with the exact normal distribution.
    Gelu,
    /// `max(x, 0)`
    Relu,
    /// `1 / (1 + exp(-x))`
    Sigmoid,
    /// Hyperbolic tangent.
    Tanh,
}

/// A line of numbers to one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Reduce {
    /// The greatest.
    Max,
    /// The sum.
    Sum,
    /// The sum of the squares.
    SumSquare,
}

/// One step of a graph.
#[derive(Debug, Clone, PartialEq)]
pub enum Primitive {
    /// a, b; shapes are spread over each other.
    Binary(Binary),
    /// a, b; gives `uint8`.
    Compare(Compare),
    /// x
    Unary(Unary),
    /// x, into another element type.
    Cast(Element),
    /// condition, value where it holds, value elsewhere.
    Where,
    /// a, b: the last two dimensions are matrices, those before them are spread over each other.
    Matmul,
    /// x `[M, K]`, w `[N, K]`, optionally c: `x . w^T + c`, the API's `gemm` with `bTranspose`.
    Gemm,
    /// x, scale, bias; over the last dimension.
    LayerNorm {
        /// Added to the variance.
        eps: f32,
    },
    /// x, along a dimension.
    Softmax(usize),
    /// x, along a dimension that stays with size 1.
    Reduce(Reduce, usize),
    /// x, to another shape.
    Reshape(Vec<usize>),
    /// x, its dimensions in another order.
    Transpose(Vec<usize>),
    /// x, a block of it.
    Slice {
        /// Where it begins.
        starts: Vec<usize>,
        /// How large it is.
        sizes: Vec<usize>,
    },
    /// Any number of tensors, joined along a dimension.
    Concat(usize),
    /// x, indices (`int32`): x's rows along its outermost dimension.
    Gather,
    /// x, indices `[n, 1]` (`int32`), updates: x with these rows of its outermost dimension replaced.
    ScatterRows,
}

impl Primitive {
    /// The API's name.
    pub fn name(&self) -> &'static str {
        match self {
            Primitive::Binary(Binary::Add) => "add",
            Primitive::Binary(Binary::Sub) => "sub",
            Primitive::Binary(Binary::Mul) => "mul",
            Primitive::Binary(Binary::Div) => "div",
            Primitive::Binary(Binary::Max) => "max",
            Primitive::Binary(Binary::Min) => "min",
            Primitive::Compare(Compare::Lesser) => "lesser",
            Primitive::Compare(Compare::LesserOrEqual) => "lesserOrEqual",
            Primitive::Unary(Unary::Sqrt) => "sqrt",
            Primitive::Unary(Unary::Log) => "log",
            Primitive::Unary(Unary::Gelu) => "gelu",
            Primitive::Unary(Unary::Relu) => "relu",
            Primitive::Unary(Unary::Sigmoid) => "sigmoid",
            Primitive::Unary(Unary::Tanh) => "tanh",
            Primitive::Cast(_) => "cast",
            Primitive::Where => "where",
            Primitive::Matmul => "matmul",
            Primitive::Gemm => "gemm",
            Primitive::LayerNorm { .. } => "layerNormalization",
            Primitive::Softmax(_) => "softmax",
            Primitive::Reduce(Reduce::Max, _) => "reduceMax",
            Primitive::Reduce(Reduce::Sum, _) => "reduceSum",
            Primitive::Reduce(Reduce::SumSquare, _) => "reduceSumSquare",
            Primitive::Reshape(_) => "reshape",
            Primitive::Transpose(_) => "transpose",
            Primitive::Slice { .. } => "slice",
            Primitive::Concat(_) => "concat",
            Primitive::Gather => "gather",
            Primitive::ScatterRows => "scatterND",
        }
    }

    /// The names that `opSupportLimits` gives its inputs, in order; the last stands for all that follow.
    pub fn input_names(&self) -> &'static [&'static str] {
        match self {
            Primitive::Binary(_) | Primitive::Compare(_) | Primitive::Matmul => &["a", "b"],
            Primitive::Gemm => &["a", "b", "c"],
            Primitive::Where => &["condition", "trueValue", "falseValue"],
            Primitive::LayerNorm { .. } => &["input", "scale", "bias"],
            Primitive::Concat(_) => &["inputs"],
            Primitive::Gather => &["input", "indices"],
            Primitive::ScatterRows => &["input", "indices", "updates"],
            Primitive::Unary(_)
            | Primitive::Cast(_)
            | Primitive::Softmax(_)
            | Primitive::Reduce(..)
            | Primitive::Reshape(_)
            | Primitive::Transpose(_)
            | Primitive::Slice { .. } => &["input"],
        }
    }
}
