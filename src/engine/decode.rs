//! The decoding loop of one window of speech or of one text: the GPU goes on from token to token by itself, the host reads along one batch behind.
//!
//! A submit holds several steps; its tokens are read while the next submit already runs, so the GPU never waits for the host.
//! Steps after the end of text change nothing. A device that has finished when it answers is asked for one step at a time.

use super::graph::{GraphId, SlotId};
use super::ops::decode_state::DecodeState;
use super::session::{Pending, Session, Watch};
use super::{Error, Result, edge};

/// Most steps of one submit: enough to hide a round trip, few enough that little is computed past the end of text.
const MOST_STEPS: u32 = 12;
/// A submit should take about this many milliseconds.
const SUBMIT_MS: f64 = 80.0;

/// The graphs and slots that a decoder is run by.
#[derive(Debug, Clone)]
pub struct DecoderGraphs {
    /// A prompt to its first token, by number of rows, ascending.
    pub prompts: Vec<(usize, GraphId)>,
    /// A token to the next.
    pub step: GraphId,
    /// `[C]` tokens.
    pub tokens: SlotId,
    /// The decoder's state.
    pub state: SlotId,
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

    /// Decodes from `prompt` until the end of text or `begin.limit`. `begin.position`, `n_rows` and `sample_begin` are set here.
    /// `on_tokens` hears new tokens as they are read.
    pub async fn run(
        &mut self,
        session: &mut Session,
        prompt: &[u32],
        begin: DecodeState,
        watch: &mut Watch<'_>,
        on_tokens: &mut dyn FnMut(&[u32]),
    ) -> Result<Decoded> {
        let n_rows = prompt.len() as u32;
        let begin = DecodeState { position: 0, n_rows, sample_begin: n_rows, finished: 0, ..begin };
        let (_, graph) = *self
            .graphs
            .prompts
            .iter()
            .find(|(rows, _)| *rows >= prompt.len())
            .ok_or_else(|| Error::Input(format!("a prompt of {n_rows} tokens is too long for this model")))?;
        session.write(self.graphs.tokens, 0, bytemuck::cast_slice(prompt))?;
        session.write(self.graphs.state, 0, bytemuck::bytes_of(&begin))?;

        let start = edge::Instant::now();
        let mut first_token_ms = 0.0;
        let mut seen = prompt.len();
        let mut ahead = self.submit(session, graph, 1, watch).await?;
        loop {
            watch.cancel.check()?;
            let n_steps = if session.runs_ahead() { self.n_steps() } else { 1 };
            let submitted = edge::Instant::now();
            // Where a submit returns only when it is done, a step past the end of text would be time lost.
            let next = match session.runs_ahead() {
                true => Some(self.submit(session, self.graphs.step, n_steps, watch).await?),
                false => None,
            };
            let (tokens, state) = read(ahead.wait().await?)?;
            let end = (state.position as usize + 1).min(tokens.len());
            if first_token_ms == 0.0 {
                first_token_ms = edge::ms_since(start);
            } else {
                // The wait for the batch before is the time that this one had for itself, give or take.
                self.step_ms = Some(edge::ms_since(submitted) / f64::from(n_steps));
            }
            let fresh: Vec<u32> = tokens[seen..end].iter().copied().filter(|&t| t != begin.eot).collect();
            seen = end;
            if !fresh.is_empty() {
                on_tokens(&fresh);
            }
            if state.finished != 0 {
                if let Some(next) = next {
                    next.wait().await?;
                }
                let chosen = &tokens[prompt.len()..end];
                let has_end = chosen.contains(&begin.eot);
                let tokens = chosen.iter().copied().filter(|&t| t != begin.eot).collect();
                return Ok(Decoded { tokens, has_end, state, first_token_ms });
            }
            ahead = match next {
                Some(next) => next,
                None => self.submit(session, self.graphs.step, n_steps, watch).await?,
            };
        }
    }

    async fn submit(
        &self,
        session: &mut Session,
        graph: GraphId,
        times: u32,
        watch: &mut Watch<'_>,
    ) -> Result<Pending> {
        session.submit(&[(graph, times)], &[self.graphs.tokens, self.graphs.state], watch).await
    }

    /// As many steps as a submit has time for.
    fn n_steps(&self) -> u32 {
        match self.step_ms {
            Some(ms) => ((SUBMIT_MS / ms.max(1e-3)) as u32).clamp(1, MOST_STEPS),
            None => 2,
        }
    }
}

/// Tokens and state from their bytes.
fn read(bytes: Vec<Vec<u8>>) -> Result<(Vec<u32>, DecodeState)> {
    let [tokens, state] = &bytes[..] else { return Err(Error::Internal("two slots were asked for".into())) };
    let state: DecodeState = bytemuck::pod_read_unaligned(state);
    if !state.sum_logprob.is_finite() {
        let reason = format!("the log-probability of the tokens is {}", state.sum_logprob);
        return Err(Error::Numerics { what: "decoder".into(), reason });
    }
    Ok((bytemuck::pod_collect_to_vec(tokens), state))
}
