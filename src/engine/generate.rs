//! Texts to texts: tokens, the encoder once, then a token at a time, greedily, drawn, or by beams.
//!
//! What a T5 computes is the business of `models::t5`, how tokens follow each other that of `decode` and `beam`.

use super::beam::{self, Limits, MOST_BEAMS};
use super::decode::{DecodeLoop, DecoderGraphs};
use super::error::which;
use super::graph::Recorder;
use super::model::{Component, parse};
use super::models::t5::{CAPACITY, Config, T5};
use super::ops::decode_state::DecodeState;
use super::session::{Session, Watch};
use super::speech::check_logits;
use super::text::{EncodeOptions, TextStream, Tokenizer, read_tokenizer};
use super::weights::ModelFiles;
use super::{Error, Result, edge};
use crate::protocol::{FinishReason, GenerateOptions, GenerateTimings, Generation, MOST_NEW_TOKENS};
use serde_json::Value;

/// Most tokens where neither the caller nor the repository says: some sentences. Transformers' own 20 cut most answers in the middle.
const DEFAULT_MAX_TOKENS: usize = 64;
/// The cache has room for the token that a text begins with and these.
const MOST_TOKENS: usize = CAPACITY - 1;
const _: () = assert!(MOST_TOKENS == MOST_NEW_TOKENS as usize, "the page promises what the cache holds");

/// The small files of a text-to-text model.
pub struct Files {
    config: Config,
    tokenizer: Tokenizer,
    max_tokens: usize,
}

/// Recorded, without a device.
pub struct Recorded {
    t5: T5,
    tokenizer: Tokenizer,
    max_tokens: usize,
}

impl Files {
    /// Reads what lies beside `config.json`.
    pub async fn read(files: &ModelFiles, config: &[u8]) -> Result<Self> {
        let tokenizer = read_tokenizer(files).await?;
        let generation = match files.read("generation_config.json").await? {
            Some(bytes) => parse("generation_config.json", &bytes)?,
            None => Value::Null,
        };
        // `max_length` counts the token that a text begins with.
        let max_tokens =
            generation["max_new_tokens"].as_u64().or(generation["max_length"].as_u64().map(|n| n.saturating_sub(1)));
        let max_tokens = max_tokens.map_or(DEFAULT_MAX_TOKENS, |n| (n as usize).clamp(1, MOST_TOKENS));
        Ok(Self { config: Config::from_json(config)?, tokenizer, max_tokens })
    }

    /// Records its graphs.
    pub fn record(self, recorder: &Recorder) -> Result<(Recorded, Vec<Component>)> {
        let Files { config, tokenizer, max_tokens } = self;
        let t5 = T5::record(recorder, config)?;
        Ok((Recorded { t5, tokenizer, max_tokens }, Component::whole(recorder)))
    }
}

impl Recorded {
    /// The model on a device.
    pub fn on(self, session: Session) -> TextModel {
        let Recorded { t5, tokenizer, max_tokens } = self;
        let graphs = DecoderGraphs { prompts: vec![(1, t5.step)], step: t5.step, tokens: t5.tokens, state: t5.state };
        TextModel { session, decode: DecodeLoop::new(graphs), t5, tokenizer, max_tokens }
    }
}

/// A text-to-text model that is loaded and ready.
pub struct TextModel {
    /// Its graphs on a device.
    pub session: Session,
    /// Which graph and slot is which.
    pub t5: T5,
    tokenizer: Tokenizer,
    max_tokens: usize,
    decode: DecodeLoop,
}

/// A text grew.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TextEvent {
    /// Which of the texts.
    pub index: usize,
    /// All of it so far, as far as its characters are whole.
    pub text: String,
    /// The tokens that are new since the last event.
    pub new_tokens: Vec<u32>,
}

impl TextModel {
    /// Answers each text in turn. `on_text` hears a text grow, `stream_buffer_size` tokens at a time, and the whole of it at its end;
    /// with beams only that, for until then any of them may be the one. The share of the texts that are done is told by `watch`.
    ///
    /// # Errors
    /// [`Error::Input`] where an option is out of its range, or a text too long for the encoder: nothing is computed then.
    pub async fn generate(
        &mut self,
        texts: &[String],
        options: &GenerateOptions,
        watch: &mut Watch<'_>,
        on_text: &mut dyn FnMut(TextEvent),
    ) -> Result<(Vec<Generation>, GenerateTimings)> {
        let start = edge::Instant::now();
        check(options)?;
        let which = |idx| which("text", idx, texts.len());
        let inputs = texts.iter().enumerate().map(|(idx, text)| self.encode_text(&which(idx), text));
        let inputs = inputs.collect::<Result<Vec<_>>>()?;
        let (mut generations, mut timings) = (Vec::with_capacity(texts.len()), GenerateTimings::default());
        let mut n_tokens = 0;
        for (index, ids) in inputs.iter().enumerate() {
            watch.progress(index as f32 / inputs.len() as f32)?;
            // How far a graph is says nothing of how many texts are done.
            let watch = &mut Watch { cancel: watch.cancel, on_progress: &mut |_| () };
            let encode_start = edge::Instant::now();
            self.run_encoder(ids, watch).await?;
            timings.encode_ms += edge::ms_since(encode_start);
            let decode_start = edge::Instant::now();
            let before_ms = edge::ms_since(start);
            let (generation, first_token_ms) = match options.num_beams {
                0 | 1 => self.follow_one(index, options, watch, on_text).await?,
                _ => self.follow_beams(index, options, watch, on_text).await?,
            };
            timings.decode_ms += edge::ms_since(decode_start);
            if index == 0 {
                timings.first_token_ms = before_ms + first_token_ms;
            }
            n_tokens += generation.tokens.len();
            generations.push(generation);
        }
        watch.progress(1.0)?;
        timings.total_ms = edge::ms_since(start);
        timings.tokens_per_s = n_tokens as f64 / (timings.decode_ms / 1000.0).max(1e-9);
        Ok((generations, timings))
    }

    /// The first run: drivers finish pipelines only when they are used. What comes out must be numbers.
    pub(super) async fn warm_up(&mut self, watch: &mut Watch<'_>) -> Result<()> {
        self.run_encoder(&[self.t5.config.eos_token_id], watch).await?;
        let begin = DecodeState { limit: 3, ..self.begin(&GenerateOptions::default()) };
        self.session.write(self.t5.state, 0, bytemuck::bytes_of(&begin))?;
        let runs = [(self.t5.step, 1)];
        let bytes = self.session.submit(&runs, &[self.t5.logits], watch).await?.wait().await?.remove(0);
        check_logits(&bytemuck::pod_collect_to_vec(&bytes))
    }

    fn encode_text(&self, which: &str, text: &str) -> Result<Vec<u32>> {
        let ids = self.tokenizer.encode(text, EncodeOptions { add_special_tokens: true, max_length: None })?;
        let longest = self.t5.encoders.last().map_or(0, |encoder| encoder.seq_len);
        if ids.len() > longest {
            let n = ids.len();
            return Err(Error::Input(format!(
                "{which} has {n} tokens, and this model reads {longest} at once; cut it into parts"
            )));
        }
        Ok(ids)
    }

    async fn run_encoder(&mut self, ids: &[u32], watch: &mut Watch<'_>) -> Result<()> {
        let fits = self.t5.encoders.iter().find(|encoder| encoder.seq_len >= ids.len());
        let encoder = fits.cloned().ok_or_else(|| Error::Internal("a text is longer than every encoder".into()))?;
        let mut padded = vec![self.t5.config.pad_token_id; encoder.seq_len];
        padded[..ids.len()].copy_from_slice(ids);
        self.session.write(encoder.ids, 0, bytemuck::cast_slice(&padded))?;
        self.session.write(self.t5.length, 0, &(ids.len() as u32).to_le_bytes())?;
        self.session.run_watched(encoder.graph, watch).await
    }

    /// The state that a text begins with: no timestamps, no languages, as in speech.
    fn begin(&self, options: &GenerateOptions) -> DecodeState {
        DecodeState {
            n_rows: 1,
            sample_begin: 1,
            limit: (self.max_tokens(options) + 1) as u32,
            eot: self.t5.config.eos_token_id,
            timestamp_begin: self.t5.config.vocab_size as u32,
            no_timestamps: u32::MAX,
            no_speech: u32::MAX,
            seed: options.seed,
            temperature: options.temperature,
            top_k: options.top_k.unwrap_or(0),
            top_p: options.top_p,
            ..bytemuck::Zeroable::zeroed()
        }
    }

    fn max_tokens(&self, options: &GenerateOptions) -> usize {
        options.max_tokens.map_or(self.max_tokens, |n| n as usize)
    }

    /// Greedily or drawn.
    async fn follow_one(
        &mut self,
        index: usize,
        options: &GenerateOptions,
        watch: &mut Watch<'_>,
        on_text: &mut dyn FnMut(TextEvent),
    ) -> Result<(Generation, f64)> {
        let (prompt, begin) = ([self.t5.config.start_token()], self.begin(options));
        let mut stream = TextStream::new(&self.tokenizer, None);
        let (mut fresh, mut failed) = (Vec::new(), None);
        let mut on_tokens = |tokens: &[u32]| {
            for &token in tokens {
                if let Err(error) = stream.push(token) {
                    failed = Some(error);
                }
                fresh.push(token);
                if fresh.len() >= options.stream_buffer_size.max(1) as usize {
                    let new_tokens = std::mem::take(&mut fresh);
                    on_text(TextEvent { index, text: stream.text().to_string(), new_tokens });
                }
            }
        };
        let decoded = self.decode.run(&mut self.session, &prompt, begin, watch, &mut on_tokens).await?;
        if let Some(error) = failed {
            return Err(error);
        }
        let text = self.tokenizer.decode(&decoded.tokens, true)?;
        if !fresh.is_empty() || stream.text() != text {
            on_text(TextEvent { index, text: text.clone(), new_tokens: fresh });
        }
        let finish = if decoded.has_end { FinishReason::EndOfText } else { FinishReason::MaxTokens };
        Ok((Generation { text, tokens: decoded.tokens, finish }, decoded.first_token_ms))
    }

    async fn follow_beams(
        &mut self,
        index: usize,
        options: &GenerateOptions,
        watch: &mut Watch<'_>,
        on_text: &mut dyn FnMut(TextEvent),
    ) -> Result<(Generation, f64)> {
        let (n_beams, eos) = (options.num_beams as usize, self.t5.config.eos_token_id);
        let fits = self.t5.beams.iter().find(|graph| graph.n_beams >= n_beams);
        let graph = fits.cloned().ok_or_else(|| Error::Internal(format!("no graph has {n_beams} beams")))?;
        let limits = Limits { n_beams, eos, max_tokens: self.max_tokens(options) };
        let start = beam::Start { state: self.t5.state, token: self.t5.config.start_token() };
        let (best, first_token_ms) = beam::run(&mut self.session, &graph, start, limits, watch).await?;
        let mut tokens = best.tokens;
        let finish = match tokens.pop_if(|token| *token == eos) {
            Some(_) => FinishReason::EndOfText,
            None => FinishReason::MaxTokens,
        };
        let text = self.tokenizer.decode(&tokens, true)?;
        on_text(TextEvent { index, text: text.clone(), new_tokens: tokens.clone() });
        Ok((Generation { text, tokens, finish }, first_token_ms))
    }
}

/// Options that no model could follow.
fn check(options: &GenerateOptions) -> Result<()> {
    let GenerateOptions { max_tokens, temperature, top_k, top_p, num_beams, .. } = *options;
    let wrong = |what: String| Err(Error::Input(what));
    if max_tokens.is_some_and(|n| n == 0 || n as usize > MOST_TOKENS) {
        return wrong(format!("{} tokens were asked for; it may be 1 to {MOST_TOKENS}", max_tokens.unwrap_or(0)));
    }
    if !(temperature.is_finite() && temperature >= 0.0) {
        return wrong(format!("the temperature is {temperature}; it is 0 for the most probable token, or above"));
    }
    if top_k == Some(0) {
        return wrong("top_k is 0; leave it out to draw among all tokens".into());
    }
    if !(top_p > 0.0 && top_p <= 1.0) {
        return wrong(format!("top_p is {top_p}; it is a probability above 0, at most 1"));
    }
    if num_beams as usize > MOST_BEAMS {
        return wrong(format!("{num_beams} beams were asked for; it may be 1 to {MOST_BEAMS}"));
    }
    if num_beams > 1 && temperature > 0.0 {
        return wrong(
            "beams follow the most probable texts and draw nothing: the temperature must be 0 with them".into(),
        );
    }
    Ok(())
}
