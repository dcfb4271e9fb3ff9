//! One row per event id, for ever (SEMANTICS §1), whatever the order of arrival.
//!
//! ```text
//! event ids of the buffer ─► rows of the buffer, of this group's parts, of the snapshot ─► per id:
//!     smallest (content hash, source id, offset) stays
//!     same content as the one that stays      ─► duplicate
//!     another content, the first of its kind  ─► quarantine: conflicting_duplicate
//!     another content, seen in quarantine     ─► duplicate of the refused one; the smaller (source, offset) is kept
//! ```
//!
//! Invariants: what is stored, refused and counted is a function of the set of lines; a row that loses leaves its
//! part in the same commit that brings the winner.
//!
//! Deliberately not here: rewriting parts (`group/` plans it), events without a given id (never duplicates).

use std::collections::HashMap;

use xxhash_rust::xxh3::xxh3_128;

use super::content::Content;
use super::error::IngestError;
use super::find;
use super::group::{Group, Place};
use super::rows::buffer::RowBuffer;
use super::rows::interner::Code;
use super::source::identify::KnownSources;
use crate::event::RejectReason;
use crate::store::{Part, Snapshot, Table, other_columns};
use crate::time::Day;

/// What the search for duplicates looks at besides the buffer.
#[derive(Debug, Clone, Copy)]
pub struct Surroundings<'a> {
    pub snapshot: &'a Snapshot,
    pub known: &'a KnownSources,
}

/// Where a row with an event id is.
#[derive(Debug, Clone)]
enum Home {
    Buffer(usize),
    /// In a part of this group, on a day.
    New(Day),
    /// In a part of the snapshot, by its place in the list.
    Stored(usize),
}

/// A row that has an event id.
#[derive(Debug, Clone)]
struct Member {
    content: u128,
    source_id: String,
    offset: u64,
    home: Home,
    /// The event as the quarantine keeps it; empty where it is a row of the buffer, which can still be asked.
    json: Vec<u8>,
}

/// Keeps the first of each content that was refused, over commits.
#[derive(Debug, Default)]
pub struct Conflicts {
    /// Refused by this group and not yet written: (source id, offset) → the event.
    fresh: HashMap<(String, u64), Vec<u8>>,
    /// By hash of the event as JSON: the line that is kept, and its stored part's file id if it is stored.
    kept: HashMap<u128, (String, u64, Option<i64>)>,
    loaded: bool,
}

impl Conflicts {
    /// What this group refuses: (source id, offset) and the event.
    pub fn take_fresh(&mut self) -> impl Iterator<Item = ((String, u64), Vec<u8>)> {
        std::mem::take(&mut self.fresh).into_iter()
    }

    fn load(&mut self, snapshot: &Snapshot) -> Result<(), IngestError> {
        if std::mem::replace(&mut self.loaded, true) {
            return Ok(());
        }
        for part in snapshot.quarantine() {
            find::by_reason(&part.open()?, RejectReason::ConflictingDuplicate.name(), |batch, at| {
                if let (Some((source, offset)), Some(raw)) = (find::line(batch, at), find::raw(batch, at)) {
                    self.kept.insert(xxh3_128(raw), (source.to_owned(), offset, Some(part.file_id)));
                }
                Ok(())
            })?;
        }
        Ok(())
    }

    /// Refuses a row, or finds that its like is refused already; the place that the line ends in.
    fn refuse(
        &mut self,
        group: &mut Group,
        around: Surroundings<'_>,
        line: (&str, u64),
        json: Vec<u8>,
    ) -> Result<Place, IngestError> {
        self.load(around.snapshot)?;
        let (source_id, offset) = line;
        let hash = xxh3_128(&json);
        if let Some((kept_source, kept_offset, file_id)) = self.kept.get(&hash) {
            if (kept_source.as_str(), *kept_offset) <= line {
                return Ok(Place::Duplicate);
            }
            let part = file_id.and_then(|id| around.snapshot.quarantine().iter().find(|part| part.file_id == id));
            if let Some(part) = part {
                group.remove_stored(Table::Quarantine, part, kept_source, *kept_offset);
                group.recount_stored(kept_source, around.known, Place::Quarantined, Some(Place::Duplicate));
            } else {
                self.fresh.remove(&(kept_source.clone(), *kept_offset));
                group.recount_new(kept_source, Place::Quarantined, Place::Duplicate);
            }
        }
        self.kept.insert(hash, (source_id.to_owned(), offset, None));
        self.fresh.insert((source_id.to_owned(), offset), json);
        Ok(Place::Quarantined)
    }
}

/// Leaves in `buffer` only rows that win, and plans the removal of stored rows that lose.
///
/// # Errors
/// A part cannot be read.
pub fn settle(
    buffer: &mut RowBuffer,
    group: &mut Group,
    conflicts: &mut Conflicts,
    around: Surroundings<'_>,
) -> Result<(), IngestError> {
    if buffer.texts.event_id.len() <= 1 {
        return Ok(());
    }
    let ids = Ids::of(buffer);
    let mut members = elsewhere(buffer, &ids, group, around)?;
    for code in ids.more.keys() {
        members.entry(*code).or_default();
    }
    let mut lost = vec![false; buffer.rows.len()];
    for (code, mut members) in members {
        members.extend(ids.rows(code).map(|row| own(buffer, group, row)));
        members.sort_by(|left, right| {
            (left.content, &left.source_id, left.offset).cmp(&(right.content, &right.source_id, right.offset))
        });
        for at in 1..members.len() {
            let place = if members[at].content == members[at - 1].content {
                Place::Duplicate
            } else {
                let member = &mut members[at];
                let json = match member.home {
                    Home::Buffer(row) => Content::of_row(buffer, &buffer.rows[row]).json(),
                    _ => std::mem::take(&mut member.json),
                };
                conflicts.refuse(group, around, (&member.source_id, member.offset), json)?
            };
            lose(&members[at], place, group, around, &mut lost);
        }
    }
    let mut at = 0;
    buffer.rows.retain(|_| {
        at += 1;
        !lost[at - 1]
    });
    Ok(())
}

/// The rows of a buffer by event id; nearly every id has one.
struct Ids {
    /// By code: the first row, or none.
    first: Vec<Option<u32>>,
    more: HashMap<Code, Vec<u32>>,
}

impl Ids {
    fn of(buffer: &RowBuffer) -> Self {
        let mut ids = Self { first: vec![None; buffer.texts.event_id.len()], more: HashMap::new() };
        for (at, row) in (0u32..).zip(&buffer.rows) {
            let code = buffer.extras[row.extra as usize].event_id;
            match &mut ids.first[code as usize] {
                _ if code == 0 => {}
                first @ None => *first = Some(at),
                Some(_) => ids.more.entry(code).or_default().push(at),
            }
        }
        ids
    }

    fn rows(&self, code: Code) -> impl Iterator<Item = usize> {
        let more = self.more.get(&code).into_iter().flatten();
        self.first[code as usize].iter().chain(more).map(|row| *row as usize)
    }
}

fn own(buffer: &RowBuffer, group: &Group, at: usize) -> Member {
    let row = &buffer.rows[at];
    Member {
        content: Content::of_row(buffer, row).hash(),
        source_id: group.ids[usize::from(row.source)].clone(),
        offset: row.offset,
        home: Home::Buffer(at),
        json: Vec::new(),
    }
}

/// The rows with the buffer's event ids in the parts of the group and of the snapshot.
fn elsewhere(
    buffer: &RowBuffer,
    ids: &Ids,
    group: &Group,
    around: Surroundings<'_>,
) -> Result<HashMap<Code, Vec<Member>>, IngestError> {
    let mut members: HashMap<Code, Vec<Member>> = HashMap::new();
    let mut look = |file: &std::fs::File, home: &Home, day: Day| {
        find::by_event_id(file, &buffer.texts.event_id, |code, batch, at| {
            let (Some((source, offset)), Some(content)) = (find::line(batch, at), Content::of_stored(batch, at)) else {
                return Err(other_columns().into());
            };
            let stored = matches!(home, Home::Stored(_));
            if group.is_removed((Table::Events, day), stored, source, offset) {
                return Ok(());
            }
            let hash = content.hash();
            let conflict = ids.rows(code).any(|row| Content::of_row(buffer, &buffer.rows[row]).hash() != hash);
            let json = if conflict { content.json() } else { Vec::new() };
            let (source_id, home) = (source.to_owned(), home.clone());
            members.entry(code).or_default().push(Member { content: hash, source_id, offset, home, json });
            Ok(())
        })
    };
    for ((table, day), parts) in &group.parts {
        for part in parts.iter().filter(|_| *table == Table::Events) {
            look(&part.open()?, &Home::New(*day), *day)?;
        }
    }
    let stays = |part: &Part| part.event_ids > 0 && !group.replaced.contains(&part.file_id);
    for (at, part) in around.snapshot.events().iter().enumerate().filter(|(_, part)| stays(part)) {
        look(&part.open()?, &Home::Stored(at), part.day)?;
    }
    Ok(members)
}

/// Takes a row that lost out of where it is.
fn lose(member: &Member, place: Place, group: &mut Group, around: Surroundings<'_>, lost: &mut [bool]) {
    let Member { source_id, offset, .. } = member;
    match member.home {
        Home::Buffer(row) => {
            lost[row] = true;
            group.recount_new(source_id, Place::Stored, place);
        }
        Home::New(day) => {
            group.remove_new(Table::Events, day, source_id, *offset);
            group.recount_new(source_id, Place::Stored, place);
        }
        Home::Stored(at) => {
            let part: &Part = &around.snapshot.events()[at];
            group.remove_stored(Table::Events, part, source_id, *offset);
            group.recount_stored(source_id, around.known, Place::Stored, Some(place));
        }
    }
}
