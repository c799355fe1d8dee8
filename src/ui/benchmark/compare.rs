//! Runs side by side: what can be compared, as bars, and as sentences that say what was found.

use super::compare_kernels;
use super::record::{BenchmarkRun, Entry, Figures};
use super::statistics::Summary;
use crate::protocol::{BackendChoice, Precision};
use crate::ui::capability::{backend_name, precision_name};
use crate::ui::charts::{Bar, BarGroup, Chart, Kind, Line, StackRow, Unit};
use crate::ui::format;

/// A figure by which runs are compared.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Figure {
    /// From input to answer.
    #[default]
    Run,
    /// From the command to the first token.
    FirstToken,
    /// Tokens a second.
    Tokens,
    /// The first load of a visit.
    FirstLoad,
    /// The load after it.
    SecondLoad,
    /// Bytes in the backend's memory.
    Memory,
}

impl Figure {
    /// In the order in which they are offered.
    pub const ALL: [Figure; 6] =
        [Figure::Run, Figure::FirstToken, Figure::Tokens, Figure::FirstLoad, Figure::SecondLoad, Figure::Memory];

    /// Its words.
    pub fn title(self) -> &'static str {
        match self {
            Figure::Run => "Time from input to answer",
            Figure::FirstToken => "Time to the first token",
            Figure::Tokens => "Tokens a second",
            Figure::FirstLoad => "First load of a visit",
            Figure::SecondLoad => "Load after that",
            Figure::Memory => "Memory of the model",
        }
    }

    fn unit(self) -> Unit {
        match self {
            Figure::Tokens => Unit::TokensPerSecond,
            Figure::Memory => Unit::Bytes,
            _ => Unit::Milliseconds,
        }
    }

    /// Whether more of it is better.
    fn is_more_better(self) -> bool {
        self == Figure::Tokens
    }

    /// The figure and the middle half of its measurements.
    pub fn of(self, figures: &Figures) -> Option<(f64, Option<(f64, f64)>)> {
        let summed = |summary: Summary| (summary.median, (summary.n > 1).then_some((summary.low, summary.high)));
        match self {
            Figure::Run => Some(summed(figures.runs)),
            Figure::FirstToken => figures.first_token_ms.map(summed),
            Figure::Tokens => figures.tokens_per_s.map(summed),
            Figure::FirstLoad => Some((figures.first_load.total_ms, None)),
            Figure::SecondLoad => Some((figures.second_load.total_ms, None)),
            Figure::Memory => Some((figures.memory_bytes as f64, None)),
        }
    }
}

/// What a bar stands for: a run of the benchmark, on a backend, in a precision.
#[derive(Debug, Clone, PartialEq)]
struct Series {
    run: usize,
    backend: BackendChoice,
    precision: Precision,
    label: String,
}

/// The names of runs: the browser, and where several have the same, what tells those apart.
pub fn labels(runs: &[&BenchmarkRun]) -> Vec<String> {
    let parts: [fn(&BenchmarkRun) -> String; 5] = [
        |run| run.system.clone(),
        |run| run.machine.clone(),
        |run| run.adapter().to_string(),
        |run| run.day().to_string(),
        |run| run.created.split('T').nth(1).and_then(|time| time.get(..5)).unwrap_or_default().to_string(),
    ];
    let mut labels: Vec<String> = runs.iter().map(|run| run.browser_name()).collect();
    for part in parts {
        let words: Vec<String> = runs.iter().map(|run| part(run)).collect();
        let differs = |idx: usize| {
            let alike = (0..runs.len()).filter(|&other| labels[other] == labels[idx]);
            alike.map(|other| &words[other]).any(|word| *word != words[idx])
        };
        let is_told: Vec<bool> = (0..runs.len()).map(|idx| differs(idx) && !words[idx].is_empty()).collect();
        for (idx, _) in is_told.iter().enumerate().filter(|(_, told)| **told) {
            labels[idx] = format!("{}, {}", labels[idx], words[idx]);
        }
    }
    labels
}

fn series(runs: &[&BenchmarkRun]) -> Vec<Series> {
    let labels = labels(runs);
    let mut series: Vec<Series> = Vec::new();
    let has_several_precisions = runs.iter().flat_map(|run| &run.entries).any(|e| e.case.precision != Precision::F32);
    for (idx, run) in runs.iter().enumerate() {
        for Entry { case, .. } in run.entries.iter().filter(|entry| entry.figures().is_some()) {
            let is_known = |one: &Series| (one.run, one.backend, one.precision) == (idx, case.backend, case.precision);
            if series.iter().any(is_known) {
                continue;
            }
            let mut label = backend_name(case.backend).to_string();
            if has_several_precisions {
                label = format!("{label} {}", precision_name(case.precision));
            }
            if runs.len() > 1 {
                label = format!("{} · {label}", labels[idx]);
            }
            series.push(Series { run: idx, backend: case.backend, precision: case.precision, label });
        }
    }
    series
}

/// The models of the runs with what they are given, in the order in which they come up.
fn groups<'a>(runs: &[&'a BenchmarkRun]) -> Vec<(&'a str, &'a str)> {
    let mut groups = Vec::new();
    for Entry { case, .. } in runs.iter().flat_map(|run| &run.entries) {
        let group = (case.title.as_str(), case.input.as_str());
        if !groups.contains(&group) {
            groups.push(group);
        }
    }
    groups
}

/// The figures of a group in the order of the series.
fn found<'a>(runs: &[&'a BenchmarkRun], series: &[Series], group: (&str, &str)) -> Vec<(usize, &'a Figures)> {
    let of = |one: &Series| {
        let is_it = |entry: &&Entry| {
            (entry.case.title.as_str(), entry.case.input.as_str()) == group
                && (entry.case.backend, entry.case.precision) == (one.backend, one.precision)
        };
        runs[one.run].entries.iter().filter(is_it).find_map(Entry::figures)
    };
    series.iter().enumerate().filter_map(|(idx, one)| Some((idx, of(one)?))).collect()
}

/// A figure of all runs, as bars by model; each bar tells how it stands to the best of its model.
pub fn bars(runs: &[&BenchmarkRun], figure: Figure) -> Chart {
    let series = series(runs);
    let group = |group: (&str, &str)| {
        let values: Vec<_> = found(runs, &series, group)
            .into_iter()
            .filter_map(|(idx, figures)| Some((idx, figures, figure.of(figures)?)))
            .collect();
        let of_right = || values.iter().filter(|(_, figures, _)| !is_poor(figures)).map(|(_, _, (value, _))| *value);
        let best = match figure.is_more_better() {
            true => of_right().reduce(f64::max),
            false => of_right().reduce(f64::min),
        };
        let bars = values.iter().map(|(idx, figures, (value, spread))| {
            let note = note(figures, *value, best, figure);
            Bar { series: *idx, value: *value, spread: *spread, note }
        });
        BarGroup { name: format!("{}, {}", group.0, group.1), bars: bars.collect() }
    };
    let groups: Vec<BarGroup> = groups(runs).into_iter().map(group).filter(|group| !group.bars.is_empty()).collect();
    let series = series.iter().map(|one| one.label.clone()).collect();
    Chart { title: figure.title().into(), unit: figure.unit(), kind: Kind::Bars { series, groups } }
}

fn is_poor(figures: &Figures) -> bool {
    figures.accuracy.is_some_and(|accuracy| accuracy.is_poor())
}

fn note(figures: &Figures, value: f64, best: Option<f64>, figure: Figure) -> String {
    let mut words = Vec::new();
    if let Some(accuracy) = figures.accuracy {
        let poor = if accuracy.is_poor() { ": too wrong for its speed to count" } else { "" };
        words.push(format!("{}{poor}", accuracy.words()));
    }
    if let Some(best) = best.filter(|best| *best > 0.0 && value > 0.0 && !is_poor(figures)) {
        let ratio = if figure.is_more_better() { best / value } else { value / best };
        words.push(if ratio < 1.005 { "the best".into() } else { format!("{} the best", times(ratio)) });
    }
    words.push(figures.adapter.clone());
    words.join("; ")
}

/// `3.2×`.
pub(super) fn times(ratio: f64) -> String {
    match ratio {
        r if r < 9.95 => format!("{r:.1}×"),
        r => format!("{}×", format::count(r.round().min(f64::from(u32::MAX)) as u32)),
    }
}

/// The stages of a run's entries.
pub fn stages(run: &BenchmarkRun) -> Chart {
    let measured = || run.entries.iter().filter_map(|entry| Some((entry, entry.figures()?)));
    let mut parts: Vec<String> = Vec::new();
    for stage in measured().flat_map(|(_, figures)| &figures.stages) {
        if !parts.contains(&stage.name) {
            parts.push(stage.name.clone());
        }
    }
    let row = |(entry, figures): (&Entry, &Figures)| {
        let of = |part: &String| figures.stages.iter().filter(|stage| stage.name == *part).map(|stage| stage.ms).sum();
        StackRow {
            name: format!(
                "{}, {} {}",
                entry.case.title,
                backend_name(entry.case.backend),
                precision_name(entry.case.precision)
            ),
            values: parts.iter().map(of).collect(),
            note: figures.adapter.clone(),
        }
    };
    let rows = measured().filter(|(_, figures)| !figures.stages.is_empty()).map(row).collect();
    Chart { title: "Where the time of a run goes".into(), unit: Unit::Milliseconds, kind: Kind::Stack { parts, rows } }
}

/// The time of a run over runs of the benchmark, the oldest first, a line for each thing that was measured more than once on a machine.
/// What gave wrong answers has no place there.
pub fn history(runs: &[&BenchmarkRun]) -> Chart {
    let mut lines: Vec<Line> = Vec::new();
    for (idx, run) in runs.iter().enumerate() {
        let figures = run.entries.iter().filter_map(|entry| Some((entry, entry.figures()?)));
        for (entry, figures) in figures.filter(|(_, figures)| !is_poor(figures)) {
            let case = &entry.case;
            let machine = if run.machine.is_empty() { String::new() } else { format!(", {}", run.machine) };
            let name = format!(
                "{}, {} {} in {}{machine}",
                case.title,
                backend_name(case.backend),
                precision_name(case.precision),
                run.browser.name
            );
            let point = (idx as f64 + 1.0, figures.runs.median);
            match lines.iter_mut().find(|line| line.name == name) {
                Some(line) => line.points.push(point),
                None => lines.push(Line { name, points: vec![point] }),
            }
        }
    }
    lines.retain(|line| line.points.len() > 1);
    let kind = Kind::Lines { x_title: "Run of the benchmark".into(), x_unit: Unit::Count, lines };
    Chart { title: "Time from input to answer, run after run".into(), unit: Unit::Milliseconds, kind }
}

/// What the runs say, in plain words.
pub fn sentences(runs: &[&BenchmarkRun]) -> Vec<String> {
    let series = series(runs);
    let mut sentences = Vec::new();
    for group in groups(runs) {
        let all = found(runs, &series, group);
        let (poor, mut sound): (Vec<_>, Vec<_>) = all.into_iter().partition(|(_, figures)| is_poor(figures));
        sound.sort_by(|(_, a), (_, b)| a.runs.median.total_cmp(&b.runs.median));
        if let Some(((first, best), others)) = sound.split_first() {
            sentences.push(ranking(group, (&series[*first].label, best), others, &series));
        }
        for (idx, figures) in poor {
            let accuracy = figures.accuracy.map(|accuracy| accuracy.words()).unwrap_or_default();
            sentences.push(format!(
                "{}: the answers of {} are wrong ({accuracy}), so its speed says nothing.",
                group.0, series[idx].label
            ));
        }
    }
    sentences.extend(compare_kernels::sentences(runs));
    let failed_models = runs.iter().flat_map(|run| &run.entries).filter(|entry| entry.figures().is_none());
    let failed_kernels = runs.iter().flat_map(|run| &run.kernels).filter(|entry| entry.figures().is_none());
    let failed = failed_models.count() + failed_kernels.count();
    if failed > 0 {
        let words = if failed == 1 { "One entry was".into() } else { format!("{failed} entries were") };
        sentences.push(format!("{words} not measured; the table says why."));
    }
    sentences
}

fn ranking(
    group: (&str, &str),
    (label, best): (&str, &Figures),
    others: &[(usize, &Figures)],
    series: &[Series],
) -> String {
    let speed = best.real_time().map(|factor| format!(", {}", format::speed(1.0 / factor))).unwrap_or_default();
    let time = format::duration_ms(best.runs.median);
    let mut words = format!("{}, {}: {label} takes {time}{speed}", group.0, group.1);
    let told = others.iter().map(|(idx, figures)| {
        let ratio = figures.runs.median / best.runs.median.max(1e-3);
        let label = &series[*idx].label;
        match figures.runs.overlaps(&best.runs) {
            true => format!("{label} about as long"),
            false => format!("{label} {} as long", times(ratio)),
        }
    });
    let told: Vec<String> = told.collect();
    if !told.is_empty() {
        words += &format!("; {}", told.join(", "));
    }
    words + "."
}

#[cfg(test)]
mod tests {
    use super::super::record::tests::{entry, run};
    use super::super::record::{Accuracy, Outcome};
    use super::*;
    use BackendChoice::{Wasm, WebGpu};

    fn bars_of(chart: &Chart) -> (&Vec<String>, &Vec<BarGroup>) {
        match &chart.kind {
            Kind::Bars { series, groups } => (series, groups),
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn bars_hold_the_figures_and_their_ratio_to_the_best() {
        let (a, b) = (run("a", "Chromium", &[(WebGpu, 200.0), (Wasm, 900.0)]), run("b", "Firefox", &[(Wasm, 400.0)]));
        let chart = bars(&[&a, &b], Figure::Run);
        let (series, groups) = bars_of(&chart);
        assert_eq!(series, &["Chromium 1 · WebGPU", "Chromium 1 · WebAssembly", "Firefox 1 · WebAssembly"]);
        assert_eq!(groups.len(), 1);
        assert_eq!(groups[0].name, "Whisper tiny, 11 s of speech");
        let values: Vec<_> = groups[0].bars.iter().map(|bar| (bar.series, bar.value)).collect();
        assert_eq!(values, [(0, 200.0), (1, 900.0), (2, 400.0)]);
        assert_eq!(groups[0].bars[0].spread, Some((196.0, 204.0)));
        assert!(groups[0].bars[0].note.contains("the best") && groups[0].bars[1].note.contains("4.5× the best"));
    }

    #[test]
    fn more_tokens_a_second_are_better() {
        let a = run("a", "Chromium", &[(WebGpu, 200.0), (Wasm, 800.0)]);
        let chart = bars(&[&a], Figure::Tokens);
        let (_, groups) = bars_of(&chart);
        assert_eq!(groups[0].bars[0].value, 500.0);
        assert!(groups[0].bars[0].note.contains("the best") && !groups[0].bars[0].note.contains('×'));
        assert!(groups[0].bars[1].note.contains("4.0× the best"));
    }

    #[test]
    fn sentences_name_the_fastest_and_how_far_behind_the_others_are() {
        let (a, b) = (run("a", "Chromium", &[(WebGpu, 200.0)]), run("b", "Firefox", &[(Wasm, 640.0), (WebGpu, 201.0)]));
        assert_eq!(
            sentences(&[&a, &b]),
            [
                "Whisper tiny, 11 s of speech: Chromium 1 · WebGPU takes 0.20 s, 55× real time; Firefox 1 · WebGPU about as long, Firefox 1 · WebAssembly 3.2× as long."
            ]
        );
    }

    #[test]
    fn wrong_answers_have_no_speed() {
        let mut a = run("a", "Chromium", &[(WebGpu, 100.0), (Wasm, 300.0)]);
        if let Outcome::Measured(figures) = &mut a.entries[0].outcome {
            figures.accuracy = Some(Accuracy::WordErrorRate(80.0));
        }
        let told = sentences(&[&a]);
        assert!(told[0].starts_with("Whisper tiny, 11 s of speech: WebAssembly takes 0.30 s"), "{told:?}");
        assert!(told[1].contains("answers of WebGPU are wrong (80.0 % of words wrong)"), "{told:?}");
        let chart = bars(&[&a], Figure::Run);
        let (_, groups) = bars_of(&chart);
        assert!(groups[0].bars[0].note.contains("too wrong") && groups[0].bars[1].note.contains("the best"));
    }

    #[test]
    fn what_was_not_measured_is_said() {
        let mut a = run("a", "Chromium", &[(WebGpu, 100.0)]);
        a.entries.push(Entry {
            case: entry(Wasm, Precision::F32, 1.0).case,
            outcome: Outcome::Failed { message: "no memory".into() },
        });
        assert_eq!(sentences(&[&a])[1], "One entry was not measured; the table says why.");
    }

    #[test]
    fn runs_in_one_browser_are_told_apart_by_what_differs() {
        let (a, mut b) = (run("a", "Chromium", &[]), run("b", "Chromium", &[]));
        b.created = "2026-11-28T11:30:00.000Z".into();
        assert_eq!(labels(&[&a, &b]), ["Chromium 1, 2026-11-27", "Chromium 1, 2026-11-28"]);
        b.created = "2026-11-27T11:30:00.000Z".into();
        assert_eq!(labels(&[&a, &b]), ["Chromium 1, 10:00", "Chromium 1, 11:30"]);
        b.system = "Windows".into();
        assert_eq!(labels(&[&a, &b]), ["Chromium 1, Linux", "Chromium 1, Windows"]);
        let other = run("c", "Firefox", &[]);
        assert_eq!(labels(&[&a, &b, &other])[2], "Firefox 1", "what is known already needs no more words");
    }

    #[test]
    fn stages_and_history_hold_what_was_measured() {
        let (a, b) = (run("a", "Chromium", &[(WebGpu, 100.0)]), run("b", "Chromium", &[(WebGpu, 50.0), (Wasm, 70.0)]));
        let Kind::Stack { parts, rows } = stages(&a).kind else { panic!("no stack") };
        assert_eq!((parts, rows[0].values.clone()), (vec!["Encoder".to_string()], vec![50.0]));
        let Kind::Lines { lines, .. } = history(&[&a, &b]).kind else { panic!("no lines") };
        assert_eq!(lines.len(), 1, "what was measured once has no history");
        assert_eq!(lines[0].points, [(1.0, 100.0), (2.0, 50.0)]);
        // Another machine's runs are another line.
        let elsewhere = BenchmarkRun { machine: "the laptop".into(), ..b.clone() };
        let Kind::Lines { lines, .. } = history(&[&a, &elsewhere]).kind else { panic!("no lines") };
        assert_eq!(lines, []);
    }
}
