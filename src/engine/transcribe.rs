//! Recordings of any length to text: the policy of `transcribe.py` in openai/whisper.
//!
//! Windows of 30 s follow each other by the last timestamp that the model wrote. A window is decoded greedily, and again at
//! higher temperatures where the text repeats itself or is improbable; windows without speech are skipped; each window is
//! conditioned on the text before it. How a window is computed is the business of `models::whisper` and `decode`; what a model does that was
//! loaded for several windows at once, that of `pieces`.

use super::decode::{Beginning, DecodeLoop, Decoded, DecoderGraphs};
use super::graph::GraphId;
use super::models::whisper::Whisper;
use super::ops::decode_state::DecodeState;
use super::ops::log_mel::{HOP, N_FFT, with_margins};
use super::ops::mel_scale::NO_LIMITS;
use super::session::{Pending, Session, Watch};
use super::text::whisper::{TIMESTAMP_STEP_S, WhisperTokens};
use super::text::{TextStream, Tokenizer};
use super::{CancelFlag, Error, Result, edge};
use crate::protocol::{RunStage, Segment, SpeechTask, TranscribeOptions};
use std::collections::VecDeque;
use std::io::Write as _;

/// Samples of a second.
pub const SAMPLE_RATE_HZ: usize = crate::audio::SAMPLE_RATE_HZ as usize;
/// Text that zlib shrinks by more than this repeats itself.
const COMPRESSION_RATIO_THRESHOLD: f32 = 2.4;
/// Text of a lower mean log-probability is improbable.
const LOGPROB_THRESHOLD: f32 = -1.0;
/// A window of a higher no-speech probability and improbable text holds no speech.
const NO_SPEECH_THRESHOLD: f32 = 0.6;
/// A window whose samples all stay below this (-80 dB of full scale, three steps of 16-bit audio) is silence. The features are
/// relative to the loudest moment, so the model would hear words in the rounding.
const SILENCE: f32 = 1e-4;
/// Windows whose features are under way at once: enough that a GPU never waits, few enough that their samples take little memory.
const MOST_HEARD_AHEAD: usize = 4;
/// A recording shorter than this holds no word.
const SHORTEST_S: f64 = 0.1;

/// A Whisper that is loaded and ready.
pub struct SpeechModel {
    /// Its graphs on a device.
    pub session: Session,
    /// Which graph and slot is which.
    pub whisper: Whisper,
    /// Its tokenizer.
    pub tokenizer: Tokenizer,
    /// Its special tokens.
    pub tokens: WhisperTokens,
    pub(super) decode: DecodeLoop,
    /// Decodes several windows at once.
    pub(super) together: Option<DecodeLoop>,
}

/// What happens while a recording is transcribed.
#[derive(Debug, Clone, PartialEq)]
pub enum SpeechEvent {
    /// A stage began or went on; the share of it that is done, where known.
    Stage(RunStage, Option<f32>),
    /// The text of the window in hand so far, or of those that are decoded together, and the tokens that are new.
    Tentative(String, Vec<u32>),
    /// Finished stretches; they replace the tentative text.
    Segments(Vec<Segment>),
}

/// Milliseconds by stage, summed over windows, and what came out.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct SpeechTimings {
    /// Log-mel features; those of a window only where they are a submit of their own.
    pub mel_ms: f64,
    /// Encoder and cross-attention keys and values; where a GPU does features, encoder and prompt in one submit, all of them.
    pub encode_ms: f64,
    /// Prompts and tokens.
    pub decode_ms: f64,
    /// From the start to the first token.
    pub first_token_ms: f64,
    /// Tokens chosen, rejected attempts included.
    pub n_tokens: u64,
}

/// A transcription in progress. It belongs to no device: what one model has begun, the same model elsewhere goes on with.
#[derive(Debug)]
pub struct Transcription {
    pub(super) options: TranscribeOptions,
    /// Whether several pieces may be decoded at once, where the model can; a recording that is still being made is followed window by window.
    pub may_batch: bool,
    /// Given or detected.
    pub language: Option<String>,
    /// First sample whose text is not final.
    pub seek: usize,
    /// Final stretches.
    pub segments: Vec<Segment>,
    /// What it took so far.
    pub timings: SpeechTimings,
    /// Loudest moment that is known, as `max_parts` gives it.
    pub(super) loudest: f32,
    /// First sample that was not listened to for it.
    listened: usize,
    pub(super) started: edge::Instant,
    /// Tokens of the prompt that was asked for.
    pub(super) asked: Vec<u32>,
    /// Text tokens that later windows are conditioned on.
    context: Vec<u32>,
}

/// The tokens that a window's text follows.
#[derive(Clone)]
pub(super) struct Prompt {
    pub(super) tokens: Vec<u32>,
    /// The row of start-of-transcript.
    sot_row: usize,
    use_timestamps: bool,
    /// Whether its language is only a place for the one that the decoder finds out.
    detects: bool,
}

/// What may be done with the text of a window.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Finality {
    /// It is final as far as its last timestamp, or to the end of the recording.
    Final,
    /// More of the recording is coming: the text is only shown.
    Tentative,
}

/// What becomes of text behind the last pair of timestamps.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Tail {
    /// The window after begins with it: it may have been cut within a word.
    Again,
    /// It is a segment to the end of the window, which ends in a pause.
    Kept,
}

/// One attempt at a window.
pub(super) struct Attempt {
    pub(super) decoded: Decoded,
    temperature: f32,
    avg_logprob: f32,
    /// Whether no other temperature need be tried.
    pub(super) passes: bool,
}

impl SpeechModel {
    /// A recorded and uploaded Whisper.
    pub fn new(session: Session, whisper: Whisper, tokenizer: Tokenizer, tokens: WhisperTokens) -> Self {
        let graphs = DecoderGraphs {
            prompts: whisper.prompts.clone(),
            step: whisper.step,
            n_seqs: 1,
            capacity: whisper.config.max_target_positions,
            tokens: whisper.tokens,
            state: whisper.state,
        };
        let together = whisper.batch.clone().map(DecodeLoop::new);
        Self { session, whisper, tokenizer, tokens, decode: DecodeLoop::new(graphs), together }
    }

    /// How many windows it decodes at once.
    pub fn batch_size(&self) -> usize {
        self.together.as_ref().map_or(1, DecodeLoop::n_seqs)
    }

    /// Language codes that the model knows.
    pub fn languages(&self) -> Vec<String> {
        if self.tokens.is_multilingual {
            self.tokens.languages.iter().map(|(code, _)| code.clone()).collect()
        } else {
            vec!["en".into()]
        }
    }

    /// Whether a recording has more than one window.
    pub(super) fn is_long(&self, recording: &[f32], job: &Transcription) -> bool {
        job.seek > 0 || recording.len() > self.whisper.config.n_samples()
    }

    /// Dispatches of one decoded token.
    pub fn dispatches_per_token(&self) -> u32 {
        self.session.n_dispatches(self.whisper.step)
    }

    /// Begins a transcription. Errors where the options ask for what the model cannot do.
    pub fn begin(&self, options: TranscribeOptions) -> Result<Transcription> {
        let language = match (&options.language, self.tokens.is_multilingual) {
            (Some(code), true) if self.tokens.language(code).is_none() => {
                return Err(Error::Input(format!(
                    "this model does not know the language `{code}`; choose one of its list"
                )));
            }
            (Some(code), false) if code != "en" => {
                return Err(Error::Input(format!(
                    "this model knows English only, not `{code}`; choose a multilingual one"
                )));
            }
            (_, false) if options.task == SpeechTask::Translate => {
                return Err(Error::Input(
                    "this model knows English only and cannot translate; choose a multilingual one".into(),
                ));
            }
            (_, false) => Some("en".to_string()),
            (code, true) => code.clone(),
        };
        let context = match &options.prompt {
            Some(prompt) => self.tokenizer.encode(&format!(" {}", prompt.trim()), Default::default())?,
            None => Vec::new(),
        };
        Ok(Transcription {
            options,
            may_batch: true,
            language,
            seek: 0,
            segments: Vec::new(),
            timings: SpeechTimings::default(),
            loudest: NO_LIMITS[0],
            listened: 0,
            started: edge::Instant::now(),
            asked: context.clone(),
            context,
        })
    }

    /// Transcribes a whole recording.
    pub async fn transcribe(
        &mut self,
        recording: &[f32],
        job: &mut Transcription,
        watch: &mut Watch<'_>,
        emit: &mut dyn FnMut(SpeechEvent),
    ) -> Result<()> {
        check_recording(recording)?;
        self.listen(recording, job, watch, emit).await?;
        while job.seek < recording.len() {
            match self.takes_pieces(recording, job) {
                true => self.pieces(recording, job, watch, emit).await?,
                false => self.window(recording, job, Finality::Final, watch, emit).await?,
            }
        }
        Ok(())
    }

    /// Finds the loudest moment of a long recording, which all its windows are scaled by.
    async fn listen(
        &mut self,
        recording: &[f32],
        job: &mut Transcription,
        watch: &mut Watch<'_>,
        emit: &mut dyn FnMut(SpeechEvent),
    ) -> Result<()> {
        let start = edge::Instant::now();
        let n_samples = self.whisper.config.n_samples();
        if recording.len() > n_samples {
            let mut ahead = VecDeque::new();
            // What another device has listened to is known.
            for from in (job.seek.max(job.listened)..recording.len()).step_by(n_samples) {
                emit(SpeechEvent::Stage(RunStage::Mel, Some(from as f32 / recording.len() as f32)));
                watch.cancel.check()?;
                let end = recording.len().min(from + n_samples);
                ahead.push_back((self.begin_features(recording, from, NO_LIMITS).await?, end));
                if ahead.len() > MOST_HEARD_AHEAD {
                    hear(job, ahead.pop_front()).await?;
                }
            }
            while !ahead.is_empty() {
                hear(job, ahead.pop_front()).await?;
            }
        }
        job.timings.mel_ms += edge::ms_since(start);
        Ok(())
    }

    /// Begins to compute the features of the window from sample `from` on; gives the loudest moments of its parts.
    async fn begin_features(&mut self, recording: &[f32], from: usize, limits: [f32; 2]) -> Result<Pending> {
        self.write_window(recording, from, limits)?;
        let mut quiet = Watch { cancel: &CancelFlag::default(), on_progress: &mut |_| () };
        self.session.submit(&[(self.whisper.mel, 1)], &[self.whisper.loudness], &mut quiet).await
    }

    /// Writes what the features of the window from sample `from` on are made of.
    fn write_window(&mut self, recording: &[f32], from: usize, limits: [f32; 2]) -> Result<()> {
        let n_samples = self.whisper.config.n_samples();
        let end = recording.len().min(from + n_samples + N_FFT);
        let audio = with_margins(&recording[..end], from, n_samples);
        self.session.write(self.whisper.audio, 0, bytemuck::cast_slice(&audio))?;
        self.session.write(self.whisper.limits, 0, bytemuck::cast_slice(&limits))
    }

    /// Decodes the window at `job.seek`; final text moves `job.seek` on.
    pub async fn window(
        &mut self,
        recording: &[f32],
        job: &mut Transcription,
        finality: Finality,
        watch: &mut Watch<'_>,
        emit: &mut dyn FnMut(SpeechEvent),
    ) -> Result<()> {
        let n_samples = (recording.len() - job.seek).min(self.whisper.config.n_samples());
        if is_silence(&recording[job.seek..][..n_samples]) {
            if finality == Finality::Final {
                job.seek += n_samples;
            }
            return Ok(());
        }
        let limits = match self.is_long(recording, job) {
            true => [job.loudest, ((recording.len() - job.seek) / HOP) as f32],
            false => NO_LIMITS,
        };
        let mut before = self.encode_ahead(recording, limits, job, finality)?;
        if before.is_empty() {
            self.encode(recording, limits, job, watch, emit).await?;
        }
        // The reference detects without a text before it.
        let detects = job.language.is_none() && job.context.is_empty() && !before.is_empty();
        if job.language.is_none() && !detects {
            job.language = Some(self.detect_language(&before, watch).await?);
            before.clear();
        }
        emit(SpeechEvent::Stage(RunStage::Decode, None));
        let is_long = self.is_long(recording, job);
        let mut prompt = self.prompt(job, &job.context, job.options.timestamps || is_long);
        prompt.detects = detects;
        let temperatures = match (finality, job.options.temperatures.is_empty()) {
            (Finality::Final, false) => job.options.temperatures.clone(),
            _ => vec![0.0],
        };
        let tries: Vec<(usize, f32)> = temperatures.into_iter().enumerate().collect();
        let attempt = self.attempts(job, &before, prompt, &tries, watch, emit).await?;
        let attempt = attempt.ok_or_else(|| Error::Internal("no temperature was tried".into()))?;
        if finality == Finality::Tentative {
            return Ok(());
        }
        if attempt.is_silent() {
            job.seek += n_samples;
            return Ok(());
        }
        let (segments, n_done) = self.segments(job, &attempt, n_samples, Tail::Again)?;
        job.seek += n_done;
        job.context.extend(segments.iter().flat_map(|s| s.tokens.iter().copied()));
        if !job.options.condition_on_previous_text || attempt.temperature > 0.5 {
            job.context.clear();
        }
        job.segments.extend(segments.iter().cloned());
        emit(SpeechEvent::Segments(segments));
        Ok(())
    }

    /// The graphs that make the window at `job.seek` ready for the decoder, where they may run in the submit of its prompt: on a GPU to
    /// which they are little work, and where its loudest moment is not asked for.
    fn encode_ahead(
        &mut self,
        recording: &[f32],
        limits: [f32; 2],
        job: &Transcription,
        finality: Finality,
    ) -> Result<Vec<GraphId>> {
        let graphs = vec![self.whisper.mel, self.whisper.encoder];
        if finality == Finality::Tentative || !job.may_batch || !self.session.fit_a_submit(&graphs) {
            return Ok(Vec::new());
        }
        self.write_window(recording, job.seek, limits)?;
        Ok(graphs)
    }

    /// Features, encoder, keys and values of the window at `job.seek`; `limits` as in `mel_scale`.
    pub(super) async fn encode(
        &mut self,
        recording: &[f32],
        limits: [f32; 2],
        job: &mut Transcription,
        watch: &mut Watch<'_>,
        emit: &mut dyn FnMut(SpeechEvent),
    ) -> Result<()> {
        emit(SpeechEvent::Stage(RunStage::Mel, None));
        let start = edge::Instant::now();
        let heard = self.begin_features(recording, job.seek, limits).await?;
        hear(job, Some((heard, job.listened))).await?;
        job.timings.mel_ms += edge::ms_since(start);

        emit(SpeechEvent::Stage(RunStage::Encode, Some(0.0)));
        let start = edge::Instant::now();
        let mut on_progress = |done| emit(SpeechEvent::Stage(RunStage::Encode, Some(done)));
        let mut encoder_watch = Watch { cancel: watch.cancel, on_progress: &mut on_progress };
        self.session.run_watched(self.whisper.encoder, &mut encoder_watch).await?;
        job.timings.encode_ms += edge::ms_since(start);
        Ok(())
    }

    /// The most probable language of the window, which the graphs `before` encode.
    pub(super) async fn detect_language(&mut self, before: &[GraphId], watch: &mut Watch<'_>) -> Result<String> {
        let state = DecodeState { limit: 2, ..self.rules(false) };
        let beginning = Beginning { prompt: &[self.tokens.sot], state };
        let decoded = self.decode.run(&mut self.session, before, beginning, watch, &mut |_| ()).await?;
        self.language_of(&decoded)
    }

    /// The code of the language that was found out.
    fn language_of(&self, decoded: &Decoded) -> Result<String> {
        let known = self.tokens.languages.iter().find(|(_, id)| *id == decoded.state.language);
        known.map(|(code, _)| code.clone()).ok_or_else(|| Error::Numerics {
            what: "language detection".into(),
            reason: format!("token {} is no language", decoded.state.language),
        })
    }

    /// Decodes the window at `job.seek`, which the graphs `before` encode, at one temperature after the other, each with its number, until the
    /// text passes. Gives the last attempt, `None` without temperatures.
    pub(super) async fn attempts(
        &mut self,
        job: &mut Transcription,
        before: &[GraphId],
        mut prompt: Prompt,
        tries: &[(usize, f32)],
        watch: &mut Watch<'_>,
        emit: &mut dyn FnMut(SpeechEvent),
    ) -> Result<Option<Attempt>> {
        let (mut last, mut before) = (None, before);
        for &(idx, temperature) in tries {
            let state = self.beginning(job, &prompt, job.seek, (idx, temperature));
            let start = edge::Instant::now();
            let mut stream = TextStream::new(&self.tokenizer, Some(self.tokens.eot));
            let before_ms = edge::ms_since(job.started);
            let mut on_tokens = |tokens: &[u32]| {
                for &token in tokens {
                    // A token that is no text only fails to show; the final text is decoded as a whole.
                    let _ = stream.push(token);
                }
                emit(SpeechEvent::Tentative(stream.text().to_string(), tokens.to_vec()));
            };
            let beginning = Beginning { prompt: &prompt.tokens, state };
            let decoded = self.decode.run(&mut self.session, before, beginning, watch, &mut on_tokens).await?;
            let encode_ms = if before.is_empty() { 0.0 } else { decoded.first_token_ms };
            before = &[];
            if prompt.detects {
                prompt.detects = false;
                prompt.tokens[prompt.sot_row + 1] = decoded.state.language;
                job.language = Some(self.language_of(&decoded)?);
            }
            job.timings.encode_ms += encode_ms;
            job.timings.decode_ms += edge::ms_since(start) - encode_ms;
            let attempt = self.judge(job, decoded, temperature, before_ms)?;
            if last.insert(attempt).passes {
                break;
            }
        }
        Ok(last)
    }

    /// The state that a window begins with that starts at sample `from`; a try is a temperature and its number.
    pub(super) fn beginning(
        &self,
        job: &Transcription,
        prompt: &Prompt,
        from: usize,
        (idx, temperature): (usize, f32),
    ) -> DecodeState {
        let n_text = self.whisper.config.max_target_positions;
        let most = job.options.max_tokens.map_or(n_text / 2, |most| (most as usize).clamp(1, n_text / 2));
        DecodeState {
            sot_row: prompt.sot_row as u32,
            limit: (prompt.tokens.len() + most).min(n_text) as u32,
            temperature,
            detects: u32::from(prompt.detects),
            seed: (from as u32).wrapping_mul(31).wrapping_add(idx as u32 + 1),
            ..self.rules(prompt.use_timestamps)
        }
    }

    /// What came of an attempt that began `before_ms` after the job, by the reference's thresholds.
    pub(super) fn judge(
        &self,
        job: &mut Transcription,
        decoded: Decoded,
        temperature: f32,
        before_ms: f64,
    ) -> Result<Attempt> {
        job.timings.n_tokens += decoded.tokens.len() as u64;
        if job.timings.first_token_ms == 0.0 {
            job.timings.first_token_ms = before_ms + decoded.first_token_ms;
        }
        let avg_logprob = decoded.state.sum_logprob / (decoded.tokens.len() + 1) as f32;
        let text = self.tokens.text(&self.tokenizer, &decoded.tokens)?;
        let is_silent = decoded.state.no_speech_prob > NO_SPEECH_THRESHOLD && avg_logprob < LOGPROB_THRESHOLD;
        let fails = compression_ratio(text.trim()) > COMPRESSION_RATIO_THRESHOLD || avg_logprob < LOGPROB_THRESHOLD;
        Ok(Attempt { decoded, temperature, avg_logprob, passes: is_silent || !fails })
    }

    /// The prompt of a window whose text follows `before`.
    pub(super) fn prompt(&self, job: &Transcription, before: &[u32], use_timestamps: bool) -> Prompt {
        let mut prompt = Vec::new();
        if !before.is_empty() {
            let most = self.whisper.config.max_target_positions / 2 - 1;
            prompt.push(self.tokens.sot_prev);
            prompt.extend(&before[before.len().saturating_sub(most)..]);
        }
        let sot_row = prompt.len();
        prompt.push(self.tokens.sot);
        if self.tokens.is_multilingual {
            let language = job.language.as_deref().and_then(|code| self.tokens.language(code));
            // Where it is not known yet, there is a place for it.
            prompt.extend(language.or(self.tokens.languages.first().map(|(_, id)| *id)));
            prompt.push(match job.options.task {
                SpeechTask::Transcribe => self.tokens.transcribe,
                SpeechTask::Translate => self.tokens.translate,
            });
        }
        if !use_timestamps {
            prompt.push(self.tokens.no_timestamps);
        }
        Prompt { tokens: prompt, sot_row, use_timestamps, detects: false }
    }

    /// The rules that hold in every window.
    fn rules(&self, use_timestamps: bool) -> DecodeState {
        let tokens = &self.tokens;
        DecodeState {
            eot: tokens.eot,
            timestamp_begin: tokens.timestamp_begin,
            no_timestamps: tokens.no_timestamps,
            use_timestamps: u32::from(use_timestamps),
            max_initial_timestamp: tokens.max_initial_timestamp.unwrap_or(u32::MAX),
            no_speech: tokens.no_speech,
            language_begin: tokens.languages.first().map_or(0, |(_, id)| *id),
            n_languages: tokens.languages.len() as u32,
            ..bytemuck::Zeroable::zeroed()
        }
    }

    /// Cuts a window's tokens into segments, and says how many samples they settle.
    pub(super) fn segments(
        &self,
        job: &Transcription,
        attempt: &Attempt,
        n_samples: usize,
        tail: Tail,
    ) -> Result<(Vec<Segment>, usize)> {
        let tokens = &attempt.decoded.tokens;
        let offset_s = job.seek as f64 / SAMPLE_RATE_HZ as f64;
        let is_timestamp = |t: &u32| *t >= self.tokens.timestamp_begin;
        let seconds = |t: u32| f64::from(t - self.tokens.timestamp_begin) * TIMESTAMP_STEP_S;
        let segment = |tokens: &[u32], start: f64, end: f64| -> Result<Option<Segment>> {
            let text = self.tokens.text(&self.tokenizer, tokens)?;
            // A segment without length or words is one that the model only began.
            if start == end || text.trim().is_empty() {
                return Ok(None);
            }
            Ok(Some(Segment {
                start: offset_s + start,
                end: offset_s + end,
                text,
                tokens: tokens.to_vec(),
                avg_logprob: attempt.avg_logprob,
                no_speech_prob: attempt.decoded.state.no_speech_prob,
                temperature: attempt.temperature,
            }))
        };
        let mut cuts: Vec<usize> =
            (1..tokens.len()).filter(|&i| is_timestamp(&tokens[i - 1]) && is_timestamp(&tokens[i])).collect();
        let ends_with_one =
            tokens.len() >= 2 && is_timestamp(&tokens[tokens.len() - 1]) && !is_timestamp(&tokens[tokens.len() - 2]);
        if cuts.is_empty() {
            let mut duration = n_samples as f64 / SAMPLE_RATE_HZ as f64;
            if let Some(&last) = tokens.iter().rfind(|t| is_timestamp(t)).filter(|&&t| t != self.tokens.timestamp_begin)
            {
                duration = seconds(last);
            }
            return Ok((segment(tokens, 0.0, duration)?.into_iter().collect(), n_samples));
        }
        if ends_with_one {
            cuts.push(tokens.len());
        }
        let mut segments = Vec::new();
        let mut from = 0;
        for &cut in &cuts {
            let part = &tokens[from..cut];
            let (first, last) = (part[0], part[part.len() - 1]);
            if is_timestamp(&first) && is_timestamp(&last) {
                segments.extend(segment(part, seconds(first), seconds(last))?);
            }
            from = cut;
        }
        let done = if ends_with_one {
            n_samples // Nothing is said after the last timestamp.
        } else if tail == Tail::Kept {
            segments.extend(segment(&tokens[from..], seconds(tokens[from]), n_samples as f64 / SAMPLE_RATE_HZ as f64)?);
            n_samples
        } else {
            let frames = 2 * (tokens[from - 1] - self.tokens.timestamp_begin) as usize;
            // Never stand still: a window that ends where it began would be decoded for ever.
            (frames * HOP).clamp(HOP, n_samples)
        };
        Ok((segments, done))
    }
}

/// Remembers the loudest moment of features that were begun, and as far as which sample that is known.
async fn hear(job: &mut Transcription, begun: Option<(Pending, usize)>) -> Result<()> {
    if let Some((parts, end)) = begun {
        let parts: Vec<f32> = bytemuck::pod_collect_to_vec(&parts.wait().await?.remove(0));
        job.loudest = parts.into_iter().fold(job.loudest, f32::max);
        job.listened = end;
    }
    Ok(())
}

impl Attempt {
    /// Whether it says that nobody speaks.
    pub(super) fn is_silent(&self) -> bool {
        self.decoded.state.no_speech_prob > NO_SPEECH_THRESHOLD && self.avg_logprob <= LOGPROB_THRESHOLD
    }
}

/// Whether samples are silence.
pub(super) fn is_silence(samples: &[f32]) -> bool {
    samples.iter().all(|sample| sample.abs() < SILENCE)
}

/// Refuses what cannot hold a word.
pub fn check_recording(recording: &[f32]) -> Result<()> {
    let seconds = recording.len() as f64 / SAMPLE_RATE_HZ as f64;
    if recording.is_empty() {
        return Err(Error::Input("the recording is empty: it has no samples".into()));
    }
    if seconds <= SHORTEST_S {
        return Err(Error::Input(format!(
            "the recording is {seconds:.2} s long; at least {SHORTEST_S} s are needed for a word"
        )));
    }
    if recording.iter().any(|s| !s.is_finite()) {
        return Err(Error::Input("the recording holds samples that are no numbers".into()));
    }
    Ok(())
}

/// How much zlib shrinks a text: length over compressed length.
fn compression_ratio(text: &str) -> f32 {
    let mut encoder = flate2::write::ZlibEncoder::new(Vec::new(), flate2::Compression::default());
    // Writing into memory cannot fail.
    let compressed = encoder.write_all(text.as_bytes()).and_then(|()| encoder.finish()).unwrap_or_default();
    text.len() as f32 / compressed.len().max(1) as f32
}
