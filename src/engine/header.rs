//! The head of a view or report file: what it answers, its parameters and columns, read by people and machine.
//!
//! ```sql
//! -- What it answers in one line.
//! -- parameter: user text, the person
//! -- parameter: last integer = 5, how many sessions
//! -- columns:
//! --   page text, the step
//! --   n bigint, how often
//! -- expect: …                what `journeyql test` holds it to (see `expect.rs`)
//! SELECT …
//! ```
//! A parameter is `text`, `integer`, `number`, `boolean`, `day`, `timestamp`, `interval`, or a list of one of them (`list
//! of text`); without a default it must be given.

use super::expect;
use super::params::Kind;

/// A described column.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ColumnDoc {
    pub name: String,
    /// The type as written, e.g. `text` or `double`.
    pub kind: String,
    pub what: String,
}

/// A parameter of a report.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Parameter {
    pub name: String,
    pub kind: Kind,
    /// Absent: the parameter must be given.
    pub default: Option<String>,
    pub what: String,
}

/// The head of a file.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Header {
    /// What the query answers, one line or several.
    pub what: String,
    pub parameters: Vec<Parameter>,
    pub columns: Vec<ColumnDoc>,
}

impl Header {
    /// Reads the comment lines at the head of a text.
    ///
    /// # Errors
    /// A parameter, column or expectation is not as it should be, with its line number.
    pub fn parse(sql: &str) -> Result<Self, String> {
        let mut header = Self::default();
        let mut in_columns = false;
        let answers = expect::expectations(sql)?;
        for (number, line) in (1..).zip(sql.lines()) {
            let Some(text) = line.trim_start().strip_prefix("--") else { break };
            let here = |why: String| format!("line {number}: {why}");
            // What an answer should be is no part of what the query is.
            if answers.iter().any(|it| it.lines.contains(&(number - 1))) {
                in_columns = false;
            } else if let Some(rest) = text.trim().strip_prefix("parameter:") {
                let made = parameter(rest.trim()).map_err(here)?;
                if header.parameters.iter().any(|known| known.name == made.name) {
                    return Err(here(format!("parameter {} is declared twice", made.name)));
                }
                header.parameters.push(made);
                in_columns = false;
            } else if text.trim() == "columns:" {
                in_columns = true;
            } else if in_columns && text.starts_with("   ") {
                header.columns.push(column(text.trim()).map_err(here)?);
            } else if !text.trim().is_empty() {
                in_columns = false;
                if !header.what.is_empty() {
                    header.what.push(' ');
                }
                header.what.push_str(text.trim());
            }
        }
        Ok(header)
    }
}

fn column(text: &str) -> Result<ColumnDoc, String> {
    let (head, what) = text.split_once(", ").unwrap_or((text, ""));
    let (name, kind) = head.split_once(' ').ok_or_else(|| format!("'{text}' is no `name type, what it is`"))?;
    Ok(ColumnDoc { name: name.to_owned(), kind: kind.trim().to_owned(), what: what.to_owned() })
}

/// `name type = default, what it is`; a default with a comma in it stands in single quotes.
fn parameter(text: &str) -> Result<Parameter, String> {
    let shape = || format!("'{text}' is no `name type = default, what it is`");
    let (name, rest) = text.split_once(' ').ok_or_else(shape)?;
    let is_name = name.starts_with(|first: char| first.is_ascii_alphabetic() || first == '_')
        && name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_');
    if !is_name {
        return Err(format!("'{name}' is no name of a parameter: letters, digits and _, no digit first"));
    }
    let end = rest.find(['=', ',']).unwrap_or(rest.len());
    let kind = Kind::parse(rest[..end].trim())?;
    let rest = rest[end..].trim_start();
    let (default, what) = match rest.strip_prefix('=').map(str::trim_start) {
        None => (None, rest.trim_start_matches(',').trim()),
        Some(value) => {
            let (value, what) = match value.strip_prefix('\'') {
                Some(quoted) => quoted.split_once('\'').ok_or_else(shape)?,
                None => value.split_at(value.find(',').unwrap_or(value.len())),
            };
            (Some(value.trim().to_owned()), what.trim_start_matches(',').trim())
        }
    };
    if let Some(default) = &default {
        kind.check(default).map_err(|why| format!("the default of parameter {name} ({kind}): {why}"))?;
    }
    Ok(Parameter { name: name.to_owned(), kind, default, what: what.to_owned() })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_head_is_read() {
        let text = "-- How far people come.\n-- parameter: steps text[] = '/a,/b', the steps in order\n\
                    -- parameter: window interval = 7 days, the longest way\n-- parameter: user text, who\n\
                    -- columns:\n--   step text, the step\n--   n bigint, how many\nSELECT 1 -- parameter: no";
        let header = Header::parse(text).unwrap();
        assert_eq!(header.what, "How far people come.");
        let names: Vec<_> = header.parameters.iter().map(|it| (it.name.as_str(), it.default.as_deref())).collect();
        assert_eq!(names, [("steps", Some("/a,/b")), ("window", Some("7 days")), ("user", None)]);
        assert_eq!(header.columns[1], ColumnDoc { name: "n".into(), kind: "bigint".into(), what: "how many".into() });
        let again = "-- expect: 1\n-- Prose.\n-- expect -p user=x:\n-- step,n\n-- /a,1\n--\n-- More.\nSELECT 1";
        assert_eq!(Header::parse(again).unwrap().what, "Prose. More.");
        for (wrong, why) in [
            ("a nonsense = 1, b", "line 1: 'nonsense' is no type"),
            ("a integer = x, b", "line 1: the default of parameter a (integer): 'x' is no whole number"),
            ("1a text, b", "line 1: '1a' is no name"),
            ("a text, b\n-- parameter: a text, c", "line 2: parameter a is declared twice"),
        ] {
            let said = Header::parse(&format!("-- parameter: {wrong}\nSELECT 1")).unwrap_err();
            assert!(said.starts_with(why), "{said}");
        }
    }
}
