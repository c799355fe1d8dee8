//! A team of threads that runs plans together: tasks by a shared counter, a barrier after each step.
//!
//! A thread that waits spins for a short while, since most steps of a decoder last microseconds, and then sleeps: a browser's other
//! threads need the cores too.

use crate::memory::Memory;
use crate::step::{Io, Step};
use core::sync::atomic::{AtomicU32, Ordering};

/// Turns of the spinning wait: some 20 microseconds.
const SPINS: u32 = 4_000;

/// What the threads of a team share.
#[derive(Debug, Default)]
pub struct Team {
    /// The next task of the step in hand.
    next: AtomicU32,
    /// Threads that have finished the step in hand.
    arrived: AtomicU32,
    /// Steps finished so far; what waiting threads watch.
    finished: Word,
}

impl Team {
    /// A team that has run nothing yet.
    pub const fn new() -> Self {
        Self { next: AtomicU32::new(0), arrived: AtomicU32::new(0), finished: Word::new() }
    }

    /// Runs `steps` as one of `n_threads` threads that all call this with the same arguments but their own `scratch`.
    /// When it returns, every thread's work is done.
    pub fn run(&self, memory: &Memory, steps: &[Step], n_threads: usize, scratch: &mut [f32]) {
        for step in steps {
            let (kernel, io) = (step.kernel(), Io::new(memory, step));
            let n_tasks = kernel.n_tasks(&io, n_threads);
            if n_threads == 1 {
                (0..n_tasks).for_each(|task| kernel.run(&io, task, 1, scratch));
                continue;
            }
            loop {
                let task = self.next.fetch_add(1, Ordering::Relaxed) as usize;
                if task >= n_tasks {
                    break;
                }
                kernel.run(&io, task, n_threads, scratch);
            }
            self.barrier(n_threads);
        }
    }

    /// Returns when all threads have come here.
    fn barrier(&self, n_threads: usize) {
        let finished = self.finished.get();
        if self.arrived.fetch_add(1, Ordering::AcqRel) as usize + 1 == n_threads {
            self.arrived.store(0, Ordering::Relaxed);
            self.next.store(0, Ordering::Relaxed);
            self.finished.advance();
        } else {
            self.finished.wait_while(finished);
        }
    }
}

/// A counter that threads wait for.
#[derive(Debug, Default)]
pub struct Word {
    value: AtomicU32,
    /// Threads that sleep until the value changes, or are about to: waking costs a call out of the module.
    sleepers: AtomicU32,
}

impl Word {
    /// Zero, and nobody waits.
    pub const fn new() -> Self {
        Self { value: AtomicU32::new(0), sleepers: AtomicU32::new(0) }
    }

    /// Its value. What other threads did before they brought it there is visible.
    pub fn get(&self) -> u32 {
        self.value.load(Ordering::Acquire)
    }

    /// Adds one and wakes whoever waits.
    pub fn advance(&self) {
        // Sequentially consistent on both sides: either the sleeper is seen here, or it sees the new value there.
        self.value.fetch_add(1, Ordering::SeqCst);
        if self.sleepers.load(Ordering::SeqCst) > 0 {
            edge::wake(&self.value);
        }
    }

    /// Returns when the value is no longer `value`.
    pub fn wait_while(&self, value: u32) {
        for _ in 0..SPINS {
            if self.get() != value {
                return;
            }
            core::hint::spin_loop();
        }
        self.sleepers.fetch_add(1, Ordering::SeqCst);
        while self.value.load(Ordering::SeqCst) == value {
            edge::sleep(&self.value, value);
        }
        self.sleepers.fetch_sub(1, Ordering::SeqCst);
    }
}

/// `Atomics.wait` and `Atomics.notify`, through JavaScript: Rust's own intrinsics for them are not stable.
#[cfg(target_arch = "wasm32")]
mod edge {
    use super::AtomicU32;

    pub(super) fn wake(word: &AtomicU32) {
        // SAFETY: the module's own import, which calls `Atomics.notify` on this word.
        unsafe { team::wake(word.as_ptr()) }
    }

    pub(super) fn sleep(word: &AtomicU32, value: u32) {
        // SAFETY: the module's own import, which calls `Atomics.wait` on this word.
        unsafe { team::sleep(word.as_ptr(), value) }
    }

    mod team {
        #[link(wasm_import_module = "team")]
        unsafe extern "C" {
            pub(super) fn sleep(word: *mut u32, value: u32);
            pub(super) fn wake(word: *mut u32);
        }
    }
}

/// Natively a thread that waits gives its turn away.
#[cfg(not(target_arch = "wasm32"))]
mod edge {
    use super::AtomicU32;

    pub(super) fn wake(_word: &AtomicU32) {}

    pub(super) fn sleep(_word: &AtomicU32, _value: u32) {
        std::thread::yield_now();
    }
}
