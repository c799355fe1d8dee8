//! How many inputs are divided into jobs for the engine: jobs large enough that it is not kept waiting, small enough that answers come in
//! and a stop loses little; and how the one input that a model cannot read is told from the others of its job.

use std::ops::Range;

/// Milliseconds that a job should take.
const JOB_MS: f64 = 700.0;

/// The fewest and the most inputs of a job.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Sizes {
    /// Of the first one, while nothing is known of the model's speed.
    pub least: usize,
    /// However fast the model is.
    pub most: usize,
}

/// Texts: the vectors of the largest job reach the page in a few milliseconds, so it never stalls.
pub const TEXTS: Sizes = Sizes { least: 32, most: 128 };
/// Pictures.
pub const PICTURES: Sizes = Sizes { least: 8, most: 64 };

/// The inputs that are still to be asked about, by their numbers.
#[derive(Debug, Clone)]
pub struct Queue {
    sizes: Sizes,
    /// Inputs of the next job.
    size: usize,
    /// Parts of jobs that failed.
    again: Vec<Range<usize>>,
    rest: Range<usize>,
}

impl Queue {
    /// So many inputs.
    pub fn new(n_inputs: usize, sizes: Sizes) -> Self {
        Self { sizes, size: sizes.least.max(1), again: Vec::new(), rest: 0..n_inputs }
    }

    /// A job that was done in this time tells how large the next ones may be.
    pub fn learn(&mut self, n_inputs: usize, took_ms: f64) {
        let fitting = JOB_MS * n_inputs as f64 / took_ms.max(1.0);
        // A single quick answer is no proof: twice as many at a time.
        self.size = (fitting as usize).clamp(self.sizes.least, self.sizes.most).min(2 * self.size);
    }

    /// One input of this job cannot be read: its halves are asked about again. `false` where it is a single one, which is then the culprit.
    pub fn halve(&mut self, job: Range<usize>) -> bool {
        let middle = job.start + job.len() / 2;
        let is_several = job.len() > 1;
        if is_several {
            self.again.extend([middle..job.end, job.start..middle]);
        }
        is_several
    }
}

/// The jobs, those that failed before first.
impl Iterator for Queue {
    type Item = Range<usize>;

    fn next(&mut self) -> Option<Range<usize>> {
        self.again.pop().or_else(|| {
            let job = self.rest.start..self.rest.end.min(self.rest.start + self.size);
            self.rest.start = job.end;
            (!job.is_empty()).then_some(job)
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SIZES: Sizes = Sizes { least: 4, most: 32 };

    #[test]
    fn every_input_is_asked_about_once() {
        let mut queue = Queue::new(50, SIZES);
        let mut asked = Vec::new();
        while let Some(job) = queue.next() {
            queue.learn(job.len(), 10.0);
            asked.push(job.len());
        }
        assert_eq!(asked, [4, 8, 16, 22], "a quick model gets larger jobs");
        assert_eq!(Queue::new(0, SIZES).next(), None);
    }

    #[test]
    fn a_slow_model_keeps_small_jobs() {
        let mut queue = Queue::new(100, SIZES);
        queue.learn(4, 10.0);
        assert_eq!(queue.next(), Some(0..8));
        queue.learn(8, 1e5);
        assert_eq!(queue.next(), Some(8..12));
    }

    #[test]
    fn the_one_that_cannot_be_read_is_found_and_the_others_are_answered() {
        let (mut queue, culprit) = (Queue::new(11, SIZES), 6);
        let (mut answered, mut refused) = (Vec::new(), Vec::new());
        while let Some(job) = queue.next() {
            if !job.contains(&culprit) {
                answered.extend(job);
            } else if !queue.halve(job.clone()) {
                refused.extend(job);
            }
        }
        answered.sort_unstable();
        assert_eq!(answered, [0, 1, 2, 3, 4, 5, 7, 8, 9, 10]);
        assert_eq!(refused, [6]);
    }
}
