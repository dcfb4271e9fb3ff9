//! Functions of the catalog that the crate lacks, or that are about this connection.

use std::fmt;
use std::hash::{Hash, Hasher};
use std::sync::Arc;

use arrow::datatypes::{DataType, Field};
use datafusion::common::{Result, ScalarValue, plan_err};
use datafusion::logical_expr::{ColumnarValue, ScalarFunctionArgs, ScalarUDF, ScalarUDFImpl, Signature, Volatility};

use super::Asker;
use super::about::About;
use super::schemas::{CLASS_FUNCTION, CLASS_RELATION};
use super::types::{pg_type, standard_name};
use crate::engine::catalog::{CATALOG, SCHEMA};
use crate::time;

/// What a function makes of one row's arguments.
type Answer = Arc<dyn Fn(&[ScalarValue]) -> Result<ScalarValue> + Send + Sync>;

/// A function of any arguments, answered row by row: these tables are small.
struct Told {
    name: &'static str,
    answers: DataType,
    signature: Signature,
    answer: Answer,
}

impl fmt::Debug for Told {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Told").field("name", &self.name).finish_non_exhaustive()
    }
}

impl PartialEq for Told {
    fn eq(&self, other: &Self) -> bool {
        self.name == other.name && Arc::ptr_eq(&self.answer, &other.answer)
    }
}

impl Eq for Told {}

impl Hash for Told {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.name.hash(state);
    }
}

impl ScalarUDFImpl for Told {
    fn name(&self) -> &str {
        self.name
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn return_type(&self, _: &[DataType]) -> Result<DataType> {
        Ok(self.answers.clone())
    }

    fn invoke_with_args(&self, args: ScalarFunctionArgs) -> Result<ColumnarValue> {
        let constants: Option<Vec<ScalarValue>> = args
            .args
            .iter()
            .map(|it| match it {
                ColumnarValue::Scalar(value) => Some(value.clone()),
                ColumnarValue::Array(_) => None,
            })
            .collect();
        if let Some(constants) = constants {
            return Ok(ColumnarValue::Scalar((self.answer)(&constants)?));
        }
        let arrays = ColumnarValue::values_to_arrays(&args.args)?;
        let row = |at: usize| {
            let values =
                arrays.iter().map(|array| ScalarValue::try_from_array(array, at)).collect::<Result<Vec<_>>>()?;
            (self.answer)(&values)
        };
        let rows = (0..args.number_rows).map(row).collect::<Result<Vec<_>>>()?;
        if rows.is_empty() {
            return Ok(ColumnarValue::Array(arrow::array::new_empty_array(&self.answers)));
        }
        Ok(ColumnarValue::Array(ScalarValue::iter_to_array(rows)?))
    }
}

fn told(
    name: &'static str,
    answers: DataType,
    answer: impl Fn(&[ScalarValue]) -> Result<ScalarValue> + Send + Sync + 'static,
) -> Arc<ScalarUDF> {
    let signature = Signature::one_of(
        vec![datafusion::logical_expr::TypeSignature::VariadicAny, datafusion::logical_expr::TypeSignature::Nullary],
        Volatility::Stable,
    );
    Arc::new(ScalarUDF::new_from_impl(Told { name, answers, signature, answer: Arc::new(answer) }))
}

/// The N-th argument as a whole number.
fn number(values: &[ScalarValue], at: usize) -> Option<i64> {
    let value = values.get(at)?;
    match value.cast_to(&DataType::Int64).ok()? {
        ScalarValue::Int64(number) => number,
        _ => None,
    }
}

/// The N-th argument as text.
fn text(values: &[ScalarValue], at: usize) -> Option<String> {
    values.get(at)?.try_as_str().flatten().map(str::to_owned)
}

fn is_text(value: Option<String>) -> ScalarValue {
    ScalarValue::Utf8(value)
}

/// Functions that answer the same, whatever they are asked.
fn constant(name: &'static str, value: ScalarValue) -> Arc<ScalarUDF> {
    told(name, value.data_type(), move |_| Ok(value.clone()))
}

/// What a function always answers.
#[derive(Debug, Clone, Copy)]
enum Constant {
    Truth(bool),
    Nothing,
    Long,
    Int,
}

impl Constant {
    fn scalar(self) -> ScalarValue {
        match self {
            Self::Truth(truth) => ScalarValue::from(truth),
            Self::Nothing => ScalarValue::Utf8(None),
            Self::Long => ScalarValue::from(0_i64),
            Self::Int => ScalarValue::from(0_i32),
        }
    }
}

const CONSTANTS: [(Constant, &[&str]); 5] = [
    (
        Constant::Truth(true),
        &[
            "pg_function_is_visible",
            "pg_type_is_visible",
            "pg_operator_is_visible",
            "pg_opclass_is_visible",
            "pg_opfamily_is_visible",
            "pg_collation_is_visible",
            "pg_conversion_is_visible",
            "pg_statistics_obj_is_visible",
            "pg_ts_config_is_visible",
            "pg_ts_dict_is_visible",
            "pg_ts_parser_is_visible",
            "pg_ts_template_is_visible",
            "has_column_privilege",
            "has_function_privilege",
            "has_sequence_privilege",
            "has_type_privilege",
            "has_language_privilege",
            "has_tablespace_privilege",
            "has_server_privilege",
            "pg_has_role",
        ],
    ),
    (
        Constant::Truth(false),
        &[
            "pg_is_in_recovery",
            "pg_is_other_temp_schema",
            "row_security_active",
            "pg_index_column_has_property",
            "pg_is_wal_replay_paused",
        ],
    ),
    (
        Constant::Nothing,
        &[
            "pg_get_indexdef",
            "pg_get_triggerdef",
            "pg_get_ruledef",
            "pg_get_serial_sequence",
            "pg_get_partition_constraintdef",
            "pg_get_function_sqlbody",
            "pg_tablespace_location",
            "shobj_description",
            "inet_server_addr",
            "inet_client_addr",
            "pg_advisory_unlock_all",
            "pg_get_statisticsobjdef",
            "to_regtype",
            "pg_get_function_arg_default",
            "pg_describe_object",
            "json_build_object",
        ],
    ),
    (Constant::Long, &["pg_table_size", "pg_indexes_size", "pg_database_size", "pg_tablespace_size", "txid_current"]),
    (Constant::Int, &["pg_my_temp_schema", "inet_server_port", "inet_client_port"]),
];

/// All of them.
pub(super) fn all(about: &Arc<About>, asker: &Asker) -> Vec<Arc<ScalarUDF>> {
    let mut all = connection(asker);
    all.extend(objects(about));
    let of = |(value, names): &(Constant, &'static [&'static str])| {
        names.iter().map(|&name| constant(name, value.scalar())).collect::<Vec<_>>()
    };
    all.extend(CONSTANTS.iter().flat_map(of));
    all.push(constant("generate_subscripts", ScalarValue::Int32(None)));
    all.push(constant("pg_char_to_encoding", ScalarValue::from(6_i32)));
    all.push(constant("getdatabaseencoding", ScalarValue::from("UTF8")));
    all.push(told("pg_typeof", DataType::Utf8, |values| {
        let kind = values.first().map(|value| standard_name(&pg_type(&Field::new("", value.data_type(), true))));
        Ok(is_text(kind))
    }));
    all.push(told("format", DataType::Utf8, |values| {
        Ok(is_text(text(values, 0).map(|form| formatted(&form, values))))
    }));
    all.push(told("pg_size_pretty", DataType::Utf8, |values| {
        Ok(is_text(number(values, 0).map(|bytes| format!("{bytes} bytes"))))
    }));
    all
}

/// A text with its values in the places of `%s`, `%I` and `%L`.
fn formatted(form: &str, values: &[ScalarValue]) -> String {
    let (mut done, mut rest, mut at) = (String::new(), form, 0);
    while let Some((before, after)) = rest.split_once('%') {
        done.push_str(before);
        let mut letters = after.chars();
        let letter = letters.next();
        if letter == Some('%') {
            done.push('%');
        } else {
            at += 1;
            let value = values.get(at).filter(|value| !value.is_null()).map(ToString::to_string).unwrap_or_default();
            let shown = match letter {
                Some('I') => format!("\"{}\"", value.replace('"', "\"\"")),
                Some('L') => format!("'{}'", value.replace('\'', "''")),
                _ => value,
            };
            done.push_str(&shown);
        }
        rest = letters.as_str();
    }
    done + rest
}

/// What is so of this connection.
fn connection(asker: &Asker) -> Vec<Arc<ScalarUDF>> {
    let user = || ScalarValue::from(asker.user.as_str());
    let variables = asker.variables.clone();
    let setting = move |values: &[ScalarValue]| {
        let name = text(values, 0).unwrap_or_default().to_lowercase();
        match variables.iter().find(|(known, _)| known.to_lowercase() == name) {
            Some((_, value)) => Ok(is_text(Some(value.clone()))),
            None if matches!(values.get(1), Some(ScalarValue::Boolean(Some(true)))) => Ok(is_text(None)),
            None => plan_err!("no setting {name}"),
        }
    };
    let known = asker.variables.clone();
    let set = move |values: &[ScalarValue]| {
        let (name, value) = (text(values, 0).unwrap_or_default().to_lowercase(), text(values, 1));
        match known.iter().find(|(known, _)| known.to_lowercase() == name) {
            // Of these none changes an answer.
            Some(_) if ["search_path", "jit", "application_name", "client_min_messages"].contains(&name.as_str()) => {
                Ok(is_text(value))
            }
            Some(_) if name == "timezone" && value.as_deref().is_some_and(time::is_utc) => Ok(is_text(value)),
            Some((_, now)) if Some(now) == value.as_ref() => Ok(is_text(value)),
            _ => plan_err!("set_config: {name} is set by SET"),
        }
    };
    vec![
        constant("version", ScalarValue::from(format!("PostgreSQL {} on {}", asker.version, std::env::consts::ARCH))),
        told("current_setting", DataType::Utf8, setting),
        told("set_config", DataType::Utf8, set),
        constant("current_database", ScalarValue::from(CATALOG)),
        constant("current_catalog", ScalarValue::from(CATALOG)),
        constant("current_schema", ScalarValue::from("public")),
        constant("session_user", user()),
        constant("current_user", user()),
        constant("current_role", user()),
        constant("pg_get_userbyid", ScalarValue::from(CATALOG)),
        constant("pg_backend_pid", ScalarValue::from(asker.pid)),
    ]
}

/// What is so of tables, views and functions.
fn objects(about: &Arc<About>) -> Vec<Arc<ScalarUDF>> {
    let of_function = |about: &Arc<About>, part: fn(&super::about::Function) -> String| {
        let about = Arc::clone(about);
        move |values: &[ScalarValue]| Ok(is_text(number(values, 0).and_then(|oid| about.function(oid)).map(part)))
    };
    let [described, columns, views, names, seen] = std::array::from_fn(|_| Arc::clone(about));
    let description = move |values: &[ScalarValue]| {
        let class = match text(values, 1).as_deref() {
            Some("pg_class") => CLASS_RELATION,
            Some("pg_proc") => CLASS_FUNCTION,
            Some(_) => 0,
            None => number(values, 1).unwrap_or(CLASS_RELATION),
        };
        let what = number(values, 0).and_then(|oid| match class {
            CLASS_RELATION => described.relation(oid).map(|it| it.what.clone()),
            CLASS_FUNCTION => described.function(oid).map(|it| it.what.clone()),
            _ => None,
        });
        Ok(is_text(what.filter(|what| !what.is_empty())))
    };
    let column = move |values: &[ScalarValue]| {
        let relation = number(values, 0).and_then(|oid| columns.relation(oid));
        let at = number(values, 1).and_then(|at| usize::try_from(at - 1).ok());
        let what = relation.zip(at).and_then(|(relation, at)| relation.columns.get(at)).map(|it| it.what.clone());
        Ok(is_text(what.filter(|what| !what.is_empty())))
    };
    let view = move |values: &[ScalarValue]| {
        let called = text(values, 0);
        let relation = match &called {
            Some(name) => views.named(name),
            None => number(values, 0).and_then(|oid| views.relation(oid)),
        };
        Ok(is_text(relation.and_then(|it| it.sql.clone())))
    };
    let class = move |values: &[ScalarValue]| {
        let found = names.named(&text(values, 0).unwrap_or_default());
        Ok(ScalarValue::Int32(found.and_then(|relation| i32::try_from(relation.oid).ok())))
    };
    let visible = move |values: &[ScalarValue]| {
        let relation = number(values, 0).and_then(|oid| seen.relation(oid));
        Ok(ScalarValue::from(relation.is_none_or(|it| it.schema == SCHEMA)))
    };
    vec![
        told("pg_table_is_visible", DataType::Boolean, visible),
        told("obj_description", DataType::Utf8, description),
        told("col_description", DataType::Utf8, column),
        told("pg_get_viewdef", DataType::Utf8, view),
        told("to_regclass", DataType::Int32, class),
        told("pg_get_function_arguments", DataType::Utf8, of_function(about, |it| it.arguments.clone())),
        told("pg_get_function_identity_arguments", DataType::Utf8, of_function(about, |it| it.arguments.clone())),
        told("pg_get_function_result", DataType::Utf8, of_function(about, |it| it.answer.clone())),
        told("pg_get_functiondef", DataType::Utf8, of_function(about, |it| it.what.clone())),
    ]
}
