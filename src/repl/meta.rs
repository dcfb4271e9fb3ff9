//! The shell's own commands.

use crate::error::did_you_mean;
use crate::output::Format;

/// What `\?` prints.
pub(super) const HELP: &str = "\
  SELECT … ;        runs when a line ends with ;   (Ctrl-C drops the line or the running query)
  \\d                tables and views
  \\d NAME           its columns
  \\d+ NAME          its columns, and the SQL of a view
  \\h                the functions of journeys
  \\h NAME           what one answers, its arguments, an example
  \\timing [on|off]  how long each statement takes
  \\format [NAME]    table, csv, tsv, json, ndjson, markdown
  \\q                leave (also Ctrl-D)
";

/// One of the shell's own commands.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Meta {
    Help,
    Quit,
    List,
    Functions,
    Function(String),
    Describe {
        name: String,
        with_sql: bool,
    },
    /// On, off, or the other way round.
    Timing(Option<bool>),
    /// The new format, or nothing to show the present one.
    Format(Option<Format>),
}

impl Meta {
    /// Reads a line; `None` where it is SQL.
    pub(super) fn parse(line: &str) -> Option<Result<Self, String>> {
        match line.trim_end_matches(';').trim_end() {
            "help" | "?" => return Some(Ok(Self::Help)),
            "quit" | "exit" => return Some(Ok(Self::Quit)),
            _ => {}
        }
        let line = line.strip_prefix('\\')?.trim_end_matches(';');
        let mut words = line.split_whitespace();
        let (name, argument) = (words.next().unwrap_or_default(), words.next());
        if let Some(more) = words.next() {
            return Some(Err(format!("\\{name} takes one word, not '{more}' as well – \\? for help")));
        }
        Some(Self::of(name, argument))
    }

    fn of(name: &str, argument: Option<&str>) -> Result<Self, String> {
        Ok(match (name, argument) {
            ("?" | "help", _) => Self::Help,
            ("h", None) => Self::Functions,
            ("h", Some(name)) => Self::Function(name.to_owned()),
            ("q" | "quit", None) => Self::Quit,
            ("d" | "d+", None) => Self::List,
            ("d", Some(name)) => Self::Describe { name: name.to_owned(), with_sql: false },
            ("d+", Some(name)) => Self::Describe { name: name.to_owned(), with_sql: true },
            ("timing", None) => Self::Timing(None),
            ("timing", Some("on")) => Self::Timing(Some(true)),
            ("timing", Some("off")) => Self::Timing(Some(false)),
            ("timing", Some(other)) => return Err(format!("\\timing is on or off, not '{other}'")),
            ("format", None) => Self::Format(None),
            ("format", Some(name)) => match name.parse::<Format>()? {
                format if format.is_binary() => {
                    return Err(format!("{format} is binary – journeyql sql -o answer.{format} 'select …'"));
                }
                format => Self::Format(Some(format)),
            },
            (other, _) => {
                let known = ["d", "d+", "h", "timing", "format", "q", "?", "help"];
                let hint = did_you_mean(other, known).unwrap_or_else(|| "\\? for help".to_owned());
                return Err(format!("no command \\{other} – {hint}"));
            }
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn commands_are_read() {
        assert_eq!(Meta::parse("select 1;"), None);
        assert_eq!(Meta::parse("\\d"), Some(Ok(Meta::List)));
        let describe = Meta::Describe { name: "steps".to_owned(), with_sql: true };
        assert_eq!(Meta::parse("\\d+ steps;"), Some(Ok(describe)));
        assert_eq!(Meta::parse("exit"), Some(Ok(Meta::Quit)));
        assert_eq!(Meta::parse("\\format json"), Some(Ok(Meta::Format(Some(Format::Json)))));
        assert_eq!(Meta::parse("\\h"), Some(Ok(Meta::Functions)));
        assert_eq!(Meta::parse("\\h funnel;"), Some(Ok(Meta::Function("funnel".to_owned()))));
        assert_eq!(Meta::parse("\\timing"), Some(Ok(Meta::Timing(None))));
    }

    #[test]
    fn mistakes_are_named() {
        let refused = |line: &str| Meta::parse(line).unwrap().unwrap_err();
        assert_eq!(refused("\\timng"), "no command \\timng – did you mean 'timing'?");
        assert!(refused("\\format jsn").contains("did you mean 'json'?"));
        assert!(refused("\\format parquet").contains("binary"));
        assert!(refused("\\d a b").contains("one word"));
    }
}
