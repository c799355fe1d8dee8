//! The kernels in process: what native tests and the native bench run.

use crate::engine::Result;
use rill_kernels::{Operand, host};
use std::rc::Rc;

/// The processor.
#[derive(Debug)]
pub struct Cpu {
    /// For people.
    pub name: String,
    /// Threads that compute.
    pub n_threads: usize,
}

impl Cpu {
    /// The processor with `n_threads` threads; as many as it has cores, where none is said. There is nothing to fetch.
    pub async fn open(_app_url: &str, n_threads: Option<usize>) -> Result<Rc<Self>> {
        let n_threads = n_threads.unwrap_or_else(|| std::thread::available_parallelism().map_or(1, Into::into));
        Ok(Rc::new(Self { name: format!("this processor, {n_threads} threads"), n_threads }))
    }
}

/// A block of memory.
#[derive(Debug)]
pub struct Heap {
    heap: host::Heap,
    n_bytes: usize,
}

impl Heap {
    /// Offset of the first operand.
    pub const BASE: usize = host::Heap::BASE;

    /// Memory for operands that end at `end`.
    pub async fn new(cpu: &Cpu, end: usize) -> Result<Self> {
        Ok(Self { heap: host::Heap::new(end, cpu.n_threads), n_bytes: end })
    }

    /// How large it is.
    pub fn n_bytes(&self) -> u64 {
        self.n_bytes as u64
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
