//! The kernels that models are made of, each written down as a program of its own. Which there are is said by [`BenchKernel`]; how
//! fast they are is found out by [`super::kernel_bench`].

use super::Result;
use super::graph::{GraphId, Program, RecordOptions, Recorder, SlotId, SlotKind, Tensor, WeightForm};
use super::ops::attention::AttentionOptions;
use super::ops::attention_cached::CachedOptions;
use super::ops::conv1d::Conv1dOptions;
use super::ops::decode_state::{self, DecodeState};
use super::ops::linear::LinearOptions;
use super::ops::log_mel::{HOP, N_FFT};
use super::ops::math::Activation;
use super::session::Device;
use super::tensor::{DType, TensorType};
use crate::protocol::{BenchKernel, KernelLevel, Precision};

/// Heads of attention.
const N_HEADS: usize = 6;
/// Size of a row: six heads of 64, as in Whisper tiny and MiniLM.
const D: usize = 384;
/// Bands of the features.
const N_MELS: usize = 80;
/// Positions of a decoder; it stands in the middle of them.
const CAPACITY: usize = 448;
/// What the models add to a variance.
const EPS: f32 = 1e-5;

/// A kernel, written down for one size.
#[derive(Debug)]
pub struct KernelProgram {
    /// With one graph.
    pub program: Program,
    /// What is run.
    pub graph: GraphId,
    /// What it writes.
    pub result: SlotId,
    /// What has to be written before it runs, beside numbers that may be any.
    pub given: Option<(SlotId, Vec<u8>)>,
    /// Its shape in words.
    pub shape: String,
}

/// How much of a kernel's full shape is computed, the least first: rows, positions or frames. The first is held against the
/// definition and fits no tile, the last is all.
pub fn sizes(kernel: BenchKernel) -> &'static [usize] {
    match kernel {
        BenchKernel::WideProduct | BenchKernel::WideProductInt8 | BenchKernel::SquareProduct => &[49, 256, 1500],
        BenchKernel::LargeProduct => &[17, 512, 4096],
        BenchKernel::Vocabulary => &[1001, 8192, 51_864],
        BenchKernel::EncoderAttention => &[99, 256, 512, 1500],
        BenchKernel::DecoderAttention => &[CAPACITY / 2],
        BenchKernel::Convolution => &[49, 512, 3000],
        BenchKernel::LayerNorm => &[49, 1500],
        BenchKernel::LogMel => &[49, 300, 3000],
    }
}

/// How a kernel is written down for a device: sums in f32, weights as models have them there.
pub fn options(kernel: BenchKernel, device: &Device) -> RecordOptions {
    let weights = if kernel.is_quantized() { WeightForm::Int8 } else { device.weights() };
    RecordOptions { activation: DType::F32, weights, kernels: KernelLevel::default() }
}

impl KernelProgram {
    /// Writes it down with `size` of [`sizes`].
    pub fn record(kernel: BenchKernel, options: RecordOptions, size: usize) -> Result<Self> {
        let recorder = Recorder::without_checkpoint(options);
        let graph = recorder.begin(kernel.title());
        let mut given = None;
        let (y, shape) = match kernel {
            BenchKernel::WideProduct | BenchKernel::WideProductInt8 => product(&recorder, [size, D, 4 * D])?,
            BenchKernel::SquareProduct => product(&recorder, [size, 512, 512])?,
            BenchKernel::LargeProduct => product(&recorder, [size, 4096, 4096])?,
            BenchKernel::Vocabulary => {
                let table = recorder.weights().tied_table("table", size, D)?;
                (input(&recorder, [1, D]).linear(&table, LinearOptions::default())?, format!("1 × {D} × {size}"))
            }
            BenchKernel::EncoderAttention => {
                let qkv = input(&recorder, [size, 3 * D]);
                let y = qkv.attention(N_HEADS, size, AttentionOptions::default())?;
                (y, format!("{N_HEADS} heads of {}, {size} positions", D / N_HEADS))
            }
            BenchKernel::DecoderAttention => {
                let state = recorder.state("state", decode_state::ty());
                let cache = recorder.state("cache", TensorType::f32([2 * CAPACITY, D]));
                let at = DecodeState { position: size as u32, n_rows: 1, ..bytemuck::Zeroable::zeroed() };
                given = Some((state.slot(), bytemuck::bytes_of(&at).to_vec()));
                let qkv = input(&recorder, [1, 3 * D]);
                let y = qkv.attention_cached(&cache, &state, N_HEADS, CachedOptions::default())?;
                (y, format!("{N_HEADS} heads of {}, one row after {size}", D / N_HEADS))
            }
            BenchKernel::Convolution => {
                let weights = recorder.weights();
                let bias = weights.vector("bias", D)?;
                let activation = Activation::Gelu;
                let around = Conv1dOptions { bias: &bias, residual: None, stride: 1, width: 3, activation };
                let filters = weights.conv_matrix("filters", D, N_MELS, around.width)?;
                let y = input(&recorder, [size, N_MELS]).conv1d(&filters, around)?;
                (y, format!("{size} × {N_MELS} to {D}, {} wide", around.width))
            }
            BenchKernel::LayerNorm => {
                let (weight, bias) = (recorder.weights().vector("weight", D)?, recorder.weights().vector("bias", D)?);
                let y = input(&recorder, [size, D]).layer_norm(&weight, Some(&bias), EPS, DType::F32)?;
                (y, format!("{size} × {D}"))
            }
            BenchKernel::LogMel => {
                let y = input(&recorder, [HOP * size + N_FFT]).log_mel(N_MELS)?;
                (y, format!("{size} frames of {N_MELS}"))
            }
        };
        let result = recorder.state("y", y.ty.clone());
        y.store_in(&result)?;
        Ok(Self { program: recorder.finish(), graph, result: result.slot(), given, shape })
    }

    /// In what its matrix of weights is held, where it has one.
    pub fn weights(&self) -> Option<Precision> {
        let is_matrix = |ty: &TensorType| ty.shape.len() == 2;
        let mut slots = self.program.slots.iter().filter(|slot| matches!(slot.kind, SlotKind::Weight(_)));
        slots.find(|slot| is_matrix(&slot.ty)).and_then(|slot| match slot.ty.dtype {
            DType::F32 => Some(Precision::F32),
            DType::F16 => Some(Precision::F16),
            DType::Q8 => Some(Precision::Int8),
            DType::Q4 => Some(Precision::Int4),
            DType::U32 => None,
        })
    }

    /// Products and sums of a run.
    pub fn flops(&self) -> u64 {
        self.program.flops(self.graph)
    }

    /// Bytes that a run has to read and write.
    pub fn bytes(&self) -> u64 {
        self.program.bytes(self.graph)
    }

    /// The type of what it writes.
    pub fn result_ty(&self) -> &TensorType {
        &self.program.slots[self.result.0].ty
    }
}

/// `[m, k]` with `[n, k]`, as the models' linear maps.
fn product(recorder: &Recorder, [m, k, n]: [usize; 3]) -> Result<(Tensor, String)> {
    let weight = recorder.weights().stacked(&["weight"], n, k)?;
    let y = input(recorder, [m, k]).linear(&weight, LinearOptions::default())?;
    Ok((y, format!("{m} × {k} × {n}")))
}

fn input<const N: usize>(recorder: &Recorder, shape: [usize; N]) -> Tensor {
    recorder.state("x", TensorType::f32(shape))
}
