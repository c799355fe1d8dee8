//! A plan's memory in an ordinary process: the same kernels, on threads of the operating system.

use crate::memory::ALIGN;
use crate::{Memory, Operand, SCRATCH_BYTES, Step, Team};

/// What aligns the memory.
#[repr(C, align(64))]
#[derive(Debug, Clone, Copy)]
struct Line([u8; ALIGN]);

/// A block of memory and a team for it.
#[derive(Debug)]
pub struct Heap {
    lines: Vec<Line>,
    n_threads: usize,
    team: Team,
}

impl Heap {
    /// Offset of the first operand: an address of zero is nobody's.
    pub const BASE: usize = ALIGN;

    /// `n_bytes` zeros, and `n_threads` threads.
    pub fn new(n_bytes: usize, n_threads: usize) -> Self {
        Self { lines: vec![Line([0; ALIGN]); n_bytes.div_ceil(ALIGN)], n_threads, team: Team::new() }
    }

    /// Overwrites part of an operand. Panics where it is not so long.
    pub fn write(&mut self, operand: Operand, offset: usize, bytes: &[u8]) {
        self.memory().slice_mut::<u8>(operand, offset..offset + bytes.len()).copy_from_slice(bytes);
    }

    /// An operand's bytes.
    pub fn read(&self, operand: Operand) -> Vec<u8> {
        self.memory().slice::<u8>(operand).to_vec()
    }

    /// Runs the steps that lie in an operand; returns when all is done.
    pub fn run(&mut self, steps: Operand) {
        let (memory, team, n_threads) = (self.memory(), &self.team, self.n_threads);
        let steps = memory.slice::<Step>(steps);
        std::thread::scope(|scope| {
            for _ in 1..n_threads {
                scope.spawn(move || team.run(&memory, steps, n_threads, &mut scratch()));
            }
            team.run(&memory, steps, n_threads, &mut scratch());
        });
    }

    fn memory(&self) -> Memory {
        // SAFETY: the lines live as long as `self`, and are written only through `&mut self` or by the team inside `run`.
        unsafe { Memory::new(self.lines.as_ptr().cast_mut().cast(), self.lines.len() * ALIGN) }
    }
}

fn scratch() -> Vec<f32> {
    vec![0.0; SCRATCH_BYTES / 4]
}
