//! Key columns as dense codes, and codes back as columns.

use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray, BooleanArray, Int64Array, StringArray, StringBuilder, StringViewArray};
use arrow::compute::cast;
use arrow::datatypes::{DataType, Int32Type, Int64Type, UInt32Type};
use datafusion::common::{Result, exec_err, internal_err};
use hashbrown::HashMap;

use crate::engine::operators::Legend;
use crate::engine::relations::journeys::{path_id, path_text};
use crate::engine::scan::{NONE, Names};

/// Numbers up to this have their own table; others are hashed.
const SMALL: usize = 1 << 16;

/// What a key column holds, decided when the plan is made.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum KeyKind {
    Text,
    Boolean,
    /// Whole numbers, days, times.
    Number,
    /// `path` of journeys, as the reader's number.
    Path,
    /// `path_id` of journeys, as the reader's number.
    PathId,
}

impl KeyKind {
    /// The kind of the same column with paths spelled out.
    pub(super) const fn spelled(self) -> Self {
        match self {
            Self::Path => Self::Text,
            other => other,
        }
    }

    /// The kind for a column of this type; `None`: not for us.
    pub(super) fn of(kind: &DataType) -> Option<Self> {
        match kind {
            DataType::Dictionary(key, value) if **key == DataType::Int32 && **value == DataType::Utf8 => {
                Some(Self::Text)
            }
            DataType::Utf8 | DataType::Utf8View => Some(Self::Text),
            DataType::Boolean => Some(Self::Boolean),
            DataType::Int8
            | DataType::Int16
            | DataType::Int32
            | DataType::Int64
            | DataType::Date32
            | DataType::Timestamp(..) => Some(Self::Number),
            _ => None,
        }
    }
}

/// One key column of one reader: values seen so far and their codes. NULL is a value like any other.
#[derive(Debug)]
pub(super) struct Key {
    kind: KeyKind,
    names: Names,
    /// The dictionary that `remap` was made for, kept so that its address stays its own.
    seen: Option<StringArray>,
    remap: Vec<u32>,
    small: Vec<u32>,
    large: HashMap<i64, u32, foldhash::fast::RandomState>,
    numbers: Vec<i64>,
    /// What a path's number means, once the reader has finished.
    legend: Arc<Legend>,
}

const UNKNOWN: u32 = u32::MAX;

impl Key {
    pub(super) fn new(kind: KeyKind) -> Self {
        Self {
            kind,
            names: Names::default(),
            seen: None,
            remap: Vec::new(),
            small: Vec::new(),
            large: HashMap::default(),
            numbers: vec![0],
            legend: Arc::default(),
        }
    }

    /// Whether the column is one of paths.
    pub(super) fn is_path(&self) -> bool {
        matches!(self.kind, KeyKind::Path | KeyKind::PathId)
    }

    /// Says what the numbers of a path column mean.
    pub(super) fn set_legend(&mut self, legend: &Arc<Legend>) {
        if self.is_path() {
            self.legend = Arc::clone(legend);
        }
    }

    /// Whether paths could be told apart by their numbers and yet read the same, because a label holds an arrow.
    pub(super) fn is_ambiguous(&self) -> bool {
        let names = &self.legend.names;
        let codes = 1..u32::try_from(names.len()).unwrap_or(u32::MAX);
        self.kind == KeyKind::Path && codes.map(|code| names.text(code)).any(|text| text.contains(" > ") || text == "…")
    }

    /// The codes of a column's rows.
    pub(super) fn codes(&mut self, column: &ArrayRef, out: &mut Vec<u32>) -> Result<()> {
        out.clear();
        match self.kind {
            KeyKind::Path | KeyKind::PathId => match column.as_primitive_opt::<UInt32Type>() {
                Some(codes) => out.extend(codes.values()),
                None => return internal_err!("a path is not coded"),
            },
            KeyKind::Boolean => match column.as_boolean_opt() {
                Some(values) => out.extend(values.iter().map(|value| value.map_or(0, |it| 1 + u32::from(it)))),
                None => return internal_err!("a key is not Boolean"),
            },
            KeyKind::Number => {
                let wide = cast(column, &DataType::Int64)?;
                let wide = wide.as_primitive::<Int64Type>();
                out.reserve(wide.len());
                for value in wide {
                    out.push(value.map_or(NONE, |value| self.number(value)));
                }
            }
            KeyKind::Text => self.texts(column, out)?,
        }
        Ok(())
    }

    fn number(&mut self, value: i64) -> u32 {
        let fresh = u32::try_from(self.numbers.len()).unwrap_or(UNKNOWN);
        let code = match usize::try_from(value) {
            Ok(at) if at < SMALL => {
                if at >= self.small.len() {
                    self.small.resize((at + 1).next_power_of_two(), UNKNOWN);
                }
                let code = &mut self.small[at];
                if *code == UNKNOWN {
                    *code = fresh;
                }
                *code
            }
            _ => *self.large.entry(value).or_insert(fresh),
        };
        if code == fresh {
            self.numbers.push(value);
        }
        code
    }

    fn texts(&mut self, column: &ArrayRef, out: &mut Vec<u32>) -> Result<()> {
        if let Some(codes) = column.as_any_dictionary_opt().and_then(|_| column.as_dictionary_opt::<Int32Type>()) {
            let Some(values) = codes.values().as_string_opt::<i32>() else {
                return internal_err!("a key is no text");
            };
            self.follow(values);
            let place = |key: i32| usize::try_from(key).unwrap_or(usize::MAX);
            if codes.keys().null_count() == 0 {
                out.extend(codes.keys().values().iter().map(|&key| self.remapped(values, place(key))));
            } else {
                out.extend(codes.keys().iter().map(|key| key.map_or(NONE, |key| self.remapped(values, place(key)))));
            }
        } else if let Some(texts) = column.as_string_opt::<i32>() {
            out.extend(texts.iter().map(|text| text.map_or(NONE, |text| self.names.code(text))));
        } else if let Some(texts) = column.as_string_view_opt() {
            out.extend(texts.iter().map(|text| text.map_or(NONE, |text| self.names.code(text))));
        } else {
            return internal_err!("a key is no text");
        }
        if self.names.is_full() {
            return exec_err!("more than 2 GiB of distinct text in one key");
        }
        Ok(())
    }

    fn follow(&mut self, values: &StringArray) {
        let same = |seen: &StringArray| {
            seen.len() == values.len()
                && seen.value_offsets().as_ptr() == values.value_offsets().as_ptr()
                && seen.value_data().as_ptr() == values.value_data().as_ptr()
        };
        if !self.seen.as_ref().is_some_and(same) {
            self.remap.clear();
            self.remap.resize(values.len(), UNKNOWN);
            self.seen = Some(values.clone());
        }
    }

    /// Only texts that a row has become codes: a dictionary may hold many that a filter left out.
    fn remapped(&mut self, values: &StringArray, at: usize) -> u32 {
        let Some(&known) = self.remap.get(at) else { return NONE };
        if known != UNKNOWN {
            return known;
        }
        let code = if values.is_null(at) { NONE } else { self.names.code(values.value(at)) };
        self.remap[at] = code;
        code
    }

    /// The codes of another reader's column as codes of this one; afterwards both mean the same.
    pub(super) fn adopt(&mut self, other: &Self, codes: &[u32]) -> Vec<u32> {
        let mut known: HashMap<u32, u32, foldhash::fast::RandomState> = HashMap::default();
        let mut labels: Vec<u32> = Vec::new();
        codes
            .iter()
            .map(|&code| *known.entry(code).or_insert_with(|| self.adopt_one(other, code, &mut labels)))
            .collect()
    }

    fn adopt_one(&mut self, other: &Self, code: u32, labels: &mut Vec<u32>) -> u32 {
        match (self.kind, other.kind) {
            (KeyKind::Boolean, _) => code,
            (KeyKind::Number, _) if code == NONE => NONE,
            (KeyKind::Number, _) => self.number(other.numbers[code as usize]),
            (KeyKind::Text, KeyKind::Path) => {
                let mut text = String::new();
                path_text(&other.legend.paths, code, &other.legend.names, &mut text);
                self.names.code(&text)
            }
            (KeyKind::Text, _) if code == NONE => NONE,
            (KeyKind::Text, _) => self.names.code(other.names.text(code)),
            (KeyKind::Path | KeyKind::PathId, _) => {
                let theirs = &other.legend;
                let own = Arc::make_mut(&mut self.legend);
                labels.clear();
                for &label in theirs.paths.labels(code) {
                    labels.push(if label == NONE { NONE } else { own.names.code(theirs.names.text(label)) });
                }
                own.paths.code(labels.iter().copied(), theirs.paths.is_cut(code))
            }
        }
    }

    /// The column of these codes in the type that the plan promised.
    pub(super) fn column(&mut self, codes: &[u32], kind: &DataType) -> Result<ArrayRef> {
        let made: ArrayRef = match self.kind {
            KeyKind::Boolean => {
                Arc::new(codes.iter().map(|&code| (code != 0).then_some(code == 2)).collect::<BooleanArray>())
            }
            KeyKind::Number => {
                let values = codes.iter().map(|&code| (code != NONE).then(|| self.numbers[code as usize]));
                Arc::new(values.collect::<Int64Array>())
            }
            KeyKind::Text if matches!(kind, DataType::Dictionary(..)) => self.names.column(codes)?,
            KeyKind::Text if *kind == DataType::Utf8View => {
                let texts = codes.iter().map(|&code| (code != NONE).then(|| self.names.text(code)));
                Arc::new(texts.collect::<StringViewArray>())
            }
            KeyKind::Text => {
                let texts = codes.iter().map(|&code| (code != NONE).then(|| self.names.text(code)));
                Arc::new(texts.collect::<StringArray>())
            }
            KeyKind::Path => {
                let mut texts = StringBuilder::new();
                let mut text = String::new();
                for &code in codes {
                    text.clear();
                    path_text(&self.legend.paths, code, &self.legend.names, &mut text);
                    texts.append_value(&text);
                }
                Arc::new(texts.finish())
            }
            KeyKind::PathId => {
                let Legend { names, paths } = self.legend.as_ref();
                let ids =
                    codes.iter().map(|&code| path_id(paths.labels(code).iter().copied(), paths.is_cut(code), names));
                Arc::new(StringArray::from_iter_values(ids))
            }
        };
        if made.data_type() == kind { Ok(made) } else { Ok(cast(&made, kind)?) }
    }

    /// Bytes held.
    pub(super) fn size(&self) -> usize {
        self.names.size()
            + self.remap.capacity() * 4
            + self.small.capacity() * 4
            + self.large.capacity() * 17
            + self.numbers.capacity() * 8
    }
}
