//! Long recordings by a model that was loaded for several windows at once: the recording is cut at its pauses into pieces of a window at most, and
//! the pieces' tokens are decoded together, so that a step's weights are read once for all of them.
//!
//! It differs from the policy of `transcribe` in this: a piece is not conditioned on the text before it (the prompt that was asked for is given to
//! each), and the language is that of the first piece with speech. What a piece comes to is judged by the same thresholds; one that fails is decoded
//! again, alone, at the next temperatures. Pieces are settled in order, so that a job goes on elsewhere from the last settled one.

use super::decode::Beginning;
use super::edge;
use super::ops::mel_scale::NO_LIMITS;
use super::session::Watch;
use super::text::TextStream;
use super::transcribe::{Attempt, Prompt, SAMPLE_RATE_HZ, SpeechEvent, SpeechModel, Tail, Transcription, is_silence};
use super::{Error, Result};
use crate::audio::pauses;
use crate::protocol::RunStage;
use std::ops::{ControlFlow, Range};

/// Tokens of a prompt beside those that were asked for, at most: that they stand before, start, language, task, no timestamps.
const PROMPT_FRAME: usize = 5;

impl SpeechModel {
    /// Whether the rest of a recording is decoded in pieces: where the model takes several, and prompts as long as the one that was asked for.
    pub(super) fn takes_pieces(&self, recording: &[f32], job: &Transcription) -> bool {
        let takes = self.together.as_ref().is_some_and(|decode| {
            let longest = self.whisper.config.max_target_positions / 2 - 1;
            job.asked.len().min(longest) + PROMPT_FRAME <= decode.longest_prompt()
        });
        takes && job.may_batch && self.is_long(recording, job)
    }

    /// Decodes the next pieces from `job.seek` on, and moves it behind them.
    pub(super) async fn pieces(
        &mut self,
        recording: &[f32],
        job: &mut Transcription,
        watch: &mut Watch<'_>,
        emit: &mut dyn FnMut(SpeechEvent),
    ) -> Result<()> {
        let first = job.seek;
        let (pieces, end) = self.next_pieces(recording, first);
        for (region, piece) in pieces.iter().enumerate() {
            self.take_in_hand(region)?;
            job.seek = piece.start;
            let encoded = self.encode_piece(&recording[..piece.end], job, watch, emit).await;
            // What is not settled is begun again, wherever the job goes on.
            job.seek = first;
            encoded?;
            if job.language.is_none() {
                job.language = Some(self.detect_language(&[], watch).await?);
            }
        }
        emit(SpeechEvent::Stage(RunStage::Decode, None));
        let prompt = self.prompt(job, &job.asked, true);
        let attempts = self.first_attempts(job, &prompt, &pieces, watch, emit).await?;
        for (region, (piece, attempt)) in pieces.into_iter().zip(attempts).enumerate() {
            job.seek = piece.start;
            self.take_in_hand(region)?;
            self.settle(recording, piece, attempt, job, &prompt, watch, emit).await?;
        }
        job.seek = end;
        Ok(())
    }

    /// The next pieces with speech, as many as are decoded at once, and where the recording is settled when they are.
    fn next_pieces(&self, recording: &[f32], from: usize) -> (Vec<Range<usize>>, usize) {
        let (mut pieces, mut end) = (Vec::new(), from);
        while end < recording.len() && pieces.len() < self.batch_size() {
            let piece = pauses::piece(recording, end, self.whisper.config.n_samples());
            end = piece.end;
            if !is_silence(&recording[piece.clone()]) {
                pieces.push(piece);
            }
        }
        (pieces, end)
    }

    /// Says which of the windows at once the encoder and the graphs for one window work for.
    fn take_in_hand(&mut self, region: usize) -> Result<()> {
        let slot = self.whisper.region;
        let slot = slot.ok_or_else(|| Error::Internal("pieces are decoded by a model for one window".into()))?;
        self.session.write(slot, 0, &(region as u32).to_le_bytes())
    }

    /// Encodes the samples from `job.seek` to the end of `heard`, behind which there is silence.
    async fn encode_piece(
        &mut self,
        heard: &[f32],
        job: &mut Transcription,
        watch: &mut Watch<'_>,
        emit: &mut dyn FnMut(SpeechEvent),
    ) -> Result<()> {
        let limits = [job.loudest, NO_LIMITS[1]];
        self.encode(heard, limits, job, watch, emit).await
    }

    /// Decodes all pieces at the first temperature.
    async fn first_attempts(
        &mut self,
        job: &mut Transcription,
        prompt: &Prompt,
        pieces: &[Range<usize>],
        watch: &mut Watch<'_>,
        emit: &mut dyn FnMut(SpeechEvent),
    ) -> Result<Vec<Attempt>> {
        let (_, temperature) = temperatures(job)[0];
        let start = edge::Instant::now();
        let before_ms = edge::ms_since(job.started);
        let begin = |piece: &Range<usize>| {
            let state = self.beginning(job, prompt, piece.start, (0, temperature));
            Beginning { prompt: &prompt.tokens, state }
        };
        let beginnings: Vec<Beginning> = pieces.iter().map(begin).collect();
        let mut streams = vec![TextStream::new(&self.tokenizer, Some(self.tokens.eot)); pieces.len()];
        let mut on_tokens = |idx: usize, tokens: &[u32]| {
            for &token in tokens {
                // A token that is no text only fails to show; the final text is decoded as a whole.
                let _ = streams[idx].push(token);
            }
            let text = streams.iter().map(TextStream::text).collect();
            emit(SpeechEvent::Tentative(text, tokens.to_vec()));
            ControlFlow::Continue(())
        };
        let decode = match &mut self.together {
            Some(together) if pieces.len() > 1 => together,
            _ => &mut self.decode,
        };
        let decoded = match pieces.is_empty() {
            true => Vec::new(),
            false => decode.run_all(&mut self.session, &[], &beginnings, watch, &mut on_tokens).await?,
        };
        job.timings.decode_ms += edge::ms_since(start);
        decoded.into_iter().map(|decoded| self.judge(job, decoded, temperature, before_ms)).collect()
    }

    /// Tries the other temperatures where the first failed, and makes segments of what came of it.
    #[expect(clippy::too_many_arguments, reason = "a piece, what is known of it, and where it belongs")]
    async fn settle(
        &mut self,
        recording: &[f32],
        piece: Range<usize>,
        first: Attempt,
        job: &mut Transcription,
        prompt: &Prompt,
        watch: &mut Watch<'_>,
        emit: &mut dyn FnMut(SpeechEvent),
    ) -> Result<()> {
        let tries = temperatures(job);
        let mut attempt = first;
        if !attempt.passes {
            attempt = self.attempts(job, &[], prompt.clone(), &tries[1..], watch, emit).await?.unwrap_or(attempt);
        }
        loop {
            let n_samples = piece.end - job.seek;
            if attempt.is_silent() {
                return Ok(());
            }
            // Text that ended in the middle for want of room goes on behind its last timestamp.
            let tail = if attempt.decoded.has_end { Tail::Kept } else { Tail::Again };
            let (mut segments, n_done) = self.segments(job, &attempt, n_samples, tail)?;
            // What the model dreams up behind the end of a piece would lie in the next one.
            let end_s = piece.end as f64 / SAMPLE_RATE_HZ as f64;
            segments.retain(|segment| segment.start < end_s);
            segments.iter_mut().for_each(|segment| segment.end = segment.end.min(end_s));
            job.seek += n_done;
            job.segments.extend(segments.iter().cloned());
            emit(SpeechEvent::Segments(segments));
            if job.seek >= piece.end || is_silence(&recording[job.seek..piece.end]) {
                return Ok(());
            }
            self.encode_piece(&recording[..piece.end], job, watch, emit).await?;
            let rest = self.attempts(job, &[], prompt.clone(), &tries, watch, emit).await?;
            attempt = rest.ok_or_else(|| Error::Internal("no temperature was tried".into()))?;
        }
    }
}

/// The temperatures of a job with their numbers; there is always one.
fn temperatures(job: &Transcription) -> Vec<(usize, f32)> {
    match job.options.temperatures.is_empty() {
        true => vec![(0, 0.0)],
        false => job.options.temperatures.iter().copied().enumerate().collect(),
    }
}
