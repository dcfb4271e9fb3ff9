//! `edges`: a row per move, from `START` to the first step and from the last step to `EXIT` included.

use arrow::array::ArrayRef;
use arrow::datatypes::DataType;
use datafusion::common::Result;

use crate::engine::scan::text_codes;
use crate::event::utc_micros;
use crate::journey::{Session, UNKNOWN};

use super::ColumnDef;
use super::arrays::{numbers, seconds, shared, stamps, times, truths};
use super::tape::Tape;

/// Where every session comes from.
pub const START: &str = "START";
/// Where every session goes.
pub const EXIT: &str = "EXIT";

/// The columns in order. `step_index` is that of `from_step`: 0 for `START`.
pub(super) fn columns() -> Vec<ColumnDef> {
    vec![
        ("user_id", text_codes(), false),
        ("session_id", text_codes(), false),
        ("session_start", utc_micros(), false),
        ("step_index", DataType::Int64, false),
        ("from_step", text_codes(), true),
        ("to_step", text_codes(), true),
        ("ts", utc_micros(), false),
        ("gap_s", DataType::Float64, true),
        ("is_entry", DataType::Boolean, false),
        ("is_exit", DataType::Boolean, false),
    ]
}

/// Builds a column; `None` if there is none of that name.
pub(super) fn column(name: &str, coded: bool, tape: &mut Tape<'_>) -> Result<Option<ArrayRef>> {
    Ok(Some(match name {
        "user_id" if coded => {
            let base = tape.person_base;
            stamps(per_edge(tape, |_, session| base + u64::from(session.person)))
        }
        "user_id" => {
            let people = per_edge(tape, |_, session| session.person);
            shared(people.into_iter(), tape.user_ids())?
        }
        "session_id" if coded => {
            let base = tape.session_base;
            stamps(per_edge(tape, |number, _| base + u64::from(number)))
        }
        "session_id" => {
            let ids = tape.session_ids()?;
            shared(per_edge(tape, |number, _| number).into_iter(), ids)?
        }
        "session_start" => {
            let ts = tape.block.ts();
            times(per_edge(tape, |_, session| ts[session.first_row as usize]))
        }
        "step_index" => numbers(tape.sessions().iter().flat_map(|it| 0..=i64::from(it.depth())).collect()),
        "from_step" => {
            let start = tape.names.code(START);
            let labels = edges(tape, |_| start, Tape::label, true);
            tape.names.column(&labels)?
        }
        "to_step" => {
            let exit = tape.names.code(EXIT);
            let labels = edges(tape, |_| exit, Tape::label, false);
            tape.names.column(&labels)?
        }
        "ts" => {
            let ts = tape.block.ts();
            times(edges(tape, |session| ts[session.end_row as usize - 1], Tape::ts, false))
        }
        "gap_s" => seconds(&gaps(tape)),
        "is_entry" => truths(edges(tape, |_| true, |_, _| false, true)),
        "is_exit" => truths(edges(tape, |_| true, |_, _| false, false)),
        _ => return Ok(None),
    }))
}

/// A value of the session (and its number), once per move.
fn per_edge<T: Copy>(tape: &Tape<'_>, value: impl Fn(u32, &Session) -> T) -> Vec<T> {
    let mut out = Vec::with_capacity(tape.walk.steps.len() + tape.sessions().len());
    for (number, session) in (0..).zip(tape.sessions()) {
        out.extend(std::iter::repeat_n(value(number, session), session.depth() as usize + 1));
    }
    out
}

/// A value per move: that of the step left (`outer` first) or of the step reached (`outer` last).
fn edges<'a, T>(
    tape: &Tape<'a>,
    outer: impl Fn(&Session) -> T,
    inner: impl Fn(&Tape<'a>, usize) -> T,
    outer_first: bool,
) -> Vec<T> {
    let mut out = Vec::with_capacity(tape.walk.steps.len() + tape.sessions().len());
    for session in tape.sessions() {
        if outer_first {
            out.push(outer(session));
        }
        out.extend(session.step_range().map(|step| inner(tape, step)));
        if !outer_first {
            out.push(outer(session));
        }
    }
    out
}

/// µs between the two steps of a move; unknown for `START` and `EXIT`.
fn gaps(tape: &Tape<'_>) -> Vec<i64> {
    let mut out = Vec::with_capacity(tape.walk.steps.len() + tape.sessions().len());
    for session in tape.sessions() {
        out.push(UNKNOWN);
        let mut last = None;
        for step in session.step_range() {
            let ts = tape.ts(step);
            if let Some(last) = last.replace(ts) {
                out.push(ts - last);
            }
        }
        out.push(UNKNOWN);
    }
    out
}
