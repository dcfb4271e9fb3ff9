//! Walks block after block: the sessions and steps that the settings let through.

use std::sync::Arc;

use crate::engine::scan::{Block, NONE, Names};
use crate::journey::{Columns, Walk};

use super::tape::{CodeSet, Facts};

/// What one reader carries from block to block.
#[derive(Debug)]
pub struct Walker {
    facts: Arc<Facts>,
    walk: Walk,
    enders: CodeSet,
    ends: Vec<bool>,
}

impl Walker {
    /// A walker by these settings.
    #[must_use]
    pub fn new(facts: &Arc<Facts>) -> Self {
        let enders = CodeSet::new(&facts.settings.end_events);
        Self { facts: Arc::clone(facts), walk: Walk::default(), enders, ends: Vec::new() }
    }

    /// The sessions and steps of a block's people.
    pub fn walk(&mut self, block: &Block, names: &Names) -> &Walk {
        self.ends.clear();
        if !self.enders.is_empty() {
            self.enders.follow(names);
            let events = block.events().iter().copied().chain(std::iter::repeat(NONE));
            let closes = |(&label, event)| self.enders.has(label) || self.enders.has(event);
            self.ends.extend(block.labels().iter().zip(events).map(closes));
        }
        let settings = &self.facts.settings;
        let columns = Columns {
            ts: block.ts(),
            labels: block.labels(),
            sources: block.sources(),
            ends: &self.ends,
            edges: block.edges(),
        };
        let keep = settings.keep(|label| names.find(label));
        self.walk.clear();
        for (number, person) in (0..).zip(block.people()) {
            self.walk.person(number, person.rows, columns, settings.rules, settings.collapse, keep);
        }
        &self.walk
    }

    /// Bytes held.
    #[must_use]
    pub fn size(&self) -> usize {
        self.walk.size()
    }
}
