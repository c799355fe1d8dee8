//! A recording that is transcribed while it is made.
//!
//! Windows that are full are final, as in a file. What is left is decoded again and again and only shown, as fast as the machine
//! allows; the end of the recording breaks that off, and the rest is decoded as in a file. The text is that of the same recording as
//! a file, but for this: a file's windows are scaled by its loudest moment, of which a live recording knows only what was.

use super::{Worker, seconds, speech, transcript};
use crate::engine::session::Watch;
use crate::engine::transcribe::{Finality, SpeechEvent, check_recording};
use crate::engine::{CancelFlag, Error, Result, edge};
use crate::protocol::{JobId, PipelineId, TranscribeOptions, Transcript};
use std::cell::{Cell, RefCell};

/// New speech that is worth another look, in samples.
const WORTH_A_LOOK: usize = 16_000;
/// How often a waiting job looks for new samples.
const PAUSE_MS: u32 = 50;

/// The samples of a recording in the making.
pub(super) struct LiveRecording {
    /// Samples that the job has not taken yet.
    inbox: RefCell<Vec<f32>>,
    is_ended: Cell<bool>,
    /// Stops the whole job.
    cancel: CancelFlag,
    /// Stops the look that is under way.
    look: RefCell<CancelFlag>,
}

impl LiveRecording {
    pub fn new(cancel: CancelFlag) -> Self {
        Self { inbox: RefCell::default(), is_ended: Cell::new(false), cancel, look: RefCell::default() }
    }

    /// More samples.
    pub fn push(&self, samples: &[f32]) {
        self.inbox.borrow_mut().extend_from_slice(samples);
    }

    /// No more samples.
    pub fn end(&self) {
        self.is_ended.set(true);
        self.look.borrow().cancel();
    }

    fn take_into(&self, recording: &mut Vec<f32>) {
        recording.append(&mut self.inbox.borrow_mut());
    }

    /// A flag for one look, raised by the recording's end and by the job's cancel.
    fn begin_look(&self) -> CancelFlag {
        let look = CancelFlag::default();
        *self.look.borrow_mut() = look.clone();
        let raised = look.clone();
        self.cancel.on_cancel(move || raised.cancel());
        look
    }
}

impl Worker {
    pub(super) async fn transcribe_live(
        &self,
        job: JobId,
        pipeline: PipelineId,
        options: TranscribeOptions,
        live: &LiveRecording,
    ) -> Result<Transcript> {
        let loaded = self.model(pipeline)?;
        let cancel = &live.cancel;
        self.until_complete(job, &loaded, cancel).await?;
        let mut place = self.lock(job, &loaded, 0.0).await;
        let model = speech(self.present(job, &loaded, &mut place, cancel).await?)?;
        let window = model.whisper.config.n_samples();
        let mut run = model.begin(options)?;
        run.may_batch = false;
        let mut recording = Vec::new();
        let mut looked_at = 0;
        let done = Cell::new(0.0);
        while !live.is_ended.get() {
            cancel.check()?;
            live.take_into(&mut recording);
            let total_s = seconds(recording.len());
            let mut emit = |event| self.emit_speech(job, event, &done, total_s);
            let (finality, stop) = if recording.len() - run.seek >= window {
                (Finality::Final, cancel.clone())
            } else if recording.len() - looked_at >= WORTH_A_LOOK {
                (Finality::Tentative, live.begin_look())
            } else {
                edge::sleep(PAUSE_MS).await;
                continue;
            };
            let model = speech(self.present(job, &loaded, &mut place, cancel).await?)?;
            let mut watch = Watch { cancel: &stop, on_progress: &mut |_| () };
            match model.window(&recording, &mut run, finality, &mut watch, &mut emit).await {
                Ok(()) if finality == Finality::Final => looked_at = run.seek,
                Ok(()) => looked_at = recording.len(),
                Err(Error::Cancelled) if live.is_ended.get() => cancel.check()?,
                // The same window again, by what comes next; what was said meanwhile waits.
                Err(error) => self.move_on(job, &loaded, &mut place, error, cancel).await?,
            }
        }
        // What counts from here is how long the speaker waits for the text.
        let ended = edge::Instant::now();
        live.take_into(&mut recording);
        check_recording(&recording)?;
        let total_s = seconds(recording.len());
        let mut emit = |event: SpeechEvent| self.emit_speech(job, event, &done, total_s);
        loop {
            let model = speech(self.present(job, &loaded, &mut place, cancel).await?)?;
            let mut watch = Watch { cancel, on_progress: &mut |_| () };
            match model.transcribe(&recording, &mut run, &mut watch, &mut emit).await {
                Ok(()) => return Ok(transcript(model, &loaded, run, recording.len(), edge::ms_since(ended))),
                Err(error) => self.move_on(job, &loaded, &mut place, error, cancel).await?,
            }
        }
    }
}
