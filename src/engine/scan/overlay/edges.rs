//! What is said of rows among sessions, looked up person by person.

use std::collections::{HashMap, HashSet};

use crate::correction::{Change, EventRef};
use crate::identity::People;
use crate::journey::Edge;

/// One thing said; events by their numbers.
#[derive(Debug, Clone, Copy)]
enum Said {
    Of(usize, Edge),
    /// No session begins after the first of these up to the second.
    Merged(usize, usize),
}

/// Everything that is said.
#[derive(Debug, Default)]
pub struct Edges {
    /// Numbers of the events that are named, by source and place.
    events: HashMap<String, HashMap<i64, usize>>,
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
                Change::SplitSession { event } => edges.say(&event.event, Edge::SPLIT),
                Change::FlagSession { event } => edges.say(&event.event, Edge::FLAG),
                Change::MergeSessions { last, event } => {
                    let (last, event) = (edges.number(&last.event), edges.number(&event.event));
                    edges.about[event].push(edges.said.len());
                    edges.said.push(Said::Merged(last, event));
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

    fn number(&mut self, event: &EventRef) -> usize {
        let next = self.about.len();
        let number = *self.events.entry(event.source_id.clone()).or_default().entry(event.offset).or_insert(next);
        if number == next {
            self.about.push(Vec::new());
        }
        number
    }

    fn say(&mut self, event: &EventRef, edge: Edge) {
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

    /// What is said of a person's rows, which are in the total order, each with its source and place in it.
    pub(in crate::engine::scan) fn of<'a>(&self, rows: impl ExactSizeIterator<Item = (&'a str, i64)>) -> Vec<Edge> {
        let mut edges = vec![Edge::FREE; rows.len()];
        let mut places: HashMap<usize, usize> = HashMap::new();
        for (row, (source, offset)) in rows.enumerate() {
            if let Some(&event) = self.events.get(source).and_then(|of| of.get(&offset)) {
                places.insert(event, row);
            }
        }
        let mut said: Vec<usize> = places.keys().flat_map(|event| self.about[*event].iter().copied()).collect();
        said.sort_unstable();
        for said in said {
            match self.said[said] {
                Said::Of(event, edge) => {
                    let row = places[&event];
                    edges[row] = edges[row].and(edge);
                }
                Said::Merged(last, event) => {
                    let row = places[&event];
                    // Where the earlier session's last event is gone, the later one joins what is before it.
                    let from = places.get(&last).filter(|last| **last < row).map_or(row, |last| last + 1);
                    edges[from..=row].iter_mut().for_each(|edge| *edge = edge.and(Edge::JOIN));
                }
            }
        }
        edges
    }
}
