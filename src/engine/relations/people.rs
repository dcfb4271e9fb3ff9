//! `people`: a row per person, over the sessions that the settings let through.

use std::cmp::Reverse;
use std::collections::{HashMap, HashSet};
use std::ops::Range;
use std::sync::Arc;

use arrow::array::{ArrayRef, Int64Builder, ListBuilder, StringArray, StringBuilder};
use arrow::datatypes::{DataType, Field};
use datafusion::common::Result;

use crate::engine::scan::{NONE, text_codes};
use crate::event::{Column, utc_micros};
use crate::journey::Session;
use crate::time::{DAY, Day};

use super::ColumnDef;
use super::arrays::{numbers, shared, stamps, times};
use super::tape::{Tape, Texts};

/// The columns in order.
pub(super) fn columns() -> Vec<ColumnDef> {
    let pauses = DataType::List(Arc::new(Field::new_list_field(DataType::Int64, true)));
    vec![
        ("user_id", text_codes(), false),
        ("first_seen", utc_micros(), false),
        ("last_seen", utc_micros(), false),
        ("sessions", DataType::Int64, false),
        ("events", DataType::Int64, false),
        ("active_days", DataType::Int64, false),
        ("top_page", text_codes(), true),
        ("entry_referrer", DataType::Utf8, true),
        ("devices", DataType::Int64, false),
        ("lifecycle_state", DataType::Utf8, false),
        ("pauses_micros", pauses, false),
    ]
}

/// Builds a column; `None` if there is none of that name.
pub(super) fn column(name: &str, coded: bool, tape: &mut Tape<'_>) -> Result<Option<ArrayRef>> {
    let (ts, people) = (tape.block.ts(), people(tape));
    let started = |session: &Session| ts[session.first_row as usize];
    let ended = |session: &Session| ts[session.end_row as usize - 1];
    let first_seen = |sessions: &[Session]| sessions.iter().map(started).min().unwrap_or_default();
    let last_seen = |sessions: &[Session]| sessions.iter().map(ended).max().unwrap_or_default();
    Ok(Some(match name {
        "user_id" if coded => {
            let base = tape.person_base;
            stamps(people.iter().map(|sessions| base + u64::from(sessions[0].person)).collect())
        }
        "user_id" => shared(people.iter().map(|sessions| sessions[0].person), tape.user_ids())?,
        "first_seen" => times(people.iter().map(|sessions| first_seen(sessions)).collect()),
        "last_seen" => times(people.iter().map(|sessions| last_seen(sessions)).collect()),
        "sessions" => numbers(people.iter().map(|sessions| whole(sessions.len())).collect()),
        "events" => {
            let events = |sessions: &&[Session]| sessions.iter().map(|session| i64::from(session.events())).sum();
            numbers(people.iter().map(events).collect())
        }
        "active_days" => numbers(people.iter().map(|sessions| active_days(tape, sessions)).collect()),
        "top_page" => {
            let pages: Vec<u32> = people.iter().map(|sessions| top_page(tape, sessions)).collect();
            tape.names.column(&pages)?
        }
        "entry_referrer" => {
            let rows: Vec<u32> = people.iter().map(|sessions| in_order(sessions)[0].first_row).collect();
            let referrers = Texts(tape.block.take(Column::Referrer, &rows)?);
            Arc::new((0..rows.len()).map(|at| referrers.get(at)).collect::<StringArray>())
        }
        "devices" => devices(tape, &people)?,
        "lifecycle_state" => {
            let week = 7 * DAY;
            let (now, before) = (tape.facts.now - week, tape.facts.now - 2 * week);
            let mut states = StringBuilder::new();
            for sessions in &people {
                states.append_value(if last_seen(sessions) <= now {
                    "dormant"
                } else if first_seen(sessions) > now {
                    "new"
                } else if sessions.iter().any(|session| started(session) <= now && ended(session) > before) {
                    "returning"
                } else {
                    "resurrecting"
                });
            }
            Arc::new(states.finish())
        }
        "pauses_micros" => {
            let mut pauses = ListBuilder::new(Int64Builder::new());
            for sessions in &people {
                let all = in_order(sessions);
                all.windows(2).for_each(|pair| pauses.values().append_value(started(pair[1]) - ended(pair[0])));
                pauses.append(true);
            }
            Arc::new(pauses.finish())
        }
        _ => return Ok(None),
    }))
}

/// The sessions of each person who has any.
fn people<'a>(tape: &Tape<'a>) -> Vec<&'a [Session]> {
    tape.sessions().chunk_by(|a, b| a.person == b.person).collect()
}

/// Number of people who have sessions.
pub(super) fn count(tape: &Tape<'_>) -> usize {
    tape.sessions().chunk_by(|a, b| a.person == b.person).count()
}

fn whole(count: usize) -> i64 {
    i64::try_from(count).unwrap_or(i64::MAX)
}

/// A person's sessions by their index.
fn in_order(sessions: &[Session]) -> Vec<&Session> {
    let mut all: Vec<&Session> = sessions.iter().collect();
    all.sort_by_key(|session| session.index);
    all
}

/// The steps of a person's sessions.
fn steps(sessions: &[Session]) -> impl Iterator<Item = Range<usize>> {
    sessions.iter().map(Session::step_range)
}

/// Days (UTC) on which steps began.
fn active_days(tape: &Tape<'_>, sessions: &[Session]) -> i64 {
    let mut days: Vec<Day> = steps(sessions).flatten().map(|step| Day::of(tape.ts(step))).collect();
    days.sort_unstable();
    days.dedup();
    whole(days.len())
}

/// The page with the most hits, of equal ones the first by name; [`NONE`] where no page was seen.
fn top_page(tape: &Tape<'_>, sessions: &[Session]) -> u32 {
    let mut hits: HashMap<u32, u32> = HashMap::new();
    for session in sessions {
        for step in session.step_range().filter(|&step| tape.is_view(step)) {
            *hits.entry(tape.label(step)).or_default() += tape.walk.step_end(session, step) - tape.walk.steps[step];
        }
    }
    let most = hits.into_iter().max_by_key(|&(page, hits)| (hits, Reverse(tape.names.text(page))));
    most.map_or(NONE, |(page, _)| page)
}

/// Different anonymous ids, or user agents where an event has none.
fn devices(tape: &Tape<'_>, people: &[&[Session]]) -> Result<ArrayRef> {
    let rows = tape.step_rows();
    let (ids, agents) = (tape.block.take(Column::AnonymousId, rows)?, tape.block.take(Column::UserAgent, rows)?);
    let (ids, agents) = (Texts(ids), Texts(agents));
    let mut seen: HashSet<&str> = HashSet::new();
    let mut counts = Vec::with_capacity(people.len());
    for sessions in people {
        seen.clear();
        seen.extend(steps(sessions).flatten().filter_map(|step| ids.get(step).or_else(|| agents.get(step))));
        counts.push(whole(seen.len()));
    }
    Ok(numbers(counts))
}
