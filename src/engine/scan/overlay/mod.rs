//! Corrections as a pass reads them: stored rows that are hidden, rows that stand in their place, and what is said of a
//! row's place among sessions.
//!
//! ```text
//! corrections ─ fates ─► the event's page of its part ─┬─► hidden    the part is read without these rows
//!                                                      └─► corrected rows ─► one more part, in memory
//!             └─ edges ─► looked up row by row where the persons they name are put together (moved.rs)
//! ```
//!
//! Invariants: parts without a corrected event are read as ever, and those with one by a row selection; whoever a
//! correction names is read set apart ([`crate::identity::People::set_apart`]), which costs a page of each part for each
//! of them; a correction whose event is in no part does nothing.
//!
//! Deliberately not here: which corrections there are (`store/`), what they mean together (`correction/`).

mod edges;
mod find;
mod rows;

pub use edges::Edges;
pub(super) use edges::OfRows;

use std::collections::BTreeMap;
use std::sync::Arc;

use arrow::array::RecordBatch;
use datafusion::common::Result;

use crate::correction::{Correction, Fate, fates};
use crate::time::Day;

use super::part::PartFile;

/// A snapshot's parts under its corrections.
#[derive(Debug)]
pub struct Overlay {
    pub parts: Vec<PartFile>,
    /// `None` where nothing is said of sessions.
    pub edges: Option<Arc<Edges>>,
    /// The ids whose persons are to be set apart.
    pub apart: Vec<String>,
}

impl Overlay {
    /// Looks the corrected events up in these parts.
    ///
    /// # Errors
    /// A part that may hold one is missing or damaged.
    pub fn new(parts: Vec<PartFile>, corrections: &[Correction]) -> Result<Self> {
        let live = || corrections.iter().filter(|correction| correction.reverted.is_none());
        let mut apart: Vec<String> = live().flat_map(|it| it.change.ids()).map(str::to_owned).collect();
        apart.sort_unstable();
        apart.dedup();
        let edges = Edges::new(live().map(|correction| &correction.change));
        let fates = fates(corrections);
        let mut by_day: BTreeMap<Day, Vec<&Fate>> = BTreeMap::new();
        for fate in fates.values() {
            by_day.entry(Day::of(fate.anchor.ts)).or_default().push(fate);
        }
        let mut corrected: Vec<RecordBatch> = Vec::new();
        let mut visible = Vec::with_capacity(parts.len() + 1);
        for part in parts {
            match by_day.get(&part.day) {
                Some(fates) => visible.extend(cover(part, fates, &mut corrected)?),
                None => visible.push(part),
            }
        }
        visible.extend(rows::part(&corrected)?);
        Ok(Self { parts: visible, edges, apart })
    }
}

/// The part without the rows of these events, whose new rows are added; `None` if none is left.
fn cover(part: PartFile, fates: &[&Fate], corrected: &mut Vec<RecordBatch>) -> Result<Option<PartFile>> {
    let part = Arc::new(part);
    let found = find::events(&part, fates)?;
    if found.is_empty() {
        return Ok(Some(Arc::unwrap_or_clone(part)));
    }
    corrected.extend(rows::corrected(&part, &found)?);
    let mut left = Arc::unwrap_or_clone(part);
    let at_the_edge = found.iter().any(|(_, fate)| [left.ts_min, left.ts_max].contains(&fate.anchor.ts));
    left.hidden = found.into_iter().map(|(row, _)| row).collect();
    if left.visible() == 0 {
        return Ok(None);
    }
    if at_the_edge {
        (left.ts_min, left.ts_max) = find::span(&Arc::new(left.clone()))?;
    }
    Ok(Some(left))
}
