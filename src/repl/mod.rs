//! The shell: statements over several lines until `;`, commands that begin with a backslash, a history.
//!
//! ```text
//! readline ─► meta (\d, \timing, …) ─► acts on the shell
//!         └─► statements ─► session ─► table on stdout │ explanation on stderr
//! ```
//! Ctrl-C drops the line that is being typed or the query that runs, never the shell; Ctrl-D leaves. Settings (`SET
//! journeyql.…`) last as long as the shell; each statement sees the newest snapshot.
//!
//! Deliberately not here: SQL. The shell knows where a statement ends and nothing more.

mod helper;
mod meta;

use std::io::{self, BufWriter, IsTerminal, Write};
use std::path::PathBuf;

use rustyline::error::ReadlineError;
use rustyline::history::FileHistory;
use rustyline::{CompletionType, Config, Editor};
use thiserror::Error;
use tokio::runtime::Runtime;

use crate::database::{
    Database, Error, FunctionDoc, Raises, RelationInfo, Session, functions, literal, split_statements,
};
use crate::error::{Explanation, did_you_mean};
use crate::output::{self, Format, Look, OutputError};
use crate::time::Stopwatch;

use helper::Words;
use meta::Meta;

/// Statements that the history keeps.
const HISTORY: usize = 2_000;

/// How the shell looks.
#[derive(Debug, Clone, Copy)]
pub struct Face {
    /// How stdout is looked at.
    pub look: Look,
    /// Colours may be written to stderr.
    pub color_err: bool,
    /// No greeting.
    pub quiet: bool,
}

/// Why the shell could not go on.
#[derive(Debug, Error)]
pub enum ReplError {
    #[error("cannot read from the terminal – {0}")]
    Terminal(#[from] ReadlineError),
    #[error(transparent)]
    Output(#[from] OutputError),
    #[error(transparent)]
    Database(#[from] Error),
}

/// Runs the shell until Ctrl-D or `\q`.
///
/// # Errors
/// The terminal cannot be read or written to.
pub fn run(database: &Database, runtime: &Runtime, signals: &Runtime, face: Face) -> Result<(), ReplError> {
    let mut shell = Shell::new(database, runtime, signals, face);
    let config = Config::builder().max_history_size(HISTORY)?.completion_type(CompletionType::List).build();
    let mut editor: Editor<Words, FileHistory> = Editor::with_config(config)?;
    editor.set_helper(Some(Words::new(shell.session.names()?)));
    let history = history_file().filter(|_| io::stdin().is_terminal());
    if let Some(path) = &history {
        // A first start has no history yet.
        _ = editor.load_history(path);
    }
    if !face.quiet && io::stdin().is_terminal() {
        tell(&format!("journeyql {} – \\? for help, \\q or Ctrl-D to leave", env!("CARGO_PKG_VERSION")));
    }
    let outcome = shell.read_and_perform(&mut editor);
    if let Some(path) = &history
        && let Err(error) = editor.save_history(path)
    {
        tell(&format!("the history was not saved to {} – {error}", path.display()));
    }
    outcome
}

/// `$JOURNEYQL_HISTORY`, else `~/.journeyql_history`.
fn history_file() -> Option<PathBuf> {
    let given = std::env::var_os("JOURNEYQL_HISTORY").map(PathBuf::from);
    given.or_else(|| Some(PathBuf::from(std::env::var_os("HOME")?).join(".journeyql_history")))
}

/// What goes on after a line.
#[derive(PartialEq, Eq)]
enum Flow {
    On,
    Leave,
}

struct Shell<'a> {
    session: Session,
    runtime: &'a Runtime,
    /// Hears Ctrl-C while the other is busy.
    signals: &'a Runtime,
    face: Face,
    format: Format,
    timing: bool,
}

impl<'a> Shell<'a> {
    fn new(database: &Database, runtime: &'a Runtime, signals: &'a Runtime, face: Face) -> Self {
        Self { session: database.session(), runtime, signals, face, format: Format::Table, timing: false }
    }

    fn read_and_perform(&mut self, editor: &mut Editor<Words, FileHistory>) -> Result<(), ReplError> {
        loop {
            match editor.readline("journeyql> ") {
                Ok(text) => {
                    if text.trim().is_empty() {
                        continue;
                    }
                    editor.add_history_entry(text.trim_end())?;
                    if self.perform(&text)? == Flow::Leave {
                        return Ok(());
                    }
                }
                Err(ReadlineError::Interrupted) => {}
                Err(ReadlineError::Eof) => return Ok(()),
                Err(error) => return Err(error.into()),
            }
        }
    }

    fn perform(&mut self, text: &str) -> Result<Flow, ReplError> {
        let outcome = match Meta::parse(text.trim()) {
            None => self.statements(text),
            Some(Ok(Meta::Quit)) => return Ok(Flow::Leave),
            Some(Ok(meta)) => self.meta(meta),
            Some(Err(message)) => {
                self.explain(&Explanation::new(&message));
                Ok(())
            }
        };
        match outcome {
            Err(error) if error.is_broken_pipe() => Ok(Flow::Leave),
            outcome => Ok(outcome.map(|()| Flow::On)?),
        }
    }

    fn meta(&mut self, meta: Meta) -> Result<(), OutputError> {
        match meta {
            Meta::Help => say(meta::HELP),
            Meta::List => self.list(),
            Meta::Functions => list_functions(),
            Meta::Function(name) => self.function(&name),
            Meta::Describe { name, with_sql } => self.describe(&name, with_sql),
            Meta::Timing(on) => {
                self.timing = on.unwrap_or(!self.timing);
                say(if self.timing { "timing is on\n" } else { "timing is off\n" })
            }
            Meta::Format(format) => {
                self.format = format.unwrap_or(self.format);
                say(&format!("format is {}\n", self.format))
            }
            Meta::Quit => Ok(()),
        }
    }

    fn list(&mut self) -> Result<(), OutputError> {
        let Some(relations) = self.relations() else { return Ok(()) };
        let width = relations.iter().map(|relation| relation.name.len()).max().unwrap_or(0);
        let mut out = io::stdout().lock();
        for relation in relations {
            writeln!(out, "{:width$}  {:8}  {}", relation.name, relation.kind, relation.what)?;
        }
        Ok(out.flush()?)
    }

    fn relations(&mut self) -> Option<Vec<RelationInfo>> {
        self.session.relations().map_err(|error| self.explain(&error.explain())).ok()
    }

    fn describe(&mut self, name: &str, with_sql: bool) -> Result<(), OutputError> {
        let Some(relations) = self.relations() else { return Ok(()) };
        let Some(relation) = relations.iter().find(|relation| relation.name.eq_ignore_ascii_case(name)) else {
            let hint = did_you_mean(name, relations.iter().map(|relation| relation.name.as_str()));
            let hint = hint.unwrap_or_else(|| "\\d lists all".to_owned());
            self.explain(&Explanation::new(&format!("no table or view '{name}' – {hint}")));
            return Ok(());
        };
        let sql = format!(
            "SELECT column_name AS \"column\", data_type AS type, is_nullable AS nullable
             FROM information_schema.columns WHERE table_name = {} ORDER BY ordinal_position",
            literal(&relation.name)
        );
        self.statement(&sql)?;
        match &relation.sql {
            Some(text) if with_sql => say(&format!("\n{}\n", text.trim_end())),
            _ => Ok(()),
        }
    }

    fn function(&self, name: &str) -> Result<(), OutputError> {
        let all = functions();
        if let Some(doc) = all.iter().find(|doc| doc.name.eq_ignore_ascii_case(name)) {
            return say(doc.text);
        }
        let hint = did_you_mean(name, all.iter().map(|doc| doc.name));
        let hint = hint.unwrap_or_else(|| "\\h lists all; SHOW FUNCTIONS those of plain SQL too".to_owned());
        self.explain(&Explanation::new(&format!("no function '{name}' of journeys – {hint}")));
        Ok(())
    }

    fn statements(&mut self, text: &str) -> Result<(), OutputError> {
        for statement in split_statements(text) {
            let watch = Stopwatch::start();
            self.statement(statement)?;
            if self.timing {
                tell(&format!("{:.3} s", watch.seconds()));
            }
        }
        Ok(())
    }

    /// Runs one statement; Ctrl-C gives up on it.
    fn statement(&mut self, sql: &str) -> Result<(), OutputError> {
        let (session, format, look) = (&mut self.session, self.format, self.face.look);
        let raises = Raises::default();
        let asked = raises.stop();
        let mut heard = self.signals.spawn(async move {
            let _raised_when_dropped = raises;
            tokio::signal::ctrl_c().await
        });
        let outcome = self.runtime.block_on(async {
            tokio::select! {
                outcome = asked.clone().during(answer(session, sql, format, look)) => outcome,
                _ = &mut heard => Err(Stop::Interrupted),
            }
        });
        // What was told to end may say so in its own words.
        let outcome = outcome.map_err(|error| if asked.is_raised() { Stop::Interrupted } else { error });
        heard.abort();
        match outcome {
            Ok(()) => Ok(()),
            Err(Stop::Output(error)) => Err(error),
            Err(Stop::Interrupted) => {
                tell("interrupted");
                Ok(())
            }
            Err(Stop::Database(error)) => {
                self.explain(&error.explain_sql("query", sql));
                Ok(())
            }
        }
    }

    fn explain(&self, explanation: &Explanation) {
        _ = io::stderr().write_all(explanation.text(self.face.color_err).as_bytes());
    }
}

fn list_functions() -> Result<(), OutputError> {
    let all = functions();
    let width = |of: fn(&FunctionDoc) -> &str| all.iter().map(|doc| of(doc).len()).max().unwrap_or(0);
    let (name, kind) = (width(|doc| doc.name), width(|doc| doc.kind));
    let lines = all.iter().map(|doc| format!("{:name$}  {:kind$}  {}\n", doc.name, doc.kind, doc.summary));
    say(&lines.collect::<String>())
}

fn say(text: &str) -> Result<(), OutputError> {
    let mut out = io::stdout().lock();
    out.write_all(text.as_bytes())?;
    Ok(out.flush()?)
}

/// A remark on stderr; nobody is left to tell where it is closed.
fn tell(text: &str) {
    _ = writeln!(io::stderr(), "{text}");
}

/// Why a statement gave no whole answer.
enum Stop {
    Database(Error),
    Output(OutputError),
    Interrupted,
}

impl From<Error> for Stop {
    fn from(error: Error) -> Self {
        Self::Database(error)
    }
}

impl From<OutputError> for Stop {
    fn from(error: OutputError) -> Self {
        Self::Output(error)
    }
}

async fn answer(session: &mut Session, sql: &str, format: Format, look: Look) -> Result<(), Stop> {
    let mut answer = session.query(sql).await?;
    // A query that fails at once leaves no head.
    let mut batch = answer.next().await.transpose()?;
    if answer.schema().fields().is_empty() {
        // Only settings: there is nothing to show.
        return Ok(());
    }
    let sink = Box::new(BufWriter::new(io::stdout()));
    let mut writer = output::open(format, &answer.schema(), sink, look)?;
    while let Some(rows) = batch {
        writer.batch(&rows)?;
        batch = answer.next().await.transpose()?;
    }
    writer.finish()?;
    for notice in answer.notices() {
        tell(&format!("warning: {notice}"));
    }
    Ok(())
}
