//! What a run of the benchmark found, as it is kept, exported and shared.

use serde::{Deserialize, Serialize};

use super::kernels::KernelEntry;
use super::statistics::Summary;
use crate::protocol::{BackendChoice, Precision, Roofline, Task};

/// What files of this kind call themselves.
pub const FORMAT: &str = "rill-benchmark";
/// The version of their form.
pub const VERSION: u32 = 1;

/// How much is measured.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Scope {
    /// The speech model in f32 and a few kernels on each backend, and the GPU itself.
    Short,
    /// Every chosen model on each backend in each precision that it has there, and every kernel.
    #[default]
    Full,
}

/// One run of the benchmark in one browser.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct BenchmarkRun {
    /// [`FORMAT`].
    pub format: String,
    /// [`VERSION`].
    pub version: u32,
    /// Tells runs apart.
    pub id: String,
    /// When it was begun, in universal time.
    pub created: String,
    /// The version of Rill, and the build where it has a name of its own.
    pub rill: String,
    /// How much was measured.
    pub scope: Scope,
    /// In what.
    pub browser: Browser,
    /// The operating system as far as the browser tells it.
    pub system: String,
    /// The processor's cores as the browser tells them.
    pub cores: f64,
    /// Whether threads may share memory on the page.
    pub cross_origin_isolated: bool,
    /// What its owner calls the machine; empty where nothing was said.
    #[serde(default)]
    pub machine: String,
    /// What the GPU can do; `None` where there is none.
    pub roofline: Option<Roofline>,
    /// Why the GPU itself was not measured; empty where it was.
    #[serde(default)]
    pub roofline_note: String,
    /// What was measured, in order.
    pub entries: Vec<Entry>,
    /// The kernels that were measured by themselves; runs of before have none.
    #[serde(default)]
    pub kernels: Vec<KernelEntry>,
}

/// A browser by the name that people know.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Browser {
    /// `Chromium`, `Firefox`, `Safari`, ….
    pub name: String,
    /// Its main version; empty where it tells none.
    pub version: String,
    /// As it names itself.
    pub agent: String,
}

/// One thing that is measured.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Case {
    /// The model's id.
    pub model: String,
    /// The model as people call it.
    pub title: String,
    /// What it does.
    pub task: Task,
    /// On what.
    pub backend: BackendChoice,
    /// In what precision.
    pub precision: Precision,
    /// What it is given, in words.
    pub input: String,
}

/// A case and what came of it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Entry {
    /// What was measured.
    pub case: Case,
    /// What came of it.
    pub outcome: Outcome,
}

/// What came of a case, or of a kernel.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Outcome<T = Box<Figures>> {
    /// It was measured.
    Measured(T),
    /// It failed; the others went on.
    Failed {
        /// Why, in the engine's words.
        message: String,
    },
    /// The visitor stopped the benchmark before it was done.
    Stopped,
}

/// The figures of a case.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Figures {
    /// The GPU or processor, as its driver names it.
    pub adapter: String,
    /// Whether the adapter computes on the processor.
    pub software: bool,
    /// The first load of this visit: pipelines are made anew, unless the browser kept them from an earlier one.
    pub first_load: LoadFigures,
    /// The load after it: files and pipelines are known.
    pub second_load: LoadFigures,
    /// Milliseconds of the very first run, which is not among `runs`.
    pub first_run_ms: f64,
    /// Milliseconds of the runs after it, from input to answer.
    pub runs: Summary,
    /// Milliseconds from the command to the first token, of models that write.
    pub first_token_ms: Option<Summary>,
    /// Tokens a second, of models that write.
    pub tokens_per_s: Option<Summary>,
    /// Seconds of sound in the input; `None` of what is no sound.
    pub audio_s: Option<f64>,
    /// Medians of the stages, in order, and of what is left of the whole.
    pub stages: Vec<StageFigure>,
    /// How right the answers are; `None` where nothing is known to compare with.
    pub accuracy: Option<Accuracy>,
    /// What the model answered, shortened.
    pub answer: String,
    /// Bytes in the backend's memory.
    pub memory_bytes: u64,
    /// Most bytes that the load held at once.
    pub peak_bytes: u64,
}

/// A stage of a run.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct StageFigure {
    /// Its name.
    pub name: String,
    /// Milliseconds.
    pub ms: f64,
}

/// What a load took.
#[derive(Debug, Clone, Copy, PartialEq, Default, Serialize, Deserialize)]
pub struct LoadFigures {
    /// Milliseconds from command to model.
    pub total_ms: f64,
    /// Milliseconds of it until all bytes were there.
    pub download_ms: f64,
    /// Milliseconds that were waited for pipelines.
    pub compile_ms: f64,
    /// Milliseconds of the run that warms up.
    pub warm_up_ms: f64,
    /// Bytes that came over the network; the others were kept in the browser.
    pub fetched_bytes: u64,
}

/// How right answers are.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Accuracy {
    /// Words that are wrong, in a hundred that were said.
    WordErrorRate(f64),
    /// Answers that are right, of so many.
    Right {
        /// The right ones.
        right: u32,
        /// All.
        of: u32,
    },
}

impl Accuracy {
    /// Whether answers are so wrong that their speed says nothing: a tenth of the words, or a quarter of the answers.
    pub fn is_poor(self) -> bool {
        match self {
            Accuracy::WordErrorRate(percent) => percent > 10.0,
            Accuracy::Right { right, of } => f64::from(right) < 0.75 * f64::from(of),
        }
    }

    /// For people.
    pub fn words(self) -> String {
        match self {
            Accuracy::WordErrorRate(percent) => format!("{percent:.1} % of words wrong"),
            Accuracy::Right { right, of } => format!("{right} of {of} right"),
        }
    }
}

impl Entry {
    /// The figures, where there are some.
    pub fn figures(&self) -> Option<&Figures> {
        if let Outcome::Measured(figures) = &self.outcome { Some(figures) } else { None }
    }
}

impl Figures {
    /// How many seconds of sound are worked through in a second.
    pub fn real_time(&self) -> Option<f64> {
        self.audio_s.map(|audio_s| audio_s * 1e3 / self.runs.median.max(1e-3))
    }
}

impl BenchmarkRun {
    /// The browser and its version.
    pub fn browser_name(&self) -> String {
        format!("{} {}", self.browser.name, self.browser.version).trim_end().to_string()
    }

    /// The adapter of the GPU's entries, else of the first one.
    pub fn adapter(&self) -> &str {
        let figures = || self.entries.iter().filter(|entry| entry.figures().is_some());
        let on_gpu = figures().find(|entry| entry.case.backend == BackendChoice::WebGpu);
        on_gpu.or_else(|| figures().next()).and_then(Entry::figures).map_or("", |figures| &figures.adapter)
    }

    /// The day, as `2026-11-27`.
    pub fn day(&self) -> &str {
        self.created.split('T').next().unwrap_or_default()
    }

    /// Day and minute, as `2026-11-27 22:41`.
    pub fn minute(&self) -> String {
        self.created.replace('T', " ").get(..16).unwrap_or_default().into()
    }

    /// Reads one run, or several from a file with a list of them.
    ///
    /// # Errors
    /// In words what the text is instead.
    pub fn read(text: &str) -> Result<Vec<Self>, String> {
        let value: serde_json::Value =
            serde_json::from_str(text).map_err(|error| format!("it is no JSON ({error})"))?;
        let values = match value {
            serde_json::Value::Array(values) => values,
            one => vec![one],
        };
        if values.is_empty() {
            return Err("it is an empty list".into());
        }
        values.into_iter().map(Self::from_value).collect()
    }

    fn from_value(value: serde_json::Value) -> Result<Self, String> {
        if value.get("format").and_then(|format| format.as_str()) != Some(FORMAT) {
            return Err(format!("it is JSON, but no benchmark of Rill: its `format` should be `{FORMAT}`"));
        }
        let version = value.get("version").and_then(serde_json::Value::as_u64);
        if version != Some(u64::from(VERSION)) {
            let version = version.map_or("none".into(), |version| version.to_string());
            return Err(format!("its version is {version}, this page reads version {VERSION}; reload the page"));
        }
        serde_json::from_value(value).map_err(|error| format!("a benchmark of Rill with something missing: {error}"))
    }
}

#[cfg(test)]
pub(super) mod tests {
    use super::super::kernels;
    use super::*;
    use crate::protocol::BenchKernel;

    /// A run in a browser with so many ms for the speech model on each backend.
    pub(crate) fn run(id: &str, browser: &str, ms: &[(BackendChoice, f64)]) -> BenchmarkRun {
        let entries = ms.iter().map(|&(backend, ms)| entry(backend, Precision::F32, ms)).collect();
        BenchmarkRun {
            format: FORMAT.into(),
            version: VERSION,
            id: id.into(),
            created: "2026-11-27T10:00:00.000Z".into(),
            rill: "0.1.0".into(),
            scope: Scope::Short,
            browser: Browser { name: browser.into(), version: "1".into(), agent: browser.into() },
            system: "Linux".into(),
            cores: 2.0,
            cross_origin_isolated: true,
            machine: String::new(),
            roofline: None,
            roofline_note: "no GPU".into(),
            entries,
            kernels: Vec::new(),
        }
    }

    pub(crate) fn entry(backend: BackendChoice, precision: Precision, ms: f64) -> Entry {
        let case = Case {
            model: "whisper-tiny.en".into(),
            title: "Whisper tiny".into(),
            task: Task::SpeechToText,
            backend,
            precision,
            input: "11 s of speech".into(),
        };
        let figures = Figures {
            adapter: format!("{backend:?} adapter"),
            software: false,
            first_load: LoadFigures { total_ms: 10.0 * ms, compile_ms: ms, ..LoadFigures::default() },
            second_load: LoadFigures { total_ms: 2.0 * ms, ..LoadFigures::default() },
            first_run_ms: 1.5 * ms,
            runs: Summary { median: ms, low: 0.98 * ms, high: 1.02 * ms, n: 5 },
            first_token_ms: Summary::of(&[ms / 4.0]),
            tokens_per_s: Summary::of(&[1e5 / ms]),
            audio_s: Some(11.0),
            stages: vec![StageFigure { name: "Encoder".into(), ms: ms / 2.0 }],
            accuracy: Some(Accuracy::WordErrorRate(0.0)),
            answer: "And so".into(),
            memory_bytes: 1,
            peak_bytes: 2,
        };
        Entry { case, outcome: Outcome::Measured(Box::new(figures)) }
    }

    #[test]
    fn a_run_comes_back_as_it_was_alone_or_in_a_list() {
        let mut first = run("a", "Firefox", &[(BackendChoice::Wasm, 100.0)]);
        first.entries.push(Entry {
            case: first.entries[0].case.clone(),
            outcome: Outcome::Failed { message: "the GPU went away".into() },
        });
        let second = run("b", "Chromium", &[]);
        assert_eq!(BenchmarkRun::read(&serde_json::to_string(&first).unwrap()).unwrap(), [first.clone()]);
        let both = [first, second];
        assert_eq!(BenchmarkRun::read(&serde_json::to_string(&both).unwrap()).unwrap(), both);
    }

    #[test]
    fn kernels_come_back_as_they_were_and_runs_of_before_have_none() {
        let mut run = run("a", "Firefox", &[(BackendChoice::Wasm, 100.0)]);
        let (kernel, backend) = (BenchKernel::WideProductInt8, BackendChoice::Wasm);
        run.kernels = vec![
            kernels::tests::entry(kernel, backend, &[812.3, 790.1]),
            KernelEntry { kernel, backend, outcome: Outcome::Failed { message: "an impossible result".into() } },
            KernelEntry { kernel, backend, outcome: Outcome::Stopped },
        ];
        let mut json = serde_json::to_value(&run).unwrap();
        assert_eq!(BenchmarkRun::read(&json.to_string()).unwrap(), [run.clone()]);
        json.as_object_mut().unwrap().remove("kernels");
        assert_eq!(BenchmarkRun::read(&json.to_string()).unwrap(), [BenchmarkRun { kernels: Vec::new(), ..run }]);
    }

    #[test]
    fn what_is_no_run_is_refused_in_words() {
        let says = |text: &str| BenchmarkRun::read(text).unwrap_err();
        assert!(says("hello").contains("no JSON"));
        assert!(says("[]").contains("empty"));
        assert!(says("{\"format\": \"other\"}").contains("no benchmark of Rill"));
        assert!(says("{\"format\": \"rill-benchmark\", \"version\": 99}").contains("version is 99"));
        assert!(says("{\"format\": \"rill-benchmark\", \"version\": 1}").contains("missing"));
    }

    #[test]
    fn wrong_answers_are_told_from_right_ones() {
        assert!(Accuracy::WordErrorRate(40.0).is_poor() && !Accuracy::WordErrorRate(4.5).is_poor());
        assert!(Accuracy::Right { right: 5, of: 8 }.is_poor() && !Accuracy::Right { right: 6, of: 8 }.is_poor());
    }

    #[test]
    fn the_speed_of_speech_is_a_multiple_of_real_time() {
        let entry = entry(BackendChoice::Wasm, Precision::F32, 500.0);
        assert_eq!(entry.figures().and_then(Figures::real_time), Some(22.0));
    }
}
