//! What a tensor is: element type and shape. Where its bytes live is each backend's own matter.

use half::f16;
use rill_kernels::quantize::{Narrow, PANEL};

/// Element types that kernels read and write.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum DType {
    /// 32-bit float.
    F32,
    /// 16-bit float; on the processor it is held as f32.
    F16,
    /// A weight in int8 (`rill_kernels::quantize`); the definitions hold what it stands for as f32.
    Q8,
    /// A weight in int4, likewise.
    Q4,
    /// Token ids, positions, lengths.
    U32,
}

impl DType {
    /// How a quantised weight is held; `None` for all other types.
    pub fn narrow(self) -> Option<Narrow> {
        match self {
            DType::Q8 => Some(Narrow::Int8),
            DType::Q4 => Some(Narrow::Int4),
            DType::F32 | DType::F16 | DType::U32 => None,
        }
    }

    /// Whether it holds weights in few bits.
    pub fn is_quantized(self) -> bool {
        self.narrow().is_some()
    }

    /// Bytes of one element; of a quantised one, of what it stands for.
    pub fn size(self) -> usize {
        match self {
            DType::F32 | DType::U32 | DType::Q8 | DType::Q4 => 4,
            DType::F16 => 2,
        }
    }

    /// For people.
    pub fn name(self) -> &'static str {
        match self {
            DType::F32 => "f32",
            DType::F16 => "f16",
            DType::U32 => "u32",
            DType::Q8 => "int8",
            DType::Q4 => "int4",
        }
    }

    /// The type's name in WGSL. Panics on quantised weights, which shaders read by files of their own and no other way.
    pub fn wgsl(self) -> &'static str {
        match self {
            DType::F32 => "f32",
            DType::F16 => "f16",
            DType::U32 => "u32",
            DType::Q8 | DType::Q4 => panic!("quantised weights have no element type"),
        }
    }
}

/// Element type and shape, row-major and contiguous.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TensorType {
    /// Element type.
    pub dtype: DType,
    /// Sizes, outermost first.
    pub shape: Vec<usize>,
}

impl TensorType {
    /// A type from its parts.
    pub fn new(dtype: DType, shape: impl Into<Vec<usize>>) -> Self {
        Self { dtype, shape: shape.into() }
    }

    /// An f32 tensor.
    pub fn f32(shape: impl Into<Vec<usize>>) -> Self {
        Self::new(DType::F32, shape)
    }

    /// A u32 tensor.
    pub fn u32(shape: impl Into<Vec<usize>>) -> Self {
        Self::new(DType::U32, shape)
    }

    /// How many elements.
    pub fn n_elements(&self) -> usize {
        self.shape.iter().product()
    }

    /// How many bytes, unpadded.
    pub fn n_bytes(&self) -> usize {
        self.bytes_of_rows(self.n_rows())
    }

    /// How many bytes the first so many rows take; of quantised ones, whole panels.
    pub fn bytes_of_rows(&self, n_rows: usize) -> usize {
        match self.dtype.narrow() {
            Some(form) => form.n_bytes(n_rows, self.n_cols()),
            None => n_rows * self.n_cols() * self.dtype.size(),
        }
    }

    /// Size of the last dimension (1 for a scalar).
    pub fn n_cols(&self) -> usize {
        self.shape.last().copied().unwrap_or(1)
    }

    /// How many matrices lie one behind the other: the first of three dimensions, otherwise 1.
    pub fn n_regions(&self) -> usize {
        if self.shape.len() == 3 { self.shape[0] } else { 1 }
    }

    /// Product of all other dimensions.
    pub fn n_rows(&self) -> usize {
        self.n_elements().checked_div(self.n_cols()).unwrap_or(0)
    }
}

/// A tensor on the processor. f16 tensors are held as f32.
#[derive(Debug, Clone, PartialEq)]
pub struct HostTensor {
    /// Its type.
    pub ty: TensorType,
    /// Its elements.
    pub data: HostData,
}

/// The elements of a [`HostTensor`].
#[derive(Debug, Clone, PartialEq)]
pub enum HostData {
    /// Floats, whatever their width on a GPU.
    F32(Vec<f32>),
    /// Integers.
    U32(Vec<u32>),
}

impl HostData {
    /// How many elements.
    pub fn n_elements(&self) -> usize {
        match self {
            HostData::F32(v) => v.len(),
            HostData::U32(v) => v.len(),
        }
    }

    /// An element, whatever its type.
    pub fn at(&self, idx: usize) -> f64 {
        match self {
            HostData::F32(v) => v[idx].into(),
            HostData::U32(v) => v[idx].into(),
        }
    }
}

impl HostTensor {
    /// All zeros.
    pub fn zeros(ty: TensorType) -> Self {
        let n = ty.n_elements();
        let data = match ty.dtype {
            DType::U32 => HostData::U32(vec![0; n]),
            DType::F32 | DType::F16 | DType::Q8 | DType::Q4 => HostData::F32(vec![0.0; n]),
        };
        Self { ty, data }
    }

    /// The floats. Panics on an integer tensor: the graph has checked the types.
    pub fn f32(&self) -> &[f32] {
        match &self.data {
            HostData::F32(v) => v,
            HostData::U32(_) => panic!("a float tensor was promised by the graph"),
        }
    }

    /// The floats, to write. Panics on an integer tensor.
    pub fn f32_mut(&mut self) -> &mut [f32] {
        match &mut self.data {
            HostData::F32(v) => v,
            HostData::U32(_) => panic!("a float tensor was promised by the graph"),
        }
    }

    /// The integers. Panics on a float tensor.
    pub fn u32(&self) -> &[u32] {
        match &self.data {
            HostData::U32(v) => v,
            HostData::F32(_) => panic!("an integer tensor was promised by the graph"),
        }
    }

    /// The integers, to write. Panics on a float tensor.
    pub fn u32_mut(&mut self) -> &mut [u32] {
        match &mut self.data {
            HostData::U32(v) => v,
            HostData::F32(_) => panic!("an integer tensor was promised by the graph"),
        }
    }

    /// The elements as a GPU holds them.
    pub fn to_bytes(&self) -> Vec<u8> {
        match (&self.data, self.ty.dtype) {
            (HostData::F32(v), DType::F16) => bytemuck::pod_collect_to_vec::<f16, u8>(&to_f16(v)),
            (HostData::F32(v), dtype) if let Some(form) = dtype.narrow() => {
                let mut bytes = vec![0; self.ty.n_bytes()];
                form.quantize(v, self.ty.n_cols(), &mut bytes);
                bytes
            }
            (HostData::F32(v), _) => bytemuck::pod_collect_to_vec(v),
            (HostData::U32(v), _) => bytemuck::pod_collect_to_vec(v),
        }
    }

    /// Overwrites elements from `offset_bytes` on with bytes as a GPU holds them; quantised ones are whole panels.
    pub fn write_bytes(&mut self, offset_bytes: usize, bytes: &[u8]) {
        let first = offset_bytes / self.ty.dtype.size();
        match (&mut self.data, self.ty.dtype) {
            (HostData::F32(v), DType::F16) => {
                for (to, from) in v[first..].iter_mut().zip(bytes.chunks_exact(2)) {
                    *to = f16::from_le_bytes([from[0], from[1]]).to_f32();
                }
            }
            (HostData::F32(v), dtype) if let Some(form) = dtype.narrow() => {
                let n_cols = self.ty.n_cols();
                let first_row = offset_bytes / form.panel_bytes(n_cols) * PANEL;
                form.dequantize(bytes, n_cols, &mut v[first_row * n_cols..]);
            }
            (HostData::F32(v), _) => {
                for (to, from) in v[first..].iter_mut().zip(bytes.chunks_exact(4)) {
                    *to = f32::from_le_bytes([from[0], from[1], from[2], from[3]]);
                }
            }
            (HostData::U32(v), _) => {
                for (to, from) in v[first..].iter_mut().zip(bytes.chunks_exact(4)) {
                    *to = u32::from_le_bytes([from[0], from[1], from[2], from[3]]);
                }
            }
        }
    }
}

/// Rounds to f16.
pub fn to_f16(values: &[f32]) -> Vec<f16> {
    values.iter().map(|&v| f16::from_f32(v)).collect()
}
