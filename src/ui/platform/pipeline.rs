//! A loaded model: what it is, and what can be asked of it.

use std::cell::{Cell, RefCell};
use std::rc::Rc;

use js_sys::{Array, Float32Array};
use serde::Serialize;

use super::Platform;
use super::pending::{Pending, failure_of, pending};
use crate::audio::files;
use crate::protocol::{
    Command, Event, Failure, FailureKind, GenerateOptions, GenerateTimings, Generation, GraphNodes, HiddenState,
    Inspection, JobId, LabelScore, MaskCandidate, Matches, MemoryBytes, PipelineId, PipelineInfo, PipelineTrace,
    QualityReport, Timings, TranscribeOptions, Transcript,
};
use crate::ui::client::{Attachment, Client};

/// A loaded model.
#[derive(Clone)]
pub struct Pipeline {
    client: Client,
    /// What was loaded, on what: after a move, on what it runs now.
    info: Rc<RefCell<PipelineInfo>>,
    disposed: Rc<Cell<bool>>,
    history: Rc<RefCell<History>>,
}

#[derive(Default)]
struct History {
    runs: u32,
    last: Option<Timings>,
}

/// What a pipeline is and what it has done so far.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct PipelineReport {
    /// The model, backend, adapter, memory and load times.
    pub pipeline: PipelineInfo,
    /// Finished runs.
    pub runs: u32,
    /// Of the last finished transcription.
    pub last_timings: Option<Timings>,
}

impl Pipeline {
    pub(super) fn new(client: Client, info: PipelineInfo) -> Self {
        Self { client, info: Rc::new(RefCell::new(info)), disposed: Rc::default(), history: Rc::default() }
    }

    /// More of it has come, or it runs on something else.
    pub(super) fn is_now(&self, info: PipelineInfo) {
        *self.info.borrow_mut() = info;
    }

    /// What was loaded, and on what it runs now.
    pub fn info(&self) -> PipelineInfo {
        self.info.borrow().clone()
    }

    /// Follows the events of a job: a move changes what this pipeline runs on.
    fn followed(&self, on_event: impl Fn(&Event) + 'static) -> impl Fn(&Event) + 'static {
        let info = self.info.clone();
        move |event| {
            if let Event::Moved { pipeline, .. } = event {
                *info.borrow_mut() = pipeline.clone();
            }
            on_event(event);
        }
    }

    /// Transcribe a whole recording: 16 kHz, mono.
    pub fn transcribe(
        &self,
        samples: &[f32],
        options: TranscribeOptions,
        on_event: impl Fn(&Event) + 'static,
    ) -> Result<Pending<Transcript>, Failure> {
        files::check_length(samples.len())?;
        let history = self.history.clone();
        let command = |job, pipeline| Command::Transcribe { job, pipeline, options };
        self.run(command, Attachment::Samples(Float32Array::from(samples)), on_event, transcript_into(history))
    }

    /// Begin a recording that is transcribed while it is made.
    pub fn stream(
        &self,
        options: TranscribeOptions,
        on_event: impl Fn(&Event) + 'static,
    ) -> Result<(Stream, Pending<Transcript>), Failure> {
        let history = self.history.clone();
        let command = |job, pipeline| Command::StreamStart { job, pipeline, options };
        let transcript = self.run(command, Attachment::None, on_event, transcript_into(history))?;
        let stream = Stream { client: self.client.clone(), job: transcript.canceller.job };
        Ok((stream, transcript))
    }

    /// Turn texts into vectors.
    pub fn embed(
        &self,
        texts: Vec<String>,
        batch_size: Option<u32>,
        on_event: impl Fn(&Event) + 'static,
    ) -> Result<Pending<Embeddings>, Failure> {
        let command = |job, pipeline| Command::Embed { job, pipeline, texts, batch_size };
        self.run(command, Attachment::None, on_event, embeddings_of)
    }

    /// Turn pictures (an array of `Blob`s) into vectors.
    pub fn embed_pictures(
        &self,
        pictures: Array,
        batch_size: Option<u32>,
        on_event: impl Fn(&Event) + 'static,
    ) -> Result<Pending<Embeddings>, Failure> {
        let command = |job, pipeline| Command::EmbedPictures { job, pipeline, batch_size };
        self.run(command, Attachment::Files(pictures), on_event, embeddings_of)
    }

    /// Read the last hidden state for each token of texts, and how many of them were cut.
    pub fn hidden_states(
        &self,
        texts: Vec<String>,
        batch_size: Option<u32>,
        on_event: impl Fn(&Event) + 'static,
    ) -> Result<Pending<(Vec<HiddenState>, u32)>, Failure> {
        let command = |job, pipeline| Command::HiddenStates { job, pipeline, texts, batch_size };
        self.run(command, Attachment::None, on_event, |event| match event {
            Event::HiddenStates { states, n_cut, .. } => Ok((states, n_cut)),
            other => Err(failure_of(other)),
        })
    }

    /// Find words for the gaps in texts: for each text its candidates.
    pub fn fill_mask(
        &self,
        texts: Vec<String>,
        top_k: u32,
        batch_size: Option<u32>,
        on_event: impl Fn(&Event) + 'static,
    ) -> Result<Pending<Vec<Vec<MaskCandidate>>>, Failure> {
        let command = |job, pipeline| Command::FillMask { job, pipeline, texts, top_k, batch_size };
        self.run(command, Attachment::None, on_event, |event| match event {
            Event::Filled { results, .. } => Ok(results),
            other => Err(failure_of(other)),
        })
    }

    /// Write a text for each text.
    pub fn generate(
        &self,
        texts: Vec<String>,
        options: GenerateOptions,
        on_event: impl Fn(&Event) + 'static,
    ) -> Result<Pending<(Vec<Generation>, GenerateTimings)>, Failure> {
        let command = |job, pipeline| Command::Generate { job, pipeline, texts, options };
        self.run(command, Attachment::None, on_event, |event| match event {
            Event::Generated { outputs, timings, .. } => Ok((outputs, timings)),
            other => Err(failure_of(other)),
        })
    }

    /// Name what is on pictures (an array of `Blob`s): for each its `top_k` labels.
    pub fn classify(
        &self,
        pictures: Array,
        top_k: u32,
        batch_size: Option<u32>,
        on_event: impl Fn(&Event) + 'static,
    ) -> Result<Pending<Vec<Vec<LabelScore>>>, Failure> {
        let command = |job, pipeline| Command::Classify { job, pipeline, top_k, batch_size };
        self.run(command, Attachment::Files(pictures), on_event, |event| match event {
            Event::Classified { results, .. } => Ok(results),
            other => Err(failure_of(other)),
        })
    }

    /// Compare pictures (an array of `Blob`s) with texts.
    pub fn match_pictures(
        &self,
        pictures: Array,
        texts: Vec<String>,
        batch_size: Option<u32>,
        on_event: impl Fn(&Event) + 'static,
    ) -> Result<Pending<Matches>, Failure> {
        let command = |job, pipeline| Command::Match { job, pipeline, texts, batch_size };
        self.run(command, Attachment::Files(pictures), on_event, |event| match event {
            Event::Matched { matches, .. } => Ok(matches),
            other => Err(failure_of(other)),
        })
    }

    /// Find out what the model's precision costs beside f32. `speech` (16 kHz, mono) is what a speech model is tried with; others look at
    /// samples of their own.
    pub fn quality(
        &self,
        speech: &[f32],
        on_event: impl Fn(&Event) + 'static,
    ) -> Result<Pending<QualityReport>, Failure> {
        let command = |job, pipeline| Command::MeasureQuality { job, pipeline };
        self.run(command, Attachment::Samples(Float32Array::from(speech)), on_event, |event| match event {
            Event::Quality { report, .. } => Ok(report),
            other => Err(failure_of(other)),
        })
    }

    /// Time the stages of a model on a GPU, dispatch by dispatch.
    pub fn trace(&self, on_event: impl Fn(&Event) + 'static) -> Result<Pending<PipelineTrace>, Failure> {
        let command = |job, pipeline| Command::Trace { job, pipeline };
        self.run(command, Attachment::None, on_event, |event| match event {
            Event::Traced { trace, .. } => Ok(trace),
            other => Err(failure_of(other)),
        })
    }

    /// The nodes of a model's graphs.
    pub fn nodes(&self) -> Result<Pending<Vec<GraphNodes>>, Failure> {
        self.run(
            |job, pipeline| Command::Nodes { job, pipeline },
            Attachment::None,
            |_| {},
            |event| match event {
                Event::Nodes { graphs, .. } => Ok(graphs),
                other => Err(failure_of(other)),
            },
        )
    }

    /// Hold nodes of a graph against their plain definitions; all where none is named.
    pub fn inspect(
        &self,
        graph: String,
        nodes: Option<Vec<u32>>,
        on_event: impl Fn(&Event) + 'static,
    ) -> Result<Pending<Inspection>, Failure> {
        let command = |job, pipeline| Command::Inspect { job, pipeline, graph, nodes };
        self.run(command, Attachment::None, on_event, |event| match event {
            Event::Inspected { inspection, .. } => Ok(inspection),
            other => Err(failure_of(other)),
        })
    }

    /// Sends a command for this pipeline and counts the run when it is done.
    fn run<T: 'static>(
        &self,
        command: impl FnOnce(JobId, PipelineId) -> Command,
        attachment: Attachment,
        on_event: impl Fn(&Event) + 'static,
        finish: impl FnOnce(Event) -> Result<T, Failure> + 'static,
    ) -> Result<Pending<T>, Failure> {
        self.usable()?;
        let pipeline = self.info.borrow().id;
        let reply = self.client.request(|job| command(job, pipeline), attachment, self.followed(on_event));
        let history = self.history.clone();
        Ok(pending(&self.client, reply, move |event| {
            let result = finish(event)?;
            history.borrow_mut().runs += 1;
            Ok(result)
        }))
    }

    /// What it holds in memory now.
    pub async fn memory(&self) -> Result<MemoryBytes, Failure> {
        self.usable()?;
        let report = Platform::new(self.client.clone()).memory().await?;
        let id = self.info.borrow().id;
        Ok(report.pipelines.into_iter().find(|each| each.pipeline == id).map(|each| each.bytes).unwrap_or_default())
    }

    /// What was loaded and what it has done so far.
    pub fn report(&self) -> PipelineReport {
        let history = self.history.borrow();
        PipelineReport { pipeline: self.info(), runs: history.runs, last_timings: history.last }
    }

    /// Free the model and its GPU memory. Running it afterwards fails; a second call does nothing.
    pub fn dispose(&self) {
        if !self.disposed.replace(true) {
            self.client.send(Command::Dispose { pipeline: self.info.borrow().id }, Attachment::None);
        }
    }

    fn usable(&self) -> Result<(), Failure> {
        if self.disposed.get() {
            return Err(Failure {
                kind: FailureKind::Input,
                message: format!("`{}` was disposed of", self.info.borrow().model.id),
                hint: "Load the model again.".into(),
            });
        }
        Ok(())
    }
}

/// What inputs became as vectors.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Embeddings {
    /// One for each input, in order.
    pub embeddings: Vec<Vec<f32>>,
    /// How many inputs were longer than the model takes, and were cut.
    pub n_cut: u32,
}

/// The transcript that closed a job; its timings are what was measured last.
fn transcript_into(history: Rc<RefCell<History>>) -> impl FnOnce(Event) -> Result<Transcript, Failure> {
    move |event| match event {
        Event::Transcribed { transcript, .. } => {
            history.borrow_mut().last = Some(transcript.timings);
            Ok(transcript)
        }
        other => Err(failure_of(other)),
    }
}

fn embeddings_of(event: Event) -> Result<Embeddings, Failure> {
    match event {
        Event::Embedded { embeddings, n_cut, .. } => Ok(Embeddings { embeddings, n_cut }),
        other => Err(failure_of(other)),
    }
}

/// A recording that is transcribed while it is made.
pub struct Stream {
    client: Client,
    job: JobId,
}

impl Stream {
    /// More of the recording: 16 kHz, mono.
    pub fn push(&self, samples: &[f32]) {
        self.client.send(Command::StreamAudio { job: self.job }, Attachment::Samples(Float32Array::from(samples)));
    }

    /// The recording is complete.
    pub fn end(&self) {
        self.client.send(Command::StreamEnd { job: self.job }, Attachment::None);
    }
}
