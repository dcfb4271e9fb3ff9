//! `steps`: a row per step, in order, session by session.

use arrow::array::ArrayRef;
use arrow::datatypes::DataType;
use datafusion::common::Result;

use crate::engine::scan::{NONE, text_codes};
use crate::event::{Column, utc_micros};
use crate::journey::Session;

use super::ColumnDef;
use super::arrays::{numbers, seconds, shared, stamps, times, truths};
use super::tape::Tape;

/// The columns in order. `page` and its neighbours are pages (NULL for an event step), `step` and its are labels.
pub(super) fn columns() -> Vec<ColumnDef> {
    vec![
        ("user_id", text_codes(), false),
        ("session_id", text_codes(), false),
        ("session_start", utc_micros(), false),
        ("step_index", DataType::Int64, false),
        ("ts", utc_micros(), false),
        ("last_ts", utc_micros(), false),
        ("page", text_codes(), true),
        ("event", text_codes(), true),
        ("repeats", DataType::Int64, false),
        ("prev_page", text_codes(), true),
        ("next_page", text_codes(), true),
        ("dwell_s", DataType::Float64, true),
        ("is_entry", DataType::Boolean, false),
        ("is_exit", DataType::Boolean, false),
        ("step", text_codes(), true),
        ("prev_step", text_codes(), true),
        ("next_step", text_codes(), true),
        ("is_view", DataType::Boolean, false),
        ("is_terminal", DataType::Boolean, false),
        ("session_index", DataType::Int64, false),
        ("method", text_codes(), true),
        ("status", DataType::Int16, true),
        ("referrer", DataType::Utf8View, true),
        ("source_session_id", text_codes(), true),
        ("properties", DataType::Utf8View, true),
        ("anonymous_id", DataType::Utf8View, true),
        ("user_agent", DataType::Utf8View, true),
    ]
}

/// Builds a column; `None` if there is none of that name.
pub(super) fn column(name: &str, coded: bool, tape: &mut Tape<'_>) -> Result<Option<ArrayRef>> {
    let steps = 0..tape.walk.steps.len();
    Ok(Some(match name {
        "user_id" if coded => {
            let base = tape.person_base;
            stamps(per_step(tape, |session| base + u64::from(session.person)))
        }
        "user_id" => {
            let people = per_step(tape, |session| session.person);
            shared(people.into_iter(), tape.user_ids())?
        }
        "session_id" if coded => {
            let base = tape.session_base;
            stamps(tape.owners().iter().map(|&owner| base + u64::from(owner)).collect())
        }
        "session_id" => {
            let ids = tape.session_ids()?;
            shared(tape.owners().iter().copied(), ids)?
        }
        "session_start" => {
            let ts = tape.block.ts();
            times(per_step(tape, |session| ts[session.first_row as usize]))
        }
        "session_index" => numbers(per_step(tape, |session| i64::from(session.index))),
        "step_index" => {
            let mut out = Vec::with_capacity(steps.len());
            tape.sessions().iter().for_each(|session| out.extend(1..=i64::from(session.depth())));
            numbers(out)
        }
        "ts" => times(steps.map(|step| tape.ts(step)).collect()),
        "last_ts" => {
            let (ts, walk) = (tape.block.ts(), tape.walk);
            times(each(tape, |session, step| ts[walk.step_end(session, step) as usize - 1]))
        }
        "repeats" => {
            let walk = tape.walk;
            numbers(each(tape, |session, step| i64::from(walk.step_end(session, step) - walk.steps[step])))
        }
        "dwell_s" => seconds(&tape.dwells().0),
        "is_view" => truths(tape.dwells().1.iter().copied()),
        "is_terminal" => truths(steps.map(|step| tape.terminal.has(tape.label(step)))),
        "is_entry" => truths(each(tape, |session, step| step == session.first_step as usize)),
        "is_exit" => truths(each(tape, |session, step| step + 1 == session.end_step as usize)),
        "step" | "prev_step" | "next_step" => {
            let labels = shifted(tape, name, Tape::label);
            tape.names.column(&labels)?
        }
        "page" | "prev_page" | "next_page" => {
            let labels = shifted(tape, name, |tape, step| if tape.is_view(step) { tape.label(step) } else { NONE });
            tape.names.column(&labels)?
        }
        "event" => {
            let labels: Vec<u32> = tape.step_rows().iter().map(|&row| tape.block.events()[row as usize]).collect();
            tape.names.column(&labels)?
        }
        "method" => tape.block.take(Column::Method, tape.step_rows())?,
        "status" => tape.block.take(Column::Status, tape.step_rows())?,
        "referrer" => tape.block.take(Column::Referrer, tape.step_rows())?,
        "source_session_id" => tape.block.take(Column::SourceSessionId, tape.step_rows())?,
        "properties" => tape.block.take(Column::Properties, tape.step_rows())?,
        "anonymous_id" => tape.block.take(Column::AnonymousId, tape.step_rows())?,
        "user_agent" => tape.block.take(Column::UserAgent, tape.step_rows())?,
        _ => return Ok(None),
    }))
}

/// A value of the session, once per step.
pub(super) fn per_step<T: Copy>(tape: &Tape<'_>, value: impl Fn(&Session) -> T) -> Vec<T> {
    let mut out = Vec::with_capacity(tape.walk.steps.len());
    for session in tape.sessions() {
        out.extend(std::iter::repeat_n(value(session), session.depth() as usize));
    }
    out
}

/// A value of every step and its session.
fn each<T>(tape: &Tape<'_>, value: impl Fn(&Session, usize) -> T) -> Vec<T> {
    let mut out = Vec::with_capacity(tape.walk.steps.len());
    for session in tape.sessions() {
        out.extend(session.step_range().map(|step| value(session, step)));
    }
    out
}

/// A code of the step itself, of the one before or of the one after in its session, by the column's prefix.
fn shifted<'a>(tape: &Tape<'a>, name: &str, code: impl Fn(&Tape<'a>, usize) -> u32) -> Vec<u32> {
    let own: Vec<u32> = (0..tape.walk.steps.len()).map(|step| code(tape, step)).collect();
    if name.starts_with("prev") {
        each(tape, |session, step| if step == session.first_step as usize { NONE } else { own[step - 1] })
    } else if name.starts_with("next") {
        each(tape, |session, step| if step + 1 == session.end_step as usize { NONE } else { own[step + 1] })
    } else {
        own
    }
}
