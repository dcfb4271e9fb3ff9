//! What every function of ours is, said once: `docs/NAME.md`, for `\h NAME`, the table `journeyql.functions` and SHOW
//! FUNCTIONS.
//!
//! ```text
//! # NAME
//!
//! table                       one or two of: table, aggregate, window, scalar
//!
//!     NAME(step [, n])        how it is written, a line or more
//!
//! What it answers, in one sentence.
//!
//! More, where there is more to say.
//!
//! ## Arguments                | name | type | default | meaning |; not where it takes none
//! ## Answer                   what a call that is no table yields
//! ## Columns                  | name | type | meaning |, of a table
//! ## Example                  one statement over the bundled sample (or VALUES), and what it prints
//! ```
//! The results are those of `journeyql demo`; a test holds them to what comes out (`DOCS=overwrite` writes them anew).
//!
//! Deliberately not here: who plans a function (`planner.rs`, `mod.rs`: the same lists name the files).

use std::sync::{Arc, LazyLock};

use arrow::array::{ArrayRef, RecordBatch, StringArray};
use arrow::datatypes::{DataType, Field, Schema};
use datafusion::catalog::{MemTable, TableProvider};
use datafusion::error::Result;
use datafusion::logical_expr::{DocSection, Documentation};

use super::planner;

/// A function's name and its file.
pub(super) type DocFile = (&'static str, &'static str);

/// The functions of these names with their files.
macro_rules! doc_files {
    ($($name:literal),+ $(,)?) => {
        &[$(($name, include_str!(concat!("docs/", $name, ".md")))),+]
    };
}
pub(super) use doc_files;

/// The functions that are registered; the table functions stand in `planner.rs`.
const REGISTERED: &[DocFile] = doc_files![
    "path_agg",
    "path_match",
    "percentile_cont",
    "retention",
    "sequence_count",
    "sequence_match",
    "sequence_match_events",
    "sequence_next_node",
    "sessionize",
    "setting",
    "window_funnel",
    "window_funnel_events",
];

/// An argument or option.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ArgumentDoc {
    pub name: String,
    pub kind: String,
    /// `required`, or what holds where it is not given.
    pub default: String,
    pub what: String,
}

/// What a function is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FunctionDoc {
    pub name: &'static str,
    /// `table`, `aggregate`, `window`, `scalar`, or two of them.
    pub kind: &'static str,
    /// How it is written, a line for each way.
    pub signature: String,
    /// What it answers.
    pub summary: String,
    pub arguments: Vec<ArgumentDoc>,
    /// What a call yields, or the columns of a table.
    pub answer: String,
    /// A statement.
    pub example: &'static str,
    /// What it prints.
    pub result: &'static str,
    /// The whole file.
    pub text: &'static str,
}

impl FunctionDoc {
    fn read(&(name, text): &DocFile) -> Self {
        let (head, _) = text.split_once("\n## ").unwrap_or((text, ""));
        let mut parts = head.split("\n\n").skip(1);
        let kind = parts.next().unwrap_or_default().trim();
        let signature = parts.next().unwrap_or_default().lines().map(str::trim).collect::<Vec<_>>().join("\n");
        let summary = parts.next().unwrap_or_default().lines().collect::<Vec<_>>().join(" ");
        let argument = |cells: Vec<String>| {
            let [name, kind, default, what] = <[String; 4]>::try_from(cells).unwrap_or_default();
            ArgumentDoc { name, kind, default, what }
        };
        let columns = rows(section(text, "Columns")).map(|cells| match cells.as_slice() {
            [name, kind, what] => format!("{name} {kind}, {what}"),
            other => other.join(", "),
        });
        let answer = Some(section(text, "Answer").to_owned()).filter(|answer| !answer.is_empty());
        let example = section(text, "Example");
        Self {
            name,
            kind,
            signature,
            summary,
            arguments: rows(section(text, "Arguments")).map(argument).collect(),
            answer: answer.into_iter().chain(columns).collect::<Vec<_>>().join("\n"),
            example: fenced(example, "sql"),
            result: fenced(example, "text"),
            text,
        }
    }

    /// Whether it stands in FROM.
    #[must_use]
    pub fn is_table(&self) -> bool {
        self.kind.contains("table")
    }
}

/// What stands below a heading.
fn section<'a>(text: &'a str, heading: &str) -> &'a str {
    let (_, below) = text.split_once(&format!("\n## {heading}\n")).unwrap_or_default();
    below.split("\n## ").next().unwrap_or_default().trim()
}

/// The first block of a language.
fn fenced<'a>(text: &'a str, language: &str) -> &'a str {
    let (_, block) = text.split_once(&format!("```{language}\n")).unwrap_or_default();
    block.split("\n```").next().unwrap_or_default()
}

/// The cells of a table below its heading.
fn rows(table: &str) -> impl Iterator<Item = Vec<String>> {
    let lines = table.lines().filter(|line| line.starts_with('|')).skip(2);
    lines.map(|line| {
        // A bar that belongs to a cell has a backslash in front.
        let line = line.trim().trim_matches('|').replace("\\|", "\u{1}");
        line.split('|').map(|cell| cell.trim().replace('\u{1}', "|")).collect()
    })
}

/// Every function of ours, by name.
#[must_use]
pub fn docs() -> &'static [FunctionDoc] {
    static DOCS: LazyLock<Vec<FunctionDoc>> = LazyLock::new(|| {
        let mut docs: Vec<FunctionDoc> = REGISTERED.iter().chain(planner::DOCS).map(FunctionDoc::read).collect();
        docs.sort_by_key(|doc| doc.name);
        docs.dedup_by_key(|doc| doc.name);
        docs
    });
    &DOCS
}

/// What a function is, for `DataFusion`.
pub(in crate::engine) fn documentation(name: &str) -> Option<&'static Documentation> {
    static ALL: LazyLock<Vec<Documentation>> = LazyLock::new(|| docs().iter().map(theirs).collect());
    let at = docs().binary_search_by(|doc| doc.name.cmp(name)).ok()?;
    ALL.get(at)
}

fn theirs(doc: &FunctionDoc) -> Documentation {
    let section =
        DocSection { include: true, label: "Journey Functions", description: Some("sessions, paths and funnels") };
    let all = Documentation::builder(section, doc.summary.clone(), doc.signature.clone());
    let all = doc.arguments.iter().fold(all, |all, argument| {
        let ArgumentDoc { name, kind, default, what } = argument;
        all.with_argument(name, format!("{kind}, {default}: {what}"))
    });
    all.with_sql_example(format!("```sql\n{}\n{}\n```", doc.example, doc.result)).build()
}

/// The table `journeyql.functions`.
pub(in crate::engine) fn table() -> Result<Arc<dyn TableProvider>> {
    let arguments = |doc: &FunctionDoc| {
        let line = |it: &ArgumentDoc| format!("{} {} = {}, {}", it.name, it.kind, it.default, it.what);
        doc.arguments.iter().map(line).collect::<Vec<_>>().join("\n")
    };
    let texts = |of: &dyn Fn(&FunctionDoc) -> String| -> ArrayRef {
        Arc::new(docs().iter().map(|doc| Some(of(doc))).collect::<StringArray>())
    };
    let columns: [(&str, ArrayRef); 9] = [
        ("name", texts(&|doc| doc.name.to_owned())),
        ("kind", texts(&|doc| doc.kind.to_owned())),
        ("signature", texts(&|doc| doc.signature.clone())),
        ("summary", texts(&|doc| doc.summary.clone())),
        ("arguments", texts(&arguments)),
        ("answer", texts(&|doc| doc.answer.clone())),
        ("example", texts(&|doc| doc.example.to_owned())),
        ("result", texts(&|doc| doc.result.to_owned())),
        ("text", texts(&|doc| doc.text.to_owned())),
    ];
    let (names, columns): (Vec<&str>, Vec<ArrayRef>) = columns.into_iter().unzip();
    let fields: Vec<Field> = names.into_iter().map(|name| Field::new(name, DataType::Utf8, false)).collect();
    let schema = Arc::new(Schema::new(fields));
    let batch = RecordBatch::try_new(Arc::clone(&schema), columns)?;
    Ok(Arc::new(MemTable::try_new(schema, vec![vec![batch]])?))
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use datafusion::execution::{FunctionRegistry, SessionState, SessionStateBuilder};

    use super::*;

    #[test]
    fn a_file_is_taken_apart() {
        let text = "# f\n\ntable\n\n    f(a)\n    f(a, b)\n\nWhat it\nis.\n\n## Arguments\n\n| name | type | default | \
                    meaning |\n|---|---|---|---|\n| a | text | required | x \\| y |\n\n## Columns\n\n| name | type | meaning \
                    |\n|---|---|---|\n| n | integer | how many |\n\n## Example\n\n```sql\nSELECT 1;\n```\n\n```text\n1\n2\n```\n";
        let doc = FunctionDoc::read(&("f", text));
        assert_eq!((doc.kind, doc.signature.as_str(), doc.summary.as_str()), ("table", "f(a)\nf(a, b)", "What it is."));
        assert_eq!((doc.example, doc.result), ("SELECT 1;", "1\n2"));
        assert_eq!((doc.arguments[0].name.as_str(), doc.arguments[0].what.as_str()), ("a", "x | y"));
        assert_eq!(doc.answer, "n integer, how many");
    }

    #[test]
    fn every_registered_function_has_a_file() {
        let mut state = SessionStateBuilder::new().with_default_features().build();
        let all = |state: &SessionState| -> BTreeSet<String> {
            state.udfs().into_iter().chain(state.udafs()).chain(state.udwfs()).collect()
        };
        // Some of DataFusion's are replaced, and stay what they are.
        let before = all(&state);
        super::super::register(&mut state).unwrap();
        let after = all(&state);
        // The one that knows the snapshot is registered with it; others are second names.
        let named: BTreeSet<String> = REGISTERED.iter().map(|(name, _)| (*name).to_owned()).collect();
        let missing: Vec<&String> =
            after.difference(&before).filter(|name| *name != "quantile_cont" && !named.contains(*name)).collect();
        assert!(missing.is_empty(), "write src/engine/functions/docs/NAME.md and name it in REGISTERED: {missing:?}");
        let lost: Vec<&String> = named.iter().filter(|name| *name != "setting" && !after.contains(*name)).collect();
        assert!(lost.is_empty(), "described and registered nowhere: {lost:?}");
    }
}
