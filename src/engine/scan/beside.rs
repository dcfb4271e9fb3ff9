//! Moved rows beside the parts: a reader lays them among the runs of their person as these come.
//!
//! ```text
//! parts    10 20 │ 50 60 │ 90      runs of one person, day by day
//! moved       15   40        95    those of the person, in order of time
//! block    10 15 20 40 50 60 90 95
//! ```
//!
//! Invariants: every moved row of the range is laid once; rows that are laid are in order of time unless runs of the
//! parts are not, and where a moved row meets another at the same time, [`Beside::lay`] says so.

use std::ops::Range;
use std::sync::Arc;

use super::block::{Block, Held, Segment};
use super::cursor::Cursor;
use super::moved::Moved;
use super::names::{NONE, Names};
use super::range::IdRange;
use super::sorted::Sorted;

/// The moved rows of one reader's range.
#[derive(Debug, Default)]
pub(super) struct Beside {
    moved: Arc<Moved>,
    /// Persons of the range that are still to come.
    persons: Range<usize>,
    /// What is left of the open person's rows.
    rows: Range<usize>,
    held: Held,
    /// By later part: its persons of the range.
    later: Vec<(Range<usize>, Held)>,
    /// The reader's codes by those of the moved rows; `NONE` stands for itself and for what was not met yet.
    codes: Vec<u32>,
}

impl Beside {
    pub(super) fn new(moved: Arc<Moved>, range: &IdRange) -> Self {
        let persons = |rows: &Sorted| {
            let from = rows.first(0, rows.len(), |name| range.is_after(name));
            from..rows.first(from, rows.len(), |name| !range.is_before(name))
        };
        let later = moved.later.iter().map(|rows| (persons(rows), None)).collect();
        Self { persons: persons(&moved.rows), later, moved, ..Self::default() }
    }

    /// The next person who has moved rows.
    #[inline]
    pub(super) fn id(&self) -> Option<&[u8]> {
        (!self.persons.is_empty()).then(|| self.moved.rows.name(self.persons.start))
    }

    /// Opens the next person.
    pub(super) fn open(&mut self) {
        let at = self.persons.start;
        self.rows = self.moved.rows.start(at)..self.moved.rows.start(at + 1);
        self.persons.start += 1;
    }

    /// Whether rows of the open person wait.
    #[inline]
    pub(super) fn waits(&self) -> bool {
        !self.rows.is_empty()
    }

    /// Lays the cursor's run with the moved rows before and among it; whether two of them are of one time.
    pub(super) fn lay(
        &mut self,
        block: &mut Block,
        cursor: &mut Cursor,
        segments: &mut Vec<Segment>,
        names: &mut Names,
    ) -> bool {
        let Range { start: mut from, end } = cursor.rows();
        let mut meet = false;
        while let Some(&next) = self.moved.rows.ts()[self.rows.clone()].first() {
            let ts = &cursor.chunk.ts[..end];
            // Most runs lie before it as a whole.
            if ts[end - 1] < next {
                break;
            }
            // Few rows lie between two moved ones: a step each costs less than a search.
            let mut to = from;
            while ts[to] < next {
                to += 1;
            }
            let waiting = &self.moved.rows.ts()[self.rows.clone()];
            let moved = waiting.iter().take_while(|moved| **moved <= ts[to]).count();
            meet |= waiting[moved - 1] == ts[to];
            if from < to {
                segments.push(block.append(&cursor.chunk, from..to, &mut cursor.held));
            }
            segments.push(self.take(block, moved, names));
            from = to;
        }
        segments.push(block.append(&cursor.chunk, from..end, &mut cursor.held));
        meet
    }

    /// Lays what is left of the open person's rows.
    pub(super) fn lay_rest(&mut self, block: &mut Block, names: &mut Names) -> Option<Segment> {
        self.waits().then(|| self.take(block, self.rows.len(), names))
    }

    fn take(&mut self, block: &mut Block, rows: usize, names: &mut Names) -> Segment {
        let places = self.rows.start..self.rows.start + rows;
        self.rows.start = places.end;
        let mut codes = Codes { moved: &self.moved, known: &mut self.codes, names };
        self.moved.rows.append_to(block, places, |code| codes.of(code), &mut self.held)
    }

    /// Lays the person's rows of later part `at`.
    pub(super) fn lay_later(&mut self, block: &mut Block, at: usize, id: &[u8], names: &mut Names) -> Option<Segment> {
        let rows: &Arc<Sorted> = self.moved.later.get(at)?;
        let (persons, held) = &mut self.later[at];
        let at = rows.first(persons.start, persons.end, |name| name < id);
        if at == persons.end || rows.name(at) != id {
            return None;
        }
        let mut codes = Codes { moved: &self.moved, known: &mut self.codes, names };
        Some(rows.append_to(block, rows.start(at)..rows.start(at + 1), |code| codes.of(code), held))
    }

    /// Bytes held, without the moved rows.
    pub(super) fn size(&self) -> usize {
        self.codes.capacity() * size_of::<u32>()
    }
}

/// Codes of the moved rows as codes of a reader.
struct Codes<'a> {
    moved: &'a Moved,
    known: &'a mut Vec<u32>,
    names: &'a mut Names,
}

impl Codes<'_> {
    #[inline]
    fn of(&mut self, code: u32) -> u32 {
        match self.known.get(code as usize) {
            Some(&known) if known != NONE => known,
            _ => self.learn(code),
        }
    }

    fn learn(&mut self, code: u32) -> u32 {
        if code == NONE {
            return NONE;
        }
        let at = code as usize;
        if at >= self.known.len() {
            self.known.resize(at + 1, NONE);
        }
        self.known[at] = self.names.code(self.moved.text(code));
        self.known[at]
    }
}
