//! Native measurements of Whisper: `bench [--json FILE] [--model ID] [--clip FILE] [--runs N] [--precision f32|f16|int8]
//! [--backend webgpu|wasm] [--batch N] [--threads N]`. `--batch` decodes so many pieces of a clip over 30 s at once.
//!
//! Prints a table of stages with the adapter's name, medians over runs after one warm-up, and writes the same as JSON. Models come from the
//! folder that RILL_MODELS names, `models/` otherwise.

#[cfg(target_arch = "wasm32")]
fn main() {}

#[cfg(not(target_arch = "wasm32"))]
fn main() {
    if let Err(message) = native::run() {
        eprintln!("bench: {message}");
        std::process::exit(1);
    }
}

#[cfg(not(target_arch = "wasm32"))]
mod native {
    use rill::engine::ladder::{Ladder, Wish};
    use rill::engine::load::{LoadOptions, Loaded, load};
    use rill::engine::model::Model;
    use rill::engine::session::Watch;
    use rill::engine::transcribe::{SpeechModel, SpeechTimings};
    use rill::engine::weights::{LoadHooks, ModelFiles};
    use rill::engine::{CancelFlag, Result};
    use rill::protocol::{BackendChoice, Precision, TranscribeOptions};
    use serde_json::{Value, json};
    use std::path::PathBuf;
    use std::time::Instant;

    struct Options {
        json: Option<PathBuf>,
        models: PathBuf,
        model: String,
        clip: PathBuf,
        runs: usize,
        backend: BackendChoice,
        precision: Precision,
        batch_size: usize,
        threads: Option<usize>,
    }

    impl Options {
        fn parse() -> std::result::Result<Self, String> {
            let models: PathBuf = std::env::var_os("RILL_MODELS").unwrap_or_else(|| "models".into()).into();
            let mut options = Self {
                json: None,
                clip: models.join("samples/jfk.wav"),
                models,
                model: "whisper-tiny.en".into(),
                runs: 3,
                backend: BackendChoice::WebGpu,
                precision: Precision::F32,
                batch_size: 1,
                threads: None,
            };
            let number = |flag: &str, value: &str| {
                value.parse::<usize>().map_err(|_| format!("{flag} wants a number, not `{value}`"))
            };
            let mut args = std::env::args().skip(1);
            while let Some(flag) = args.next() {
                let value = args.next().ok_or_else(|| format!("{flag} wants a value"))?;
                match flag.as_str() {
                    "--json" => options.json = Some(value.into()),
                    "--model" => options.model = value,
                    "--clip" => options.clip = value.into(),
                    "--runs" => options.runs = number(&flag, &value)?,
                    "--batch" => options.batch_size = number(&flag, &value)?,
                    "--threads" => options.threads = Some(number(&flag, &value)?),
                    "--precision" if value == "f16" => options.precision = Precision::F16,
                    "--precision" if value == "f32" => options.precision = Precision::F32,
                    "--precision" if value == "int8" => options.precision = Precision::Int8,
                    "--backend" if value == "webgpu" => options.backend = BackendChoice::WebGpu,
                    "--backend" if value == "wasm" => options.backend = BackendChoice::Wasm,
                    _ => return Err(format!("`{flag} {value}` is not known; see the head of src/bin/bench.rs")),
                }
            }
            Ok(options)
        }
    }

    /// One transcription, in milliseconds.
    struct Run {
        total_ms: f64,
        stages: SpeechTimings,
        text: String,
    }

    pub fn run() -> std::result::Result<(), String> {
        let options = Options::parse()?;
        let wav = std::fs::read(&options.clip)
            .map_err(|e| format!("{}: {e}; `cargo xtask fetch-samples` fetches the clips", options.clip.display()))?;
        let wav = rill::audio::wav::decode(&wav).map_err(|e| e.to_string())?;
        let report = pollster::block_on(measure(&options, &wav.samples)).map_err(|e| e.to_string())?;
        if let Some(file) = &options.json {
            std::fs::write(file, format!("{report:#}")).map_err(|e| format!("{}: {e}", file.display()))?;
        }
        Ok(())
    }

    async fn measure(options: &Options, samples: &[f32]) -> Result<Value> {
        let wish = Wish {
            backend: options.backend,
            precision: options.precision,
            fallbacks: true,
            threads: options.threads,
            model: None,
        };
        let choice = Ladder::default().choose(&wish).await?;
        let files = ModelFiles::folder(options.models.join(&options.model), LoadHooks::default());
        let load_options = LoadOptions { batch_size: options.batch_size, ..LoadOptions::default() };
        let loaded = load(&choice, &files, &load_options, &CancelFlag::default(), &mut |_| ()).await?;
        let Loaded { model, given } = loaded;
        let load_timings = given.timings;
        let Model::Speech(mut model) = model else {
            return Err(rill::engine::Error::Input("the bench measures speech models".into()));
        };
        let audio_s = samples.len() as f64 / 16_000.0;
        let (adapter, precision, at_once) = (&choice.adapter, choice.precision, model.batch_size());
        println!("{} on {adapter} ({precision:?}), {audio_s:.1} s of speech, {at_once} at once", options.model);
        println!(
            "{:>6} {:>9} {:>9} {:>10} {:>9} {:>9} {:>8}",
            "run", "mel ms", "encode ms", "decode ms", "total ms", "tokens/s", "x real"
        );
        let mut runs = Vec::new();
        for n in 0..=options.runs {
            let run = one_run(&mut model, samples).await?;
            let rate = run.stages.n_tokens as f64 * 1e3 / run.stages.decode_ms;
            println!(
                "{:>6} {:>9.1} {:>9.1} {:>10.1} {:>9.1} {rate:>9.1} {:>8.1}",
                if n == 0 { "warm".into() } else { n.to_string() },
                run.stages.mel_ms,
                run.stages.encode_ms,
                run.stages.decode_ms,
                run.total_ms,
                audio_s * 1e3 / run.total_ms,
            );
            runs.push(run);
        }
        let timed = &runs[1.min(runs.len() - 1)..];
        let median = |value: &dyn Fn(&Run) -> f64| {
            let mut values: Vec<f64> = timed.iter().map(value).collect();
            values.sort_by(f64::total_cmp);
            values[values.len() / 2]
        };
        let total_ms = median(&|run| run.total_ms);
        Ok(json!({
            "model": options.model, "adapter": choice.adapter, "software": choice.software, "runs": timed.len(),
            "audio_s": audio_s, "batch_size": model.batch_size(), "load_ms": load_timings.total_ms, "compile_ms": load_timings.compile_ms,
            "mel_ms": median(&|run| run.stages.mel_ms), "encode_ms": median(&|run| run.stages.encode_ms),
            "decode_ms": median(&|run| run.stages.decode_ms), "first_token_ms": median(&|run| run.stages.first_token_ms),
            "total_ms": total_ms, "rtf": total_ms / 1e3 / audio_s,
            "tokens_per_s": median(&|run| run.stages.n_tokens as f64 * 1e3 / run.stages.decode_ms),
            "dispatches_per_token": model.dispatches_per_token(), "memory_bytes": model.session.memory_bytes(),
            "text": runs.last().map(|run| run.text.clone()),
        }))
    }

    async fn one_run(model: &mut SpeechModel, samples: &[f32]) -> Result<Run> {
        let start = Instant::now();
        let mut job = model.begin(TranscribeOptions::default())?;
        let cancel = CancelFlag::default();
        model
            .transcribe(samples, &mut job, &mut Watch { cancel: &cancel, on_progress: &mut |_| () }, &mut |_| ())
            .await?;
        let text = job.segments.iter().map(|segment| segment.text.as_str()).collect();
        Ok(Run { total_ms: start.elapsed().as_secs_f64() * 1e3, stages: job.timings, text })
    }
}
