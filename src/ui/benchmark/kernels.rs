//! What a run of the benchmark found of single kernels: which were measured, and how fast they are.

use serde::{Deserialize, Serialize};

use super::record::{Outcome, Scope};
use super::statistics::Summary;
use crate::protocol::{BackendChoice, BackendReport, BenchKernel, Bound, KernelFigure, Precision, TimedBy};

/// A kernel on a backend, and what came of it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct KernelEntry {
    /// Which.
    pub kernel: BenchKernel,
    /// On what.
    pub backend: BackendChoice,
    /// What came of it.
    pub outcome: Outcome<KernelFigures>,
}

/// The figures of a kernel, rounded to four digits: a link holds them.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct KernelFigures {
    /// The GPU or processor, as its driver names it.
    pub adapter: String,
    /// The shape that was timed, in words.
    pub shape: String,
    /// In what its weights are held; `None` where it has no matrix of them.
    pub weights: Option<Precision>,
    /// Microseconds of one run.
    pub us: Summary,
    /// Products and sums of a run; 0 where they are not counted.
    pub flops: u64,
    /// Bytes that a run has to read and write.
    pub bytes: u64,
    /// Of the adapter's measured peak, on a GPU; above 1 where it is read from a cache.
    pub share: Option<f64>,
    /// By which clock.
    pub timed_by: TimedBy,
}

/// What is to be measured, in order: by kernel, then by backend.
pub fn plan(backends: &[BackendReport], scope: Scope) -> Vec<(BenchKernel, BackendChoice)> {
    let kernels = match scope {
        Scope::Short => &BenchKernel::FEW[..],
        Scope::Full => &BenchKernel::ALL[..],
    };
    let has = |backend: BackendChoice, kernel: BenchKernel| backend != BackendChoice::WebNn || !kernel.is_quantized();
    let available = || backends.iter().filter(|report| report.available).map(|report| report.backend);
    let on_each = |&kernel: &BenchKernel| {
        available().filter(move |&backend| has(backend, kernel)).map(move |backend| (kernel, backend))
    };
    kernels.iter().flat_map(on_each).collect()
}

impl KernelEntry {
    /// The figures, where there are some.
    pub fn figures(&self) -> Option<&KernelFigures> {
        if let Outcome::Measured(figures) = &self.outcome { Some(figures) } else { None }
    }

    /// How fast it is, in the unit that counts for this kernel: see [`Self::unit`].
    pub fn rate(&self) -> Option<f64> {
        self.figures().map(|figures| self.rate_of(figures, figures.us.median))
    }

    /// What its rate would be if a run took `us`.
    pub fn rate_of(&self, figures: &KernelFigures, us: f64) -> f64 {
        let done = match self.kernel.counts() {
            Bound::Arithmetic => figures.flops,
            Bound::Memory => figures.bytes,
        };
        done as f64 / us / 1e3
    }

    /// `GFLOP/s` or `GB/s`.
    pub fn unit(&self) -> &'static str {
        match self.kernel.counts() {
            Bound::Arithmetic => "GFLOP/s",
            Bound::Memory => "GB/s",
        }
    }
}

impl KernelFigures {
    /// What the engine measured; `None` where it gave no time.
    pub fn of(figure: KernelFigure) -> Option<Self> {
        let samples: Vec<f64> = figure.samples_us.iter().map(|&us| rounded(us)).collect();
        let us = Summary::of(&samples).filter(|us| us.low > 0.0)?;
        Some(Self {
            adapter: figure.adapter,
            shape: figure.shape,
            weights: figure.weights,
            us: Summary { median: rounded(us.median), low: rounded(us.low), high: rounded(us.high), n: us.n },
            flops: figure.flops,
            bytes: figure.bytes,
            share: figure.share.filter(|share| share.is_finite()).map(rounded),
            timed_by: figure.timed_by,
        })
    }
}

/// To four digits that count.
fn rounded(value: f64) -> f64 {
    format!("{value:.3e}").parse().unwrap_or(value)
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;

    pub(in crate::ui::benchmark) fn figure(kernel: BenchKernel, backend: BackendChoice, us: &[f64]) -> KernelFigure {
        KernelFigure {
            kernel,
            backend,
            adapter: format!("{backend:?} adapter"),
            shape: "256 × 384 × 1536".into(),
            weights: Some(Precision::F16),
            samples_us: us.to_vec(),
            flops: 300_000_000,
            bytes: 3_000_000,
            share: (backend == BackendChoice::WebGpu).then_some(0.412_345),
            timed_by: TimedBy::WallClock,
        }
    }

    /// A kernel that took so many µs.
    pub(in crate::ui::benchmark) fn entry(kernel: BenchKernel, backend: BackendChoice, us: &[f64]) -> KernelEntry {
        let figures = KernelFigures::of(figure(kernel, backend, us)).expect("there are times");
        KernelEntry { kernel, backend, outcome: Outcome::Measured(figures) }
    }

    #[test]
    fn every_kernel_is_measured_on_each_backend_that_has_it() {
        use BackendChoice::{Wasm, WebGpu, WebNn};
        let report = |backend, available| BackendReport {
            backend,
            available,
            reason: String::new(),
            adapter: String::new(),
            software: false,
            features: Vec::new(),
            probe_ms: 0.0,
        };
        let backends = [report(WebGpu, false), report(WebNn, true), report(Wasm, true)];
        let all = plan(&backends, Scope::Full);
        assert_eq!(all.len(), 2 * BenchKernel::ALL.len() - 1);
        assert!(!all.contains(&(BenchKernel::WideProductInt8, WebNn)) && all.iter().all(|(_, on)| *on != WebGpu));
        assert_eq!(all[..2], [(BenchKernel::WideProduct, WebNn), (BenchKernel::WideProduct, Wasm)]);
        assert_eq!(plan(&backends, Scope::Short).len(), 2 * BenchKernel::FEW.len());
    }

    #[test]
    fn the_rate_is_of_the_median_in_what_counts() {
        let product = entry(BenchKernel::WideProduct, BackendChoice::WebGpu, &[100.0, 1000.0, 90.0]);
        assert_eq!((product.rate(), product.unit()), (Some(3000.0), "GFLOP/s"));
        let norm = entry(BenchKernel::LayerNorm, BackendChoice::WebGpu, &[100.0]);
        assert_eq!((norm.rate(), norm.unit()), (Some(30.0), "GB/s"));
    }

    #[test]
    fn what_is_kept_is_short_and_what_is_no_time_is_not_kept() {
        let figures = |us: &[f64]| KernelFigures::of(figure(BenchKernel::LayerNorm, BackendChoice::WebGpu, us));
        let kept = figures(&[123.456_789, 0.012_345_678]).unwrap();
        assert_eq!((kept.us.low, kept.us.high, kept.share), (30.88, 92.63, Some(0.4123)));
        assert_eq!(figures(&[]), None);
        assert_eq!(figures(&[f64::NAN]), None);
        assert_eq!(figures(&[0.0]), None);
    }
}
