//! What was typed becomes the list of inputs: files, globs, folders, `-`.
//!
//! ```text
//! access.log          one file, by name: it must be readable and must fit
//! 'logs/*.log'        every match, sorted
//! logs/               every file below, sorted by path; hidden ones and stores of journeyql are passed over
//! -                   standard input
//! ```
//!
//! Deliberately not here: opening (`plain.rs`). A file found in a folder that turns out to be no log is passed over
//! with a note (`listed`), one named by hand is an error.

use std::fs::File;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::cut::Cut;
use crate::ingest::error::IngestError;

/// Folders below a folder.
const DEPTH: usize = 32;

/// Where bytes come from.
#[derive(Debug, Clone)]
pub enum Origin {
    /// A regular file, which can be read again.
    File(PathBuf),
    /// A pipe or device with a name, which can be read once.
    Pipe(PathBuf),
    Stdin,
    /// A stream that was put aside; its plain text can be read again.
    Spool(Arc<File>),
    /// A file that is followed.
    Followed(Cut),
}

impl Origin {
    /// What tells two inputs apart; `None` where nothing does.
    fn path(&self) -> Option<&Path> {
        match self {
            Self::File(path) | Self::Pipe(path) => Some(path),
            Self::Stdin => Some(Path::new("-")),
            Self::Spool(_) | Self::Followed(_) => None,
        }
    }

    /// Whether it can be read again from its start.
    pub fn is_rereadable(&self) -> bool {
        matches!(self, Self::File(_) | Self::Followed(_))
    }

    /// Whether a last record without newline waits for its newline.
    pub fn holds(&self) -> bool {
        matches!(self, Self::Followed(Cut { hold: true, .. }))
    }
}

/// One input.
#[derive(Debug, Clone)]
pub struct Input {
    pub origin: Origin,
    /// As a person would name it.
    pub name: String,
    /// Bytes on disk; 0 where nobody knows.
    pub bytes: u64,
    /// Found by listing, not named: it may turn out to be no log.
    pub listed: bool,
}

/// All inputs in order, each file once.
///
/// # Errors
/// Nothing there, nothing matches, no permission, or a folder without files.
pub fn expand(typed: &[String]) -> Result<Vec<Input>, IngestError> {
    let mut inputs: Vec<Input> = Vec::new();
    for text in typed {
        if text == "-" {
            inputs.push(Input { origin: Origin::Stdin, name: "stdin".to_owned(), bytes: 0, listed: false });
        } else if Path::new(text).exists() {
            path(Path::new(text), false, &mut inputs)?;
        } else if text.contains(['*', '?', '[']) {
            pattern(text, &mut inputs)?;
        } else {
            return Err(missing(Path::new(text)));
        }
    }
    let mut seen = std::collections::HashSet::new();
    inputs.retain(|input| input.origin.path().is_none_or(|path| seen.insert(path.to_owned())));
    if inputs.is_empty() { Err(IngestError::NothingNamed) } else { Ok(inputs) }
}

fn pattern(text: &str, inputs: &mut Vec<Input>) -> Result<(), IngestError> {
    let broken = |error: glob::PatternError| IngestError::Pattern { pattern: text.to_owned(), why: error.msg };
    let mut found = false;
    for entry in glob::glob(text).map_err(broken)? {
        let matched = entry.map_err(|error| IngestError::read(error.path(), error.error()))?;
        found = true;
        path(&matched, true, inputs)?;
    }
    if found { Ok(()) } else { Err(IngestError::NoMatch { pattern: text.to_owned() }) }
}

fn path(path: &Path, listed: bool, inputs: &mut Vec<Input>) -> Result<(), IngestError> {
    let meta = std::fs::metadata(path).map_err(|error| IngestError::read(path, &error))?;
    if meta.is_dir() {
        let before = inputs.len();
        folder(path, 0, inputs)?;
        return if inputs.len() > before || listed {
            Ok(())
        } else {
            Err(IngestError::EmptyFolder { path: path.to_owned() })
        };
    }
    let name = path.display().to_string();
    let origin = if meta.is_file() { Origin::File(path.to_owned()) } else { Origin::Pipe(path.to_owned()) };
    inputs.push(Input { origin, name, bytes: if meta.is_file() { meta.len() } else { 0 }, listed });
    Ok(())
}

fn folder(dir: &Path, depth: usize, inputs: &mut Vec<Input>) -> Result<(), IngestError> {
    // A store may lie in the folder of the logs; its files are no input.
    if depth > DEPTH || dir.join("catalog.sqlite").exists() {
        return Ok(());
    }
    let listing = std::fs::read_dir(dir).map_err(|error| IngestError::read(dir, &error))?;
    let mut entries = listing.collect::<io::Result<Vec<_>>>().map_err(|error| IngestError::read(dir, &error))?;
    entries.sort_by_key(std::fs::DirEntry::file_name);
    for entry in entries {
        if entry.file_name().as_encoded_bytes().starts_with(b".") {
            continue;
        }
        let kind = entry.file_type().map_err(|error| IngestError::read(&entry.path(), &error))?;
        if kind.is_dir() {
            folder(&entry.path(), depth + 1, inputs)?;
        } else if kind.is_file() || (kind.is_symlink() && entry.path().is_file()) {
            path(&entry.path(), true, inputs)?;
        }
    }
    Ok(())
}

/// No such file, with the name beside it that is most alike.
fn missing(path: &Path) -> IngestError {
    let dir = path.parent().filter(|dir| !dir.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let wanted = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
    let mut best: Option<(f64, String)> = None;
    for entry in std::fs::read_dir(dir).into_iter().flatten().flatten() {
        let name = entry.file_name().to_string_lossy().into_owned();
        let score = strsim::jaro_winkler(&wanted, &name);
        if score > 0.8 && best.as_ref().is_none_or(|(other, _)| score > *other) {
            best = Some((score, name));
        }
    }
    let beside = if dir == Path::new(".") { PathBuf::new() } else { dir.to_owned() };
    let suggestion = best.map(|(_, name)| beside.join(name).display().to_string());
    IngestError::NotFound { path: path.to_owned(), suggestion }
}

#[cfg(test)]
#[expect(clippy::disallowed_methods, reason = "tests make their own input files")]
mod tests {
    use super::*;

    fn names(inputs: &[Input], root: &Path) -> Vec<String> {
        let strip = |input: &Input| input.name.trim_start_matches(&format!("{}/", root.display())).to_owned();
        inputs.iter().map(strip).collect()
    }

    #[test]
    fn folders_globs_and_names() {
        let root = tempfile::tempdir().unwrap();
        for dir in ["logs/b", "logs/store", "empty"] {
            std::fs::create_dir_all(root.path().join(dir)).unwrap();
        }
        for file in ["logs/z.log", "logs/b/a.log", "logs/.hidden", "logs/store/catalog.sqlite", "logs/store/x.parquet"]
        {
            std::fs::write(root.path().join(file), "x").unwrap();
        }
        let typed = |text: &str| vec![format!("{}/{text}", root.path().display())];
        assert_eq!(names(&expand(&typed("logs")).unwrap(), root.path()), ["logs/b/a.log", "logs/z.log"]);
        assert_eq!(names(&expand(&typed("logs/*.log")).unwrap(), root.path()), ["logs/z.log"]);
        let twice = [typed("logs/z.log"), typed("logs/*.log")].concat();
        assert_eq!(names(&expand(&twice).unwrap(), root.path()), ["logs/z.log"]);
        assert!(matches!(expand(&typed("empty")), Err(IngestError::EmptyFolder { .. })));
        assert!(matches!(expand(&typed("*.nothing")), Err(IngestError::NoMatch { .. })));
        assert!(matches!(expand(&[]), Err(IngestError::NothingNamed)));
        let error = expand(&typed("logs/zz.log")).unwrap_err().to_string();
        assert!(error.contains("did you mean") && error.contains("logs/z.log"), "{error}");
    }
}
