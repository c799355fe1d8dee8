//! A model that goes on elsewhere: its backend failed in the middle of a job, so it is loaded on the next rung and the job goes
//! on there. What the job has done so far stays with the job.

use super::attempts::Attempt;
use super::loads::{Placed, describe};
use super::{Loaded, Worker};
use crate::engine::ladder::name_of;
use crate::engine::model::Model;
use crate::engine::{CancelFlag, Error, Result};
use crate::protocol::{Event, JobId};

impl Worker {
    /// The model in its place; brought back to its rung where an earlier move was stopped half-way.
    pub(super) async fn present<'a>(
        &self,
        job: JobId,
        loaded: &Loaded,
        place: &'a mut Option<Model>,
        cancel: &CancelFlag,
    ) -> Result<&'a mut Model> {
        if place.is_none() {
            let mut tried = loaded.tried.borrow().clone();
            let placed = self.place(job, &loaded.asked, &mut tried, None, cancel).await?;
            self.settle(job, loaded, place, placed, tried, "the model was loaded again".into());
        }
        place.as_mut().ok_or_else(|| Error::Internal("a model that was just loaded is not there".into()))
    }

    /// Brings a model whose backend failed with `error` onto the next rung, or gives the error back where it is not the
    /// backend's, where fallbacks are switched off, and where no rung is left.
    pub(super) async fn move_on(
        &self,
        job: JobId,
        loaded: &Loaded,
        place: &mut Option<Model>,
        error: Error,
        cancel: &CancelFlag,
    ) -> Result<()> {
        if !error.is_of_backend() || !self.fallbacks.get() {
            return Err(error);
        }
        let failed = Attempt { choice: loaded.choice.borrow().clone(), level: loaded.info.borrow().memory_level };
        let mut tried = loaded.tried.borrow().clone();
        let reason = format!("{} failed in the middle of the work: {error}", name_of(failed.choice.backend));
        // Its memory is needed where it goes, which may be the same device.
        *place = None;
        let placed = self.place(job, &loaded.asked, &mut tried, Some((failed, error)), cancel).await?;
        let message = format!(
            "{reason}. It goes on from the last finished window with {}.",
            name_of(placed.terms.choice.backend)
        );
        self.say_fallback(job, message);
        self.settle(job, loaded, place, placed, tried, reason);
        Ok(())
    }

    /// Puts a model into its place and tells the page where it is now.
    fn settle(
        &self,
        job: JobId,
        loaded: &Loaded,
        place: &mut Option<Model>,
        placed: Placed,
        tried: Vec<super::Rung>,
        reason: String,
    ) {
        let id = loaded.info.borrow().id;
        let info = describe(id, &loaded.asked, &placed.model, &placed.terms);
        *loaded.info.borrow_mut() = info.clone();
        *loaded.choice.borrow_mut() = placed.terms.choice;
        *loaded.ledgers.borrow_mut() = placed.model.ledgers();
        *loaded.tried.borrow_mut() = tried;
        *place = Some(placed.model);
        (self.emit)(Event::Moved { job, pipeline: info, reason });
    }
}
