//! The kernels in process: what native tests and the native bench run.

use crate::engine::Result;
use rill_kernels::memory::ALIGN;
use rill_kernels::{Operand, host};
use std::rc::Rc;

/// The processor.
#[derive(Debug)]
pub struct Cpu {
    /// Threads that compute.
    pub n_threads: usize,
}

impl Cpu {
    /// The processor with a thread on each of its cores. There is nothing to fetch.
    pub async fn open(_app_url: &str) -> Result<Rc<Self>> {
        Ok(Rc::new(Self { n_threads: std::thread::available_parallelism().map_or(1, Into::into) }))
    }

    /// The same with so many threads.
    pub fn with_threads(&self, n_threads: usize) -> Rc<Self> {
        Rc::new(Self { n_threads: n_threads.max(1) })
    }

    /// For people.
    pub fn name(&self) -> String {
        format!("this processor ({})", super::count_of_threads(self.n_threads))
    }
}

/// A block of memory.
#[derive(Debug)]
pub struct Heap {
    heap: host::Heap,
}

impl Heap {
    /// Offset of the first operand.
    pub const BASE: usize = host::Heap::BASE;

    /// Memory for operands that end at `end`.
    pub async fn new(cpu: &Cpu, end: usize) -> Result<Self> {
        Ok(Self { heap: host::Heap::new(end, cpu.n_threads) })
    }

    /// How large the memory for operands that end at `end` is; natively threads have their scratch while they run.
    pub fn size(_cpu: &Cpu, end: usize) -> u64 {
        end.next_multiple_of(ALIGN) as u64
    }

    /// Overwrites part of an operand.
    pub fn write(&mut self, operand: Operand, offset: usize, bytes: &[u8]) {
        self.heap.write(operand, offset, bytes);
    }

    /// An operand's bytes.
    pub fn read(&self, operand: Operand) -> Vec<u8> {
        self.heap.read(operand)
    }

    /// Runs the steps that lie there.
    pub fn run(&mut self, steps: Operand) -> Result<()> {
        self.heap.run(steps);
        Ok(())
    }
}
