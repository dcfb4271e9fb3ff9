//! What all corrections together make of an event.

use std::collections::BTreeMap;

use super::{Anchor, Change, Correction, EventRef};

/// An event that is not read as it is stored.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fate {
    /// Where it is stored.
    pub anchor: Anchor,
    /// It counts nowhere.
    pub dropped: bool,
    /// What it has in place of what is stored; µs.
    pub ts: Option<i64>,
    pub distinct_id: Option<String>,
    pub page: Option<String>,
    pub name: Option<String>,
}

impl Fate {
    fn of(anchor: &Anchor) -> Self {
        Self { anchor: anchor.clone(), dropped: false, ts: None, distinct_id: None, page: None, name: None }
    }

    /// Whose it is, and when it happened (µs); `None`: it counts nowhere.
    #[must_use]
    pub fn place(&self) -> Option<(&str, i64)> {
        let id = self.distinct_id.as_deref().unwrap_or(&self.anchor.distinct_id);
        (!self.dropped).then(|| (id, self.ts.unwrap_or(self.anchor.ts)))
    }
}

/// What becomes of the events that corrections (oldest first) change; those that were reverted say nothing.
#[must_use]
pub fn fates(corrections: &[Correction]) -> BTreeMap<EventRef, Fate> {
    let mut fates: BTreeMap<EventRef, Fate> = BTreeMap::new();
    for correction in corrections.iter().filter(|it| it.reverted.is_none()) {
        let Some(anchor) = correction.change.event() else { continue };
        if !correction.change.is_of_the_event() {
            continue;
        }
        let fate = fates.entry(anchor.event.clone()).or_insert_with(|| Fate::of(anchor));
        match &correction.change {
            Change::DropEvent { .. } => fate.dropped = true,
            Change::MoveEvent { ts, .. } => fate.ts = Some(*ts),
            Change::ReassignUser { user, .. } => fate.distinct_id = Some(user.clone()),
            Change::Relabel { page, name, .. } => {
                fate.page = page.clone().or(fate.page.take());
                fate.name = name.clone().or(fate.name.take());
            }
            Change::SplitSession { .. }
            | Change::MergeSessions { .. }
            | Change::FlagSession { .. }
            | Change::FlagUser { .. } => {}
        }
    }
    fates
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::correction::Reverted;

    fn anchor() -> Anchor {
        Anchor {
            event: EventRef { source_id: "s".to_owned(), offset: 3 },
            event_id: None,
            distinct_id: "a".to_owned(),
            ts: 10,
        }
    }

    fn all(changes: Vec<Change>) -> Vec<Correction> {
        let one =
            |(id, change)| Correction { id, change, reason: String::new(), by: String::new(), at: 0, reverted: None };
        (1..).zip(changes).map(one).collect()
    }

    #[test]
    fn the_later_word_counts_field_by_field() {
        let event = anchor;
        let mut said = all(vec![
            Change::MoveEvent { event: event(), ts: 20 },
            Change::Relabel { event: event(), page: Some("/x".to_owned()), name: Some("n".to_owned()) },
            Change::Relabel { event: event(), page: Some("/y".to_owned()), name: None },
            Change::ReassignUser { event: event(), user: "b".to_owned() },
        ]);
        let of = |said: &[Correction]| fates(said).remove(&event().event).unwrap();
        let fate = of(&said);
        assert_eq!(
            (fate.place(), fate.page.as_deref(), fate.name.as_deref()),
            (Some(("b", 20)), Some("/y"), Some("n"))
        );
        said.extend(all(vec![Change::DropEvent { event: event() }]));
        assert_eq!(of(&said).place(), None);
        for correction in &mut said[3..] {
            correction.reverted = Some(Reverted { by: String::new(), at: 1 });
        }
        assert_eq!(of(&said).place(), Some(("a", 20)));
    }
}
