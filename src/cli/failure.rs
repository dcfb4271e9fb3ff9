//! How a command ends: the exit code for scripts, the screen for people. Exit codes are given here and nowhere else.

use std::io::Write as _;
use std::process::ExitCode;

use crate::database::{Error, Fault};
use crate::error::Explanation;
use crate::output::OutputError;
use crate::repl::ReplError;

/// The exit codes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub(super) enum Code {
    Done = 0,
    Failed = 1,
    /// A wrong command line or wrong SQL.
    Usage = 2,
    /// Done, but more lines than `--max-rejects` were quarantined.
    Rejects = 3,
    /// Another process writes to the store.
    InUse = 4,
    Damaged = 5,
    Interrupted = 130,
}

impl From<Code> for ExitCode {
    fn from(code: Code) -> Self {
        Self::from(code as u8)
    }
}

/// Why a command ends other than well.
#[derive(Debug)]
pub(super) struct Failure {
    code: Code,
    /// `None`: nothing to say, the exit code says it.
    explanation: Option<Box<Explanation>>,
}

impl Failure {
    pub(super) fn new(code: Code, explanation: Explanation) -> Self {
        Self { code, explanation: Some(Box::new(explanation)) }
    }

    /// What was typed makes no sense: `what – hint`.
    pub(super) fn usage(message: &str) -> Self {
        Self::new(Code::Usage, Explanation::new(message))
    }

    /// `what – hint`.
    pub(super) fn failed(message: &str) -> Self {
        Self::new(Code::Failed, Explanation::new(message))
    }

    /// A command to type next.
    #[must_use]
    pub(super) fn next(mut self, command: impl Into<String>) -> Self {
        self.explanation = self.explanation.map(|explanation| Box::new(explanation.next(command)));
        self
    }

    /// An end that was told already.
    pub(super) const fn silent(code: Code) -> Self {
        Self { code, explanation: None }
    }

    /// An error of the database about a text that was run; `name` is its file, or `query`.
    pub(super) fn of_sql(error: &Error, name: &str, sql: &str) -> Self {
        Self::new(code(error), error.explain_sql(name, sql))
    }

    /// Prints the screen to stderr and gives the exit code.
    pub(super) fn report(&self, color: bool) -> ExitCode {
        if let Some(explanation) = &self.explanation {
            // Nobody is left to tell if stderr is closed.
            _ = std::io::stderr().write_all(explanation.text(color).as_bytes());
        }
        self.code.into()
    }
}

impl From<OutputError> for Failure {
    fn from(error: OutputError) -> Self {
        // `| head` has seen enough.
        if error.is_broken_pipe() {
            Self::silent(Code::Done)
        } else {
            Self::failed(&format!("cannot write the answer – {error}"))
        }
    }
}

impl From<std::io::Error> for Failure {
    fn from(error: std::io::Error) -> Self {
        OutputError::from(error).into()
    }
}

const fn code(error: &Error) -> Code {
    match error.fault() {
        Fault::Usage => Code::Usage,
        Fault::InUse => Code::InUse,
        Fault::Damaged => Code::Damaged,
        Fault::Interrupted => Code::Interrupted,
        Fault::Failed => Code::Failed,
    }
}

impl From<Error> for Failure {
    fn from(error: Error) -> Self {
        match error {
            Error::Output(error) => error.into(),
            error => Self::new(code(&error), error.explain()),
        }
    }
}

impl From<ReplError> for Failure {
    fn from(error: ReplError) -> Self {
        match error {
            ReplError::Database(error) => error.into(),
            ReplError::Output(error) => error.into(),
            ReplError::Terminal(_) => Self::failed(&error.to_string()),
        }
    }
}
