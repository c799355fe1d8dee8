//! Memory, accounted for: every buffer and every block is booked when it is made and struck off when it goes.
//!
//! A [`Ledger`] keeps the books of one session and passes each entry on to those of the whole engine. What is not in them: the
//! pipelines (the API does not tell their size), what a browser holds back for writes that are under way, and the engine's own heap,
//! which [`host_bytes`] tells. How much a program may take, and what gives way where that is too little, is left to
//! [`super::fit`].

use crate::protocol::{MemoryBytes, MemoryLevel};
use std::cell::Cell;
use std::rc::Rc;

/// How a program is to lie in memory.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct MemoryOptions {
    /// How much is given for speed.
    pub level: MemoryLevel,
    /// What it may take at most; streaming keeps as many weights as fit.
    pub budget_bytes: Option<u64>,
}

/// What memory is used for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Purpose {
    /// Weights and constants; where weights are streamed, those that stay and the window that the others pass through.
    Weights,
    /// What outlives a run and changes: caches, positions, inputs and outputs.
    States,
    /// Intermediate tensors.
    Activations,
    /// Parameters of dispatches, lists of steps, the threads' scratch.
    Plans,
    /// Buffers that carry results to the host.
    Staging,
}

impl Purpose {
    /// All of them.
    pub const ALL: [Self; 5] = [Self::Weights, Self::States, Self::Activations, Self::Plans, Self::Staging];
}

/// Bytes by purpose.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct MemoryUse {
    /// See [`Purpose::Weights`].
    pub weights: u64,
    /// See [`Purpose::States`].
    pub states: u64,
    /// See [`Purpose::Activations`].
    pub activations: u64,
    /// See [`Purpose::Plans`].
    pub plans: u64,
    /// See [`Purpose::Staging`].
    pub staging: u64,
    /// The most that all of them together have been.
    pub peak: u64,
}

impl MemoryUse {
    /// All of it.
    pub fn total(&self) -> u64 {
        self.weights + self.states + self.activations + self.plans + self.staging
    }

    /// Each purpose with its bytes.
    pub fn by_purpose(&self) -> impl Iterator<Item = (Purpose, u64)> {
        let bytes = [self.weights, self.states, self.activations, self.plans, self.staging];
        Purpose::ALL.into_iter().zip(bytes)
    }

    /// Adds bytes that are going to be used.
    pub fn add(&mut self, purpose: Purpose, bytes: u64) {
        let place = match purpose {
            Purpose::Weights => &mut self.weights,
            Purpose::States => &mut self.states,
            Purpose::Activations => &mut self.activations,
            Purpose::Plans => &mut self.plans,
            Purpose::Staging => &mut self.staging,
        };
        *place += bytes;
        self.peak = self.peak.max(self.total());
    }
}

impl From<MemoryUse> for MemoryBytes {
    fn from(used: MemoryUse) -> Self {
        let MemoryUse { weights, states, activations, plans, staging, peak } = used;
        Self { weights, states, intermediates: activations, plans, staging, total: used.total(), peak }
    }
}

/// The books of a session, or of the whole engine.
#[derive(Debug, Default)]
pub struct Ledger {
    bytes: [Cell<u64>; Purpose::ALL.len()],
    peak: Cell<u64>,
    whole: Option<Rc<Ledger>>,
}

thread_local! {
    static WHOLE: Rc<Ledger> = Rc::default();
}

impl Ledger {
    /// New books, whose entries are passed on to those of the engine.
    pub fn new() -> Rc<Self> {
        Rc::new(Self { whole: Some(WHOLE.with(Rc::clone)), ..Self::default() })
    }

    /// Books bytes for as long as what this returns lives.
    pub fn book(self: &Rc<Self>, purpose: Purpose, bytes: u64) -> Booking {
        self.add(purpose, bytes as i64);
        Booking { ledger: self.clone(), purpose, bytes }
    }

    /// What is booked.
    pub fn now(&self) -> MemoryUse {
        let [weights, states, activations, plans, staging] = self.bytes.each_ref().map(Cell::get);
        MemoryUse { weights, states, activations, plans, staging, peak: self.peak.get() }
    }

    fn add(&self, purpose: Purpose, bytes: i64) {
        let place = &self.bytes[purpose as usize];
        place.set(place.get().wrapping_add_signed(bytes));
        self.peak.set(self.peak.get().max(self.now().total()));
        if let Some(whole) = &self.whole {
            whole.add(purpose, bytes);
        }
    }
}

/// What several books say together; their peaks may have been at different times.
pub fn sum<'a>(ledgers: impl IntoIterator<Item = &'a Rc<Ledger>>) -> MemoryUse {
    let (mut all, mut peak) = (MemoryUse::default(), 0);
    for now in ledgers.into_iter().map(|ledger| ledger.now()) {
        now.by_purpose().for_each(|(purpose, bytes)| all.add(purpose, bytes));
        peak += now.peak;
    }
    MemoryUse { peak, ..all }
}

/// Bytes that are in the books until it is dropped.
#[derive(Debug)]
pub struct Booking {
    ledger: Rc<Ledger>,
    purpose: Purpose,
    bytes: u64,
}

impl Drop for Booking {
    fn drop(&mut self) {
        self.ledger.add(self.purpose, -(self.bytes as i64));
    }
}

/// What all sessions of this thread's engine hold.
pub fn of_all_sessions() -> MemoryUse {
    WHOLE.with(|whole| whole.now())
}

/// Bytes of the engine's own heap: in a browser the size of its wasm memory, which grows and never shrinks, so that it is the peak
/// too; natively 0, where the process belongs to others as well.
pub fn host_bytes() -> u64 {
    #[cfg(target_arch = "wasm32")]
    {
        const PAGE: u64 = 1 << 16;
        core::arch::wasm32::memory_size(0) as u64 * PAGE
    }
    #[cfg(not(target_arch = "wasm32"))]
    0
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ledger_strikes_off_what_is_dropped_and_remembers_the_most() {
        let before = of_all_sessions().total();
        let ledger = Ledger::new();
        let weights = ledger.book(Purpose::Weights, 100);
        let staging = ledger.book(Purpose::Staging, 20);
        assert_eq!((ledger.now().weights, ledger.now().staging, ledger.now().total()), (100, 20, 120));
        drop(weights);
        assert_eq!((ledger.now().total(), ledger.now().peak), (20, 120));
        assert_eq!(of_all_sessions().total(), before + 20);
        drop(staging);
        assert_eq!((ledger.now().total(), of_all_sessions().total()), (0, before));
    }
}
