//! What a loaded model's precision costs: the same model in f32 is loaded beside it for as long as that takes.

use super::Worker;
use super::parts::Part;
use crate::engine::quality::{answer, compare};
use crate::engine::session::Watch;
use crate::engine::{CancelFlag, Error, Result};
use crate::protocol::{Event, JobId, PipelineId, Precision};

impl Worker {
    pub(super) async fn measure_quality(
        &self,
        job: JobId,
        pipeline: PipelineId,
        speech: &[f32],
        cancel: &CancelFlag,
    ) -> Result<Event> {
        let loaded = self.model(pipeline)?;
        let (backend, precision) = {
            let choice = loaded.choice.borrow();
            (choice.backend, choice.precision)
        };
        if precision == Precision::F32 {
            let message = "this model is in f32, which the others are compared with; load it in f16, int8 or int4";
            return Err(Error::Input(message.into()));
        }
        let reduced = self
            .on_model(job, pipeline, Part::All, cancel, async |model| {
                answer(model, speech, &mut Watch { cancel, on_progress: &mut |_| () }).await
            })
            .await?;
        let asked = loaded.asked.in_f32_on(backend);
        let mut reference = self.place(job, &asked, &mut Vec::new(), None, cancel).await?.model;
        let reference = answer(&mut reference, speech, &mut Watch { cancel, on_progress: &mut |_| () }).await?;
        Ok(Event::Quality { job, report: compare(&reference, &reduced, precision)? })
    }
}
