//! Texts to texts: tokens, the encoder once, then a token at a time, greedily, drawn, or by beams. A model that was loaded for several texts
//! at once takes their steps together, each text with a state of its own, so that it comes out as it does alone; beams are followed text by text.
//!
//! What a T5 computes is the business of `models::t5`, how tokens follow each other that of `decode` and `beam`.

use super::beam::{self, Limits, MOST_BEAMS};
use super::decode::{Beginning, DecodeLoop, Decoded, DecoderGraphs};
use super::error::which;
use super::graph::Recorder;
use super::model::{Component, parse};
use super::models::t5::{CAPACITY, Config, T5, TextBatch};
use super::ops::decode_state::DecodeState;
use super::session::{Session, Watch};
use super::speech::check_logits;
use super::text::{EncodeOptions, TextStream, Tokenizer, read_tokenizer};
use super::weights::ModelFiles;
use super::{Error, Result, edge};
use crate::protocol::{FinishReason, GenerateOptions, GenerateTimings, Generation, MOST_NEW_TOKENS};
use serde_json::Value;
use std::ops::ControlFlow;

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

    /// Records its graphs, for `batch_size` texts at once.
    pub fn record(self, recorder: &Recorder, batch_size: usize) -> Result<(Recorded, Vec<Component>)> {
        let Files { config, tokenizer, max_tokens } = self;
        let t5 = T5::record(recorder, config, batch_size)?;
        Ok((Recorded { t5, tokenizer, max_tokens }, Component::whole(recorder)))
    }
}

impl Recorded {
    /// The model on a device.
    pub fn on(self, session: Session) -> TextModel {
        let Recorded { t5, tokenizer, max_tokens } = self;
        let graphs = DecoderGraphs {
            prompts: vec![(1, t5.step)],
            step: t5.step,
            n_seqs: 1,
            capacity: CAPACITY,
            tokens: t5.tokens,
            state: t5.state,
        };
        let together = t5.batch.as_ref().map(|batch| DecodeLoop::new(batch.graphs.clone()));
        TextModel { session, decode: DecodeLoop::new(graphs), together, t5, tokenizer, max_tokens }
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
    /// Decodes several texts at once.
    together: Option<DecodeLoop>,
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
    /// How many texts it answers at once.
    pub fn batch_size(&self) -> usize {
        self.together.as_ref().map_or(1, DecodeLoop::n_seqs)
    }

    /// Answers texts, as many at once as the model was loaded for. `on_text` hears a text grow, `stream_buffer_size` tokens at a time, and the whole of it at its end;
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
        let n_at_once = if options.num_beams > 1 { 1 } else { self.batch_size() };
        for inputs_at_once in inputs.chunks(n_at_once) {
            let first = generations.len();
            watch.progress(first as f32 / inputs.len() as f32)?;
            // How far a graph is says nothing of how many texts are done.
            let watch = &mut Watch { cancel: watch.cancel, on_progress: &mut |_| () };
            let encode_start = edge::Instant::now();
            for (region, ids) in inputs_at_once.iter().enumerate() {
                self.run_encoder(region, ids, watch).await?;
            }
            timings.encode_ms += edge::ms_since(encode_start);
            let decode_start = edge::Instant::now();
            let before_ms = edge::ms_since(start);
            let (answers, first_token_ms) = match options.num_beams {
                0 | 1 => self.follow(first, inputs_at_once.len(), options, watch, on_text).await?,
                _ => self.follow_beams(first, options, watch, on_text).await?,
            };
            timings.decode_ms += edge::ms_since(decode_start);
            if first == 0 {
                timings.first_token_ms = before_ms + first_token_ms;
            }
            generations.extend(answers);
        }
        let n_tokens: usize = generations.iter().map(|generation| generation.tokens.len()).sum();
        watch.progress(1.0)?;
        timings.total_ms = edge::ms_since(start);
        timings.tokens_per_s = n_tokens as f64 / (timings.decode_ms / 1000.0).max(1e-9);
        Ok((generations, timings))
    }

    /// The first run: drivers finish pipelines only when they are used. What comes out must be numbers.
    pub(super) async fn warm_up(&mut self, watch: &mut Watch<'_>) -> Result<()> {
        self.run_encoder(0, &[self.t5.config.eos_token_id], watch).await?;
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

    /// Encodes a text, the one of number `region` among those at once.
    async fn run_encoder(&mut self, region: usize, ids: &[u32], watch: &mut Watch<'_>) -> Result<()> {
        let fits = self.t5.encoders.iter().find(|encoder| encoder.seq_len >= ids.len());
        let encoder = fits.cloned().ok_or_else(|| Error::Internal("a text is longer than every encoder".into()))?;
        let mut padded = vec![self.t5.config.pad_token_id; encoder.seq_len];
        padded[..ids.len()].copy_from_slice(ids);
        self.session.write(encoder.ids, 0, bytemuck::cast_slice(&padded))?;
        let length = (ids.len() as u32).to_le_bytes();
        self.session.write(self.t5.length, 0, &length)?;
        if let Some(TextBatch { lengths, region: in_hand, .. }) = self.t5.batch {
            self.session.write(in_hand, 0, &(region as u32).to_le_bytes())?;
            self.session.write(lengths, 4 * region, &length)?;
        }
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

    /// The next `n` texts, the first of them of number `first`, greedily or drawn.
    async fn follow(
        &mut self,
        first: usize,
        n: usize,
        options: &GenerateOptions,
        watch: &mut Watch<'_>,
        on_text: &mut dyn FnMut(TextEvent),
    ) -> Result<(Vec<Generation>, f64)> {
        let prompt = [self.t5.config.start_token()];
        let beginnings = vec![Beginning { prompt: &prompt, state: self.begin(options) }; n];
        let mut growing: Vec<Growing> =
            (first..first + n).map(|index| Growing::new(index, &self.tokenizer, options)).collect();
        let mut on_tokens = |idx: usize, tokens: &[u32]| growing[idx].push(tokens, on_text);
        let decode = match &mut self.together {
            Some(together) if n > 1 => together,
            _ => &mut self.decode,
        };
        let decoded = decode.run_all(&mut self.session, &[], &beginnings, watch, &mut on_tokens).await?;
        let first_token_ms = decoded.first().map_or(0.0, |decoded| decoded.first_token_ms);
        let texts = growing.into_iter().zip(decoded).map(|(text, decoded)| text.finish(decoded, on_text));
        Ok((texts.collect::<Result<_>>()?, first_token_ms))
    }

    async fn follow_beams(
        &mut self,
        index: usize,
        options: &GenerateOptions,
        watch: &mut Watch<'_>,
        on_text: &mut dyn FnMut(TextEvent),
    ) -> Result<(Vec<Generation>, f64)> {
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
        Ok((vec![Generation { text, tokens, finish }], first_token_ms))
    }
}

/// A text that is told while it grows.
struct Growing<'a> {
    index: usize,
    tokenizer: &'a Tokenizer,
    stream: TextStream,
    /// Tokens that are told together.
    at_once: usize,
    /// Tokens that it was made of so far.
    n_tokens: usize,
    /// Tokens that were not told yet.
    fresh: Vec<u32>,
    /// Texts that end it.
    stops: &'a [String],
    /// Bytes of the text before the one that ended it.
    stopped: Option<usize>,
    failed: Option<Error>,
}

impl<'a> Growing<'a> {
    fn new(index: usize, tokenizer: &'a Tokenizer, options: &'a GenerateOptions) -> Self {
        let at_once = options.stream_buffer_size.max(1) as usize;
        let stream = TextStream::new(tokenizer, None);
        Self {
            index,
            tokenizer,
            stream,
            at_once,
            n_tokens: 0,
            fresh: Vec::new(),
            stops: &options.stop,
            stopped: None,
            failed: None,
        }
    }

    /// Takes new tokens, and breaks off at the one that completes a text which ends answers.
    fn push(&mut self, tokens: &[u32], on_text: &mut dyn FnMut(TextEvent)) -> ControlFlow<()> {
        for &token in tokens {
            if let Err(error) = self.stream.push(token) {
                self.failed = Some(error);
            }
            self.fresh.push(token);
            self.n_tokens += 1;
            self.stopped = before_stop(self.stream.text(), self.stops);
            if self.stopped.is_some() {
                return ControlFlow::Break(());
            }
            if self.fresh.len() >= self.at_once {
                let new_tokens = std::mem::take(&mut self.fresh);
                on_text(TextEvent { index: self.index, text: self.stream.text().to_string(), new_tokens });
            }
        }
        ControlFlow::Continue(())
    }

    fn finish(self, decoded: Decoded, on_text: &mut dyn FnMut(TextEvent)) -> Result<Generation> {
        if let Some(error) = self.failed {
            return Err(error);
        }
        let mut tokens = decoded.tokens;
        let (text, finish) = match self.stopped {
            Some(len) => {
                tokens.truncate(self.n_tokens);
                (self.stream.text()[..len].to_string(), FinishReason::Stop)
            }
            None if decoded.has_end => (self.tokenizer.decode(&tokens, true)?, FinishReason::EndOfText),
            None => (self.tokenizer.decode(&tokens, true)?, FinishReason::MaxTokens),
        };
        if !self.fresh.is_empty() || self.stream.text() != text {
            on_text(TextEvent { index: self.index, text: text.clone(), new_tokens: self.fresh });
        }
        Ok(Generation { text, tokens, finish })
    }
}

/// How much of a text stands before the first of those that end it.
fn before_stop(text: &str, stops: &[String]) -> Option<usize> {
    stops.iter().filter_map(|stop| text.find(stop.as_str())).min()
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
    if options.stop.iter().any(String::is_empty) {
        return wrong("a text that ends answers is empty, and would end each before it begins".into());
    }
    if num_beams > 1 && !options.stop.is_empty() {
        return wrong("beams end where the model says so: texts that end answers go with one beam".into());
    }
    if num_beams > 1 && temperature > 0.0 {
        return wrong(
            "beams follow the most probable texts and draw nothing: the temperature must be 0 with them".into(),
        );
    }
    Ok(())
}
