//! `sessions`: a row per session.

use std::sync::Arc;

use arrow::array::{ArrayRef, StringArray};
use arrow::datatypes::DataType;
use datafusion::common::Result;

use crate::engine::scan::text_codes;
use crate::event::{Column, utc_micros};
use crate::journey::{EndedBy, Session};

use super::ColumnDef;
use super::arrays::{numbers, seconds, shared, stamps, times, truths};
use super::tape::Tape;

/// The columns in order.
pub(super) fn columns() -> Vec<ColumnDef> {
    vec![
        ("session_id", text_codes(), false),
        ("user_id", text_codes(), false),
        ("session_index", DataType::Int64, false),
        ("started_at", utc_micros(), false),
        ("ended_at", utc_micros(), false),
        ("duration_s", DataType::Float64, false),
        ("events", DataType::Int64, false),
        ("depth", DataType::Int64, false),
        ("entry_page", text_codes(), true),
        ("exit_page", text_codes(), true),
        ("is_bounce", DataType::Boolean, false),
        ("state", DataType::Utf8, false),
        ("ended_by", DataType::Utf8, true),
        ("is_terminal", DataType::Boolean, false),
        ("left_censored", DataType::Boolean, false),
        ("right_censored", DataType::Boolean, false),
        ("source_session_id", text_codes(), true),
        ("flagged", DataType::Boolean, false),
    ]
}

/// Builds a column; `None` if there is none of that name.
pub(super) fn column(name: &str, coded: bool, tape: &mut Tape<'_>) -> Result<Option<ArrayRef>> {
    let sessions = tape.sessions();
    let ts = tape.block.ts();
    let started = |session: &Session| ts[session.first_row as usize];
    let ended = |session: &Session| ts[session.end_row as usize - 1];
    Ok(Some(match name {
        "session_id" if coded => {
            let base = tape.session_base;
            stamps((base..).take(sessions.len()).collect())
        }
        "session_id" => shared((0..).take(sessions.len()), tape.session_ids()?)?,
        "user_id" if coded => {
            let base = tape.person_base;
            stamps(sessions.iter().map(|session| base + u64::from(session.person)).collect())
        }
        "user_id" => shared(sessions.iter().map(|session| session.person), tape.user_ids())?,
        "session_index" => numbers(sessions.iter().map(|session| i64::from(session.index)).collect()),
        "started_at" => times(sessions.iter().map(started).collect()),
        "ended_at" => times(sessions.iter().map(ended).collect()),
        "duration_s" => {
            let micros: Vec<i64> = sessions.iter().map(|it| ended(it).saturating_sub(started(it))).collect();
            seconds(&micros)
        }
        "events" => numbers(sessions.iter().map(|session| i64::from(session.events())).collect()),
        "depth" => numbers(sessions.iter().map(|session| i64::from(session.depth())).collect()),
        "entry_page" => {
            let labels: Vec<u32> = sessions.iter().map(|it| tape.label(it.first_step as usize)).collect();
            tape.names.column(&labels)?
        }
        "exit_page" => {
            let labels: Vec<u32> = sessions.iter().map(|it| tape.label(it.end_step as usize - 1)).collect();
            tape.names.column(&labels)?
        }
        "is_bounce" => truths(sessions.iter().map(|session| session.depth() == 1)),
        "state" => {
            let states = sessions.iter().map(|session| {
                if closed(tape, session) {
                    "CLOSED"
                } else if session.events() > 1 {
                    "ACTIVE"
                } else {
                    "OPEN"
                }
            });
            Arc::new(StringArray::from_iter_values(states))
        }
        "ended_by" => {
            let by = sessions.iter().map(|session| match session.ended_by {
                EndedBy::Nothing if closed(tape, session) => EndedBy::Gap.name(),
                by => by.name(),
            });
            Arc::new(by.collect::<StringArray>())
        }
        "is_terminal" => truths(sessions.iter().map(|it| tape.terminal.has(tape.label(it.end_step as usize - 1)))),
        "left_censored" => {
            let edge = tape.facts.first_ts.saturating_add(tape.facts.settings.rules.gap);
            truths(sessions.iter().map(|session| started(session) <= edge))
        }
        "right_censored" => truths(sessions.iter().map(|session| !closed(tape, session))),
        "flagged" => truths(sessions.iter().map(|session| session.is_flagged)),
        "source_session_id" => tape.block.take(Column::SourceSessionId, &tape.first_rows())?,
        _ => return Ok(None),
    }))
}

/// Whether nothing can be added to the session any more: something ended it, or the gap has passed.
pub(in crate::engine) fn closed(tape: &Tape<'_>, session: &Session) -> bool {
    let last = tape.block.ts()[session.end_row as usize - 1];
    session.ended_by != EndedBy::Nothing || tape.facts.now.saturating_sub(last) > tape.facts.settings.rules.gap
}
