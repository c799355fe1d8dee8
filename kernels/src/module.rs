//! The wasm module: what JavaScript calls.
//!
//! The memory is the caller's (`--import-memory`): first the module's own data, then what the engine laid out. With threads every
//! thread has an instance of the module over the same memory, and a stack of its own that the caller sets.
#![cfg_attr(target_arch = "wasm32", no_std, no_main)]

#[cfg(target_arch = "wasm32")]
mod exports {
    use core::sync::atomic::{AtomicU32, Ordering};
    use rill_kernels::team::Word;
    use rill_kernels::{Memory, SCRATCH_BYTES, Step, Team};

    static TEAM: Team = Team::new();
    /// Counts the plans run; what threads without work watch.
    static BEGUN: Word = Word::new();
    /// Address of the steps, how many, how many threads: the plan in hand.
    static PLAN: [AtomicU32; 3] = [const { AtomicU32::new(0) }; 3];

    /// Runs `n_steps` steps at address `steps` with `n_threads` threads of which the caller is the first; each has
    /// [`SCRATCH_BYTES`] from `scratch` on.
    #[unsafe(no_mangle)]
    extern "C" fn run(steps: u32, n_steps: u32, n_threads: u32, scratch: u32) {
        for (word, value) in PLAN.iter().zip([steps, n_steps, n_threads]) {
            word.store(value, Ordering::Relaxed);
        }
        if n_threads > 1 {
            BEGUN.advance();
        }
        take_part(scratch);
    }

    /// Takes part in every plan from now on, as a thread other than the first. Never returns.
    #[unsafe(no_mangle)]
    extern "C" fn join(scratch: u32) {
        let mut seen = 0;
        loop {
            BEGUN.wait_while(seen);
            seen = seen.wrapping_add(1);
            take_part(scratch);
        }
    }

    fn take_part(scratch: u32) {
        let [steps, n_steps, n_threads] = PLAN.each_ref().map(|word| word.load(Ordering::Relaxed));
        // SAFETY: the engine hands over addresses inside the memory that nobody writes while a plan runs; scratch is this thread's.
        unsafe {
            let memory = Memory::new(core::ptr::null_mut(), core::arch::wasm32::memory_size(0) << 16);
            let steps = core::slice::from_raw_parts(steps as *const Step, n_steps as usize);
            let scratch = core::slice::from_raw_parts_mut(scratch as *mut f32, SCRATCH_BYTES / 4);
            TEAM.run(&memory, steps, n_threads as usize, scratch);
        }
    }

    #[panic_handler]
    fn panic(_info: &core::panic::PanicInfo) -> ! {
        core::arch::wasm32::unreachable()
    }
}

#[cfg(not(target_arch = "wasm32"))]
fn main() {}
