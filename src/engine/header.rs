//! The head of a view or report file: what it answers, its parameters and columns, read by people and machine.
//!
//! ```sql
//! -- What it answers in one line.
//! -- parameter: user text, the person
//! -- parameter: last integer = 5, how many sessions
//! -- columns:
//! --   page text, the step
//! --   n bigint, how often
//! SELECT …
//! ```

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
    /// A parameter or column line is not as it should be, with its line number.
    pub fn parse(sql: &str) -> Result<Self, String> {
        let mut header = Self::default();
        let mut in_columns = false;
        for (number, line) in (1..).zip(sql.lines()) {
            let Some(text) = line.trim_start().strip_prefix("--") else { break };
            let here = |why: String| format!("line {number}: {why}");
            if let Some(rest) = text.trim().strip_prefix("parameter:") {
                header.parameters.push(parameter(rest.trim()).map_err(here)?);
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
        assert!(Header::parse("-- parameter: a nonsense = 1, b").unwrap_err().contains("line 1"));
    }
}
