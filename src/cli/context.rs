//! What was typed becomes what is meant: the store, its rules, the time, and who is looking.

use std::io::{self, IsTerminal, Write};
use std::path::PathBuf;
use std::sync::Arc;

use super::args::{Color, Global};
use super::failure::Failure;
use crate::config::Config;
use crate::database::{self, Database};
use crate::output::Look;

/// Everything that a command knows beside its own arguments.
#[derive(Debug, Clone)]
pub(super) struct Context {
    pub store: PathBuf,
    pub config: Option<PathBuf>,
    pub now: Option<i64>,
    pub quiet: bool,
    /// Colours may be written to stderr.
    pub color_err: bool,
    /// Colours may be written to stdout.
    pub color_out: bool,
}

impl Context {
    pub(super) fn new(global: &Global) -> Self {
        let plain = std::env::var_os("NO_COLOR").is_some_and(|set| !set.is_empty());
        let colored = |terminal: bool| match global.color {
            Color::Always => true,
            Color::Never => false,
            Color::Auto => terminal && !plain,
        };
        Self {
            store: global.store.clone(),
            config: global.config.clone(),
            now: global.now,
            quiet: global.quiet,
            color_err: colored(io::stderr().is_terminal()),
            color_out: colored(io::stdout().is_terminal()),
        }
    }

    /// The rules of `--config`, if given.
    pub(super) fn given_config(&self) -> Result<Option<Config>, Failure> {
        Ok(self.config.as_deref().map(Config::load).transpose().map_err(database::Error::from)?)
    }

    /// Opens the store.
    pub(super) fn open(&self) -> Result<Database, Failure> {
        let options = database::Options { config: self.given_config()?.map(Arc::new), now: self.now };
        Ok(Database::open(&self.store, options)?)
    }

    /// A remark on stderr, unless `--quiet`.
    pub(super) fn remark(&self, text: &str) {
        if !self.quiet {
            // A closed stderr is nobody's failure.
            _ = writeln!(io::stderr(), "{text}");
        }
    }

    /// How stdout is looked at.
    pub(super) fn look(&self) -> Look {
        let terminal = io::stdout().is_terminal();
        let width = terminal.then(terminal_size::terminal_size).flatten().map(|(width, _)| usize::from(width.0));
        Look { width, color: self.color_out, terminal }
    }

    /// The words that start a command on this store, for messages: `journeyql` or `journeyql --store X`.
    pub(super) fn command(&self) -> String {
        command_on(&self.store)
    }
}

/// `journeyql`, with `--store` where it is not the usual one.
pub(super) fn command_on(store: &std::path::Path) -> String {
    if store == std::path::Path::new("./journey") {
        return "journeyql".to_owned();
    }
    let text = store.display().to_string();
    let plain = text.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"/._-+:".contains(&byte));
    format!("journeyql --store {}", if plain { text } else { format!("'{}'", text.replace('\'', "'\\''")) })
}
