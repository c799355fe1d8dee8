//! Beam search: several texts grow at once, and the most probable of them stays (`_beam_search` of Hugging Face's transformers, with a
//! length penalty of 1 and without early stopping: what its models' own files ask for).
//!
//! [`BeamSearch`] decides and knows no device; [`run`] lets a device compute. The beams share one cache: each has a list of the
//! cache's rows that its keys lie in, so that a beam which is continued twice is not copied, and rows that no beam needs any more are used again.

use super::graph::SlotId;
use super::models::t5::{BeamGraph, CAPACITY};
use super::ops::decode_state::DecodeState;
use super::session::{Session, Watch};
use super::{Error, Result, edge};

/// Beams at most.
pub const MOST_BEAMS: usize = crate::protocol::MOST_BEAMS as usize;

/// What a search is over.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// Beams that are followed.
    pub n_beams: usize,
    /// The token that ends a text.
    pub eos: u32,
    /// Tokens at most.
    pub max_tokens: usize,
}

/// A text in the making.
#[derive(Debug, Clone, PartialEq)]
struct Beam {
    tokens: Vec<u32>,
    /// Sum of the tokens' log-probabilities.
    score: f32,
    /// Rows of the cache that its keys lie in, by position.
    slots: Vec<u32>,
}

/// A finished text.
#[derive(Debug, Clone, PartialEq)]
pub struct Hypothesis {
    /// Its tokens, the end of text among them where it has one.
    pub tokens: Vec<u32>,
    /// Mean of the tokens' log-probabilities.
    pub score: f32,
}

/// A candidate for the next token of a beam.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Candidate {
    /// Its log-probability.
    pub log_prob: f32,
    /// The token.
    pub token: u32,
}

/// The state of a search.
#[derive(Debug)]
pub struct BeamSearch {
    limits: Limits,
    /// The best first.
    running: Vec<Beam>,
    /// The best first.
    finished: Vec<Hypothesis>,
}

impl BeamSearch {
    /// A search from an empty text.
    pub fn new(limits: Limits) -> Self {
        let first = Beam { tokens: Vec::new(), score: 0.0, slots: Vec::new() };
        Self { limits, running: vec![first], finished: Vec::new() }
    }

    /// Goes on by a token: `candidates` are those of each running beam, at least twice as many as there are beams where the vocabulary
    /// has so many. Gives whether the search goes on.
    pub fn advance(&mut self, candidates: &[Vec<Candidate>]) -> bool {
        let n_beams = self.limits.n_beams;
        let of_beam = |(beam, some): (usize, &Vec<Candidate>)| {
            let before = self.running[beam].score;
            some.iter().map(move |candidate| (before + candidate.log_prob, beam, candidate.token)).collect::<Vec<_>>()
        };
        let mut best: Vec<_> = candidates.iter().enumerate().flat_map(of_beam).collect();
        best.sort_by(|a, b| b.0.total_cmp(&a.0).then((a.1, a.2).cmp(&(b.1, b.2))));
        best.truncate(2 * n_beams);

        let length = self.running[0].tokens.len() + 1;
        let is_last = length >= self.limits.max_tokens;
        let mut running = Vec::with_capacity(n_beams);
        for (rank, (score, beam, token)) in best.into_iter().enumerate() {
            let parent = &self.running[beam];
            let mut tokens = parent.tokens.clone();
            tokens.push(token);
            if !is_last && token != self.limits.eos {
                if running.len() < n_beams {
                    running.push(Beam { tokens, score, slots: parent.slots.clone() });
                }
            } else if rank < n_beams {
                // What ends further down is only there so that enough beams go on.
                self.finished.push(Hypothesis { tokens, score: score / length as f32 });
            }
        }
        self.finished.sort_by(|a, b| b.score.total_cmp(&a.score));
        self.finished.truncate(n_beams);
        self.running = running;
        // The best that runs has to beat the worst that is finished, at the length that it has now.
        let is_full = self.finished.len() == n_beams;
        let beats = |best: &Beam| !is_full || best.score / length as f32 > self.finished[n_beams - 1].score;
        self.running.first().is_some_and(beats)
    }

    /// Ends the search where it is: what runs counts as it stands.
    fn close(&mut self) {
        let ended = self.running.drain(..).filter(|beam| !beam.tokens.is_empty());
        self.finished.extend(ended.map(|beam| {
            let score = beam.score / beam.tokens.len() as f32;
            Hypothesis { tokens: beam.tokens, score }
        }));
        self.finished.sort_by(|a, b| b.score.total_cmp(&a.score));
    }

    /// Gives each running beam a row of the cache for its last token; `false` where there are none left. The last row of the cache is for
    /// beams that do not run.
    fn take_slots(&mut self) -> bool {
        let mut is_taken = vec![false; CAPACITY - 1];
        self.running.iter().flat_map(|beam| &beam.slots).for_each(|&slot| is_taken[slot as usize] = true);
        let mut free = (0..CAPACITY as u32 - 1).filter(|&slot| !is_taken[slot as usize]);
        self.running.iter_mut().all(|beam| free.next().map(|slot| beam.slots.push(slot)).is_some())
    }

    /// The table of slots for `n_rows` rows, position by position.
    fn slots(&self, n_rows: usize) -> Vec<u32> {
        let n_positions = self.running.first().map_or(0, |beam| beam.slots.len());
        let idle = CAPACITY as u32 - 1;
        let row = |j: usize| (0..n_rows).map(move |row| self.running.get(row).map_or(idle, |beam| beam.slots[j]));
        (0..n_positions).flat_map(row).collect()
    }
}

/// The slots of a recorded decoder that a search needs besides those of its graph.
#[derive(Debug, Clone, Copy)]
pub struct Start {
    /// The decoder's state.
    pub state: SlotId,
    /// The token that a text begins with.
    pub token: u32,
}

/// Searches with a recorded step; gives the best text and the milliseconds to the first token. What the decoder looks at must be there.
pub async fn run(
    session: &mut Session,
    graph: &BeamGraph,
    start: Start,
    limits: Limits,
    watch: &mut Watch<'_>,
) -> Result<(Hypothesis, f64)> {
    let began = edge::Instant::now();
    let mut first_token_ms = 0.0;
    let mut search = BeamSearch::new(limits);
    for position in 0.. {
        watch.cancel.check()?;
        if !search.take_slots() {
            search.close();
            break;
        }
        let last_token = |row: usize| search.running.get(row).and_then(|beam| beam.tokens.last()).copied();
        let tokens: Vec<u32> = (0..graph.n_beams).map(|row| last_token(row).unwrap_or(start.token)).collect();
        let state = DecodeState { position, n_rows: 1, ..bytemuck::Zeroable::zeroed() };
        session.write(graph.tokens, 0, bytemuck::cast_slice(&tokens))?;
        session.write(graph.slots, 0, bytemuck::cast_slice(&search.slots(graph.n_beams)))?;
        session.write(start.state, 0, bytemuck::bytes_of(&state))?;
        let pending = session.submit(&[(graph.graph, 1)], &[graph.candidates], watch).await?;
        let values: Vec<f32> = bytemuck::pod_collect_to_vec(&pending.wait().await?.remove(0));
        if position == 0 {
            first_token_ms = edge::ms_since(began);
        }
        if !search.advance(&read(&values, graph.n_beams, search.running.len())?) {
            break;
        }
    }
    let best = search.finished.into_iter().next();
    best.map(|best| (best, first_token_ms)).ok_or_else(|| Error::Internal("a beam search found no text".into()))
}

/// The candidates of the first `n` of `n_rows` rows.
fn read(values: &[f32], n_rows: usize, n: usize) -> Result<Vec<Vec<Candidate>>> {
    let n_top = values.len() / n_rows / 2;
    let rows = values.chunks_exact(2 * n_top).take(n);
    let candidate = |(&log_prob, &token): (&f32, &f32)| Candidate { log_prob, token: token as u32 };
    let candidates: Vec<Vec<_>> =
        rows.map(|row| row[..n_top].iter().zip(&row[n_top..]).map(candidate).collect()).collect();
    match candidates.iter().flatten().find(|candidate| !candidate.log_prob.is_finite()) {
        None => Ok(candidates),
        Some(bad) => {
            let reason = format!("the log-probability of a token is {}", bad.log_prob);
            Err(Error::Numerics { what: "decoder".into(), reason })
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const EOS: u32 = 1;

    fn search(n_beams: usize, max_tokens: usize) -> BeamSearch {
        BeamSearch::new(Limits { n_beams, eos: EOS, max_tokens })
    }

    fn some(candidates: &[(f32, u32)]) -> Vec<Candidate> {
        candidates.iter().map(|&(log_prob, token)| Candidate { log_prob, token }).collect()
    }

    #[test]
    fn a_worse_beginning_may_lead_to_the_better_text() {
        let mut search = search(2, 10);
        assert!(search.advance(&[some(&[(-0.5, 5), (-1.0, 6), (-9.0, 7), (-9.0, 8)])]));
        let greedy = some(&[(-3.0, EOS), (-3.1, 9), (-8.0, 7), (-8.0, 8)]);
        let better = some(&[(-0.1, EOS), (-4.0, 9), (-8.0, 7), (-8.0, 8)]);
        search.advance(&[greedy, better]);
        assert_eq!(search.finished[0], Hypothesis { tokens: vec![6, EOS], score: -1.1 / 2.0 });
    }

    #[test]
    fn it_ends_when_what_runs_cannot_beat_what_is_finished() {
        let mut search = search(2, 100);
        search.advance(&[some(&[(-0.1, 5), (-0.2, 6), (-9.0, 7), (-9.0, 8)])]);
        let ends = some(&[(-0.1, EOS), (-5.0, 9), (-8.0, 7), (-8.0, 8)]);
        assert!(!search.advance(&[ends.clone(), ends]), "both places are taken by better ones");
        assert_eq!(search.finished.len(), 2);
    }

    #[test]
    fn the_last_token_finishes_what_runs() {
        let mut search = search(2, 2);
        assert!(search.advance(&[some(&[(-0.1, 5), (-0.2, 6), (-9.0, 7), (-9.0, 8)])]));
        let goes_on = some(&[(-0.3, 9), (-5.0, 10), (-8.0, 7), (-8.0, EOS)]);
        assert!(!search.advance(&[goes_on.clone(), goes_on]));
        assert_eq!(search.finished[0].tokens, [5, 9]);
    }

    #[test]
    fn beams_share_what_they_have_in_common_and_rows_are_used_again() {
        let mut search = search(2, 5000);
        let goes_on = |token: u32| some(&[(-0.1, token), (-0.2, token + 1), (-8.0, 7), (-8.0, 8)]);
        assert!(search.take_slots());
        assert_eq!(search.slots(4), [0, 511, 511, 511]);
        assert!(search.advance(&[goes_on(20)]));
        assert!(search.take_slots());
        assert_eq!(search.slots(4), [0, 0, 511, 511, 1, 2, 511, 511]);
        // The first beam goes on twice, so that the second one's row is free again.
        assert!(search.advance(&[goes_on(20), some(&[(-7.0, 30), (-7.0, 31), (-8.0, 7), (-8.0, 8)])]));
        assert!(search.take_slots());
        assert_eq!(search.slots(2), [0, 0, 1, 1, 2, 3]);
        for _ in 3..CAPACITY - 2 {
            assert!(search.advance(&[goes_on(20), some(&[(-7.0, 30), (-7.0, 31), (-8.0, 7), (-8.0, 8)])]));
            assert!(search.take_slots());
        }
        assert!(search.advance(&[goes_on(20), goes_on(20)]));
        assert!(!search.take_slots(), "the cache is full");
        search.close();
        // One row is never given away, and of two beams the last tokens have a row each.
        assert_eq!(search.finished[0].tokens.len(), CAPACITY - 2);
    }
}
