//! What comes next behind some steps, by what came next so far: Markov contexts with back-off (SEMANTICS §6).
//!
//! ```text
//! path   … c  a  b      contexts: b, a > b, c > a > b
//! session x  a  b  y    y counts for b and for a > b; the longest context that was ever followed answers
//! ```

use hashbrown::HashMap;

/// The step that follows and how often, for every context that ends a path.
#[derive(Debug, Clone)]
pub struct Next {
    /// Labels, the last step last.
    path: Vec<u32>,
    /// By steps of the context, from one.
    counts: Vec<HashMap<u32, u64>>,
}

impl Next {
    /// Behind these steps.
    #[must_use]
    pub fn new(path: Vec<u32>) -> Self {
        Self { counts: vec![HashMap::new(); path.len()], path }
    }

    /// The same counts behind other codes of the same labels.
    pub fn recode(&mut self, path: Vec<u32>) {
        self.path = path;
    }

    /// Counts what follows in a session with these labels. `O(labels × path)`.
    pub fn session(&mut self, labels: &[u32]) {
        for (at, &next) in labels.iter().enumerate().skip(1) {
            let before = labels[..at].iter().rev().zip(self.path.iter().rev());
            let known = before.take_while(|(label, step)| label == step).count();
            for counts in &mut self.counts[..known] {
                *counts.entry(next).or_default() += 1;
            }
        }
    }

    /// Adds what another one counted, whose labels are ours by `code`.
    pub fn merge(&mut self, other: Self, mut code: impl FnMut(u32) -> u32) {
        for (sum, counts) in self.counts.iter_mut().zip(other.counts) {
            for (label, count) in counts {
                *sum.entry(code(label)).or_default() += count;
            }
        }
    }

    /// The longest context that was ever followed: how many steps it has, and what followed how often. `None`: nothing
    /// ever followed the last step.
    #[must_use]
    pub fn longest(&self) -> Option<(usize, Vec<(u32, u64)>)> {
        let (at, counts) = self.counts.iter().enumerate().rfind(|(_, counts)| !counts.is_empty())?;
        Some((at + 1, counts.iter().map(|(&label, &count)| (label, count)).collect()))
    }

    /// Bytes held.
    #[must_use]
    pub fn size(&self) -> usize {
        self.counts.iter().map(|counts| counts.capacity() * size_of::<(u32, u64)>()).sum()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn after(path: &[u32], sessions: &[&[u32]]) -> Option<(usize, Vec<(u32, u64)>)> {
        let mut next = Next::new(path.to_vec());
        for labels in sessions {
            next.session(labels);
        }
        let (steps, mut found) = next.longest()?;
        found.sort_unstable();
        Some((steps, found))
    }

    #[test]
    fn the_longest_context_that_was_followed_answers() {
        let sessions: [&[u32]; 4] = [&[1, 2, 3], &[1, 2, 4, 2, 3], &[5, 2, 6], &[7, 2]];
        assert_eq!(after(&[2], &sessions), Some((1, vec![(3, 2), (4, 1), (6, 1)])));
        assert_eq!(after(&[1, 2], &sessions), Some((2, vec![(3, 1), (4, 1)])));
        assert_eq!(after(&[9, 1, 2], &sessions), Some((2, vec![(3, 1), (4, 1)])));
        assert_eq!(after(&[7, 2], &sessions), Some((1, vec![(3, 2), (4, 1), (6, 1)])), "7, 2 was never followed");
        assert_eq!(after(&[3], &sessions), None);
        assert_eq!(after(&[2, 8], &sessions), None, "the last step counts in any case");
    }
}
