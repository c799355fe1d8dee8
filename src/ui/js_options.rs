//! The options that programs pass to `window.rill`, checked: a wrong one gets a `TypeError` that names what is expected.

use std::ops::RangeInclusive;

use js_sys::{Array, Function, Object, Reflect};
use wasm_bindgen::prelude::*;
use web_sys::{AbortSignal, Blob, File, Url};

use super::benchmark::record::Scope;
use super::client::with_path;
use super::debug_report::ReportKind;
use super::files_in::path_of;
use crate::protocol::{
    BackendChoice, GenerateOptions, LoadRequest, MOST_BEAMS, MOST_NEW_TOKENS, PipelineInfo, Precision, Precompile,
    Source, SpeechTask, TranscribeOptions,
};

/// What a run gives, where it may be one of several things.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Output {
    /// What the model is for, by this name.
    Usual(&'static str),
    /// A vector for each input.
    Embeddings,
    /// The last hidden state for each token.
    Hidden,
}

impl Output {
    fn name(self) -> &'static str {
        match self {
            Output::Usual(name) => name,
            Output::Embeddings => "embeddings",
            Output::Hidden => "hidden",
        }
    }
}

/// The options of one call.
pub struct Given<'a> {
    method: &'static str,
    options: &'a JsValue,
}

impl<'a> Given<'a> {
    /// Options of `method`, of which only `known` names may be there: a misspelt option must not be ignored.
    pub fn new(method: &'static str, options: &'a JsValue, known: &[&str]) -> Result<Self, JsValue> {
        if options.is_null() || options.is_undefined() {
            return Ok(Self { method, options });
        }
        let object = options
            .dyn_ref::<Object>()
            .ok_or_else(|| type_error(&format!("{method}: the options must be an object")))?;
        for name in Object::keys(object).iter().filter_map(|name| name.as_string()) {
            if !known.contains(&name.as_str()) {
                return Err(type_error(&format!(
                    "{method}: there is no option `{name}`; the options are {}",
                    known.join(", ")
                )));
            }
        }
        Ok(Self { method, options })
    }

    /// How to load `model`.
    pub fn load_request(&self, model: &str) -> Result<LoadRequest, JsValue> {
        let mut request = LoadRequest::new(model);
        request.backend = self.one_of(
            "backend",
            &[
                ("auto", BackendChoice::Auto),
                ("webgpu", BackendChoice::WebGpu),
                ("webnn", BackendChoice::WebNn),
                ("wasm", BackendChoice::Wasm),
            ],
        )?;
        request.precision = self.one_of(
            "precision",
            &[("f32", Precision::F32), ("f16", Precision::F16), ("int8", Precision::Int8), ("int4", Precision::Int4)],
        )?;
        if let Some(base) = self.string("baseUrl")? {
            // Relative to the page, as programs expect; the engine's own address is another.
            let page = web_sys::window()
                .and_then(|window| window.document())
                .and_then(|document| document.base_uri().ok().flatten());
            let url = Url::new_with_base(&base, page.as_deref().unwrap_or_default());
            request.source = Source::Url(url.map_err(|_| self.wrong("baseUrl", "an address"))?.href());
        }
        if let Some(bytes) = self.whole_number("chunkBytes")? {
            request.chunk_bytes = bytes;
        }
        request.threads = self.whole_number("threads")?;
        request.memory_level = self.level("memoryLevel")?;
        request.kernel_level = self.level("kernelLevel")?;
        request.tune = self.switch("tune")?.unwrap_or(request.tune);
        request.memory_budget_mb = self.whole_number("memoryBudgetMb")?;
        if let Some(parallel) = self.whole_number("parallelComponents")? {
            request.parallel_components = parallel;
        }
        let most = f64::from(LoadRequest::MOST_BATCH);
        let expected = format!("a whole number from 1 to {most}");
        if let Some(batch) = self.number("batchSize", 1.0..=most, &expected)? {
            let whole = (batch.fract() == 0.0).then_some(batch as u32);
            request.batch_size = whole.ok_or_else(|| self.wrong("batchSize", &expected))?;
        }
        Ok(request)
    }

    /// One of the levels 0 to 3.
    fn level<Level: TryFrom<u8> + Default>(&self, name: &str) -> Result<Level, JsValue> {
        const EXPECTED: &str = "a whole number from 0 to 3";
        let Some(level) = self.number(name, 0.0..=3.0, EXPECTED)? else { return Ok(Level::default()) };
        let known = (level.fract() == 0.0).then(|| Level::try_from(level as u8).ok()).flatten();
        known.ok_or_else(|| self.wrong(name, EXPECTED))
    }

    /// Whether something is thrown away first.
    pub fn forget(&self) -> Result<bool, JsValue> {
        Ok(self.switch("forget")?.unwrap_or(false))
    }

    /// Which pipelines are made.
    pub fn precompile(&self) -> Result<Precompile, JsValue> {
        Ok(match self.string("which")?.as_deref() {
            None | Some("essential") => Precompile::Essential,
            Some("all") => Precompile::All,
            Some(op) => Precompile::Operation(op.into()),
        })
    }

    /// What kind of report, and whether with the words of refusals.
    pub fn report(&self) -> Result<(ReportKind, bool), JsValue> {
        let kind = self.one_of("format", &[("html", ReportKind::Html), ("json", ReportKind::Json)])?;
        Ok((kind, self.switch("words")?.unwrap_or(false)))
    }

    /// How much is measured.
    pub fn scope(&self) -> Result<Scope, JsValue> {
        self.one_of("scope", &[("short", Scope::Short), ("full", Scope::Full)])
    }

    /// What the machine is called; empty where nothing was said.
    pub fn machine(&self) -> Result<String, JsValue> {
        Ok(self.string("machine")?.unwrap_or_default())
    }

    /// The ids of models, where some are named.
    pub fn models(&self) -> Result<Option<Vec<String>>, JsValue> {
        self.value("models").map(|_| self.texts("models")).transpose()
    }

    /// The files of a model, for a load that takes them instead of an address.
    pub fn files(&self) -> Result<Option<Array>, JsValue> {
        let wrong = || self.wrong("files", "an array of File or an object of Blobs by their paths, not empty");
        let Some(given) = self.value("files") else { return Ok(None) };
        let file = |file: JsValue| file.dyn_into::<File>().ok().map(|file| with_path(&path_of(&file), &file));
        let files: Option<Array> = match given.dyn_into::<Array>() {
            Ok(files) => files.iter().map(file).collect::<Option<Vec<_>>>().map(|files| files.into_iter().collect()),
            Err(given) => {
                let object = given.dyn_into::<Object>().map_err(|_| wrong())?;
                let entry = |entry: JsValue| {
                    let entry = entry.unchecked_into::<Array>();
                    Some(with_path(&entry.get(0).as_string()?, &entry.get(1).dyn_into::<Blob>().ok()?))
                };
                let entries = Object::entries(&object);
                entries.iter().map(entry).collect::<Option<Vec<_>>>().map(|files| files.into_iter().collect())
            }
        };
        files.filter(|files| files.length() > 0).map(Some).ok_or_else(wrong)
    }

    /// How to generate text.
    pub fn generate_options(&self) -> Result<GenerateOptions, JsValue> {
        let default = GenerateOptions::default();
        Ok(GenerateOptions {
            max_tokens: self.whole_number_in("maxTokens", 1..=MOST_NEW_TOKENS)?,
            temperature: self.number("temperature", 0.0..=100.0, "a number from 0 to 100")?.unwrap_or(0.0) as f32,
            top_k: self.whole_number("topK")?,
            top_p: self
                .number("topP", f64::from(f32::MIN_POSITIVE)..=1.0, "a number above 0, at most 1")?
                .unwrap_or(1.0) as f32,
            num_beams: self.whole_number_in("numBeams", 1..=MOST_BEAMS)?.unwrap_or(default.num_beams),
            seed: self.whole_number_in("seed", 0..=u32::MAX)?.unwrap_or(default.seed),
            stream_buffer_size: self.whole_number("streamBufferSize")?.unwrap_or(default.stream_buffer_size),
            stop: self.texts("stop")?,
        })
    }

    /// How many candidates or labels.
    pub fn top_k(&self) -> Result<Option<u32>, JsValue> {
        self.whole_number("topK")
    }

    /// Most inputs that are computed at once.
    pub fn batch_size(&self) -> Result<Option<u32>, JsValue> {
        self.whole_number("batchSize")
    }

    /// What `output` asks for; the first of `known` where it says nothing.
    pub fn output(&self, known: &[Output]) -> Result<Output, JsValue> {
        let named: Vec<(&str, Output)> = known.iter().map(|output| (output.name(), *output)).collect();
        self.one_of("output", &named)
    }

    /// How to transcribe with this model.
    pub fn transcribe_options(&self, info: &PipelineInfo) -> Result<TranscribeOptions, JsValue> {
        let mut options = TranscribeOptions {
            language: self.string("language")?,
            task: self
                .one_of("task", &[("transcribe", SpeechTask::Transcribe), ("translate", SpeechTask::Translate)])?,
            max_tokens: self.whole_number("maxTokens")?,
            prompt: self.string("prompt")?,
            ..TranscribeOptions::default()
        };
        if let Some(language) = options.language.as_ref().filter(|language| !info.languages.contains(language)) {
            let model = &info.model.id;
            let known = if info.languages.is_empty() { "en".into() } else { info.languages.join(", ") };
            if known != *language {
                return Err(type_error(&format!(
                    "run: `{model}` does not know the language `{language}`; it knows {known}"
                )));
            }
        }
        options.timestamps = self.switch("timestamps")?.unwrap_or(options.timestamps);
        if let Some(temperatures) = self.value("temperatures") {
            let wrong = || self.wrong("temperatures", "an array of numbers from 0 to 1");
            let numbers = temperatures.dyn_into::<Array>().map_err(|_| wrong())?;
            let number = |value: JsValue| value.as_f64().filter(|t| (0.0..=1.0).contains(t)).map(|t| t as f32);
            options.temperatures = numbers.iter().map(number).collect::<Option<_>>().ok_or_else(wrong)?;
        }
        Ok(options)
    }

    /// The graph that is looked at.
    pub fn graph(&self) -> Result<String, JsValue> {
        self.string("graph")?.ok_or_else(|| self.wrong("graph", "the name of a graph, one of those that nodes() tells"))
    }

    /// Numbers of nodes, where they are named.
    pub fn nodes(&self) -> Result<Option<Vec<u32>>, JsValue> {
        let Some(value) = self.value("nodes") else { return Ok(None) };
        let wrong = || self.wrong("nodes", "an array of whole numbers from 0");
        let number = |value: JsValue| {
            let number = value.as_f64().filter(|number| (0.0..=f64::from(u32::MAX)).contains(number));
            number.filter(|number| number.fract() == 0.0).map(|number| number as u32)
        };
        let numbers = value.dyn_into::<Array>().map_err(|_| wrong())?;
        numbers.iter().map(number).collect::<Option<_>>().map(Some).ok_or_else(wrong)
    }

    /// A callback.
    pub fn function(&self, name: &str) -> Result<Option<Function>, JsValue> {
        self.value(name).map(|value| value.dyn_into().map_err(|_| self.wrong(name, "a function"))).transpose()
    }

    /// The signal that cancels. One that is aborted already rejects at once.
    pub fn signal(&self) -> Result<Option<AbortSignal>, JsValue> {
        let signal = self.value("signal").map(|value| value.dyn_into::<AbortSignal>()).transpose();
        let signal = signal.map_err(|_| self.wrong("signal", "an AbortSignal"))?;
        match signal {
            Some(signal) if signal.aborted() => Err(signal.reason()),
            signal => Ok(signal),
        }
    }

    fn number(&self, name: &str, range: RangeInclusive<f64>, expected: &str) -> Result<Option<f64>, JsValue> {
        let number = |value: JsValue| {
            let number = value.as_f64().filter(|number| range.contains(number));
            number.ok_or_else(|| self.wrong(name, expected))
        };
        self.value(name).map(number).transpose()
    }

    fn value(&self, name: &str) -> Option<JsValue> {
        let value = Reflect::get(self.options, &name.into()).ok()?;
        (!value.is_undefined() && !value.is_null()).then_some(value)
    }

    fn string(&self, name: &str) -> Result<Option<String>, JsValue> {
        self.value(name).map(|value| value.as_string().ok_or_else(|| self.wrong(name, "a string"))).transpose()
    }

    fn switch(&self, name: &str) -> Result<Option<bool>, JsValue> {
        self.value(name).map(|value| value.as_bool().ok_or_else(|| self.wrong(name, "true or false"))).transpose()
    }

    fn texts(&self, name: &str) -> Result<Vec<String>, JsValue> {
        let Some(value) = self.value(name) else { return Ok(Vec::new()) };
        let wrong = || self.wrong(name, "an array of strings, none of them empty");
        let text = |text: JsValue| text.as_string().filter(|text| !text.is_empty());
        value.dyn_into::<Array>().map_err(|_| wrong())?.iter().map(text).collect::<Option<_>>().ok_or_else(wrong)
    }

    fn whole_number(&self, name: &str) -> Result<Option<u32>, JsValue> {
        self.whole_number_in(name, 1..=u32::MAX)
    }

    fn whole_number_in(&self, name: &str, range: RangeInclusive<u32>) -> Result<Option<u32>, JsValue> {
        let (least, most) = (*range.start(), *range.end());
        let expected = match most {
            u32::MAX => format!("a whole number from {least}"),
            most => format!("a whole number from {least} to {most}"),
        };
        let number = self.number(name, f64::from(least)..=f64::from(most), &expected)?;
        match number {
            Some(number) if number.fract() != 0.0 => Err(self.wrong(name, &expected)),
            number => Ok(number.map(|number| number as u32)),
        }
    }

    /// The first value is the default.
    fn one_of<T: Copy>(&self, name: &str, values: &[(&str, T)]) -> Result<T, JsValue> {
        let Some(value) = self.value(name) else { return Ok(values[0].1) };
        let value = value.as_string();
        let found = values.iter().find(|(word, _)| value.as_deref() == Some(*word));
        found.map(|(_, value)| *value).ok_or_else(|| {
            let words: Vec<_> = values.iter().map(|(word, _)| format!("\"{word}\"")).collect();
            self.wrong(name, &words.join(" or "))
        })
    }

    fn wrong(&self, name: &str, expected: &str) -> JsValue {
        type_error(&format!("{}: `{name}` must be {expected}", self.method))
    }
}

/// A `TypeError` with these words.
pub fn type_error(message: &str) -> JsValue {
    js_sys::TypeError::new(message).into()
}
