//! What can go wrong on the way from bytes to a commit, said so that a person knows what to do next.

use std::io;
use std::path::{Path, PathBuf};

use thiserror::Error;

use crate::parse::FormatError;
use crate::store::StoreError;

/// Why an ingest did not happen, or did not happen for one input.
#[derive(Debug, Error)]
pub enum IngestError {
    #[error("nothing to ingest – name a file, a glob, a folder, or - for standard input")]
    NothingNamed,
    #[error("no such file: {}{}", path.display(), suggest(suggestion.as_deref()))]
    NotFound { path: PathBuf, suggestion: Option<String> },
    #[error("no permission to read {} – check its owner and mode: ls -l '{}'", path.display(), path.display())]
    Permission { path: PathBuf },
    #[error("cannot read {}: {source}", path.display())]
    Read { path: PathBuf, source: io::Error },
    #[error("no file matches '{pattern}'")]
    NoMatch { pattern: String },
    #[error("'{pattern}' is no pattern: {why}")]
    Pattern { pattern: String, why: &'static str },
    #[error("no files in the folder {}", path.display())]
    EmptyFolder { path: PathBuf },
    #[error(
        "no logs in what was named: {} – --format NAME reads a file in a given format, `journeyql formats` lists them",
        list(skipped)
    )]
    NoLogs { skipped: Vec<String> },
    #[error("{name} is empty – nothing to ingest")]
    Empty { name: String },
    #[error("{name} is packed in a way that is not read here – unpack it: {tool} '{name}' | journeyql ingest -")]
    Packing { name: String, tool: &'static str },
    #[error("{name}: {source}")]
    Format { name: String, source: FormatError },
    #[error("{name}: cannot read this Parquet file: {why}")]
    Parquet { name: String, why: String },
    #[error("{0}")]
    Config(String),
    #[error("interrupted – nothing of the unfinished input was kept, what was committed before stays")]
    Interrupted,
    #[error("{name}: the lines do not add up ({detail}) – nothing was committed; this is a bug, please report it")]
    Conservation { name: String, detail: String },
    #[error("{name} was ingested by a newer journeyql – its state cannot be continued here")]
    State { name: String },
    #[error("{name}: another input has read on in the same log – follow it once, as a file or as a stream")]
    Overtaken { name: String },
    #[error("{name} changed while it was read – nothing was kept of it; try again")]
    Changed { name: String },
    #[error("lines of more than 65 536 sources – choose fewer, by days or by --source")]
    ManySources,
    #[error(
        "cannot read again: {} – a source is read again from the file that it was last seen as, with the bytes that were ingested; put that back, or leave --from-source out; nothing was changed",
        list(names)
    )]
    SourceGone { names: Vec<String> },
    #[error(transparent)]
    Store(#[from] StoreError),
    #[error("cannot build the rows: {0}")]
    Arrow(#[from] arrow::error::ArrowError),
    #[error("cannot read back a part: {0}")]
    Part(#[from] parquet::errors::ParquetError),
    #[error("a thread of the ingest failed – nothing of the unfinished input was kept")]
    Thread,
}

impl IngestError {
    /// An operating system's error about a path.
    #[must_use]
    pub fn read(path: &Path, error: &io::Error) -> Self {
        let path = path.to_owned();
        match error.kind() {
            io::ErrorKind::NotFound => Self::NotFound { path, suggestion: None },
            io::ErrorKind::PermissionDenied => Self::Permission { path },
            kind => Self::Read { path, source: io::Error::new(kind, error.to_string()) },
        }
    }

    /// About one input alone: others may still go in.
    #[must_use]
    pub fn is_about_one_input(&self) -> bool {
        matches!(
            self,
            Self::NotFound { .. }
                | Self::Permission { .. }
                | Self::Read { .. }
                | Self::Empty { .. }
                | Self::Packing { .. }
                | Self::Format { .. }
                | Self::Parquet { .. }
                | Self::State { .. }
                | Self::Overtaken { .. }
        )
    }
}

fn suggest(suggestion: Option<&str>) -> String {
    suggestion.map(|name| format!(" – did you mean '{name}'?")).unwrap_or_default()
}

/// The first few, and how many more.
fn list(texts: &[String]) -> String {
    let shown = texts.iter().take(3).cloned().collect::<Vec<_>>().join("; ");
    if texts.len() > 3 { format!("{shown}; and {} more", texts.len() - 3) } else { shown }
}
