//! Lowering: an op written down as the primitives of the browser's neural-network API (W3C Web Neural Network API).
//!
//! [`Lowering`] computes nothing and knows no browser: it is a list of primitives whose types follow the specification's rules
//! (`rules`), so a graph that the API would refuse is an error here, natively and in every test. `webnn` turns the list
//! into the browser's objects.

mod primitive;
mod rules;

pub use primitive::{Binary, Compare, Primitive, Reduce, Unary};

use super::tensor::{DType, TensorType};
use super::{Error, Result};

/// Element types of the API, as far as Rill uses them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Element {
    /// `float32`
    F32,
    /// `float16`
    F16,
    /// `int32`. Rill's u32 tensors too: ids, positions and lengths are far below 2^31, and few primitives take `uint32`.
    I32,
    /// `uint8`: what comparisons give.
    U8,
}

impl Element {
    /// The API's name.
    pub fn name(self) -> &'static str {
        match self {
            Element::F32 => "float32",
            Element::F16 => "float16",
            Element::I32 => "int32",
            Element::U8 => "uint8",
        }
    }

    /// Bytes of one.
    pub fn size(self) -> usize {
        match self {
            Element::F32 | Element::I32 => 4,
            Element::F16 => 2,
            Element::U8 => 1,
        }
    }
}

/// Element type and shape of an operand.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct OperandType {
    /// Element type.
    pub element: Element,
    /// Sizes, outermost first.
    pub shape: Vec<usize>,
}

impl OperandType {
    /// A type from its parts.
    pub fn new(element: Element, shape: impl Into<Vec<usize>>) -> Self {
        Self { element, shape: shape.into() }
    }

    /// How many elements.
    pub fn n_elements(&self) -> usize {
        self.shape.iter().product()
    }

    /// How many bytes.
    pub fn n_bytes(&self) -> usize {
        self.n_elements() * self.element.size()
    }
}

impl From<&TensorType> for OperandType {
    fn from(ty: &TensorType) -> Self {
        let element = match ty.dtype {
            // Quantised weights are for our own kernels; here they are what they stand for.
            DType::F32 | DType::Q8 | DType::Q4 => Element::F32,
            DType::F16 => Element::F16,
            DType::U32 => Element::I32,
        };
        Self::new(element, ty.shape.clone())
    }
}

/// Names a value of a [`Lowering`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Operand(pub usize);

/// Where a value comes from.
#[derive(Debug, Clone)]
pub enum Source {
    /// From outside: a tensor or a weight.
    Input,
    /// Bytes known while lowering.
    Constant(Vec<u8>),
    /// Computed.
    Step(Primitive, Vec<Operand>),
}

/// A value.
#[derive(Debug, Clone)]
pub struct Described {
    /// Where from.
    pub source: Source,
    /// Its type.
    pub ty: OperandType,
}

/// What an op came to.
#[derive(Debug, Clone, Default)]
pub struct Lowered {
    /// Its output; `None` for an op without.
    pub output: Option<Operand>,
    /// The new values of the inputs that it writes, in the order of `Op::writes`.
    pub states: Vec<Operand>,
}

impl From<Operand> for Lowered {
    fn from(output: Operand) -> Self {
        Self { output: Some(output), states: Vec::new() }
    }
}

/// A list of primitives in the making.
#[derive(Debug, Clone, Default)]
pub struct Lowering {
    values: Vec<Described>,
}

impl Lowering {
    /// Every value, in order of computation.
    pub fn values(&self) -> &[Described] {
        &self.values
    }

    /// Type of a value.
    pub fn ty(&self, operand: Operand) -> &OperandType {
        &self.values[operand.0].ty
    }

    /// Rows and columns of a value, all dimensions but the last counted as rows.
    pub fn rows_and_cols(&self, operand: Operand) -> (usize, usize) {
        let ty = self.ty(operand);
        let n_cols = ty.shape.last().copied().unwrap_or(1);
        (ty.n_elements() / n_cols.max(1), n_cols)
    }

    /// A value from outside.
    pub fn input(&mut self, ty: OperandType) -> Operand {
        self.push(Source::Input, ty)
    }

    /// A float constant.
    pub fn floats(&mut self, shape: &[usize], values: &[f32]) -> Operand {
        self.constant(OperandType::new(Element::F32, shape), bytemuck::cast_slice(values))
    }

    /// An integer constant.
    pub fn integers(&mut self, shape: &[usize], values: &[i32]) -> Operand {
        self.constant(OperandType::new(Element::I32, shape), bytemuck::cast_slice(values))
    }

    /// 0, 1, 2, ... n - 1 in the given shape.
    pub fn iota(&mut self, shape: &[usize]) -> Operand {
        let n: usize = shape.iter().product();
        self.integers(shape, &(0..n as i32).collect::<Vec<_>>())
    }

    /// A float that is spread over whatever it meets.
    pub fn float(&mut self, value: f32) -> Operand {
        self.floats(&[1], &[value])
    }

    /// An integer that is spread over whatever it meets.
    pub fn integer(&mut self, value: usize) -> Operand {
        self.integers(&[1], &[value as i32])
    }

    /// A primitive. Errors where the specification does not allow it; that is a fault of the op that asked.
    pub fn step(&mut self, primitive: Primitive, inputs: &[Operand]) -> Result<Operand> {
        let types: Vec<&OperandType> = inputs.iter().map(|&operand| self.ty(operand)).collect();
        let ty = rules::output(&primitive, &types)
            .map_err(|reason| Error::Internal(format!("{primitive:?} of {types:?}: {reason}")))?;
        Ok(self.push(Source::Step(primitive, inputs.to_vec()), ty))
    }

    /// Element by element, shapes spread over each other.
    pub fn binary(&mut self, op: Binary, a: Operand, b: Operand) -> Result<Operand> {
        self.step(Primitive::Binary(op), &[a, b])
    }

    /// `a + b`
    pub fn add(&mut self, a: Operand, b: Operand) -> Result<Operand> {
        self.binary(Binary::Add, a, b)
    }

    /// `a * b`
    pub fn mul(&mut self, a: Operand, b: Operand) -> Result<Operand> {
        self.binary(Binary::Mul, a, b)
    }

    /// `a * factor`
    pub fn scale(&mut self, a: Operand, factor: f32) -> Result<Operand> {
        let factor = self.float(factor);
        self.mul(a, factor)
    }

    /// The smaller of `a` and an integer.
    pub fn at_most(&mut self, a: Operand, most: usize) -> Result<Operand> {
        let most = self.integer(most);
        self.binary(Binary::Min, a, most)
    }

    /// Element by element.
    pub fn unary(&mut self, op: Unary, x: Operand) -> Result<Operand> {
        self.step(Primitive::Unary(op), &[x])
    }

    /// 1 where the comparison holds, else 0.
    pub fn compare(&mut self, op: Compare, a: Operand, b: Operand) -> Result<Operand> {
        self.step(Primitive::Compare(op), &[a, b])
    }

    /// `a` where `condition` is not 0, else `b`.
    pub fn choose(&mut self, condition: Operand, a: Operand, b: Operand) -> Result<Operand> {
        self.step(Primitive::Where, &[condition, a, b])
    }

    /// 0 where `condition` holds, else a number so low that softmax makes nothing of it: a mask to add to scores.
    pub fn mask(&mut self, condition: Operand) -> Result<Operand> {
        let (zero, never) = (self.float(0.0), self.float(-3.0e38));
        self.choose(condition, zero, never)
    }

    /// In another element type.
    pub fn cast(&mut self, x: Operand, element: Element) -> Result<Operand> {
        if self.ty(x).element == element { Ok(x) } else { self.step(Primitive::Cast(element), &[x]) }
    }

    /// In f32, whatever it is.
    pub fn f32(&mut self, x: Operand) -> Result<Operand> {
        self.cast(x, Element::F32)
    }

    /// In the element type of a tensor.
    pub fn cast_as(&mut self, x: Operand, dtype: DType) -> Result<Operand> {
        self.cast(x, OperandType::from(&TensorType::new(dtype, [])).element)
    }

    /// In another shape.
    pub fn reshape(&mut self, x: Operand, shape: &[usize]) -> Result<Operand> {
        if self.ty(x).shape == shape { Ok(x) } else { self.step(Primitive::Reshape(shape.to_vec()), &[x]) }
    }

    /// Dimensions in another order.
    pub fn transpose(&mut self, x: Operand, permutation: &[usize]) -> Result<Operand> {
        self.step(Primitive::Transpose(permutation.to_vec()), &[x])
    }

    /// A block.
    pub fn slice(&mut self, x: Operand, starts: &[usize], sizes: &[usize]) -> Result<Operand> {
        if self.ty(x).shape == sizes && starts.iter().all(|&start| start == 0) {
            return Ok(x);
        }
        self.step(Primitive::Slice { starts: starts.to_vec(), sizes: sizes.to_vec() }, &[x])
    }

    /// One behind the other.
    pub fn concat(&mut self, parts: &[Operand], axis: usize) -> Result<Operand> {
        if let [only] = parts { Ok(*only) } else { self.step(Primitive::Concat(axis), parts) }
    }

    /// Rows of `table` (its outermost dimension) by their numbers.
    pub fn gather(&mut self, table: Operand, rows: Operand) -> Result<Operand> {
        self.step(Primitive::Gather, &[table, rows])
    }

    /// `a . b`, the last two dimensions as matrices.
    pub fn matmul(&mut self, a: Operand, b: Operand) -> Result<Operand> {
        self.step(Primitive::Matmul, &[a, b])
    }

    /// `x . w^T + bias`; x: `[M, K]`, w: `[N, K]` as checkpoints store it, bias: `[N]`.
    pub fn linear(&mut self, x: Operand, w: Operand, bias: Option<Operand>) -> Result<Operand> {
        let inputs: Vec<Operand> = [Some(x), Some(w), bias].into_iter().flatten().collect();
        self.step(Primitive::Gemm, &inputs)
    }

    /// Over the last dimension.
    pub fn layer_norm(&mut self, x: Operand, weight: Operand, bias: Operand, eps: f32) -> Result<Operand> {
        self.step(Primitive::LayerNorm { eps }, &[x, weight, bias])
    }

    /// Weights that sum to one along a dimension.
    pub fn softmax(&mut self, x: Operand, axis: usize) -> Result<Operand> {
        self.step(Primitive::Softmax(axis), &[x])
    }

    /// One number from each line along a dimension, which stays with size 1.
    pub fn reduce(&mut self, op: Reduce, x: Operand, axis: usize) -> Result<Operand> {
        self.step(Primitive::Reduce(op, axis), &[x])
    }

    fn constant(&mut self, ty: OperandType, bytes: &[u8]) -> Operand {
        assert_eq!(ty.n_bytes(), bytes.len(), "a constant has as many elements as its shape says");
        self.push(Source::Constant(bytes.to_vec()), ty)
    }

    fn push(&mut self, source: Source, ty: OperandType) -> Operand {
        self.values.push(Described { source, ty });
        Operand(self.values.len() - 1)
    }
}
