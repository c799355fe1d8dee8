//! The stages of each family of models that are worth timing: which graphs, and in what state a decoder is for it.

use super::decode::DecoderGraphs;
use super::gpu::TraceOptions;
use super::graph::{GraphId, SlotId};
use super::model::Model;
use super::ops::decode_state::DecodeState;
use super::session::{Session, Watch};
use super::{Error, Result};
use crate::protocol::{Roofline, StageTrace};

/// A graph, and the slots that are set for as long as it is timed.
pub(super) type Stage = (GraphId, Vec<(SlotId, Vec<u8>)>);

impl Model {
    /// Times its stages, in the order in which they run; decoders stand in the middle of a text, and inputs are as long as their graphs take.
    /// Of graphs for inputs of several sizes the smallest is timed, and the largest unless the processor plays the GPU.
    ///
    /// # Errors
    /// [`Error::Input`] where it is not on a GPU, or its weights pass through a window.
    pub async fn trace(&mut self, roofline: &Roofline, watch: &mut Watch<'_>) -> Result<Vec<StageTrace>> {
        let all = self.stages(roofline.software);
        let n_stages: usize = all.iter().map(|(_, stages)| stages.len()).sum();
        let mut traced = Vec::with_capacity(n_stages);
        for (session, stages) in all {
            for (graph, states) in stages {
                let options = TraceOptions { states: &states, roofline, cancel: watch.cancel };
                traced.push(session.trace(graph, &options).await?);
                watch.progress(traced.len() as f32 / n_stages as f32)?;
            }
        }
        if traced.is_empty() {
            return Err(Error::Internal("a model without a stage was timed".into()));
        }
        Ok(traced)
    }

    /// Its stages by session. Of graphs for inputs of several sizes the smallest is there, and the largest unless only the smallest is wanted.
    pub(super) fn stages(&mut self, smallest_only: bool) -> Vec<(&mut Session, Vec<Stage>)> {
        match self {
            Model::Speech(model) => {
                let (whisper, vocab) = (&model.whisper, model.whisper.config.vocab_size as u32);
                let alone = DecoderGraphs {
                    prompts: whisper.prompts.clone(),
                    step: whisper.step,
                    n_seqs: 1,
                    capacity: whisper.config.max_target_positions,
                    tokens: whisper.tokens,
                    state: whisper.state,
                };
                let mut stages = vec![(whisper.mel, vec![]), (whisper.encoder, vec![])];
                for graphs in std::iter::once(&alone).chain(&whisper.batch) {
                    stages
                        .extend(graphs.prompts.first().map(|&(n_rows, graph)| (graph, prompt(graphs, n_rows, vocab))));
                    stages.push((graphs.step, step(graphs, vocab)));
                }
                vec![(&mut model.session, stages)]
            }
            Model::Embedding(model) => {
                let batches = ends(&model.bert.batches, smallest_only);
                let stages =
                    batches.map(|batch| (batch.graph, vec![(batch.lengths, words(batch.seq_len, batch.n_seqs))]));
                let mut stages: Vec<Stage> = stages.collect();
                stages.extend(
                    model.bert.mask_head.iter().flat_map(|head| head.graphs.first()).map(|head| (head.1, vec![])),
                );
                vec![(&mut model.session, stages)]
            }
            Model::Text(model) => {
                let (t5, vocab) = (&model.t5, model.t5.config.vocab_size as u32);
                let encoders = ends(&t5.encoders, smallest_only);
                let mut stages: Vec<Stage> =
                    encoders.map(|encoder| (encoder.graph, vec![(t5.length, words(encoder.seq_len, 1))])).collect();
                let longest = t5.encoders.last().map_or(1, |encoder| encoder.seq_len);
                let alone = DecoderGraphs {
                    prompts: vec![],
                    step: t5.step,
                    n_seqs: 1,
                    capacity: super::models::t5::CAPACITY,
                    tokens: t5.tokens,
                    state: t5.state,
                };
                let together = t5.batch.as_ref().map(|batch| (&batch.graphs, batch.lengths));
                for (graphs, lengths) in std::iter::once((&alone, t5.length)).chain(together) {
                    let mut states = step(graphs, vocab);
                    states.push((lengths, words(longest, graphs.n_seqs)));
                    stages.push((graphs.step, states));
                }
                vec![(&mut model.session, stages)]
            }
            Model::Vision(model) => {
                let stages = ends(&model.vit.batches, smallest_only).map(|batch| (batch.graph, vec![])).collect();
                vec![(&mut model.session, stages)]
            }
            Model::ImageText(model) => {
                let texts = ends(&model.texts.batches, smallest_only).map(|batch| (batch.graph, vec![])).collect();
                let pictures =
                    ends(&model.pictures.batches, smallest_only).map(|batch| (batch.graph, vec![])).collect();
                let pictures = model.picture_session.as_mut().map(|session| (session, pictures));
                std::iter::once((&mut model.text_session, texts)).chain(pictures).collect()
            }
        }
    }
}

/// The first, and the last where it is another and wanted.
fn ends<T>(all: &[T], first_only: bool) -> impl Iterator<Item = &T> {
    let last = all.len().saturating_sub(1);
    all.iter().enumerate().filter(move |(idx, _)| *idx == 0 || (*idx == last && !first_only)).map(|(_, each)| each)
}

/// The same word `n` times.
fn words(word: usize, n: usize) -> Vec<u8> {
    bytemuck::cast_slice(&vec![word as u32; n]).to_vec()
}

/// A decoder at the beginning of a text.
fn prompt(graphs: &DecoderGraphs, n_rows: usize, vocab: u32) -> Vec<(SlotId, Vec<u8>)> {
    let n_rows = n_rows as u32;
    decoding(graphs, DecodeState { n_rows, sample_begin: n_rows, ..begin(graphs, vocab) })
}

/// A decoder in the middle of a text.
fn step(graphs: &DecoderGraphs, vocab: u32) -> Vec<(SlotId, Vec<u8>)> {
    let position = graphs.capacity as u32 / 2;
    decoding(graphs, DecodeState { position, n_rows: 1, sample_begin: 1, ..begin(graphs, vocab) })
}

/// No token ends the text.
fn begin(graphs: &DecoderGraphs, vocab: u32) -> DecodeState {
    let zero: DecodeState = bytemuck::Zeroable::zeroed();
    DecodeState { limit: graphs.capacity as u32, eot: vocab, timestamp_begin: vocab, top_p: 1.0, ..zero }
}

fn decoding(graphs: &DecoderGraphs, state: DecodeState) -> Vec<(SlotId, Vec<u8>)> {
    vec![(graphs.state, bytemuck::cast_slice(&vec![state; graphs.n_seqs]).to_vec())]
}
