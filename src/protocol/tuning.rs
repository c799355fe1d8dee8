//! How far a GPU's kernels go, and what the tuner found.

use serde::{Deserialize, Serialize};

/// How far the kernels of a GPU go. All levels compute the same.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Serialize, Deserialize)]
#[serde(into = "u8", try_from = "u8")]
pub enum KernelLevel {
    /// 0: every thread reads and sums for itself; what the others are compared with when one of them is suspected.
    Plain,
    /// 1: tiles and sums in workgroup memory.
    Tiled,
    /// 2: sums across subgroups too, where the adapter has them.
    Subgroups,
    /// 3: the versions that were measured to be the fastest here, where the tuner has been.
    #[default]
    Tuned,
}

impl From<KernelLevel> for u8 {
    fn from(level: KernelLevel) -> u8 {
        level as u8
    }
}

impl TryFrom<u8> for KernelLevel {
    type Error = String;

    fn try_from(level: u8) -> Result<Self, String> {
        [Self::Plain, Self::Tiled, Self::Subgroups, Self::Tuned]
            .into_iter()
            .find(|known| *known as u8 == level)
            .ok_or_else(|| format!("there is no kernel level {level}; the levels are 0 to 3"))
    }
}

/// What the tuner found on a GPU.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
pub struct Tuning {
    /// The adapter.
    pub adapter: String,
    /// By class.
    pub kernels: Vec<TunedKernel>,
}

/// A kernel for one op and the types that it is used with.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct TunedKernel {
    /// The op, and the types and shapes of its inputs and its output.
    pub class: String,
    /// What was tried, what is used without the tuner first.
    pub versions: Vec<TunedVersion>,
    /// The one that is used, counted from 0.
    pub chosen: u32,
}

impl TunedKernel {
    /// How many times as long what is used without the tuner takes.
    pub fn gain(&self) -> f64 {
        let us = |idx: usize| self.versions.get(idx).map_or(1.0, |version| version.us);
        us(0) / us(self.chosen as usize)
    }
}

/// A version of a kernel.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct TunedVersion {
    /// Its shader, and the constants by which it differs from the others.
    pub name: String,
    /// µs of it once among many times: of its dispatch, or of both.
    pub us: f64,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_gain_is_over_what_is_used_without_the_tuner() {
        let version = |us| TunedVersion { name: String::new(), us };
        let tuned = TunedKernel { class: String::new(), versions: vec![version(12.0), version(8.0)], chosen: 1 };
        assert_eq!(tuned.gain(), 1.5);
    }
}
