//! What a loaded model's precision costs: the same model in f32 is loaded beside it for as long as that takes.

use super::Worker;
use super::loads::Asked;
use super::parts::Part;
use crate::engine::fit::megabytes;
use crate::engine::ladder::name_of;
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
        let precision = loaded.choice.borrow().precision;
        if precision == Precision::F32 {
            let message = "this model is in f32, which the others are compared with; load it in f16, int8 or int4";
            return Err(Error::Input(message.into()));
        }
        let reduced = self
            .on_model(job, pipeline, Part::All, cancel, async |model| {
                answer(model, speech, &mut Watch { cancel, on_progress: &mut |_| () }).await
            })
            .await?;
        // Asked now: the model may have moved meanwhile.
        let (backend, level) = (loaded.choice.borrow().backend, loaded.info.borrow().memory_level);
        let asked = loaded.asked.in_f32_on(backend, level, reduced.bytes);
        let reference = async {
            let mut reference = self.place(job, &asked, &mut Vec::new(), None, cancel).await?.model;
            answer(&mut reference, speech, &mut Watch { cancel, on_progress: &mut |_| () }).await
        };
        let reference = reference.await.map_err(|error| beside(error, name_of(backend), reduced.bytes, &asked))?;
        Ok(Event::Quality { job, report: compare(&reference, &reduced, precision)? })
    }
}

/// What to say where the model in f32 could not be loaded, or could not answer, beside the one that holds `held` bytes. Whatever became
/// of the device meanwhile, that one is not given up for it: its next job brings it back if it has to.
fn beside(error: Error, backend: &'static str, held: u64, asked: &Asked) -> Error {
    match error {
        Error::Budget { budget_mb, figures, .. } => {
            let (held, budget) = (megabytes(held), megabytes(asked.budget_bytes().unwrap_or(0)));
            let whose = format!(
                "That is the model in f32, to be compared with; of the budget of {budget} this one holds {held}"
            );
            let hint = format!("{whose}. Raise the budget, or take it away for as long as this is measured");
            Error::Budget { budget_mb, figures, hint }
        }
        error if error.is_of_memory() => {
            let reason = format!("the model in f32, to be compared with, has no room beside this one ({error})");
            Error::Exhausted { what: backend.into(), reason }
        }
        error if error.is_of_backend() => {
            let reason = format!("the model in f32, to be compared with, could not run beside this one ({error})");
            Error::BackendUnavailable { backend, reason }
        }
        error => error,
    }
}
