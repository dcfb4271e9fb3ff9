//! What was typed becomes what is meant: the store, its rules, the time, and who is looking.

use std::io::{self, IsTerminal, Write};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::AtomicBool;

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
    /// Set by Ctrl-C.
    pub stop: Arc<AtomicBool>,
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
            stop: Arc::default(),
        }
    }

    /// The rules of `--config`, if given.
    pub(super) fn given_config(&self) -> Result<Option<Config>, Failure> {
        Ok(self.config.as_deref().map(Config::load).transpose().map_err(database::Error::from)?)
    }

    /// Opens the store.
    pub(super) fn open(&self) -> Result<Database, Failure> {
        Ok(Database::open(&self.store, self.options(self.given_config()?))?)
    }

    /// Opens the store, or makes one whose rules are those of `--config`, else `usual`.
    pub(super) fn open_or_create(&self, usual: Option<Config>) -> Result<Database, Failure> {
        let given = self.given_config()?;
        if self.store.is_file() {
            return Err(Failure::usage(&format!("{} is a file – a store is a folder", self.store.display())));
        }
        if !Database::exists(&self.store) {
            return Ok(Database::create(&self.store, self.options(given.or(usual)))?);
        }
        let own = Database::rules_of(&self.store)?.unwrap_or_default();
        if given.as_ref().is_some_and(|given| *given != own) {
            self.remark("the rules of --config hold for this command; the store keeps its own for the others");
        }
        Ok(Database::open(&self.store, self.options(given))?)
    }

    fn options(&self, config: Option<Config>) -> database::Options {
        database::Options { config: config.map(Arc::new), now: self.now }
    }

    /// The rules in force, and where they come from.
    pub(super) fn rules(&self) -> Result<(Config, String), Failure> {
        if let (Some(config), Some(path)) = (self.given_config()?, &self.config) {
            return Ok((config, format!("{}, with all defaults", path.display())));
        }
        let path = self.store.join("journeyql.toml");
        Ok(match Database::rules_of(&self.store)? {
            Some(config) => (config, format!("{}, with all defaults", path.display())),
            None => (Config::default(), format!("the defaults: there is no {}", path.display())),
        })
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
pub(super) fn command_on(store: &Path) -> String {
    if store == Path::new("./journey") {
        return "journeyql".to_owned();
    }
    let text = store.display().to_string();
    let plain = text.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"/._-+:".contains(&byte));
    format!("journeyql --store {}", if plain { text } else { format!("'{}'", text.replace('\'', "'\\''")) })
}
