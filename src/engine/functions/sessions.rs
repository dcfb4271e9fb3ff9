//! The sessions of a block's people, for table functions that read events: which are taken, and which rows are theirs.
//!
//! Sessions matter as units, because a range takes whole sessions, or because those that are flagged or lack a step are
//! left out; where they do not, nothing is asked of the pass.

use std::ops::Range;

use crate::config::SourceIds;
use crate::engine::scan::{Block, Names, ScanPlan};
use crate::engine::settings::Settings;
use crate::journey::{Columns, EndedBy, Keep, sessions};

/// Cuts people's rows into sessions by the settings.
#[derive(Debug, Clone)]
pub(super) struct Sessions {
    settings: Settings,
    matter: bool,
}

/// What sessions of a block are cut and chosen by.
#[derive(Debug)]
pub(super) struct Cut {
    /// Which rows close their session; empty if none does.
    pub(super) ends: Vec<bool>,
    pub(super) keep: Keep,
}

impl Sessions {
    /// By these settings, and what the pass needs for it. `are_units` says that sessions matter in any case.
    pub(super) fn new(settings: Settings, are_units: bool, mut plan: ScanPlan) -> (Self, ScanPlan) {
        let matter = are_units || !settings.keep(|_| None).is_all() || settings.skip_flagged && plan.has_flags();
        if matter {
            if settings.source_ids == SourceIds::Honour {
                plan = plan.with_sources();
            }
            if !settings.end_events.is_empty() {
                plan = plan.with_labels(settings.label).with_events();
            }
            if settings.with_step.is_some() {
                plan = plan.with_labels(settings.label);
            }
        }
        (Self { settings, matter }, plan)
    }

    /// Whether sessions matter at all.
    pub(super) fn matter(&self) -> bool {
        self.matter
    }

    /// How the rows of a block are cut.
    pub(super) fn cut(&self, block: &Block, names: &Names) -> Cut {
        let keep = self.settings.keep(|label| names.find(label));
        Cut { ends: self.ends(block, names), keep }
    }

    fn ends(&self, block: &Block, names: &Names) -> Vec<bool> {
        let names_of_ends = &self.settings.end_events;
        if names_of_ends.is_empty() || !self.matter {
            return Vec::new();
        }
        let codes: Vec<u32> = names_of_ends.iter().filter_map(|name| names.find(name)).collect();
        let closes = |(label, event)| codes.contains(label) || codes.contains(event);
        block.labels().iter().zip(block.events()).map(closes).collect()
    }

    /// Visits the sessions of a person that are taken.
    pub(super) fn each(
        &self,
        block: &Block,
        rows: Range<usize>,
        cut: &Cut,
        mut visit: impl FnMut(Range<usize>, EndedBy),
    ) {
        let (ts, labels, sources, edges) = (block.ts(), block.labels(), block.sources(), block.edges());
        let columns = Columns { ts, labels, sources, ends: &cut.ends, edges };
        sessions(rows, columns, self.settings.rules, |session, ended| {
            if cut.keep.takes(columns, session.clone()) {
                visit(session, ended);
            }
        });
    }

    /// The rows of a person's sessions that are taken, in the total order.
    pub(super) fn rows(&self, block: &Block, rows: Range<usize>, cut: &Cut, taken: &mut Vec<usize>) {
        taken.clear();
        self.each(block, rows, cut, |rows, _| taken.extend(rows));
        if !block.ranks().is_empty() {
            taken.sort_unstable_by_key(|&row| block.ranks()[row]);
        }
    }
}
