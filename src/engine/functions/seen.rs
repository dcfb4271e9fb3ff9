//! Labels that no event has: an answer without rows must not look like one about people who did nothing.

use datafusion::execution::TaskContext;

use crate::engine::notices::Notices;
use crate::engine::scan::Names;
use crate::error::closest;

/// Names among which the one that was probably meant is looked for, at most.
const MOST: usize = 100_000;

/// Which of the things asked for some event met, by bit, and for labels that none had the closest name.
#[derive(Debug, Default)]
pub(super) struct Seen {
    met: u64,
    similar: Vec<Option<String>>,
}

impl Seen {
    /// What one reader saw: the bits that were met, and the names of its events. `labels` are those asked for.
    pub(super) fn new<'a>(labels: impl Iterator<Item = (u32, &'a str)>, met: u64, names: &Names) -> Self {
        let mut similar = Vec::new();
        let all = u32::try_from(names.len()).unwrap_or(u32::MAX);
        for (bit, label) in labels.filter(|(bit, _)| met >> bit & 1 == 0 && names.len() <= MOST) {
            similar.resize(similar.len().max(bit as usize + 1), None);
            similar[bit as usize] = closest(label, (1..all).map(|code| names.text(code))).map(str::to_owned);
        }
        Self { met, similar }
    }

    /// Adds what another reader saw.
    pub(super) fn merge(&mut self, other: Self) {
        self.met |= other.met;
        self.similar.resize(self.similar.len().max(other.similar.len()), None);
        for (known, found) in self.similar.iter_mut().zip(other.similar) {
            // The least of several equally good names, so that the answer does not depend on who read what.
            *known = match (known.take(), found) {
                (Some(a), Some(b)) => Some(a.min(b)),
                (a, b) => a.or(b),
            };
        }
    }

    /// What is to be said of `what`, whose bit this is.
    pub(super) fn warning(&self, bit: usize, what: &str) -> Option<String> {
        if self.met >> bit & 1 == 1 {
            return None;
        }
        Some(match self.similar.get(bit).and_then(Option::as_ref) {
            Some(name) => format!("no event meets {what} – did you mean '{name}'?"),
            None => format!("no event meets {what}"),
        })
    }

    /// Tells of the labels that no event had.
    pub(super) fn tell<'a>(&self, function: &str, labels: impl Iterator<Item = (u32, &'a str)>, context: &TaskContext) {
        for (bit, label) in labels {
            if let Some(warning) = self.warning(bit as usize, &format!("'{label}'")) {
                Notices::say(context, format!("{function}: {warning}"));
            }
        }
    }
}
