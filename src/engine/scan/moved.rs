//! Rows whose person is not who their id says: read first, put under their person's name, and merged like another part.
//!
//! ```text
//! redirected ids of all parts ─► rows by (person, total order) ─┐ once for the pass
//!                                                               ├─ a chunk of each reader's range, laid beside the parts
//! parts ─ Cursors that pass redirected ids over ────────────────┘
//! ```
//!
//! Invariants: a row comes from a part's own cursor or from here, never from both; a person whose ids are all redirected
//! appears all the same; what is kept of a row is what the pass asked for and what orders it; long stretches of them are
//! decoded here and nowhere else.

use std::ops::Range;
use std::sync::Arc;

use datafusion::common::Result;

use crate::identity::People;

use super::label::Labels;
use super::names::Names;
use super::part::Opened;
use super::plan::{Redirected, ScanPlan};
use super::sorted::Sorted;

/// All moved rows of a pass.
#[derive(Debug, Default)]
pub(super) struct Moved {
    names: Names,
    /// Those of the pass's parts.
    pub rows: Arc<Sorted>,
    /// Those of each later part.
    pub later: Vec<Arc<Sorted>>,
}

impl Moved {
    /// Reads the rows of redirected ids.
    pub(super) fn read(plan: &ScanPlan, parts: &[Opened], people: &Arc<People>) -> Result<Self> {
        let mut moved = Self::default();
        let mut own = plan.clone().with_ids(plan.ids.as_deref().map(|ids| people.redirected(ids)));
        // These cursors do not pass them over.
        own.redirected = Redirected::Only;
        let mut labels = Labels::new(plan.label);
        if let Some(history) = &plan.history {
            let parts = history.iter().map(Opened::open).collect::<Result<Vec<_>>>()?;
            let mut rows = Sorted::read(&own, &parts, people, &mut moved.names, &mut labels)?;
            // Those are not the parts that the pass reads.
            rows.long.clear();
            moved.rows = Arc::new(rows);
            return Ok(moved);
        }
        moved.rows = Arc::new(Sorted::read(&own, parts, people, &mut moved.names, &mut labels)?);
        for part in &plan.later {
            let part = [Opened::open(part)?];
            moved.later.push(Arc::new(Sorted::read(&own, &part, people, &mut moved.names, &mut labels)?));
        }
        Ok(moved)
    }

    /// The text of a code of the rows.
    pub(super) fn text(&self, code: u32) -> &str {
        self.names.text(code)
    }

    /// The rows of a part of the pass that are all here.
    pub(super) fn of_part(&self, at: usize) -> Option<&Arc<[Range<u64>]>> {
        self.rows.long.get(at).filter(|rows| !rows.is_empty())
    }

    pub(super) fn size(&self) -> usize {
        self.names.size() + self.rows.size() + self.later.iter().map(|rows| rows.size()).sum::<usize>()
    }
}
