//! A plan's memory, and the one place where offsets become slices.
//!
//! Soundness rests on two promises. The plan promises that every operand lies inside the memory, aligned to [`ALIGN`] bytes, and
//! that what a step writes overlaps nothing else that it touches. The kernels promise that two tasks of a step never ask for
//! overlapping stretches of what they write, and never read what another task of the same step writes.

use bytemuck::AnyBitPattern;
use core::ops::Range;

/// Operands begin at multiples of this many bytes: a cache line.
pub const ALIGN: usize = 64;

/// A stretch of a plan's memory. Length 0: absent.
#[repr(C)]
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, bytemuck::Pod, bytemuck::Zeroable)]
pub struct Operand {
    /// Bytes from the start of the memory.
    pub offset: u32,
    /// Bytes.
    pub len: u32,
}

/// One block of bytes that all operands lie in.
#[derive(Debug, Clone, Copy)]
pub struct Memory {
    base: *mut u8,
    len: usize,
}

// SAFETY: the pointer is only turned into slices under the promises of the module, which are made for several threads.
unsafe impl Send for Memory {}
// SAFETY: as above.
unsafe impl Sync for Memory {}

impl Memory {
    /// `len` bytes from `base` on.
    ///
    /// # Safety
    /// The block outlives every use of the value, nobody else writes it while a plan runs, and `base` is aligned to [`ALIGN`] (or 0,
    /// where the block is a whole wasm memory).
    pub const unsafe fn new(base: *mut u8, len: usize) -> Self {
        Self { base, len }
    }

    /// The whole of an operand as elements of `T`. Panics where it does not lie inside the memory.
    pub fn slice<T: AnyBitPattern>(&self, operand: Operand) -> &[T] {
        let n = operand.len as usize / size_of::<T>();
        // SAFETY: in bounds (checked), aligned and not written meanwhile (the module's promises); any bits are a `T`.
        unsafe { core::slice::from_raw_parts(self.at(operand).cast::<T>(), n) }
    }

    /// Elements `range` of an operand, to write.
    ///
    /// The slice is unique by the promises of the module, not by its lifetime: tasks write disjoint stretches.
    #[allow(clippy::mut_from_ref, reason = "tasks of one step write disjoint stretches of one operand")]
    pub fn slice_mut<T: AnyBitPattern>(&self, operand: Operand, range: Range<usize>) -> &mut [T] {
        assert!(
            range.start <= range.end && range.end * size_of::<T>() <= operand.len as usize,
            "a task writes its operand"
        );
        // SAFETY: in bounds (checked), aligned, and no other task has this stretch (the module's promises).
        unsafe { core::slice::from_raw_parts_mut(self.at(operand).cast::<T>().add(range.start), range.len()) }
    }

    fn at(&self, operand: Operand) -> *mut u8 {
        assert!(operand.offset as usize + operand.len as usize <= self.len, "an operand lies inside the plan's memory");
        self.base.wrapping_add(operand.offset as usize)
    }
}
