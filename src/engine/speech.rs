//! Whisper's files: what of a repository makes a speech model, and its first run. What it does with speech is `transcribe`'s.

use super::graph::Recorder;
use super::model::{Component, parse};
use super::models::whisper::{Config, Whisper};
use super::ops::decode_state::DecodeState;
use super::session::{Session, Watch};
use super::text::{Tokenizer, WhisperTokens};
use super::transcribe::SpeechModel;
use super::weights::ModelFiles;
use super::{Error, Result};
use serde_json::Value;

/// The small files.
pub struct Files {
    config: Config,
    tokenizer: Tokenizer,
    tokens: WhisperTokens,
}

/// Recorded, without a device.
pub struct Recorded {
    whisper: Whisper,
    tokenizer: Tokenizer,
    tokens: WhisperTokens,
}

impl Files {
    /// Reads what lies beside `config.json`.
    pub async fn read(files: &ModelFiles, config: &[u8]) -> Result<Self> {
        let tokenizer = Tokenizer::from_json(&files.read_required("tokenizer.json").await?)?;
        let generation = match files.read("generation_config.json").await? {
            Some(bytes) => parse("generation_config.json", &bytes)?,
            None => Value::Null,
        };
        let tokens = WhisperTokens::new(&tokenizer, &generation)?;
        Ok(Self { config: Config::from_json(config)?, tokenizer, tokens })
    }

    /// Records its graphs, for `batch_size` windows at once.
    pub fn record(self, recorder: &Recorder, batch_size: usize) -> Result<(Recorded, Vec<Component>)> {
        let Files { config, tokenizer, tokens } = self;
        let whisper = Whisper::record(recorder, config, &tokens, batch_size)?;
        Ok((Recorded { whisper, tokenizer, tokens }, Component::whole(recorder)))
    }
}

impl Recorded {
    /// The model on a device.
    pub fn on(self, session: Session) -> SpeechModel {
        SpeechModel::new(session, self.whisper, self.tokenizer, self.tokens)
    }
}

impl SpeechModel {
    /// The first run. What needs no run is only made ready where `software` would take as long as for the first recording.
    pub(super) async fn warm_up(&mut self, software: bool, watch: &mut Watch<'_>) -> Result<()> {
        let (mel, encoder, step) = (self.whisper.mel, self.whisper.encoder, self.whisper.step);
        let (state, logits) = (self.whisper.state, self.whisper.logits);
        // Before the prompt, so that what the decoder does not need is let go first.
        self.session.prepare(mel).await?;
        self.session.prepare(encoder).await?;
        if !software {
            self.session.run_watched(mel, watch).await?;
            self.session.run_watched(encoder, watch).await?;
        }
        let begin = DecodeState { n_rows: 1, sample_begin: 1, limit: 3, ..bytemuck::Zeroable::zeroed() };
        self.session.write(state, 0, bytemuck::bytes_of(&begin))?;
        let prompt = self.whisper.prompts.first().map(|&(_, graph)| (graph, 1));
        let runs: Vec<_> = prompt.into_iter().chain([(step, 1)]).collect();
        let bytes = self.session.submit(&runs, &[logits], watch).await?.wait().await?.remove(0);
        check_logits(&bytemuck::pod_collect_to_vec(&bytes))
    }
}

/// Logits that are all the same, or no numbers, come from a GPU that does not compute.
pub(super) fn check_logits(logits: &[f32]) -> Result<()> {
    let what = || "logits of the first run".to_string();
    if let Some(bad) = logits.iter().find(|l| !l.is_finite()) {
        return Err(Error::Numerics { what: what(), reason: format!("one is {bad}") });
    }
    if logits.windows(2).all(|pair| pair[0] == pair[1]) {
        return Err(Error::Numerics { what: what(), reason: "all are the same".into() });
    }
    Ok(())
}
