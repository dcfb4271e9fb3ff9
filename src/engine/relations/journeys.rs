//! `journeys`: a row per session with its whole path.

use std::sync::Arc;

use arrow::array::{ArrayRef, ListArray, StringArray, StringBuilder, UInt32Array};
use arrow::buffer::{OffsetBuffer, ScalarBuffer};
use arrow::datatypes::{DataType, Field};
use datafusion::common::Result;
use xxhash_rust::xxh3::Xxh3;

use crate::engine::scan::{Names, text_codes};
use crate::event::utc_micros;
use crate::journey::Session;
use crate::journey::path::{ARROW, MORE, Paths, spell};
use crate::limits;

use super::ColumnDef;
use super::arrays::{numbers, truths};
use super::sessions;
use super::tape::Tape;

fn list() -> DataType {
    DataType::List(Arc::new(Field::new_list_field(DataType::Utf8, true)))
}

/// The columns in order. `path`, `path_steps`, `path_id` and `truncated` look at the first `journeyql.path_steps`
/// steps (0: all); `pages` and `steps` at all.
pub(super) fn columns() -> Vec<ColumnDef> {
    vec![
        ("session_id", text_codes(), false),
        ("user_id", text_codes(), false),
        ("started_at", utc_micros(), false),
        ("duration_s", DataType::Float64, false),
        ("steps", DataType::Int64, false),
        ("pages", list(), false),
        ("path", DataType::Utf8, false),
        ("truncated", DataType::Boolean, false),
        ("path_steps", DataType::Int64, false),
        ("path_id", DataType::Utf8, false),
        ("ended_at", utc_micros(), false),
        ("events", DataType::Int64, false),
        ("session_index", DataType::Int64, false),
    ]
}

/// Builds a column; `None` if there is none of that name.
pub(super) fn column(name: &str, coded: bool, tape: &mut Tape<'_>) -> Result<Option<ArrayRef>> {
    let all = tape.sessions();
    let looked = usize::try_from(tape.facts.settings.path_steps).unwrap_or(0);
    Ok(Some(match name {
        "steps" => return sessions::column("depth", coded, tape),
        "path_id" if coded => Arc::new(UInt32Array::from(sequence_codes(tape, looked))),
        "path" if coded => Arc::new(UInt32Array::from(shown_codes(tape, looked))),
        "path" => {
            let mut paths = StringBuilder::new();
            let mut text = String::new();
            for session in all {
                text.clear();
                let labels = seen(session, looked).map(|step| tape.names.text(tape.label(step)));
                spell(labels, limits::PATH_STEPS_SHOWN, &mut text);
                paths.append_value(&text);
            }
            Arc::new(paths.finish())
        }
        "path_id" => {
            let ids = all.iter().map(|session| {
                path_id(seen(session, looked).map(|step| tape.label(step)), is_cut(session, looked), tape.names)
            });
            Arc::new(StringArray::from_iter_values(ids))
        }
        "truncated" => truths(
            all.iter().map(|session| is_cut(session, looked) || session.depth() as usize > limits::PATH_STEPS_SHOWN),
        ),
        "path_steps" => numbers(all.iter().map(|session| (seen(session, looked).len() as u64).cast_signed()).collect()),
        "pages" => {
            let mut ends = vec![0i32];
            let mut texts = StringBuilder::new();
            for session in all {
                for step in session.step_range() {
                    texts.append_value(tape.names.text(tape.label(step)));
                }
                ends.push(ends[ends.len() - 1].saturating_add_unsigned(session.depth()));
            }
            let field = Arc::new(Field::new_list_field(DataType::Utf8, true));
            Arc::new(ListArray::try_new(
                field,
                OffsetBuffer::new(ScalarBuffer::from(ends)),
                Arc::new(texts.finish()),
                None,
            )?)
        }
        other => return sessions::column(other, coded, tape),
    }))
}

/// The steps that a path looks at.
fn seen(session: &Session, looked: usize) -> std::ops::Range<usize> {
    let steps = session.step_range();
    if looked == 0 { steps } else { steps.start..steps.end.min(steps.start + looked) }
}

fn is_cut(session: &Session, looked: usize) -> bool {
    looked != 0 && session.depth() as usize > looked
}

/// The code of what each path looks at, and whether the session went on.
fn sequence_codes(tape: &mut Tape<'_>, looked: usize) -> Vec<u32> {
    let (labels, steps) = (tape.block.labels(), &tape.walk.steps);
    let mut codes = Vec::with_capacity(tape.sessions().len());
    for session in tape.sessions() {
        let path = seen(session, looked).map(|step| labels[steps[step] as usize]);
        codes.push(tape.paths.code(path, is_cut(session, looked)));
    }
    codes
}

/// The code of what each path shows: its first steps, and whether others follow.
fn shown_codes(tape: &mut Tape<'_>, looked: usize) -> Vec<u32> {
    let (labels, steps) = (tape.block.labels(), &tape.walk.steps);
    let mut codes = Vec::with_capacity(tape.sessions().len());
    for session in tape.sessions() {
        let path = seen(session, looked).map(|step| labels[steps[step] as usize]);
        let more = path.len() > limits::PATH_STEPS_SHOWN;
        codes.push(tape.paths.code(path.take(limits::PATH_STEPS_SHOWN), more));
    }
    codes
}

/// 32 hex digits for a sequence of labels, equal in every reader and every run.
pub(in crate::engine) fn path_id(labels: impl Iterator<Item = u32>, cut: bool, names: &Names) -> String {
    let mut hash = Xxh3::new();
    for label in labels {
        let text = names.text(label);
        hash.update(text.as_bytes());
        hash.update(&[0, u8::from(label == crate::engine::scan::NONE)]);
    }
    hash.update(&[u8::from(cut)]);
    format!("{:032x}", hash.digest128())
}

/// The text of a coded `path`.
pub(in crate::engine) fn path_text(paths: &Paths, code: u32, names: &Names, out: &mut String) {
    spell(paths.labels(code).iter().map(|&label| names.text(label)), limits::PATH_STEPS_SHOWN, out);
    if paths.is_cut(code) {
        out.push_str(ARROW);
        out.push_str(MORE);
    }
}
