//! Where an answer goes: stdout, or a file that appears whole or not at all.
//!
//! Besides the store this is the only place that writes files, and only those that were asked for by name.

use std::fs::{self, File};
use std::io::{self, BufWriter, IsTerminal, Write};
use std::path::{Path, PathBuf};

use super::args::Shape;
use super::context::Context;
use super::failure::Failure;
use crate::output::{self, Format, Look, Writer};

/// A file under way: written beside its place, renamed when complete, removed when given up.
#[derive(Debug)]
pub(super) struct NewFile {
    path: PathBuf,
    /// `None` where the path is no ordinary file (`/dev/null`, a pipe) and is written to as it is.
    partial: Option<PathBuf>,
}

impl NewFile {
    /// Starts a file.
    #[expect(clippy::disallowed_methods, reason = "the user's own file, named on the command line, outside any store")]
    pub(super) fn create(path: &Path) -> Result<(Self, File), Failure> {
        let refuse = |error: io::Error| {
            let failure = Failure::failed(&format!("cannot write {} – {error}", path.display()));
            match path.parent().filter(|parent| !parent.as_os_str().is_empty() && !parent.exists()) {
                Some(parent) => failure.next(format!("mkdir -p {}", parent.display())),
                None => failure,
            }
        };
        if fs::metadata(path).is_ok_and(|found| !found.is_file()) {
            let file = fs::OpenOptions::new().write(true).open(path).map_err(refuse)?;
            return Ok((Self { path: path.to_owned(), partial: None }, file));
        }
        let mut name = path.file_name().unwrap_or_default().to_owned();
        name.push(format!(".{}.partial", std::process::id()));
        let partial = path.with_file_name(name);
        let file = File::create(&partial).map_err(refuse)?;
        Ok((Self { path: path.to_owned(), partial: Some(partial) }, file))
    }

    /// Puts the file in its place.
    #[expect(clippy::disallowed_methods, reason = "the user's own file, named on the command line, outside any store")]
    pub(super) fn keep(mut self) -> Result<(), Failure> {
        let Some(partial) = self.partial.take() else { return Ok(()) };
        fs::rename(&partial, &self.path)
            .map_err(|error| Failure::failed(&format!("cannot write {} – {error}", self.path.display())))
    }
}

impl Drop for NewFile {
    #[expect(clippy::disallowed_methods, reason = "the user's own file, named on the command line, outside any store")]
    fn drop(&mut self) {
        if let Some(partial) = self.partial.take() {
            // What is left of it is named so that nobody takes it for the answer.
            _ = fs::remove_file(partial);
        }
    }
}

/// Makes a folder and its parents.
#[expect(clippy::disallowed_methods, reason = "the user's own folder, named on the command line, outside any store")]
pub(super) fn make_folder(path: &Path) -> Result<(), Failure> {
    fs::create_dir_all(path)
        .map_err(|error| Failure::failed(&format!("cannot make the folder {} – {error}", path.display())))
}

/// An answer's target: format, look and file.
pub(super) struct Target {
    pub format: Format,
    look: Look,
    file: Option<PathBuf>,
}

impl Target {
    /// What `--format` and `-o` mean: the file's extension, else a table on a terminal and csv elsewhere.
    pub(super) fn new(shape: &Shape, context: &Context) -> Result<Self, Failure> {
        let file = shape.output.clone().filter(|path| path != Path::new("-"));
        let by_extension = |path: &PathBuf| path.extension().and_then(|e| e.to_str()).and_then(Format::of_extension);
        let usual = if file.is_none() && io::stdout().is_terminal() { Format::Table } else { Format::Csv };
        let format = shape.format.or_else(|| file.as_ref().and_then(by_extension)).unwrap_or(usual);
        if format.is_binary() && file.is_none() && io::stdout().is_terminal() {
            return Err(Failure::usage(&format!(
                "{format} is binary and would garble the terminal – write it to a file: -o answer.{format}"
            )));
        }
        if let Some(path) = &file {
            refuse_inside_store(path, &context.store)?;
        }
        let look = if file.is_some() { Look::default() } else { context.look() };
        Ok(Self { format, look, file })
    }

    /// Opens the target, lets `fill` write, and closes it.
    pub(super) async fn write<F>(self, schema: &arrow::datatypes::SchemaRef, fill: F) -> Result<(), Failure>
    where
        F: AsyncFnOnce(&mut dyn Writer) -> Result<(), Failure>,
    {
        let (new_file, sink): (Option<NewFile>, output::Sink<'_>) = match &self.file {
            None => (None, Box::new(BufWriter::with_capacity(1 << 16, io::stdout()))),
            Some(path) => {
                let (new_file, opened) = NewFile::create(path)?;
                (Some(new_file), Box::new(BufWriter::with_capacity(1 << 16, opened)))
            }
        };
        let mut writer = output::open(self.format, schema, sink, self.look)?;
        fill(writer.as_mut()).await?;
        writer.finish()?;
        drop(writer);
        new_file.map_or(Ok(()), NewFile::keep)
    }
}

/// A file in the store's data folder would be read as data by tools that look at the folder.
pub(super) fn refuse_inside_store(path: &Path, store: &Path) -> Result<(), Failure> {
    let parent = path.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let (Ok(parent), Ok(store)) = (parent.canonicalize(), store.canonicalize()) else { return Ok(()) };
    if parent.starts_with(&store) {
        return Err(Failure::usage(&format!(
            "{} lies inside the store {} – a store holds only its own files, write the answer somewhere else",
            path.display(),
            store.display()
        )));
    }
    Ok(())
}

/// Prints lines to stdout through `print`; a reader that went away ends it quietly.
pub(super) fn print(print: impl FnOnce(&mut dyn Write) -> io::Result<()>) -> Result<(), Failure> {
    let mut out = BufWriter::new(io::stdout());
    print(&mut out)?;
    Ok(out.flush()?)
}

/// Prints a value to stdout as JSON.
pub(super) fn print_json(value: &impl serde::Serialize) -> Result<(), Failure> {
    let json = serde_json::to_string_pretty(value).map_err(|error| Failure::failed(&error.to_string()))?;
    print(|out| writeln!(out, "{json}"))
}
