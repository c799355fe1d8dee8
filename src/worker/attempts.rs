//! Where a load goes on that failed: on the same device with less memory where that is what ran out, else on the next rung of the
//! ladder.

use super::loads::Asked;
use super::{Rung, Worker};
use crate::engine::Error;
use crate::engine::fit;
use crate::engine::ladder::{Choice, Wish, name_of};
use crate::protocol::{Event, Failure, FailureKind, JobId, MemoryLevel, Precision};

/// A device for a model, and how the model is to lie in its memory.
#[derive(Debug, Clone)]
pub(super) struct Attempt {
    pub choice: Choice,
    pub level: MemoryLevel,
}

impl Worker {
    /// Where a model goes on that failed on a device with `error`.
    pub(super) async fn next_attempt(
        &self,
        failed: &Attempt,
        error: &Error,
        tried: &[Rung],
        asked: &Asked,
        wish: &Wish<'_>,
    ) -> Option<Attempt> {
        match self.with_less_memory(&failed.choice, failed.level, error, asked).await {
            Some(next) => Some(next),
            None => self.on_next_rung(&failed.choice, error, tried, asked, wish).await,
        }
    }

    /// The same device at the next memory level, where `level` was refused for want of memory. No other backend takes its place, so that
    /// one that was asked for by name may do this too.
    pub(super) async fn with_less_memory(
        &self,
        failed: &Choice,
        level: MemoryLevel,
        error: &Error,
        asked: &Asked,
    ) -> Option<Attempt> {
        if !error.is_of_memory() || !self.fallbacks.get() {
            return None;
        }
        // Weights that are narrow already become no narrower.
        let is_wide = matches!(failed.precision, Precision::F32 | Precision::F16);
        let narrows = is_wide && asked.load_options(level).narrows(failed);
        let next = fit::less_than(level, &failed.device, narrows)?;
        let (name, level, to) = (name_of(failed.backend), u8::from(level), u8::from(next));
        let reason = format!("{name}: at memory level {to}, since at level {level} {error}");
        let again = self.ladder.again(failed).await.ok()?;
        Some(Attempt { choice: Choice { reason, ..again }, level: next })
    }

    /// The next rung, at the memory level that was asked for.
    pub(super) async fn on_next_rung(
        &self,
        failed: &Choice,
        error: &Error,
        tried: &[Rung],
        asked: &Asked,
        wish: &Wish<'_>,
    ) -> Option<Attempt> {
        if !error.may_load_elsewhere() {
            return None;
        }
        let choice = self.ladder.next(failed, error, tried, wish).await?;
        Some(Attempt { choice, level: asked.level() })
    }

    /// Tells the page where a load goes on.
    pub(super) fn say_next(&self, job: JobId, failed: &Choice, next: &Attempt) {
        let name = name_of(failed.backend);
        let what = match next.choice.backend == failed.backend {
            true => format!("{name} had to be asked for less"),
            false => format!("{name} could not take the model"),
        };
        self.say_fallback(job, format!("{what}. {}.", next.choice.reason));
    }

    /// Tells the page that something gave way.
    pub(super) fn say_fallback(&self, job: JobId, message: String) {
        let hint = "Nothing is lost. To have an error instead, switch fallbacks off in the settings.".to_string();
        (self.emit)(Event::Notice { job, failure: Failure { kind: FailureKind::Fallback, message, hint } });
    }
}
