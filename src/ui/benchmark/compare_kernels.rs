//! Single kernels side by side, of one run or of several: as bars by kernel, and as sentences.

use super::compare::{labels, times};
use super::kernels::KernelEntry;
use super::record::BenchmarkRun;
use super::statistics::Summary;
use crate::protocol::{BackendChoice, BenchKernel, Bound};
use crate::ui::capability::{backend_name, precision_name};
use crate::ui::charts::{Bar, BarGroup, Chart, Kind, Unit};
use crate::ui::format;

/// The kernels whose products and sums count.
pub fn arithmetic(runs: &[&BenchmarkRun]) -> Chart {
    chart(runs, Bound::Arithmetic, "Kernels: products and sums a second", Unit::GigaflopsPerSecond)
}

/// The kernels that do little with each number.
pub fn memory(runs: &[&BenchmarkRun]) -> Chart {
    chart(runs, Bound::Memory, "Kernels: bytes a second", Unit::GigabytesPerSecond)
}

fn chart(runs: &[&BenchmarkRun], counts: Bound, title: &str, unit: Unit) -> Chart {
    let names = labels(runs);
    let mut series: Vec<String> = Vec::new();
    let mut groups: Vec<(BenchKernel, BarGroup)> = Vec::new();
    for (entry, label) in measured(runs, &names).filter(|(entry, _)| entry.kernel.counts() == counts) {
        let of_series = series.iter().position(|known| *known == label).unwrap_or_else(|| {
            series.push(label);
            series.len() - 1
        });
        let at = groups.iter().position(|(kernel, _)| *kernel == entry.kernel).unwrap_or_else(|| {
            groups.push((entry.kernel, BarGroup { name: entry.kernel.title().into(), bars: Vec::new() }));
            groups.len() - 1
        });
        groups[at].1.bars.extend(bar(entry, of_series));
    }
    let groups = groups.into_iter().map(|(_, group)| group).collect();
    Chart { title: title.into(), unit, kind: Kind::Bars { series, groups } }
}

/// What was measured, and the backend it was measured on, with the run's name where there are several.
fn measured<'a>(runs: &'a [&'a BenchmarkRun], names: &'a [String]) -> impl Iterator<Item = (&'a KernelEntry, String)> {
    let label = |idx: usize, backend: BackendChoice| match runs.len() {
        1 => backend_name(backend).to_string(),
        _ => format!("{} · {}", names[idx], backend_name(backend)),
    };
    runs.iter().enumerate().flat_map(move |(idx, run)| {
        let entries = run.kernels.iter().filter(|entry| entry.figures().is_some());
        entries.map(move |entry| (entry, label(idx, entry.backend)))
    })
}

fn bar(entry: &KernelEntry, series: usize) -> Option<Bar> {
    let figures = entry.figures()?;
    let rate = |us: f64| entry.rate_of(figures, us);
    let spread = (figures.us.n > 1).then(|| (rate(figures.us.high), rate(figures.us.low)));
    let mut words = vec![figures.shape.clone()];
    words.extend(figures.weights.map(|weights| format!("weights in {}", precision_name(weights))));
    words.push(format::duration_us(figures.us.median));
    words.extend(figures.share.map(of_peak));
    words.push(figures.adapter.clone());
    Some(Bar { series, value: rate(figures.us.median), spread, note: words.join("; ") })
}

/// `41.2 % of its measured peak`.
fn of_peak(share: f64) -> String {
    format!("{:.1} % of its measured peak", 100.0 * share)
}

/// What the runs say of kernels, in plain words; nothing where none was measured.
pub fn sentences(runs: &[&BenchmarkRun]) -> Vec<String> {
    let names = labels(runs);
    let of_arithmetic = measured(runs, &names).filter(|(entry, _)| entry.kernel.counts() == Bound::Arithmetic);
    let fastest = of_arithmetic.max_by(|(a, _), (b, _)| a.rate().unwrap_or(0.0).total_cmp(&b.rate().unwrap_or(0.0)));
    let mut sentences = Vec::new();
    if let Some((entry, label)) = fastest
        && let (Some(figures), Some(rate)) = (entry.figures(), entry.rate())
    {
        let share = figures.share.map(|share| format!(", {}", of_peak(share))).unwrap_or_default();
        sentences.push(format!(
            "Of the kernels by themselves, the fastest is \"{}\" on {label} with {} {}{share}.",
            entry.kernel.title(),
            format::figure(rate),
            entry.unit()
        ));
    }
    let named = |idx: usize, words: String| match runs.len() {
        1 => format::sentence(&words),
        _ => format!("{}: {words}", names[idx]),
    };
    sentences.extend(runs.iter().enumerate().filter_map(|(idx, run)| Some(named(idx, ratio(run)?))));
    sentences
}

/// How a run's kernels on WebGPU stand to the same on WebAssembly.
fn ratio(run: &BenchmarkRun) -> Option<String> {
    let rate = |kernel: BenchKernel, backend: BackendChoice| {
        run.kernels.iter().find(|entry| (entry.kernel, entry.backend) == (kernel, backend))?.rate()
    };
    let ratio = |&kernel: &BenchKernel| Some(rate(kernel, BackendChoice::WebGpu)? / rate(kernel, BackendChoice::Wasm)?);
    let mut ratios: Vec<f64> = BenchKernel::ALL.iter().filter_map(ratio).collect();
    let is_ahead = Summary::of(&ratios)?.median >= 1.0;
    let (ahead, behind) = if is_ahead { ("WebGPU", "WebAssembly") } else { ("WebAssembly", "WebGPU") };
    if !is_ahead {
        ratios.iter_mut().for_each(|ratio| *ratio = ratio.recip());
    }
    let median = times(Summary::of(&ratios)?.median);
    if ratios.len() == 1 {
        return Some(format!("a kernel by itself is {median} as fast on {ahead} as on {behind}."));
    }
    let (least, most) = ratios.iter().fold((f64::INFINITY, 0.0_f64), |(a, b), &ratio| (a.min(ratio), b.max(ratio)));
    Some(format!(
        "kernels by themselves are {median} as fast on {ahead} as on {behind} (the median of {}; {} to {}).",
        ratios.len(),
        times(least),
        times(most)
    ))
}

#[cfg(test)]
mod tests {
    use super::super::kernels::tests::entry;
    use super::super::record::Outcome;
    use super::super::record::tests::run;
    use super::*;
    use BackendChoice::{Wasm, WebGpu};
    use BenchKernel::{EncoderAttention, LayerNorm, WideProduct};

    fn with(id: &str, browser: &str, kernels: Vec<KernelEntry>) -> BenchmarkRun {
        BenchmarkRun { kernels, ..run(id, browser, &[]) }
    }

    fn bars_of(chart: &Chart) -> (&[String], &[BarGroup]) {
        match &chart.kind {
            Kind::Bars { series, groups } => (series, groups),
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn bars_are_grouped_by_kernel_with_a_series_for_each_backend_of_each_run() {
        let kernels = vec![
            entry(WideProduct, WebGpu, &[100.0]),
            entry(WideProduct, Wasm, &[3000.0, 3300.0, 2700.0]),
            entry(LayerNorm, Wasm, &[300.0]),
        ];
        let a = with("a", "Chromium", kernels);
        let b = with("b", "Firefox", vec![entry(WideProduct, Wasm, &[6000.0])]);
        let old = run("c", "Netscape", &[]);
        let chart = arithmetic(&[&a, &b, &old]);
        let (series, groups) = bars_of(&chart);
        assert_eq!(series, ["Chromium 1 · WebGPU", "Chromium 1 · WebAssembly", "Firefox 1 · WebAssembly"]);
        assert_eq!(groups.len(), 1, "what counts in bytes has a chart of its own");
        let values: Vec<_> = groups[0].bars.iter().map(|bar| (bar.series, bar.value)).collect();
        assert_eq!(values, [(0, 3000.0), (1, 100.0), (2, 50.0)]);
        let (low, high) = groups[0].bars[1].spread.unwrap();
        assert!(low < 100.0 && 100.0 < high, "a slow run is a low rate: {low} to {high}");
        let note = &groups[0].bars[0].note;
        assert!(note.contains("weights in f16; 100 µs; 41.2 % of its measured peak"), "{note}");
        assert_eq!(bars_of(&memory(&[&a])).1[0].bars[0].value, 10.0);
        assert!(arithmetic(&[&old]).is_empty() && sentences(&[&old]).is_empty());
    }

    #[test]
    fn sentences_name_the_fastest_kernel_and_compare_the_backends() {
        let kernels = vec![
            entry(WideProduct, WebGpu, &[100.0]),
            entry(WideProduct, Wasm, &[3000.0]),
            entry(EncoderAttention, WebGpu, &[150.0]),
            entry(EncoderAttention, Wasm, &[1500.0]),
            entry(LayerNorm, WebGpu, &[10.0]),
            entry(LayerNorm, Wasm, &[50.0]),
        ];
        let a = with("a", "Chromium", kernels);
        assert_eq!(
            sentences(&[&a]),
            [
                "Of the kernels by themselves, the fastest is \"Matrix product, 384 × 1,536\" on WebGPU with 3,000 GFLOP/s, 41.2 % of its measured peak.",
                "Kernels by themselves are 10× as fast on WebGPU as on WebAssembly (the median of 3; 5.0× to 30×).",
            ]
        );
        let b = with("b", "Firefox", vec![entry(WideProduct, WebGpu, &[400.0]), entry(WideProduct, Wasm, &[100.0])]);
        assert_eq!(
            sentences(&[&a, &b])[2],
            "Firefox 1: a kernel by itself is 4.0× as fast on WebAssembly as on WebGPU."
        );
    }

    #[test]
    fn a_kernel_that_failed_has_no_bar_and_no_part_in_a_ratio() {
        let wrong = Outcome::Failed { message: "an impossible result".into() };
        let kernels = vec![
            KernelEntry { kernel: WideProduct, backend: WebGpu, outcome: wrong },
            entry(WideProduct, Wasm, &[100.0]),
        ];
        let a = with("a", "Chromium", kernels);
        assert_eq!(bars_of(&arithmetic(&[&a])).0, ["WebAssembly"]);
        assert_eq!(sentences(&[&a]).len(), 1);
    }
}
