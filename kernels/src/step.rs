//! Steps as they lie in memory, and what a kernel sees of one.

use crate::Kernel;
use crate::memory::{Memory, Operand};
use bytemuck::{AnyBitPattern, NoUninit, Pod, Zeroable};
use core::ops::Range;

/// Operands of a step at most: the op's inputs in its order, then its output.
pub const MOST_OPERANDS: usize = 8;
/// Words of parameters at most.
pub const PARAM_WORDS: usize = 12;

/// A kernel with its parameters: what an op says of itself.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Call {
    /// Which.
    pub kernel: Kernel,
    /// Its parameters, as words.
    pub params: [u32; PARAM_WORDS],
}

impl Call {
    /// A call with the kernel's own parameters. Panics where they are more than [`PARAM_WORDS`].
    pub fn new(kernel: Kernel, params: impl NoUninit) -> Self {
        let mut words = [0; PARAM_WORDS];
        let bytes = bytemuck::bytes_of(&params);
        bytemuck::bytes_of_mut(&mut words)[..bytes.len()].copy_from_slice(bytes);
        Self { kernel, params: words }
    }
}

/// A call on operands: one line of a plan.
#[repr(C)]
#[derive(Debug, Clone, Copy, PartialEq, Pod, Zeroable)]
pub struct Step {
    kernel: u32,
    params: [u32; PARAM_WORDS],
    operands: [Operand; MOST_OPERANDS],
}

impl Step {
    /// `call` on operands in the op's order, its output last.
    pub fn new(call: &Call, operands: [Operand; MOST_OPERANDS]) -> Self {
        Self { kernel: call.kernel as u32, params: call.params, operands }
    }

    /// Which kernel. Panics on a number that no kernel has: plans are only made from [`Call`]s.
    pub fn kernel(&self) -> Kernel {
        Kernel::ALL[self.kernel as usize]
    }

    /// The kernel's parameters.
    pub fn params<P: AnyBitPattern>(&self) -> P {
        bytemuck::pod_read_unaligned(&bytemuck::bytes_of(&self.params)[..size_of::<P>()])
    }
}

/// A step's operands as slices.
#[derive(Clone, Copy)]
pub struct Io<'a> {
    memory: &'a Memory,
    step: &'a Step,
}

impl<'a> Io<'a> {
    /// The operands of `step` in `memory`.
    pub fn new(memory: &'a Memory, step: &'a Step) -> Self {
        Self { memory, step }
    }

    /// The kernel's parameters.
    pub fn params<P: AnyBitPattern>(&self) -> P {
        self.step.params()
    }

    /// Whether an operand is there.
    pub fn has(&self, idx: usize) -> bool {
        self.step.operands[idx].len > 0
    }

    /// An operand to read.
    pub fn read<T: AnyBitPattern>(&self, idx: usize) -> &'a [T] {
        self.memory.slice(self.step.operands[idx])
    }

    /// An operand to read, where it is there.
    pub fn optional<T: AnyBitPattern>(&self, idx: usize) -> Option<&'a [T]> {
        self.has(idx).then(|| self.read(idx))
    }

    /// A stretch of an operand to write: this task's own, see `memory`.
    pub fn write<T: AnyBitPattern>(&self, idx: usize, range: Range<usize>) -> &'a mut [T] {
        self.memory.slice_mut(self.step.operands[idx], range)
    }

    /// All of an operand to write: for steps of one task.
    pub fn write_all<T: AnyBitPattern>(&self, idx: usize) -> &'a mut [T] {
        self.write(idx, 0..self.step.operands[idx].len as usize / size_of::<T>())
    }
}
