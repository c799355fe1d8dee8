//! The decoding loop of windows of speech or of texts, one or several at once: the GPU goes on from token to token by itself, the host reads
//! along one or two submits behind.
//!
//! Several sequences take their steps together, so that a step's weights are read once for all of them; each has its own state and its own end.
//! A submit holds several steps; its tokens are read while the next ones already run, so the GPU does not wait for the host.
//! Steps after the end of text change nothing. A device that has finished when it answers is asked for one step at a time.

use super::graph::{GraphId, SlotId};
use super::ops::decode_state::DecodeState;
use super::session::{Pending, Session, Watch};
use super::{Error, Result, edge};
use std::collections::VecDeque;
use std::ops::ControlFlow;

/// Steps of one submit where they take their time: few enough that little is computed past the end of text, which is known a submit or two
/// later.
const STEPS: u32 = 8;
/// Where a submit is over sooner than this, a second one waits behind it. From the tokens of one until the next is with the GPU, a browser
/// takes from 2 to 5 ms by the host's speed (H100, Chromium 156), and eight steps of Whisper tiny.en take 2.2.
const ROUND_TRIP_MS: f64 = 8.0;
/// A submit should take no longer than about this many milliseconds.
const SUBMIT_MS: f64 = 80.0;

/// The graphs and slots that a decoder is run by.
#[derive(Debug, Clone)]
pub struct DecoderGraphs {
    /// A prompt to its first token, by number of rows, ascending.
    pub prompts: Vec<(usize, GraphId)>,
    /// A token to the next.
    pub step: GraphId,
    /// How many sequences are decoded at once.
    pub n_seqs: usize,
    /// C, the positions of a sequence.
    pub capacity: usize,
    /// `[C]` tokens of each sequence.
    pub tokens: SlotId,
    /// The state of each sequence.
    pub state: SlotId,
}

/// What a sequence begins with.
#[derive(Debug, Clone, Copy)]
pub struct Beginning<'a> {
    /// Its given tokens.
    pub prompt: &'a [u32],
    /// Its state: `position`, `n_rows`, `sample_begin` and `finished` are set where it is run. With `detects` its prompt runs twice in one
    /// submit: first to find the language out, then with it. Either all sequences detect, or none.
    pub state: DecodeState,
}

/// Runs a decoder, and remembers how fast it is.
#[derive(Debug)]
pub struct DecodeLoop {
    graphs: DecoderGraphs,
    /// Milliseconds of a step, as measured last; decides how many go into a submit.
    step_ms: Option<f64>,
}

/// What a window or a text came to.
#[derive(Debug, Clone, PartialEq)]
pub struct Decoded {
    /// The chosen tokens, end of text not among them.
    pub tokens: Vec<u32>,
    /// Whether the end of text was chosen, and not the limit reached.
    pub has_end: bool,
    /// The state at the end.
    pub state: DecodeState,
    /// Milliseconds from the first submit to the first token.
    pub first_token_ms: f64,
}

impl DecodeLoop {
    /// A decoder that has not run yet.
    pub fn new(graphs: DecoderGraphs) -> Self {
        Self { graphs, step_ms: None }
    }

    /// How many sequences it decodes at once.
    pub fn n_seqs(&self) -> usize {
        self.graphs.n_seqs
    }

    /// The longest prompt that it takes.
    pub fn longest_prompt(&self) -> usize {
        self.graphs.prompts.last().map_or(0, |(rows, _)| *rows)
    }

    /// Decodes one sequence as [`DecodeLoop::run_all`] does several, after the graphs `before` it, which run in the submit of its prompt.
    pub async fn run(
        &mut self,
        session: &mut Session,
        before: &[GraphId],
        beginning: Beginning<'_>,
        watch: &mut Watch<'_>,
        on_tokens: &mut dyn FnMut(&[u32]),
    ) -> Result<Decoded> {
        let mut on_tokens = |_: usize, tokens: &[u32]| {
            on_tokens(tokens);
            ControlFlow::Continue(())
        };
        let mut all = self.run_all(session, before, &[beginning], watch, &mut on_tokens).await?;
        all.pop().ok_or_else(|| Error::Internal("one sequence was decoded to none".into()))
    }

    /// Decodes each sequence, at most [`DecodeLoop::n_seqs`], from its prompt until its end of text or its `limit`. The graphs `before` run
    /// first, in the prompts' submit. `on_tokens` hears new tokens of a sequence as they are read, and may break it off.
    ///
    /// # Errors
    /// [`Error::Input`] where a prompt is longer than any recorded one.
    pub async fn run_all(
        &mut self,
        session: &mut Session,
        before: &[GraphId],
        beginnings: &[Beginning<'_>],
        watch: &mut Watch<'_>,
        on_tokens: &mut dyn FnMut(usize, &[u32]) -> ControlFlow<()>,
    ) -> Result<Vec<Decoded>> {
        let longest = beginnings.iter().map(|beginning| beginning.prompt.len()).max().unwrap_or(0);
        let fits = self.graphs.prompts.iter().find(|(rows, _)| *rows >= longest);
        let &(_, graph) =
            fits.ok_or_else(|| Error::Input(format!("a prompt of {longest} tokens is too long for this model")))?;
        let mut sequences = self.write(session, beginnings)?;

        let start = edge::Instant::now();
        let mut runs: Vec<_> = before.iter().map(|&graph| (graph, 1)).collect();
        let detects = beginnings.iter().any(|beginning| beginning.state.detects != 0);
        runs.push((graph, 1 + u32::from(detects)));
        // Submits that were not read yet, the oldest in front, and the steps of each.
        let mut ahead = VecDeque::from([(self.submit(session, &runs, watch).await?, 0)]);
        // Whether the prompts' tokens may be all there is to be.
        let mut ends_here = sequences.iter().all(|sequence| sequence.state.n_rows + 1 >= sequence.state.limit);
        let mut last_read = None;
        loop {
            watch.cancel.check()?;
            let pace = match session.runs_ahead() {
                true => self.step_ms.map_or(Pace::FIRST, Pace::of),
                false => Pace::STEP_BY_STEP,
            };
            while ahead.len() <= pace.n_ahead && !(ends_here && ahead.len() == 1) {
                let submit = self.submit(session, &[(self.graphs.step, pace.n_steps)], watch).await?;
                ahead.push_back((submit, pace.n_steps));
            }
            ends_here = false;
            let (oldest, n_steps) = ahead.pop_front().ok_or_else(|| Error::Internal("nothing was submitted".into()))?;
            let bytes = oldest.wait().await?;
            for (idx, sequence) in sequences.iter_mut().enumerate().filter(|(_, sequence)| !sequence.is_broken_off) {
                sequence.read(&bytes, idx, self.graphs.n_seqs)?;
                if last_read.is_none() {
                    sequence.first_token_ms = edge::ms_since(start);
                }
                sequence.is_broken_off = !sequence.fresh.is_empty() && on_tokens(idx, &sequence.fresh).is_break();
            }
            // The time between two answers is the later submit's, give or take.
            if let Some(before) = last_read.replace(edge::Instant::now()) {
                self.step_ms = Some(edge::ms_since(before) / f64::from(n_steps));
            }
            if sequences.iter().all(|sequence| sequence.state.finished != 0 || sequence.is_broken_off) {
                for (past_the_end, _) in ahead {
                    past_the_end.wait().await?;
                }
                return Ok(sequences.into_iter().map(Sequence::into_decoded).collect());
            }
        }
    }

    /// Writes prompts and states; sequences that there are none for are finished from the start.
    fn write(&self, session: &mut Session, beginnings: &[Beginning<'_>]) -> Result<Vec<Sequence>> {
        let n_seqs = self.graphs.n_seqs;
        if beginnings.len() > n_seqs {
            let n = beginnings.len();
            return Err(Error::Internal(format!("{n} sequences at once, where graphs are recorded for {n_seqs}")));
        }
        let mut sequences = Vec::with_capacity(beginnings.len());
        let mut states = vec![DecodeState { n_rows: 1, finished: 1, ..bytemuck::Zeroable::zeroed() }; n_seqs];
        for (idx, &Beginning { prompt, state }) in beginnings.iter().enumerate() {
            let n_rows = prompt.len() as u32;
            states[idx] = DecodeState { position: 0, n_rows, sample_begin: n_rows, finished: 0, ..state };
            session.write(self.graphs.tokens, 4 * idx * self.graphs.capacity, bytemuck::cast_slice(prompt))?;
            sequences.push(Sequence {
                state: states[idx],
                tokens: Vec::new(),
                seen: prompt.len(),
                fresh: Vec::new(),
                has_end: false,
                is_broken_off: false,
                first_token_ms: 0.0,
            });
        }
        session.write(self.graphs.state, 0, bytemuck::cast_slice(&states))?;
        Ok(sequences)
    }

    async fn submit(&self, session: &mut Session, runs: &[(GraphId, u32)], watch: &mut Watch<'_>) -> Result<Pending> {
        session.submit(runs, &[self.graphs.tokens, self.graphs.state], watch).await
    }
}

/// How far the host lets the GPU go on by itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Pace {
    /// Steps of a submit.
    n_steps: u32,
    /// Submits behind the one whose tokens are waited for.
    n_ahead: usize,
}

impl Pace {
    /// Where it is not known what a step takes.
    const FIRST: Self = Self { n_steps: 2, n_ahead: 1 };
    /// Where a submit returns only when it is done: there, a step past the end of text would be time lost.
    const STEP_BY_STEP: Self = Self { n_steps: 1, n_ahead: 0 };

    /// Where a step takes so long.
    fn of(step_ms: f64) -> Self {
        let n_steps = ((SUBMIT_MS / step_ms.max(1e-3)) as u32).clamp(1, STEPS);
        let hides_a_round_trip = f64::from(n_steps) * step_ms >= ROUND_TRIP_MS;
        Self { n_steps, n_ahead: if hides_a_round_trip { 1 } else { 2 } }
    }
}

/// A sequence while it is decoded.
struct Sequence {
    state: DecodeState,
    /// Chosen so far, end of text not among them.
    tokens: Vec<u32>,
    /// Positions that were read.
    seen: usize,
    /// Tokens of the last read.
    fresh: Vec<u32>,
    has_end: bool,
    /// The device goes on with it until the others are done; nobody listens.
    is_broken_off: bool,
    first_token_ms: f64,
}

impl Sequence {
    /// Reads on from the bytes of all sequences' tokens and states.
    fn read(&mut self, bytes: &[Vec<u8>], idx: usize, n_seqs: usize) -> Result<()> {
        let [tokens, states] = bytes else { return Err(Error::Internal("two slots were asked for".into())) };
        let mine = |all: &[u8]| {
            let size = all.len() / n_seqs;
            idx * size..(idx + 1) * size
        };
        self.state = bytemuck::pod_read_unaligned(&states[mine(states)]);
        if !self.state.sum_logprob.is_finite() {
            let reason = format!("the log-probability of the tokens is {}", self.state.sum_logprob);
            return Err(Error::Numerics { what: "decoder".into(), reason });
        }
        let tokens: Vec<u32> = bytemuck::pod_collect_to_vec(&tokens[mine(tokens)]);
        let end = (self.state.position as usize + 1).min(tokens.len());
        let chosen = tokens.get(self.seen..end).unwrap_or_default();
        self.has_end |= chosen.contains(&self.state.eot);
        self.fresh = chosen.iter().copied().filter(|&token| token != self.state.eot).collect();
        self.tokens.extend(&self.fresh);
        self.seen = self.seen.max(end);
        Ok(())
    }

    fn into_decoded(self) -> Decoded {
        let Sequence { state, tokens, has_end, first_token_ms, .. } = self;
        Decoded { tokens, has_end, state, first_token_ms }
    }
}

#[cfg(test)]
mod tests {
    use super::Pace;

    #[test]
    fn submits_hide_a_round_trip_and_do_not_keep_the_page_waiting() {
        let pace = |n_steps, n_ahead| Pace { n_steps, n_ahead };
        assert_eq!(Pace::of(100.0), pace(1, 1), "longer than a submit should be");
        assert_eq!(Pace::of(20.0), pace(4, 1));
        assert_eq!(Pace::of(2.0), pace(8, 1), "16 ms hide it");
        assert_eq!(Pace::of(0.3), pace(8, 2));
        assert_eq!(Pace::of(0.0), pace(8, 2));
    }
}
