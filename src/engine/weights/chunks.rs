//! Which chunks of a file are there.

use serde::{Deserialize, Serialize};

/// A set of chunks as ranges, first and end: a file that arrives in order is one range.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct ChunkSet(Vec<(u32, u32)>);

impl ChunkSet {
    /// Whether none is there.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// How many are there.
    pub fn len(&self) -> u32 {
        self.0.iter().map(|(first, end)| end - first).sum()
    }

    /// Whether this one is there.
    pub fn has(&self, idx: u32) -> bool {
        self.0.iter().any(|&(first, end)| (first..end).contains(&idx))
    }

    /// All that are there, in order.
    pub fn iter(&self) -> impl Iterator<Item = u32> {
        self.0.iter().flat_map(|&(first, end)| first..end)
    }

    /// Adds one.
    pub fn insert(&mut self, idx: u32) {
        if self.has(idx) {
            return;
        }
        self.0.push((idx, idx + 1));
        self.0.sort_unstable();
        let mut joined: Vec<(u32, u32)> = Vec::with_capacity(self.0.len());
        for &(first, end) in &self.0 {
            match joined.last_mut() {
                Some(last) if last.1 == first => last.1 = end,
                _ => joined.push((first, end)),
            }
        }
        self.0 = joined;
    }

    /// Takes one away.
    pub fn remove(&mut self, idx: u32) {
        let split = |&(first, end): &(u32, u32)| match (first..end).contains(&idx) {
            true => vec![(first, idx), (idx + 1, end)],
            false => vec![(first, end)],
        };
        self.0 = self.0.iter().flat_map(split).filter(|(first, end)| first < end).collect();
    }

    /// Adds all before `end`.
    pub fn extend_to(&mut self, end: u32) {
        (0..end).for_each(|idx| self.insert(idx));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn chunk_set_joins_neighbours_and_splits_again() {
        let mut set = ChunkSet::default();
        for idx in [4, 0, 2, 1, 2, 5] {
            set.insert(idx);
        }
        assert_eq!((set.iter().collect::<Vec<_>>(), set.len()), (vec![0, 1, 2, 4, 5], 5));
        assert_eq!(serde_json::to_string(&set).unwrap(), "[[0,3],[4,6]]");
        set.remove(1);
        set.remove(4);
        set.remove(9);
        assert_eq!(set.iter().collect::<Vec<_>>(), [0, 2, 5]);
        assert!(set.has(2) && !set.has(1));
        set.extend_to(3);
        assert_eq!(set.iter().collect::<Vec<_>>(), [0, 1, 2, 5]);
    }
}
