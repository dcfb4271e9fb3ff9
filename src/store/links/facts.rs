//! What stored events say about who is who: one pass over the columns that tell, a day at a time.
//!
//! Invariants: memory is that of the distinct pairs of a day, and of every fact of those devices on which users
//! interleave that day; parts come in any order.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::fs::File;

use arrow::array::{Array, AsArray, RecordBatch, StringArray};
use arrow::datatypes::TimestampMicrosecondType;
use parquet::arrow::ProjectionMask;
use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;

use super::Linking;
use crate::event::{Column, is_junk};
use crate::identity::{Device, MOST_LINKS, Match, Run, append, join};
use crate::limits;
use crate::privacy::{Key, property};
use crate::store::StoreError;
use crate::store::parquet::part_options;
use crate::store::part::{NewPart, Part};
use crate::time::Day;

/// Rows of events in a file: committed, or about to be.
#[derive(Debug, Clone, Copy)]
pub enum Rows<'a> {
    Live(&'a Part),
    New(&'a NewPart),
    /// What stands for a log-out that was erased: the device, and when (µs).
    LogOut(&'a str, i64),
}

impl Rows<'_> {
    fn day(&self) -> Day {
        match self {
            Self::Live(part) => part.day,
            Self::New(part) => part.day(),
            Self::LogOut(_, ts) => Day::of(*ts),
        }
    }

    fn open(&self) -> Result<Option<File>, StoreError> {
        match self {
            Self::Live(part) => part.open().map(Some),
            Self::New(part) => part.open().map(Some),
            Self::LogOut(..) => Ok(None),
        }
    }

    fn damaged(&self, error: &dyn std::fmt::Display) -> StoreError {
        let path = match self {
            Self::Live(part) => part.path.clone(),
            Self::New(part) => part.tmp_path().to_owned(),
            Self::LogOut(..) => std::path::PathBuf::new(),
        };
        StoreError::DamagedPart { path, check: "rows", detail: error.to_string() }
    }
}

/// Whether a new part may hold a fact.
pub fn may_link(rows: &Rows<'_>, linking: &Linking) -> bool {
    let Rows::New(part) = rows else { return true };
    let has = |column: Column| part.columns.get(column as usize).is_none_or(|stats| stats.values > 0);
    has(Column::AnonymousId) || (!linking.matches.is_empty() && has(Column::Properties))
}

/// What is looked for; everything where there is no such limit.
#[derive(Debug, Clone, Copy)]
pub struct Only<'a> {
    /// Without `anon:`.
    pub devices: &'a HashSet<String>,
    /// Ids whose matches are wanted.
    pub ids: &'a HashSet<String>,
}

/// What events say.
#[derive(Debug, Default)]
pub struct Facts {
    /// Runs by device.
    pub devices: HashMap<String, Vec<Run>>,
    /// First time by hash and id.
    pub matches: HashMap<(String, String), i64>,
}

impl Facts {
    /// As rows of the catalog, in order.
    pub fn into_rows(self) -> (Vec<Device>, Vec<Match>) {
        let mut devices: Vec<Device> = self.devices.into_iter().map(|(id, runs)| Device { id, runs }).collect();
        devices.sort_unstable_by(|a, b| a.id.cmp(&b.id));
        let one = |((hash, distinct_id), since)| Match { hash, distinct_id, since };
        let mut matches: Vec<Match> = self.matches.into_iter().map(one).collect();
        matches.sort_unstable();
        (devices, matches)
    }
}

/// Everything that these rows say.
///
/// # Errors
/// A part cannot be read.
pub fn collect(
    rows: Vec<Rows<'_>>,
    linking: &Linking,
    key: Option<&Key>,
    only: Option<Only<'_>>,
) -> Result<Facts, StoreError> {
    let mut days: BTreeMap<Day, Vec<Rows<'_>>> = BTreeMap::new();
    for rows in rows {
        days.entry(rows.day()).or_default().push(rows);
    }
    let mut facts = Facts::default();
    for files in days.into_values() {
        let mut day = DayFacts { pairs: HashMap::new(), points: None };
        for rows in &files {
            read(rows, linking, key, only, &mut day, &mut facts)?;
        }
        let (clear, mixed) = day.into_runs();
        if !mixed.is_empty() {
            let mut again = DayFacts { pairs: HashMap::new(), points: Some(Vec::new()) };
            let ids = HashSet::new();
            for rows in &files {
                let only = Some(Only { devices: &mixed, ids: &ids });
                read(rows, linking, key, only, &mut again, &mut facts)?;
            }
            let mut points = again.points.unwrap_or_default();
            points.sort_unstable();
            for (device, run) in points {
                facts.add(device, run);
            }
        }
        for (device, runs) in clear {
            for run in runs {
                facts.add(device.clone(), run);
            }
        }
    }
    facts.devices.values_mut().for_each(stop);
    Ok(facts)
}

/// Keeps of a device with too many users no more than tells so: one run of each.
fn stop(runs: &mut Vec<Run>) {
    if runs.len() > MOST_LINKS && has_too_many(runs) {
        let mut seen = HashSet::new();
        runs.retain(|run| !run.out && seen.len() <= MOST_LINKS && seen.insert(run.user.clone()));
    }
}

/// Whether a device has too many users to link.
pub fn has_too_many(runs: &[Run]) -> bool {
    runs.iter().filter(|run| !run.out).map(|run| &run.user).collect::<HashSet<_>>().len() > MOST_LINKS
}

impl Facts {
    fn add(&mut self, device: String, run: Run) {
        append(self.devices.entry(device).or_default(), run);
    }
}

/// What one day says of devices.
struct DayFacts {
    /// First and last time of each user on each device; an empty user: a log-out.
    pairs: HashMap<String, Vec<Run>>,
    /// Every fact by itself, where that is needed.
    points: Option<Vec<(String, Run)>>,
}

impl DayFacts {
    fn see(&mut self, device: &str, run: Run) {
        if let Some(points) = &mut self.points {
            points.push((device.to_owned(), run));
            return;
        }
        let Some(runs) = self.pairs.get_mut(device) else {
            self.pairs.insert(device.to_owned(), vec![run]);
            return;
        };
        let users = runs.len();
        match runs.iter_mut().find(|it| (it.out, &it.user) == (run.out, &run.user)) {
            Some(it) => (it.first, it.last) = (it.first.min(run.first), it.last.max(run.last)),
            // With so many users it stops linking, whoever comes then.
            None if users > MOST_LINKS + 1 => {}
            None => runs.push(run),
        }
    }

    /// The runs of the devices on which nobody interleaves, and the other devices.
    fn into_runs(self) -> (Vec<(String, Vec<Run>)>, HashSet<String>) {
        let mut mixed = HashSet::new();
        let mut clear = Vec::new();
        for (device, runs) in self.pairs {
            match join(runs) {
                Some(runs) => clear.push((device, runs)),
                None => drop(mixed.insert(device)),
            }
        }
        (clear, mixed)
    }
}

const COLUMNS: [Column; 5] = [Column::DistinctId, Column::Ts, Column::Event, Column::RawUserId, Column::AnonymousId];

fn read(
    rows: &Rows<'_>,
    linking: &Linking,
    key: Option<&Key>,
    only: Option<Only<'_>>,
    day: &mut DayFacts,
    facts: &mut Facts,
) -> Result<(), StoreError> {
    let failed = |error: &dyn std::fmt::Display| rows.damaged(error);
    if let Rows::LogOut(device, ts) = *rows
        && only.is_none_or(|only| only.devices.contains(device))
    {
        day.see(device, Run { first: ts, out: true, user: String::new(), last: ts });
    }
    let Some(file) = rows.open()? else { return Ok(()) };
    let builder =
        ParquetRecordBatchReaderBuilder::try_new_with_options(file, part_options()).map_err(|error| failed(&error))?;
    let matched = key.filter(|_| !linking.matches.is_empty());
    let properties = matched.map(|_| Column::Properties.name());
    let names = COLUMNS.iter().map(|column| column.name()).chain(properties);
    let mask = ProjectionMask::columns(builder.parquet_schema(), names);
    let groups = groups_with(&builder, properties.is_some());
    let reader = builder
        .with_projection(mask)
        .with_row_groups(groups)
        .with_batch_size(limits::BATCH_ROWS)
        .build()
        .map_err(|error| failed(&error))?;
    for batch in reader {
        let batch = batch.map_err(|error| failed(&error))?;
        let view = View::of(&batch).ok_or_else(|| failed(&"a column is missing"))?;
        view.devices(linking, only, day);
        if let Some(key) = matched {
            view.matches(linking, key, only, facts);
        }
    }
    Ok(())
}

/// The row groups that may hold a fact.
fn groups_with(builder: &ParquetRecordBatchReaderBuilder<File>, all: bool) -> Vec<usize> {
    let leaf = Column::AnonymousId as usize;
    let groups = builder.metadata().row_groups().iter().enumerate();
    let only_null = |group: &parquet::file::metadata::RowGroupMetaData| {
        let nulls = group.columns().get(leaf).and_then(|column| column.statistics()?.null_count_opt());
        nulls.is_some_and(|nulls| i64::try_from(nulls) == Ok(group.num_rows()))
    };
    groups.filter(|(_, group)| all || !only_null(group)).map(|(at, _)| at).collect()
}

/// The columns of a batch.
struct View<'a> {
    ids: &'a StringArray,
    ts: &'a [i64],
    events: &'a StringArray,
    users: &'a StringArray,
    devices: &'a StringArray,
    properties: Option<&'a StringArray>,
}

impl<'a> View<'a> {
    fn of(batch: &'a RecordBatch) -> Option<Self> {
        let text = |column: Column| batch.column_by_name(column.name())?.as_string_opt::<i32>();
        Some(Self {
            ids: text(Column::DistinctId)?,
            ts: batch.column_by_name(Column::Ts.name())?.as_primitive_opt::<TimestampMicrosecondType>()?.values(),
            events: text(Column::Event)?,
            users: text(Column::RawUserId)?,
            devices: text(Column::AnonymousId)?,
            properties: text(Column::Properties),
        })
    }

    /// The user of a row and its device, where both are.
    fn login(&self, row: usize) -> Option<&'a str> {
        let user = self.users.is_valid(row).then(|| self.users.value(row))?;
        // Where the user is the event's id, it is no junk.
        (self.ids.value(row) == user).then_some(user)
    }

    fn device(&self, row: usize, only: Option<Only<'_>>) -> Option<&'a str> {
        let device = self.devices.is_valid(row).then(|| self.devices.value(row))?;
        let wanted = only.is_none_or(|only| only.devices.contains(device)) && !is_junk(device.as_bytes());
        wanted.then_some(device)
    }

    fn devices(&self, linking: &Linking, only: Option<Only<'_>>, day: &mut DayFacts) {
        let mut row = 0;
        while row < self.ids.len() {
            let Some(device) = self.device(row, only) else {
                row += 1;
                continue;
            };
            let user = self.login(row);
            let mut last = row;
            // A user's rows are in order of time, and mostly of one device.
            if let Some(user) = user.filter(|_| day.points.is_none()) {
                let goes_on = |row: usize| {
                    row < self.ids.len()
                        && self.devices.is_valid(row)
                        && self.devices.value(row) == device
                        && self.login(row) == Some(user)
                };
                while goes_on(last + 1) {
                    last += 1;
                }
            }
            if let Some(user) = user {
                let run = Run { first: self.ts[row], out: false, user: user.to_owned(), last: self.ts[last] };
                day.see(device, run);
            }
            for row in row..=last {
                if self.logs_out(row, linking) {
                    day.see(device, Run { first: self.ts[row], out: true, user: String::new(), last: self.ts[row] });
                }
            }
            row = last + 1;
        }
    }

    fn logs_out(&self, row: usize, linking: &Linking) -> bool {
        !linking.log_outs.is_empty()
            && self.events.is_valid(row)
            && linking.log_outs.contains(&self.events.value(row).to_lowercase())
    }

    fn matches(&self, linking: &Linking, key: &Key, only: Option<Only<'_>>, facts: &mut Facts) {
        let Some(properties) = self.properties else { return };
        for row in 0..self.ids.len() {
            let id = self.ids.value(row);
            let wanted = only.is_none_or(|only| only.ids.contains(id));
            if !wanted || properties.is_null(row) || crate::identity::is_visitor(id) {
                continue;
            }
            let text = properties.value(row).as_bytes();
            for way in &linking.matches {
                let Some(value) = property(way, text) else { continue };
                let Some(value) = crate::identity::normal(&value) else { continue };
                let hash = format!("{:032x}", key.hash(crate::privacy::Kind::Match, &[value.as_bytes()]));
                let first = facts.matches.entry((hash, id.to_owned())).or_insert(self.ts[row]);
                *first = self.ts[row].min(*first);
            }
        }
    }
}
