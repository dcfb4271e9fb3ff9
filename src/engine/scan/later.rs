//! Parts after the range: read for the people whose last session runs on into them, and no further.
//!
//! A session belongs to a report by its start, and may run on beyond the report's end for as long as no pause is longer
//! than the gap. So a later part matters to those who have an event within one gap of its first one, and to nobody
//! else; nothing but their rows can tell how long a session lasts, hence the look at every person.

use std::sync::Arc;

use datafusion::common::Result;

use crate::limits;

use super::cursor::Cursor;
use super::label::Labels;
use super::names::Names;
use super::part::{Opened, PartFile};
use super::plan::ScanPlan;
use super::range::IdRange;

/// The later parts of one reader's slice of ids, opened when somebody needs them.
#[derive(Debug, Default)]
pub(super) struct Later {
    /// By first event.
    parts: Vec<(Arc<PartFile>, Progress)>,
    range: IdRange,
    prefix: usize,
    gap: i64,
}

#[derive(Debug)]
enum Progress {
    Unopened,
    /// Stands at a run.
    Open(Box<Cursor>),
    Done,
}

impl Later {
    pub(super) fn new(plan: &ScanPlan, range: &IdRange, prefix: usize) -> Self {
        let parts = plan.later.iter().map(|part| (Arc::clone(part), Progress::Unopened)).collect();
        Self { parts, range: range.clone(), prefix, gap: plan.gap }
    }

    pub(super) fn len(&self) -> usize {
        self.parts.len()
    }

    /// Whether a session with an event at `latest` may run on into part `at`.
    pub(super) fn is_near(&self, at: usize, latest: i64) -> bool {
        self.parts[at].0.ts_min.saturating_sub(latest) <= self.gap
    }

    /// Visits the runs of `id` in part `at`. Ids are asked for in ascending order.
    pub(super) fn each_run(
        &mut self,
        at: usize,
        id: &[u8],
        plan: &ScanPlan,
        (names, labels): (&mut Names, &mut Labels),
        mut visit: impl FnMut(&mut Cursor),
    ) -> Result<()> {
        let (part, progress) = &mut self.parts[at];
        if let Progress::Unopened = progress {
            // Few sessions run on for so long that one more open part would be worth it.
            let range = if at < limits::OPEN_PARTS {
                IdRange { from: Some(id.to_vec()), to: self.range.to.clone() }
            } else {
                IdRange::only(id)
            };
            let mut cursor = Cursor::new(&Opened::open(part)?, plan, &range, self.prefix)?;
            let found = cursor.first(names, labels)?;
            *progress = if found { Progress::Open(Box::new(cursor)) } else { Progress::Done };
        }
        if let Progress::Open(cursor) = progress {
            let mut more = true;
            while more && cursor.id() <= id {
                if cursor.id() == id {
                    visit(cursor);
                }
                more = cursor.advance(names, labels)?;
            }
            if !more {
                *progress = Progress::Done;
            }
        }
        if at >= limits::OPEN_PARTS {
            *progress = Progress::Unopened;
        }
        Ok(())
    }

    /// Bytes held.
    pub(super) fn size(&self) -> usize {
        let open = self.parts.iter().filter_map(|(_, progress)| match progress {
            Progress::Open(cursor) => Some(cursor.chunk.size()),
            _ => None,
        });
        open.sum()
    }
}
