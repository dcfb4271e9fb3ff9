//! What is said of rows among sessions, looked up person by person.

use std::collections::{HashMap, HashSet};

use super::super::ties::TieKey;
use crate::correction::{Anchor, Change};
use crate::identity::People;
use crate::journey::Edge;

/// One thing said; events by their numbers.
#[derive(Debug, Clone, Copy)]
enum Said {
    Of(usize, Edge),
    Merged(Merge),
}

/// No session begins after the event `last` up to the event `first`.
#[derive(Debug, Clone, Copy)]
struct Merge {
    last: usize,
    first: usize,
    /// When the later session began, and how long after the earlier one's end, as it was said; µs.
    begins: i64,
    pause: i64,
}

/// A row of a person, in the total order: time (µs), and what tells it from others.
pub(in crate::engine::scan) type Place<'a> = (i64, TieKey<'a>);

/// What is said of a person's rows.
#[derive(Debug, Default)]
pub(in crate::engine::scan) struct OfRows {
    pub edges: Vec<Edge>,
    /// The last row of an earlier session, and the first of the one that goes on with it.
    pub joined: Vec<(usize, usize)>,
}

/// Everything that is said.
#[derive(Debug, Default)]
pub struct Edges {
    /// Numbers of the events that are named, by source and place.
    events: HashMap<String, HashMap<i64, usize>>,
    /// And by the ids that their senders gave them.
    event_ids: HashMap<String, usize>,
    /// By event: where it is spoken of in `said`.
    about: Vec<Vec<usize>>,
    /// In the order in which it was said.
    said: Vec<Said>,
    /// Ids whose persons are flagged.
    flagged: Vec<String>,
}

impl Edges {
    /// What these say, oldest first; `None` if nothing.
    pub(super) fn new<'a>(changes: impl Iterator<Item = &'a Change>) -> Option<std::sync::Arc<Self>> {
        let mut edges = Self::default();
        for change in changes {
            match change {
                Change::SplitSession { event } => edges.say(event, Edge::SPLIT),
                Change::FlagSession { event } => edges.say(event, Edge::FLAG),
                Change::MergeSessions { last, event } => {
                    let (begins, pause) = (event.ts, event.ts.saturating_sub(last.ts));
                    let (last, first) = (edges.number(last), edges.number(event));
                    edges.about[first].push(edges.said.len());
                    edges.about[last].push(edges.said.len());
                    edges.said.push(Said::Merged(Merge { last, first, begins, pause }));
                }
                Change::FlagUser { user } => edges.flagged.push(user.clone()),
                Change::DropEvent { .. }
                | Change::MoveEvent { .. }
                | Change::Relabel { .. }
                | Change::ReassignUser { .. } => {}
            }
        }
        (!edges.said.is_empty() || !edges.flagged.is_empty()).then(|| edges.into())
    }

    fn number(&mut self, anchor: &Anchor) -> usize {
        let (next, event) = (self.about.len(), &anchor.event);
        let number = *self.events.entry(event.source_id.clone()).or_default().entry(event.offset).or_insert(next);
        if let Some(id) = &anchor.event_id {
            self.event_ids.insert(id.clone(), number);
        }
        if number == next {
            self.about.push(Vec::new());
        }
        number
    }

    fn say(&mut self, event: &Anchor, edge: Edge) {
        let event = self.number(event);
        self.about[event].push(self.said.len());
        self.said.push(Said::Of(event, edge));
    }

    /// Whether sessions may go on over any pause.
    #[must_use]
    pub fn merges(&self) -> bool {
        self.said.iter().any(|said| matches!(said, Said::Merged(..)))
    }

    /// Whether a session or a person is flagged.
    #[must_use]
    pub fn flags(&self) -> bool {
        let flag = |said: &Said| matches!(said, Said::Of(_, edge) if edge.has(Edge::FLAG));
        !self.flagged.is_empty() || self.said.iter().any(flag)
    }

    /// The persons that are flagged.
    #[must_use]
    pub fn flagged_persons<'a>(&'a self, people: &'a People) -> HashSet<&'a str> {
        self.flagged.iter().flat_map(|id| people.persons_of(id)).collect()
    }

    /// What is said of a person's rows; `gap` is the idle time that ends a session (µs).
    pub(in crate::engine::scan) fn of(&self, rows: &[Place<'_>], gap: i64) -> OfRows {
        let mut places: HashMap<usize, usize> = HashMap::new();
        for (row, (_, tie)) in rows.iter().enumerate() {
            let by_id = self.event_ids.get(tie.event);
            if let Some(&event) = by_id.or_else(|| self.events.get(tie.source)?.get(&tie.offset)) {
                places.insert(event, row);
            }
        }
        let mut said: Vec<usize> = places.keys().flat_map(|event| self.about[*event].iter().copied()).collect();
        said.sort_unstable();
        said.dedup();
        let mut of = OfRows { edges: vec![Edge::FREE; rows.len()], joined: Vec::new() };
        for said in said {
            match self.said[said] {
                Said::Of(event, edge) => {
                    let row = places[&event];
                    of.edges[row] = of.edges[row].and(edge);
                }
                Said::Merged(merge) => {
                    let Some((last, first)) = merge.rows(rows, &places, gap) else { continue };
                    of.edges[last + 1..=first].iter_mut().for_each(|edge| *edge = edge.and(Edge::JOIN));
                    of.joined.push((last, first));
                }
            }
        }
        of
    }
}

impl Merge {
    /// The rows at which the sessions end and begin; `None` where they are not those that were meant: one is gone, or
    /// they lie farther apart than was said.
    fn rows(self, rows: &[Place<'_>], places: &HashMap<usize, usize>, gap: i64) -> Option<(usize, usize)> {
        // Where the one event is gone, the session's next one stands for it, if it is near.
        let first = places.get(&self.first).copied().or_else(|| {
            let row = rows.partition_point(|row| row.0 < self.begins);
            rows.get(row).filter(|row| row.0.saturating_sub(self.begins) <= gap).map(|_| row)
        })?;
        let ends = self.begins.saturating_sub(self.pause);
        let last = places.get(&self.last).copied().or_else(|| {
            let row = rows.partition_point(|row| row.0 <= ends).checked_sub(1)?;
            rows.get(row).filter(|row| ends.saturating_sub(row.0) <= gap).map(|_| row)
        })?;
        let apart = rows.get(first)?.0.saturating_sub(rows.get(last)?.0);
        (last < first && apart <= self.pause.saturating_add(gap)).then_some((last, first))
    }
}
