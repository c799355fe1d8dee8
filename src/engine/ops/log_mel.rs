//! `y[t, m] = log10(max(filter_m . |FFT(hann * frame_t)|^2, 1e-10))`: Whisper's features before they are scaled.
//!
//! audio: `[N + 400]` samples at 16 kHz, 200 before and 200 after the N that count; table: `[1200]` (Hann window, then cosines,
//! then sines of the 400 points); filters: `[M, 201]`; bands: `[M, 2]` (of each filter the first bin that it weighs, and the end of
//! those: about two of a hundred weights are not zero); y: `[N / 160, M]`. Frame t is centred on the 160 t-th sample that counts, as
//! in openai/whisper `audio.py`; what stands before the first and after the last is the caller's choice ([`with_margins`]). The kernels
//! make an FFT of two frames at once: one real frame each in the real and the imaginary part.

use super::linear::expect_shape;
use crate::engine::graph::{Tensor, record_one};
use crate::engine::lowering::{Binary, Lowered, Lowering, Operand, Unary};
use crate::engine::op::{GpuCaps, Kernel, Op, Operands, Signature};
use crate::engine::tensor::TensorType;
use crate::engine::{Error, Result};
use rill_kernels::{Call, log_mel};
use std::f64::consts::PI;

/// Samples from one frame to the next.
pub const HOP: usize = 160;
/// Samples of a frame.
pub const N_FFT: usize = 400;
/// Frequencies of a frame's spectrum.
pub const N_BINS: usize = N_FFT / 2 + 1;

impl Tensor {
    /// See the module; `self` is the audio.
    pub fn log_mel(&self, n_mels: usize) -> Result<Tensor> {
        let recorder = self.recorder();
        let table = recorder.constant("log_mel table", TensorType::f32([3 * N_FFT]), &fft_table());
        let weights = slaney_filters(n_mels);
        let bands: Vec<[u32; 2]> = weights.chunks_exact(N_BINS).map(log_mel::band).collect();
        let filters = recorder.constant("mel filters", TensorType::f32([n_mels, N_BINS]), &weights);
        let bands = recorder.constant("mel bands", TensorType::u32([n_mels, 2]), &bands);
        record_one(LogMel { n_mels }, recorder, &[Some(self), Some(&table), Some(&filters), Some(&bands)])
    }
}

#[derive(Debug)]
struct LogMel {
    n_mels: usize,
}

#[repr(C)]
#[derive(Clone, Copy, bytemuck::NoUninit)]
struct Params {
    n_frames: u32,
    n_mels: u32,
}

impl Op for LogMel {
    fn name(&self) -> &'static str {
        "log_mel"
    }

    fn output(&self, inputs: &[Option<&TensorType>]) -> Result<Option<TensorType>> {
        let [Some(audio), Some(_table), Some(filters), Some(bands)] = inputs else {
            return Err(Error::Internal("log_mel takes audio, a table, filters and their bands".into()));
        };
        expect_shape("log_mel filters", filters, &[self.n_mels, N_BINS])?;
        expect_shape("log_mel bands", bands, &[self.n_mels, 2])?;
        Ok(Some(TensorType::f32([(audio.n_elements() - N_FFT) / HOP, self.n_mels])))
    }

    fn define(&self, args: Operands) {
        let [Some(audio), Some(table), Some(filters), Some(_bands)] = args.inputs[..] else { unreachable!() };
        let (audio, table) = (audio.f32(), table.f32());
        let (window, cos, sin) = (&table[..N_FFT], &table[N_FFT..2 * N_FFT], &table[2 * N_FFT..]);
        let y = args.output.expect("log_mel has an output");
        let mut power = vec![0.0f64; N_BINS];
        for (t, out) in y.f32_mut().chunks_exact_mut(self.n_mels).enumerate() {
            let frame: Vec<f64> = (0..N_FFT).map(|i| f64::from(audio[t * HOP + i]) * f64::from(window[i])).collect();
            for (bin, p) in power.iter_mut().enumerate() {
                // The discrete Fourier transform as it is defined.
                let sum = |wave: &[f32]| -> f64 {
                    frame.iter().enumerate().map(|(i, v)| v * f64::from(wave[bin * i % N_FFT])).sum()
                };
                *p = sum(cos).powi(2) + sum(sin).powi(2);
            }
            for (m, v) in out.iter_mut().enumerate() {
                let filter = &filters.f32()[m * N_BINS..][..N_BINS];
                let sum: f64 = filter.iter().zip(&power).map(|(f, p)| f64::from(*f) * p).sum();
                *v = sum.max(1e-10).log10() as f32;
            }
        }
    }

    fn cpu(&self, _signature: &Signature) -> Call {
        Call::new(rill_kernels::Kernel::LogMel, log_mel::Params { n_mels: self.n_mels as u32 })
    }

    fn kernel(&self, signature: &Signature, caps: &GpuCaps) -> Kernel {
        let n_frames = signature.output().n_rows();
        let params = Params { n_frames: n_frames as u32, n_mels: self.n_mels as u32 };
        // Twenty threads have a column and a row each. On a processor, where threads take turns, few are faster (docs/bench-notes.md).
        Kernel::new("log_mel", params, [n_frames.div_ceil(2) as u32, 1, 1])
            .set("WG", if caps.is_plain() { 4.0 } else { 64.0 })
    }

    /// The transform as one matrix product, 400 samples of each frame with the windowed waves of 201 frequencies: 1 GFLOP for 30 s,
    /// which matrix hardware does in less time than the graph of an FFT would take to schedule (12 ms on two cores).
    fn lower(&self, b: &mut Lowering, inputs: &[Option<Operand>]) -> Result<Option<Lowered>> {
        let [Some(audio), _table, Some(filters), _bands] = *inputs else { return Ok(None) };
        let n_frames = (b.ty(audio).n_elements() - N_FFT) / HOP;
        // Rows of one hop each; a frame is two and a half of them.
        let hops = b.slice(audio, &[0], &[(n_frames + 2) * HOP])?;
        let hops = b.reshape(hops, &[n_frames + 2, HOP])?;
        let mut parts = Vec::new();
        for first in (0..N_FFT).step_by(HOP) {
            parts.push(b.slice(hops, &[first / HOP, 0], &[n_frames, HOP.min(N_FFT - first)])?);
        }
        let frames = b.concat(&parts, 1)?;
        let waves = b.floats(&[2 * N_BINS, N_FFT], &windowed_waves());
        let spectrum = b.linear(frames, waves, None)?;
        let squares = b.mul(spectrum, spectrum)?;
        let real = b.slice(squares, &[0, 0], &[n_frames, N_BINS])?;
        let imaginary = b.slice(squares, &[0, N_BINS], &[n_frames, N_BINS])?;
        let power = b.add(real, imaginary)?;
        let mel = b.linear(power, filters, None)?;
        let least = b.float(1e-10);
        let mel = b.binary(Binary::Max, mel, least)?;
        let y = b.unary(Unary::Log, mel)?;
        Ok(Some(b.scale(y, std::f32::consts::LN_10.recip())?.into()))
    }
}

/// The `n` samples of `recording` from `start` on with what `log_mel` wants around them: the samples there really are, before the
/// recording's start its mirror image (as `torch.stft` pads), after its end silence (openai/whisper pads 30 s of it).
pub fn with_margins(recording: &[f32], start: usize, n: usize) -> Vec<f32> {
    const MARGIN: isize = N_FFT as isize / 2;
    let at = |i: isize| recording.get(i.unsigned_abs()).copied().unwrap_or(0.0);
    (-MARGIN..n as isize + MARGIN).map(|i| at(start as isize + i)).collect()
}

/// Periodic Hann window, cosines and sines of the 400 points.
fn fft_table() -> Vec<f32> {
    let angle = |i: usize| 2.0 * PI * i as f64 / N_FFT as f64;
    let window = (0..N_FFT).map(|i| (0.5 - 0.5 * angle(i).cos()) as f32);
    let cos = (0..N_FFT).map(|i| angle(i).cos() as f32);
    let sin = (0..N_FFT).map(|i| angle(i).sin() as f32);
    window.chain(cos).chain(sin).collect()
}

/// `hann[i] * cos(2 pi bin i / 400)` for each bin, then the same with sines, `[402, 400]`.
fn windowed_waves() -> Vec<f32> {
    let angle = |i: usize| 2.0 * PI * i as f64 / N_FFT as f64;
    let mut waves = Vec::with_capacity(2 * N_BINS * N_FFT);
    for wave in [f64::cos, f64::sin] {
        for bin in 0..N_BINS {
            waves.extend((0..N_FFT).map(|i| ((0.5 - 0.5 * angle(i).cos()) * wave(angle(bin * i % N_FFT))) as f32));
        }
    }
    waves
}

/// Triangular filters of equal area on Slaney's mel scale from 0 to 8 kHz, `[n_mels, 201]`: `librosa.filters.mel(sr=16000,
/// n_fft=400)`, which made openai/whisper's `mel_filters.npz`.
pub fn slaney_filters(n_mels: usize) -> Vec<f32> {
    const LINEAR_HZ: f64 = 200.0 / 3.0; // Hertz of a mel below 1 kHz.
    const CORNER_HZ: f64 = 1000.0;
    const CORNER_MEL: f64 = CORNER_HZ / LINEAR_HZ;
    let log_step = 6.4f64.ln() / 27.0;
    let mel_of = |hz: f64| if hz < CORNER_HZ { hz / LINEAR_HZ } else { CORNER_MEL + (hz / CORNER_HZ).ln() / log_step };
    let hz_of =
        |mel: f64| if mel < CORNER_MEL { mel * LINEAR_HZ } else { CORNER_HZ * ((mel - CORNER_MEL) * log_step).exp() };
    let top = mel_of(8000.0);
    let edges: Vec<f64> = (0..n_mels + 2).map(|i| hz_of(top * i as f64 / (n_mels + 1) as f64)).collect();
    let mut filters = Vec::with_capacity(n_mels * N_BINS);
    for edge in edges.windows(3) {
        for bin in 0..N_BINS {
            let hz = bin as f64 * 16_000.0 / N_FFT as f64;
            let up = (hz - edge[0]) / (edge[1] - edge[0]);
            let down = (edge[2] - hz) / (edge[2] - edge[1]);
            filters.push((up.min(down).max(0.0) * 2.0 / (edge[2] - edge[0])) as f32);
        }
    }
    filters
}
