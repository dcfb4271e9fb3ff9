//! The tables of `pg_catalog` that are about us, and the whole `information_schema`.

use std::sync::Arc;

use arrow::array::RecordBatch;
use arrow::datatypes::{Schema, SchemaRef};
use datafusion::catalog::{SchemaProvider, TableProvider};
use datafusion::common::{Result, plan_datafusion_err};
use datafusion::prelude::SessionContext;

use super::Asker;
use super::about::{About, Column, OWN, PUBLIC, Relation};
use super::rows::{Row, columns, table};
use crate::engine::catalog::{CATALOG, OWN_SCHEMA, SCHEMA};

/// Tables by their names.
pub(super) type Tables = Vec<(&'static str, Arc<dyn TableProvider>)>;

/// Numbers that Postgres gives.
const OWNER: i64 = 10;
const CATALOG_SCHEMA: i64 = 11;
const INFORMATION: i64 = 13_000;
const DATABASE: i64 = 16_383;
/// `pg_class` and `pg_proc`, as the classes of what is described.
pub(super) const CLASS_RELATION: i64 = 1_259;
pub(super) const CLASS_FUNCTION: i64 = 1_255;

/// The tables of `pg_catalog` that are about this connection, in the columns that the crate gives them.
///
/// # Errors
/// The crate lacks one.
pub(super) async fn connection(asker: &Asker, base: &Arc<dyn SchemaProvider>) -> Result<Tables> {
    let mut tables = Tables::new();
    for (name, rows) in [("pg_settings", settings(asker)), ("pg_roles", roles(asker))] {
        tables.push((name, table(&schema(base, name).await?, &rows, Vec::new())?));
    }
    Ok(tables)
}

/// The tables of `pg_catalog` that are about us.
///
/// # Errors
/// The crate lacks one.
pub(super) async fn pg_catalog(about: &About, base: &Arc<dyn SchemaProvider>) -> Result<Tables> {
    let mut tables = Tables::new();
    for (name, rows) in [
        ("pg_namespace", namespaces()),
        ("pg_database", databases()),
        ("pg_class", about.relations.iter().map(class).collect()),
        ("pg_index", Vec::new()),
        ("pg_constraint", Vec::new()),
        ("pg_attribute", about.relations.iter().flat_map(attributes).collect()),
        ("pg_tables", plain(about).map(|it| named(it, "tablename", "tableowner")).collect()),
        ("pg_views", views(about).map(view).collect()),
    ] {
        tables.push((name, table(&schema(base, name).await?, &rows, Vec::new())?));
    }
    for (name, rows) in [("pg_proc", functions(about)), ("pg_description", descriptions(about))] {
        let (schema, batches) = known(base, name).await?;
        tables.push((name, table(&schema, &rows, batches)?));
    }
    let user = columns(
        "usename usesysid:int usecreatedb:bool usesuper:bool userepl:bool usebypassrls:bool passwd valuntil useconfig",
    );
    tables
        .push(("pg_user", table(&user, &[vec![("usename", CATALOG.into()), ("usesysid", OWNER.into())]], Vec::new())?));
    let activity = columns(
        "datid:int datname pid:int usesysid:int usename application_name client_addr client_port:int backend_start query_start state query backend_type wait_event_type wait_event",
    );
    tables.push(("pg_stat_activity", table(&activity, &[], Vec::new())?));
    let mappings = columns("umid:int srvid:int srvname umuser:int usename umoptions");
    tables.push(("pg_user_mappings", table(&mappings, &[], Vec::new())?));
    Ok(tables)
}

fn missing(name: &str) -> datafusion::common::DataFusionError {
    plan_datafusion_err!("there is no pg_catalog.{name}")
}

/// The type of a column that the crate lacks.
fn kind_of(name: &str) -> &'static str {
    match name {
        "indnullsnotdistinct" => "bool",
        "indnkeyatts" | "conindid" => "int",
        _ => "text",
    }
}

async fn schema(base: &Arc<dyn SchemaProvider>, name: &str) -> Result<SchemaRef> {
    let schema = base.table(name).await?.ok_or_else(|| missing(name))?.schema();
    let more: &[&str] = match name {
        "pg_class" => &["reloptions", "relacl"],
        "pg_index" => &["indnullsnotdistinct", "indnkeyatts", "indclass", "indcollation", "indoption"],
        "pg_constraint" => &["conindid"],
        "pg_settings" => &["boot_val"],
        _ => &[],
    };
    let mut fields = schema.fields().to_vec();
    let missing = more.iter().filter(|name| schema.field_with_name(name).is_err());
    fields.extend(missing.flat_map(|name| columns(&format!("{name}:{}", kind_of(name))).fields().to_vec()));
    Ok(Arc::new(Schema::new(fields)))
}

/// A table of the crate with its rows.
async fn known(base: &Arc<dyn SchemaProvider>, name: &str) -> Result<(SchemaRef, Vec<RecordBatch>)> {
    let table = base.table(name).await?.ok_or_else(|| missing(name))?;
    let schema = table.schema();
    let context = SessionContext::new_with_state(
        datafusion::execution::session_state::SessionStateBuilder::new_with_default_features().build(),
    );
    Ok((schema, context.read_table(table)?.collect().await?))
}

fn namespaces() -> Vec<Row> {
    [(SCHEMA, PUBLIC), (OWN_SCHEMA, OWN), ("pg_catalog", CATALOG_SCHEMA), ("information_schema", INFORMATION)]
        .into_iter()
        .map(|(name, oid)| vec![("oid", oid.into()), ("nspname", name.into()), ("nspowner", OWNER.into())])
        .collect()
}

fn databases() -> Vec<Row> {
    vec![vec![
        ("oid", DATABASE.into()),
        ("datname", CATALOG.into()),
        ("datdba", OWNER.into()),
        ("encoding", 6.into()),
        ("datcollate", "C".into()),
        ("datctype", "C.UTF-8".into()),
        ("datistemplate", false.into()),
        ("datallowconn", true.into()),
        ("datconnlimit", (-1).into()),
        ("dattablespace", 1_663.into()),
    ]]
}

fn class(relation: &Relation) -> Row {
    vec![
        ("oid", relation.oid.into()),
        ("relname", (&relation.name).into()),
        ("relnamespace", if relation.schema == SCHEMA { PUBLIC } else { OWN }.into()),
        ("relowner", OWNER.into()),
        ("relkind", if relation.sql.is_some() { "v" } else { "r" }.into()),
        ("relpersistence", "p".into()),
        ("relreplident", "n".into()),
        ("relispopulated", true.into()),
        ("relnatts", i64::try_from(relation.columns.len()).unwrap_or(0).into()),
        ("reltuples", (-1).into()),
        ("relhasrules", relation.sql.is_some().into()),
    ]
}

fn attributes(relation: &Relation) -> impl Iterator<Item = Row> + '_ {
    let row = |(at, column): (usize, &Column)| -> Row {
        vec![
            ("attrelid", relation.oid.into()),
            ("attname", (&column.name).into()),
            ("atttypid", column.oid.into()),
            ("attstattarget", (-1).into()),
            ("attlen", column.size.into()),
            ("attnum", i64::try_from(at + 1).unwrap_or(i64::MAX).into()),
            ("attndims", i64::from(column.array).into()),
            ("attcacheoff", (-1).into()),
            ("atttypmod", (-1).into()),
            ("attbyval", (column.size > 0).into()),
            ("attalign", "i".into()),
            ("attstorage", if column.size > 0 { "p" } else { "x" }.into()),
            ("attnotnull", (!column.nullable).into()),
            ("attislocal", true.into()),
        ]
    };
    relation.columns.iter().enumerate().map(row)
}

fn plain(about: &About) -> impl Iterator<Item = &Relation> {
    about.relations.iter().filter(|relation| relation.sql.is_none())
}

fn views(about: &About) -> impl Iterator<Item = &Relation> {
    about.relations.iter().filter(|relation| relation.sql.is_some())
}

fn named(relation: &Relation, name: &'static str, owner: &'static str) -> Row {
    vec![("schemaname", relation.schema.into()), (name, (&relation.name).into()), (owner, CATALOG.into())]
}

fn view(relation: &Relation) -> Row {
    let mut row = named(relation, "viewname", "viewowner");
    row.extend(relation.sql.as_ref().map(|sql| ("definition", sql.into())));
    row
}

fn settings(asker: &Asker) -> Vec<Row> {
    let row = |(name, value): &(String, String)| -> Row {
        vec![
            ("name", name.into()),
            ("setting", value.into()),
            ("category", "journeyql".into()),
            ("context", "user".into()),
            ("vartype", "string".into()),
            ("source", "default".into()),
            ("boot_val", value.into()),
            ("reset_val", value.into()),
        ]
    };
    asker.variables.iter().map(row).collect()
}

/// Whoever asks, and who owns the tables.
fn roles(asker: &Asker) -> Vec<Row> {
    let role = |(oid, name): (i64, &str)| -> Row {
        vec![
            ("oid", oid.into()),
            ("rolname", name.into()),
            ("rolinherit", true.into()),
            ("rolcanlogin", true.into()),
            ("rolconnlimit", (-1).into()),
        ]
    };
    [(OWNER, CATALOG), (OWNER + 1, asker.user.as_str())].into_iter().map(role).collect()
}

fn functions(about: &About) -> Vec<Row> {
    let row = |function: &super::about::Function| -> Row {
        vec![
            ("oid", function.oid.into()),
            ("proname", function.name.into()),
            ("pronamespace", PUBLIC.into()),
            ("proowner", OWNER.into()),
            ("prolang", 12.into()),
            ("procost", 1.into()),
            ("prokind", function.kind.into()),
            ("proretset", function.table.into()),
            ("provolatile", "s".into()),
            ("proparallel", "s".into()),
            ("prorettype", 2_283.into()),
            ("prosrc", function.name.into()),
        ]
    };
    about.functions.iter().map(row).collect()
}

fn descriptions(about: &About) -> Vec<Row> {
    let one = |oid: i64, class: i64, part: i64, what: &str| -> Row {
        vec![
            ("objoid", oid.into()),
            ("classoid", class.into()),
            ("objsubid", part.into()),
            ("description", what.into()),
        ]
    };
    let mut rows = Vec::new();
    for relation in &about.relations {
        let columns = relation.columns.iter().zip(1_i64..).map(|(column, at)| (at, column.what.as_str()));
        let parts = std::iter::once((0, relation.what.as_str())).chain(columns).filter(|(_, what)| !what.is_empty());
        rows.extend(parts.map(|(part, what)| one(relation.oid, CLASS_RELATION, part, what)));
    }
    rows.extend(about.functions.iter().map(|it| one(it.oid, CLASS_FUNCTION, 0, &it.what)));
    rows
}

/// The columns of `information_schema`, without those that nobody asks for.
const INFORMATION_TABLES: [(&str, &str); 21] = [
    (
        "schemata",
        "catalog_name schema_name schema_owner default_character_set_catalog default_character_set_schema default_character_set_name sql_path",
    ),
    (
        "tables",
        "table_catalog table_schema table_name table_type self_referencing_column_name reference_generation user_defined_type_catalog user_defined_type_schema user_defined_type_name is_insertable_into is_typed commit_action",
    ),
    (
        "columns",
        "table_catalog table_schema table_name column_name ordinal_position:int column_default is_nullable data_type character_maximum_length:int character_octet_length:int numeric_precision:int numeric_precision_radix:int numeric_scale:int datetime_precision:int interval_type interval_precision:int character_set_name collation_name domain_catalog domain_schema domain_name udt_catalog udt_schema udt_name dtd_identifier is_self_referencing is_identity identity_generation identity_start identity_increment identity_maximum identity_minimum identity_cycle is_generated generation_expression is_updatable",
    ),
    (
        "views",
        "table_catalog table_schema table_name view_definition check_option is_updatable is_insertable_into is_trigger_updatable is_trigger_deletable is_trigger_insertable_into",
    ),
    (
        "routines",
        "specific_catalog specific_schema specific_name routine_catalog routine_schema routine_name routine_type data_type type_udt_name routine_body routine_definition external_language",
    ),
    (
        "parameters",
        "specific_catalog specific_schema specific_name ordinal_position:int parameter_mode parameter_name data_type udt_name parameter_default",
    ),
    (
        "table_constraints",
        "constraint_catalog constraint_schema constraint_name table_catalog table_schema table_name constraint_type is_deferrable initially_deferred enforced",
    ),
    (
        "key_column_usage",
        "constraint_catalog constraint_schema constraint_name table_catalog table_schema table_name column_name ordinal_position:int position_in_unique_constraint:int",
    ),
    (
        "referential_constraints",
        "constraint_catalog constraint_schema constraint_name unique_constraint_catalog unique_constraint_schema unique_constraint_name match_option update_rule delete_rule",
    ),
    (
        "constraint_column_usage",
        "table_catalog table_schema table_name column_name constraint_catalog constraint_schema constraint_name",
    ),
    (
        "constraint_table_usage",
        "table_catalog table_schema table_name constraint_catalog constraint_schema constraint_name",
    ),
    ("check_constraints", "constraint_catalog constraint_schema constraint_name check_clause"),
    (
        "sequences",
        "sequence_catalog sequence_schema sequence_name data_type numeric_precision:int start_value minimum_value maximum_value increment cycle_option",
    ),
    (
        "triggers",
        "trigger_catalog trigger_schema trigger_name event_manipulation event_object_catalog event_object_schema event_object_table action_order:int action_condition action_statement action_orientation action_timing",
    ),
    ("domains", "domain_catalog domain_schema domain_name data_type domain_default udt_name"),
    ("collations", "collation_catalog collation_schema collation_name pad_attribute"),
    (
        "character_sets",
        "character_set_catalog character_set_schema character_set_name character_repertoire form_of_use default_collate_catalog default_collate_schema default_collate_name",
    ),
    ("enabled_roles", "role_name"),
    ("applicable_roles", "grantee role_name is_grantable"),
    (
        "table_privileges",
        "grantor grantee table_catalog table_schema table_name privilege_type is_grantable with_hierarchy",
    ),
    (
        "role_table_grants",
        "grantor grantee table_catalog table_schema table_name privilege_type is_grantable with_hierarchy",
    ),
];

/// The whole `information_schema`.
///
/// # Errors
/// A value is none of its column.
pub(super) fn information(about: &About) -> Result<Tables> {
    let rows = |name: &str| -> Vec<Row> {
        match name {
            "schemata" => [SCHEMA, OWN_SCHEMA, "pg_catalog", "information_schema"]
                .into_iter()
                .map(|name| {
                    vec![
                        ("catalog_name", CATALOG.into()),
                        ("schema_name", name.into()),
                        ("schema_owner", CATALOG.into()),
                    ]
                })
                .collect(),
            "tables" => about.relations.iter().map(listed).collect(),
            "columns" => about.relations.iter().flat_map(described).collect(),
            "views" => views(about)
                .map(|view| {
                    let mut row = of_table(view);
                    row.extend(view.sql.as_ref().map(|sql| ("view_definition", sql.into())));
                    row.extend([("check_option", "NONE".into()), ("is_updatable", false.into())]);
                    row
                })
                .collect(),
            "routines" => about.functions.iter().map(routine).collect(),
            "table_privileges" | "role_table_grants" => about.relations.iter().map(granted).collect(),
            "enabled_roles" => vec![vec![("role_name", CATALOG.into())]],
            "character_sets" => vec![vec![("character_set_name", "UTF8".into()), ("form_of_use", "UTF8".into())]],
            _ => Vec::new(),
        }
    };
    INFORMATION_TABLES.iter().map(|(name, text)| Ok((*name, table(&columns(text), &rows(name), Vec::new())?))).collect()
}

fn of_table(relation: &Relation) -> Row {
    let schema = relation.schema.into();
    vec![("table_catalog", CATALOG.into()), ("table_schema", schema), ("table_name", (&relation.name).into())]
}

fn listed(relation: &Relation) -> Row {
    let mut row = of_table(relation);
    row.extend([
        ("table_type", if relation.sql.is_some() { "VIEW" } else { "BASE TABLE" }.into()),
        ("is_insertable_into", false.into()),
        ("is_typed", false.into()),
    ]);
    row
}

fn described(relation: &Relation) -> impl Iterator<Item = Row> + '_ {
    relation.columns.iter().zip(1_i64..).map(|(column, at)| {
        let mut row = of_table(relation);
        row.extend([
            ("column_name", (&column.name).into()),
            ("ordinal_position", at.into()),
            ("is_nullable", column.nullable.into()),
            ("data_type", (&column.standard).into()),
            ("udt_catalog", CATALOG.into()),
            ("udt_schema", "pg_catalog".into()),
            ("udt_name", (&column.short).into()),
            ("dtd_identifier", at.to_string().as_str().into()),
            ("is_self_referencing", false.into()),
            ("is_identity", false.into()),
            ("identity_cycle", false.into()),
            ("is_generated", "NEVER".into()),
            ("is_updatable", false.into()),
        ]);
        let precision = match column.short.as_str() {
            "int2" => Some((16, 2)),
            "int4" => Some((32, 2)),
            "int8" => Some((64, 2)),
            "float4" => Some((24, 2)),
            "float8" => Some((53, 2)),
            _ => None,
        };
        if let Some((precision, radix)) = precision {
            row.extend([("numeric_precision", precision.into()), ("numeric_precision_radix", radix.into())]);
        }
        if column.short.starts_with("int") {
            row.push(("numeric_scale", 0.into()));
        }
        if column.short.starts_with("timestamp") {
            row.push(("datetime_precision", 6.into()));
        }
        row
    })
}

fn routine(function: &super::about::Function) -> Row {
    vec![
        ("specific_catalog", CATALOG.into()),
        ("specific_schema", "public".into()),
        ("specific_name", format!("{}_{}", function.name, function.oid).as_str().into()),
        ("routine_catalog", CATALOG.into()),
        ("routine_schema", "public".into()),
        ("routine_name", function.name.into()),
        ("routine_type", "FUNCTION".into()),
        ("data_type", if function.table { "record" } else { "anyelement" }.into()),
        ("external_language", "INTERNAL".into()),
    ]
}

fn granted(relation: &Relation) -> Row {
    let mut row = of_table(relation);
    row.extend([
        ("grantor", CATALOG.into()),
        ("grantee", CATALOG.into()),
        ("privilege_type", "SELECT".into()),
        ("is_grantable", false.into()),
    ]);
    row
}
