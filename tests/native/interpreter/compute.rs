//! Each primitive as the specification defines it, element by element.

use half::f16;
use rill::engine::lowering::{Binary, Compare, Element, OperandType, Primitive, Reduce, Unary};

/// A tensor's elements; integers are exact in f64.
#[derive(Debug, Clone)]
pub struct Values {
    pub ty: OperandType,
    data: Vec<f64>,
}

impl Values {
    pub fn from_bytes(ty: &OperandType, bytes: &[u8]) -> Self {
        let read = |b: &[u8]| match (ty.element, b) {
            (Element::F32, &[a, b, c, d]) => f64::from(f32::from_le_bytes([a, b, c, d])),
            (Element::I32, &[a, b, c, d]) => f64::from(i32::from_le_bytes([a, b, c, d])),
            (Element::F16, &[a, b]) => f16::from_le_bytes([a, b]).to_f64(),
            (Element::U8, &[a]) => f64::from(a),
            _ => unreachable!("chunks are as long as an element"),
        };
        Self { ty: ty.clone(), data: bytes.chunks_exact(ty.element.size()).map(read).collect() }
    }

    pub fn to_bytes(&self) -> Vec<u8> {
        let write = |&v: &f64| match self.ty.element {
            Element::F32 => (v as f32).to_le_bytes().to_vec(),
            Element::I32 => (v as i32).to_le_bytes().to_vec(),
            Element::F16 => f16::from_f64(v).to_le_bytes().to_vec(),
            Element::U8 => vec![v as u8],
        };
        self.data.iter().flat_map(write).collect()
    }

    /// The same values in a type that can hold them.
    pub fn widened_to(mut self, ty: &OperandType) -> Self {
        self.ty = ty.clone();
        self
    }

    /// The element at an index of a shape that this one is spread over.
    fn spread(&self, index: &[usize]) -> f64 {
        let shape = &self.ty.shape;
        let tail = &index[index.len() - shape.len()..];
        self.data[shape.iter().zip(tail).fold(0, |at, (&size, &i)| at * size + if size == 1 { 0 } else { i })]
    }
}

/// Rounds to what the element type can hold.
fn rounded(element: Element, v: f64) -> f64 {
    match element {
        Element::F32 => f64::from(v as f32),
        Element::F16 => f16::from_f64(v).to_f64(),
        Element::I32 => f64::from(v as i32),
        Element::U8 => f64::from(v as u8),
    }
}

/// Computes the output, whose type is known, index by index.
pub fn step(primitive: &Primitive, inputs: &[&Values], ty: &OperandType) -> Values {
    let x = inputs[0];
    let at = |index: &[usize]| -> f64 {
        match primitive {
            Primitive::Binary(op) => binary(*op, x.spread(index), inputs[1].spread(index)),
            Primitive::Compare(op) => {
                let (a, b) = (x.spread(index), inputs[1].spread(index));
                f64::from(match op {
                    Compare::Lesser => a < b,
                    Compare::LesserOrEqual => a <= b,
                })
            }
            Primitive::Where => inputs[if x.spread(index) != 0.0 { 1 } else { 2 }].spread(index),
            Primitive::Transpose(permutation) => {
                let mut from = vec![0; index.len()];
                permutation.iter().zip(index).for_each(|(&axis, &i)| from[axis] = i);
                x.spread(&from)
            }
            Primitive::Slice { starts, .. } => {
                x.spread(&index.iter().zip(starts).map(|(i, s)| i + s).collect::<Vec<_>>())
            }
            Primitive::Concat(axis) => {
                let (mut index, mut part) = (index.to_vec(), 0);
                while index[*axis] >= inputs[part].ty.shape[*axis] {
                    index[*axis] -= inputs[part].ty.shape[*axis];
                    part += 1;
                }
                inputs[part].spread(&index)
            }
            Primitive::Gather => {
                let rank = inputs[1].ty.shape.len();
                let row = inputs[1].spread(&index[..rank]);
                // The specification clamps; a row that is not there would go unnoticed, so here it does not.
                assert!(row >= 0.0 && (row as usize) < x.ty.shape[0], "row {row} of {:?}", x.ty);
                x.spread(&[&[row as usize], &index[rank..]].concat())
            }
            Primitive::Reduce(op, axis) => {
                let mut index = index.to_vec();
                let line = (0..x.ty.shape[*axis]).map(|i| {
                    index[*axis] = i;
                    x.spread(&index)
                });
                match op {
                    Reduce::Max => line.fold(f64::NEG_INFINITY, f64::max),
                    Reduce::Sum => line.sum(),
                    Reduce::SumSquare => line.map(|v| v * v).sum(),
                }
            }
            _ => unreachable!("{primitive:?} is computed as a whole"),
        }
    };
    let data = match primitive {
        Primitive::Reshape(_) | Primitive::Cast(_) => x.data.clone(),
        Primitive::Unary(op) => x.data.iter().map(|&v| unary(*op, v)).collect(),
        Primitive::Gemm => gemm(x, inputs[1], inputs.get(2).copied(), ty),
        Primitive::Matmul => matmul(x, inputs[1], ty),
        Primitive::LayerNorm { eps } => layer_norm(x, inputs[1], inputs[2], f64::from(*eps)),
        Primitive::Softmax(axis) => softmax(x, *axis),
        Primitive::ScatterRows => scatter_rows(x, inputs[1], inputs[2]),
        _ => indices(&ty.shape).map(|index| at(&index)).collect(),
    };
    Values { ty: ty.clone(), data: data.into_iter().map(|v| rounded(ty.element, v)).collect() }
}

/// All indices of a shape, in order.
fn indices(shape: &[usize]) -> impl Iterator<Item = Vec<usize>> {
    let n: usize = shape.iter().product();
    (0..n).map(move |mut at| {
        let mut index = vec![0; shape.len()];
        for (i, &size) in index.iter_mut().zip(shape).rev() {
            *i = at % size;
            at /= size;
        }
        index
    })
}

fn binary(op: Binary, a: f64, b: f64) -> f64 {
    match op {
        Binary::Add => a + b,
        Binary::Sub => a - b,
        Binary::Mul => a * b,
        Binary::Div => a / b,
        Binary::Max => a.max(b),
        Binary::Min => a.min(b),
    }
}

fn unary(op: Unary, x: f64) -> f64 {
    match op {
        Unary::Sqrt => x.sqrt(),
        Unary::Log => x.ln(),
        Unary::Gelu => 0.5 * x * (1.0 + libm::erf(x / std::f64::consts::SQRT_2)),
        Unary::Relu => x.max(0.0),
        Unary::Sigmoid => 1.0 / (1.0 + (-x).exp()),
        Unary::Tanh => x.tanh(),
    }
}

fn gemm(x: &Values, w: &Values, c: Option<&Values>, ty: &OperandType) -> Vec<f64> {
    let (n, k) = (ty.shape[1], x.ty.shape[1]);
    let mut out = Vec::with_capacity(ty.n_elements());
    for (row, x) in x.data.chunks_exact(k).enumerate() {
        for (col, w) in w.data.chunks_exact(k).enumerate().take(n) {
            let product: f64 = x.iter().zip(w).map(|(x, w)| x * w).sum();
            out.push(product + c.map_or(0.0, |c| c.spread(&[row, col])));
        }
    }
    out
}

fn matmul(a: &Values, b: &Values, ty: &OperandType) -> Vec<f64> {
    let inner = a.ty.shape[a.ty.shape.len() - 1];
    let sum = |mut index: Vec<usize>| {
        let (rank, mut other) = (index.len(), index.clone());
        let products = (0..inner).map(|k| {
            (index[rank - 1], other[rank - 2]) = (k, k);
            a.spread(&index) * b.spread(&other)
        });
        products.sum()
    };
    indices(&ty.shape).map(sum).collect()
}

fn layer_norm(x: &Values, scale: &Values, bias: &Values, eps: f64) -> Vec<f64> {
    let n = scale.data.len();
    let normalised = |row: &[f64]| -> Vec<f64> {
        let mean = row.iter().sum::<f64>() / n as f64;
        let variance = row.iter().map(|v| (v - mean).powi(2)).sum::<f64>() / n as f64;
        let unit = |(v, (s, b))| (v - mean) / (variance + eps).sqrt() * s + b;
        row.iter().zip(scale.data.iter().zip(&bias.data)).map(unit).collect()
    };
    x.data.chunks_exact(n).flat_map(normalised).collect()
}

fn softmax(x: &Values, axis: usize) -> Vec<f64> {
    let size = x.ty.shape[axis];
    let step: usize = x.ty.shape[axis + 1..].iter().product();
    let mut out = x.data.clone();
    for block in out.chunks_exact_mut(size * step) {
        for first in 0..step {
            let line = || (first..size * step).step_by(step);
            let most = line().map(|i| block[i]).fold(f64::NEG_INFINITY, f64::max);
            line().for_each(|i| block[i] = (block[i] - most).exp());
            let sum: f64 = line().map(|i| block[i]).sum();
            line().for_each(|i| block[i] /= sum);
        }
    }
    out
}

fn scatter_rows(x: &Values, rows: &Values, updates: &Values) -> Vec<f64> {
    let n: usize = x.ty.shape[1..].iter().product();
    let mut out = x.data.clone();
    for (row, update) in rows.data.iter().zip(updates.data.chunks_exact(n)) {
        out[*row as usize * n..][..n].copy_from_slice(update);
    }
    out
}
