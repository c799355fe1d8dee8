//! Models that are used while they still arrive: of which a part is there, and what waits for the rest.

use super::{Loaded, Worker};
use crate::engine::{CancelFlag, Error, Result, edge};
use crate::protocol::JobId;

/// How often a waiting job looks whether the rest has come.
const PAUSE_MS: u32 = 50;

/// What a job needs of a model.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Part {
    /// The component that comes first: the texts' part of an image-text model.
    First,
    /// All of it.
    All,
}

impl Loaded {
    /// Whether all of the model is there. While it is not, the place belongs to the load, and may be empty on the way to another
    /// backend.
    pub(super) fn is_complete(&self) -> bool {
        matches!(self.outcome.get(), Some(Ok(())))
    }

    /// Stops the load where it is still under way.
    pub(super) fn stop_load(&self) {
        if self.outcome.get().is_none() {
            self.load.cancel();
        }
    }
}

impl Worker {
    /// Waits until all of a model is there, without keeping others from the part that is; an error where the load ended otherwise.
    pub(super) async fn until_complete(&self, job: JobId, loaded: &Loaded, cancel: &CancelFlag) -> Result<()> {
        let mut is_told = false;
        loop {
            match loaded.outcome.get() {
                Some(Ok(())) => return Ok(()),
                Some(Err(reason)) => {
                    let what = format!("the rest of this model did not come, since its load ended: {reason}");
                    return Err(Error::Input(format!("{what}; load it again")));
                }
                None => cancel.check()?,
            }
            if !std::mem::replace(&mut is_told, true) {
                self.say_queued(job, 0.0);
            }
            edge::sleep(PAUSE_MS).await;
        }
    }
}
