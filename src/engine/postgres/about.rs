//! What there is to tell about: tables, views, functions, each with a number that stays the same from start to start.

use std::collections::BTreeMap;

use arrow::datatypes::{DataType, Field};
use datafusion::common::{Result, plan_datafusion_err};
use datafusion::execution::session_state::SessionState;
use datafusion_postgres::pgwire::api::Type;
use xxhash_rust::xxh3::xxh3_64;

use super::types::{pg_type, size, standard_name};
use crate::engine::catalog::{CATALOG, OWN_SCHEMA, SCHEMA};
use crate::engine::functions;
use crate::engine::views::Queries;

/// Numbers below are those of Postgres itself.
const FIRST_OID: u64 = 16_384;
/// The schema `public`, and the one that tells of the program.
pub(super) const PUBLIC: i64 = 2_200;
pub(super) const OWN: i64 = 16_382;

/// A column as clients are told of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Column {
    pub(super) name: String,
    pub(super) oid: i64,
    /// The name in `pg_type`.
    pub(super) short: String,
    pub(super) standard: String,
    pub(super) size: i64,
    pub(super) array: bool,
    pub(super) nullable: bool,
    pub(super) what: String,
}

/// A table or view.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Relation {
    pub(super) oid: i64,
    pub(super) schema: &'static str,
    pub(super) name: String,
    pub(super) columns: Vec<Column>,
    pub(super) what: String,
    /// The SQL of a view.
    pub(super) sql: Option<String>,
}

/// A function.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Function {
    pub(super) oid: i64,
    pub(super) name: &'static str,
    /// `f`, `a` or `w`.
    pub(super) kind: &'static str,
    pub(super) arguments: String,
    pub(super) answer: String,
    pub(super) table: bool,
    pub(super) what: String,
}

/// All of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct About {
    pub(super) relations: Vec<Relation>,
    pub(super) functions: Vec<Function>,
}

impl About {
    pub(super) fn relation(&self, oid: i64) -> Option<&Relation> {
        self.relations.iter().find(|relation| relation.oid == oid)
    }

    /// The table of a name as SQL writes it, `public.events` or `"events"`.
    pub(super) fn named(&self, name: &str) -> Option<&Relation> {
        let name = name.replace('"', "");
        let (schema, name) = name.split_once('.').unwrap_or((SCHEMA, &name));
        self.relations.iter().find(|relation| relation.schema == schema && relation.name == name)
    }

    pub(super) fn function(&self, oid: i64) -> Option<&Function> {
        self.functions.iter().find(|function| function.oid == oid)
    }
}

/// Numbers for names, by what they are called and not by where they stand.
#[derive(Debug, Default)]
struct Numbers(BTreeMap<i64, String>);

impl Numbers {
    fn of(&mut self, name: String) -> i64 {
        let mut oid = i64::try_from(FIRST_OID + xxh3_64(name.as_bytes()) % 1_000_000_000).unwrap_or(i64::MAX);
        while self.0.contains_key(&oid) {
            oid += 1;
        }
        self.0.insert(oid, name);
        oid
    }
}

/// What a state has.
///
/// # Errors
/// A table says nothing of itself.
pub(super) async fn of(state: &SessionState, views: &Queries) -> Result<About> {
    let mut numbers = Numbers::default();
    let mut relations = Vec::new();
    let catalog = state.catalog_list().catalog(CATALOG);
    let catalog = catalog.ok_or_else(|| plan_datafusion_err!("there is no catalog {CATALOG}"))?;
    let named = |schema: &'static str| {
        catalog.schema(schema).into_iter().flat_map(|it| it.table_names()).map(move |it| (schema, it))
    };
    for (schema, name) in [SCHEMA, OWN_SCHEMA].into_iter().flat_map(named) {
        let is_public = schema == SCHEMA;
        let view = views.get(&name).filter(|_| is_public);
        let Some(provider) = catalog.schema(schema) else { continue };
        // A view that cannot be planned any more is there, and says why when it is read.
        let columns = match provider.table(&name).await {
            Ok(Some(table)) => table.schema().fields().iter().map(|field| column(field)).collect(),
            _ => Vec::new(),
        };
        let mut relation = Relation {
            oid: numbers.of(if is_public { format!("table {name}") } else { format!("table {schema}.{name}") }),
            schema,
            what: view.map_or_else(String::new, |view| view.header.what.clone()),
            sql: view.map(|view| view.sql.clone()),
            columns,
            name,
        };
        for column in &mut relation.columns {
            let doc = view.and_then(|view| view.header.columns.iter().find(|doc| doc.name == column.name));
            column.what = doc.map_or_else(String::new, |doc| doc.what.clone());
        }
        relations.push(relation);
    }
    let functions = functions::docs().iter().map(|doc| {
        let arguments = doc.arguments.iter().map(|argument| format!("{} {}", argument.name, argument.kind));
        Function {
            oid: numbers.of(format!("function {}", doc.name)),
            name: doc.name,
            kind: if doc.kind.contains("aggregate") {
                "a"
            } else if doc.kind.contains("window") {
                "w"
            } else {
                "f"
            },
            arguments: arguments.collect::<Vec<_>>().join(", "),
            answer: if doc.is_table() { "SETOF record".to_owned() } else { "anyelement".to_owned() },
            table: doc.is_table(),
            what: doc.summary.clone(),
        }
    });
    Ok(About { functions: functions.collect(), relations })
}

fn is_array(field: &Field) -> bool {
    matches!(field.data_type(), DataType::List(_) | DataType::LargeList(_) | DataType::ListView(_))
}

fn column(field: &Field) -> Column {
    let kind: Type = pg_type(field);
    Column {
        name: field.name().clone(),
        oid: i64::from(kind.oid()),
        short: kind.name().to_owned(),
        standard: if is_array(field) { "ARRAY".to_owned() } else { standard_name(&kind) },
        size: i64::from(size(&kind)),
        array: is_array(field),
        nullable: field.is_nullable(),
        what: String::new(),
    }
}
