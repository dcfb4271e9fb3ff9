//! Events on disk and a context over them, for the tests of this room.

use std::sync::Arc;

use arrow::array::{
    ArrayRef, BooleanArray, Date32Array, Int16Array, Int64Array, RecordBatch, StringArray, TimestampMicrosecondArray,
    new_null_array,
};
use arrow::util::pretty::pretty_format_batches;
use datafusion::error::Result;
use datafusion::execution::SessionStateBuilder;
use datafusion::prelude::{SessionConfig, SessionContext};
use parquet::arrow::ArrowWriter;
use tempfile::NamedTempFile;

use super::{TableFunctions, register};
use crate::config::Config;
use crate::engine::scan::PartFile;
use crate::engine::settings::Settings;
use crate::engine::source::Source;
use crate::event::{self, Column};
use crate::time::Day;

/// One event: person, time in µs, page, event name, source session.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::engine) struct Hit {
    pub user: String,
    pub ts: i64,
    pub page: Option<String>,
    pub event: Option<String>,
    pub session: Option<String>,
}

impl Hit {
    pub(in crate::engine) fn page(user: &str, ts: i64, page: &str) -> Self {
        Self { user: user.to_owned(), ts, page: Some(page.to_owned()), event: None, session: None }
    }
}

/// Events as parts of days; the order of equal times is the order in which they were given.
#[derive(Debug)]
pub(in crate::engine) struct Events {
    files: Vec<NamedTempFile>,
    parts: Vec<PartFile>,
}

impl Events {
    pub(in crate::engine) fn new(hits: &[Hit]) -> Self {
        let mut rows: Vec<(usize, &Hit)> = hits.iter().enumerate().collect();
        rows.sort_by_key(|(no, hit)| (Day::of(hit.ts), hit.user.clone(), hit.ts, *no));
        let (files, parts) = rows.chunk_by(|a, b| Day::of(a.1.ts) == Day::of(b.1.ts)).map(write_part).unzip();
        Self { files, parts }
    }

    /// The parts, for as long as the events live.
    pub(in crate::engine) fn parts(&self) -> Vec<Arc<PartFile>> {
        self.parts.iter().cloned().map(Arc::new).collect()
    }
}

fn write_part(rows: &[(usize, &Hit)]) -> (NamedTempFile, PartFile) {
    let schema = event::events();
    let day = Day::of(rows[0].1.ts);
    let text = |of: fn(&Hit) -> Option<&String>| -> ArrayRef {
        Arc::new(rows.iter().map(|(_, hit)| of(hit)).collect::<StringArray>())
    };
    let columns: Vec<ArrayRef> = Column::ALL
        .iter()
        .map(|&column| match column {
            Column::Day => Arc::new(Date32Array::from(vec![day.0; rows.len()])) as ArrayRef,
            Column::DistinctId => text(|hit| Some(&hit.user)),
            Column::Ts => Arc::new(
                TimestampMicrosecondArray::from_iter_values(rows.iter().map(|(_, hit)| hit.ts)).with_timezone("UTC"),
            ),
            Column::Event => text(|hit| hit.event.as_ref()),
            Column::Page => text(|hit| hit.page.as_ref()),
            Column::SourceSessionId => text(|hit| hit.session.as_ref()),
            Column::IsStep => Arc::new(BooleanArray::from(vec![true; rows.len()])),
            Column::Status => Arc::new(Int16Array::from(vec![200; rows.len()])),
            Column::SourceId => Arc::new(StringArray::from(vec!["00000000000000aa"; rows.len()])),
            Column::SourceOffset => {
                Arc::new(rows.iter().map(|(no, _)| i64::try_from(*no).ok()).collect::<Int64Array>())
            }
            other => new_null_array(schema.field(other as usize).data_type(), rows.len()),
        })
        .collect();
    let batch = RecordBatch::try_new(Arc::clone(&schema), columns).unwrap();
    let file = NamedTempFile::new().unwrap();
    let mut writer = ArrowWriter::try_new(file.reopen().unwrap(), schema, None).unwrap();
    writer.write(&batch).unwrap();
    writer.close().unwrap();
    let part = PartFile {
        path: file.path().to_owned(),
        day,
        rows: rows.len() as u64,
        bytes: file.as_file().metadata().unwrap().len(),
        ts_min: rows.iter().map(|(_, hit)| hit.ts).min().unwrap(),
        ts_max: rows.iter().map(|(_, hit)| hit.ts).max().unwrap(),
        hidden: Arc::default(),
        memory: None,
    };
    (file, part)
}

/// A session over events with our settings and functions; the files live as long.
pub(super) struct Stage {
    _files: Vec<NamedTempFile>,
    pub context: SessionContext,
}

/// A session over these events.
pub(super) fn stage(events: Events, settings: Settings) -> Stage {
    let source = Source::new(Arc::new(Config::default()), 1, events.parts, None, Arc::default());
    let mut config = SessionConfig::new().with_target_partitions(2);
    config.options_mut().extensions.insert(settings);
    let mut state = SessionStateBuilder::new()
        .with_config(config)
        .with_default_features()
        .with_query_planner(Arc::new(super::RowPatterns))
        .with_relation_planners(vec![Arc::new(TableFunctions::new(Arc::new(source)))])
        .build();
    register(&mut state).unwrap();
    Stage { _files: events.files, context: SessionContext::new_with_state(state) }
}

/// The answer of a statement as a table, or its error as text.
pub(super) fn run(context: &SessionContext, sql: &str) -> Result<String, String> {
    let answer = async {
        let plan = context.state().create_logical_plan(sql).await?;
        context.execute_logical_plan(plan).await?.collect().await
    };
    let batches: Vec<RecordBatch> =
        tokio::runtime::Runtime::new().unwrap().block_on(answer).map_err(|error| error.to_string())?;
    Ok(pretty_format_batches(&batches).unwrap().to_string())
}
