//! Stopping a job that is under way.

use super::{Error, Result};
use std::cell::{Cell, RefCell};
use std::rc::Rc;

type Callback = Box<dyn FnOnce()>;

/// Says that a job is no longer wanted. Clones share the flag.
#[derive(Clone, Default)]
pub struct CancelFlag {
    cancelled: Rc<Cell<bool>>,
    on_cancel: Rc<RefCell<Vec<Callback>>>,
}

impl CancelFlag {
    /// Raises the flag and breaks off what waits for the network.
    pub fn cancel(&self) {
        self.cancelled.set(true);
        // Taken out first: a callback may look at the flag again.
        let callbacks = std::mem::take(&mut *self.on_cancel.borrow_mut());
        for callback in callbacks {
            callback();
        }
    }

    /// Whether the flag is raised.
    pub fn is_cancelled(&self) -> bool {
        self.cancelled.get()
    }

    /// # Errors
    /// [`Error::Cancelled`] where the flag is raised.
    pub fn check(&self) -> Result<()> {
        if self.is_cancelled() { Err(Error::Cancelled) } else { Ok(()) }
    }

    /// Calls `callback` when the flag is raised, at once where it is already.
    pub fn on_cancel(&self, callback: impl FnOnce() + 'static) {
        if self.is_cancelled() {
            callback();
        } else {
            self.on_cancel.borrow_mut().push(Box::new(callback));
        }
    }
}

impl std::fmt::Debug for CancelFlag {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_tuple("CancelFlag").field(&self.cancelled.get()).finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cancel_flag_calls_back_once_and_at_once_when_already_raised() {
        let flag = CancelFlag::default();
        let calls = Rc::new(Cell::new(0));
        let count = |calls: &Rc<Cell<i32>>| {
            let calls = calls.clone();
            move || calls.set(calls.get() + 1)
        };
        flag.on_cancel(count(&calls));
        assert!(flag.check().is_ok());
        flag.clone().cancel();
        flag.cancel();
        assert!(matches!(flag.check(), Err(Error::Cancelled)));
        assert_eq!(calls.get(), 1);
        flag.on_cancel(count(&calls));
        assert_eq!(calls.get(), 2);
    }
}
