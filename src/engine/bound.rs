//! Parameters of a client's statement: `$1` has a type before it has a value, and is a literal once it has one.
//!
//! A literal and not a bound value for the reason that reports have theirs (`params`): an argument of a table function
//! cannot be a parameter.

use std::collections::{HashMap, HashSet};
use std::fmt::Write as _;

use arrow::array::Array;
use arrow::datatypes::{DataType, SchemaRef, TimeUnit};
use datafusion::common::tree_node::{TreeNode, TreeNodeRecursion};
use datafusion::common::{DataFusionError, Result as DfResult, ScalarValue};
use datafusion::execution::session_state::SessionState;
use datafusion::logical_expr::{Expr, LogicalPlan};
use datafusion::sql::parser::Statement;

use super::answer::plain_schema;
use super::error::QueryError;
use super::params::replaced;
use super::session::Engine;
use super::statement::parse;
use crate::time;

/// What is known of a statement before its parameters have values.
#[derive(Debug, Clone)]
pub struct Described {
    /// The type of each `$N` where the statement says it.
    pub parameters: Vec<Option<DataType>>,
    /// The columns of its rows.
    pub schema: SchemaRef,
}

/// The statement with the N-th literal in place of `$N`.
///
/// # Errors
/// There are fewer literals than parameters.
pub fn bind_numbered(sql: &str, literals: &[String]) -> Result<String, QueryError> {
    replaced(sql, |name, at| {
        let Ok(number) = name.parse::<usize>() else { return Ok(None) };
        match number.checked_sub(1).and_then(|index| literals.get(index)) {
            Some(literal) => Ok(Some(literal.clone())),
            None => Err(QueryError::sql(format!("${number} has no value")).with_position(Some(at))),
        }
    })
}

/// A value as SQL; a time without a zone is one of UTC where `zoned` says so.
///
/// # Errors
/// There is no way to write it.
pub fn literal(value: &ScalarValue, zoned: bool) -> Result<String, QueryError> {
    if value.is_null() {
        return Ok(null_of(Some(&value.data_type())));
    }
    let typed = |text: String| match sql_type(&value.data_type()) {
        Some(name) => Ok(format!("CAST('{}' AS {name})", text.replace('\'', "''"))),
        None => Err(QueryError::sql(format!("a parameter of type {} is not possible", value.data_type()))),
    };
    if let Some(text) = value.try_as_str().flatten() {
        return Ok(format!("'{}'", text.replace('\'', "''")));
    }
    match value {
        ScalarValue::Boolean(_) => Ok(value.to_string().to_uppercase()),
        _ if value.data_type().is_integer() => {
            let text = value.to_string();
            // Behind a minus another one would begin a comment.
            Ok(if text.starts_with('-') { format!("({text})") } else { text })
        }
        ScalarValue::Float64(Some(number)) => typed(format!("{number:?}")),
        ScalarValue::Float32(Some(number)) => typed(format!("{number:?}")),
        ScalarValue::Decimal128(Some(number), _, scale) => {
            let (number, scale) = (*number, usize::try_from(*scale).unwrap_or(0));
            let digits = format!("{:0>width$}", number.unsigned_abs(), width = scale + 1);
            let (whole, part) = digits.split_at(digits.len() - scale);
            let sign = if number < 0 { "-" } else { "" };
            Ok(format!("CAST('{sign}{whole}.{part}' AS DECIMAL(38, {scale}))"))
        }
        ScalarValue::TimestampMicrosecond(Some(micros), None) if zoned => {
            Ok(format!("CAST('{}' AS TIMESTAMP WITH TIME ZONE)", time::iso(*micros)))
        }
        ScalarValue::TimestampMicrosecond(Some(micros), None) => typed(time::iso(*micros).replace('Z', "")),
        ScalarValue::Time64Microsecond(Some(micros)) => {
            // The time of the first day there is.
            typed(time::iso(*micros).trim_start_matches("1970-01-01T").replace('Z', ""))
        }
        ScalarValue::Binary(Some(bytes)) => {
            let mut text = String::from("X'");
            for byte in bytes {
                let _ = write!(text, "{byte:02x}");
            }
            Ok(text + "'")
        }
        ScalarValue::IntervalMonthDayNano(Some(it)) => {
            Ok(format!("INTERVAL '{} months {} days {} nanoseconds'", it.months, it.days, it.nanoseconds))
        }
        ScalarValue::List(list) => {
            let items = list.value(0);
            let item = |at| {
                let value = ScalarValue::try_from_array(&items, at);
                literal(&value.map_err(|error| QueryError::from_datafusion(&error, &[]))?, zoned)
            };
            let items = (0..items.len()).map(item).collect::<Result<Vec<_>, _>>()?;
            // A list of nothing is not nothing: `<> ALL` of it is true.
            let empty = || sql_type(&value.data_type()).unwrap_or_else(|| "VARCHAR[]".to_owned());
            Ok(if items.is_empty() { format!("CAST([] AS {})", empty()) } else { format!("[{}]", items.join(", ")) })
        }
        other => typed(other.to_string()),
    }
}

/// How many parameters a statement has: the highest `N` of its `$N`.
#[must_use]
pub fn parameters(sql: &str) -> usize {
    let mut highest = 0;
    let counted = replaced(sql, |name, _| {
        highest = highest.max(name.parse().unwrap_or(0));
        Ok(None)
    });
    counted.map_or(0, |_| highest)
}

/// How a statement becomes a plan: the parser, and the state it is planned in.
pub(super) trait Planning: Sync {
    /// Reads one statement.
    fn parse(&self, sql: &str) -> Result<Statement, QueryError>;
    /// The session.
    fn state(&self) -> SessionState;
}

/// SQL as it is written everywhere.
struct Plain<'a>(&'a Engine);

impl Planning for Plain<'_> {
    fn parse(&self, sql: &str) -> Result<Statement, QueryError> {
        let mut statements = parse(sql)?;
        match (statements.pop_front(), statements.is_empty()) {
            (Some(statement), true) => Ok(statement),
            _ => Err(QueryError::sql("one statement is expected")),
        }
    }

    fn state(&self) -> SessionState {
        self.0.state()
    }
}

impl Engine {
    /// What is known of one statement before its parameters have values; `declared` are types that somebody gave.
    ///
    /// # Errors
    /// The text is refused or cannot be planned.
    pub async fn describe(&self, sql: &str, declared: &[Option<DataType>]) -> Result<Described, QueryError> {
        self.described(&Plain(self), sql, declared).await
    }

    /// Describes one statement of `planning`; `declared` are types that the client gave.
    pub(super) async fn described(
        &self,
        planning: &dyn Planning,
        sql: &str,
        declared: &[Option<DataType>],
    ) -> Result<Described, QueryError> {
        let planned = self.planned(planning, sql).await;
        let count = parameters(sql);
        if count == 0 {
            return Ok(Described { parameters: Vec::new(), schema: schema(&planned?) });
        }
        if count > usize::from(u16::MAX) {
            return Err(QueryError::sql("a statement has at most 65535 parameters"));
        }
        let inferred = planned.as_ref().ok().and_then(|plan| inferred(plan).ok()).unwrap_or_default();
        let lists = in_any(sql);
        let known = |index: usize| {
            let declared = declared.get(index).cloned().flatten();
            let declared = declared.or_else(|| inferred.get(&format!("${}", index + 1)).cloned().flatten());
            declared.or_else(|| lists.contains(&(index + 1)).then(|| DataType::new_list(DataType::Utf8, true)))
        };
        let parameters: Vec<Option<DataType>> = (0..count).map(known).collect();
        // Columns may be made of parameters: a statement is planned anew with what its values will be like.
        for sample in [null_of, sample_of] {
            let literals: Vec<String> = parameters.iter().map(|kind| sample(kind.as_ref())).collect();
            if let Ok(plan) = self.planned(planning, &bind_numbered(sql, &literals)?).await {
                return Ok(Described { parameters, schema: schema(&plan) });
            }
        }
        Ok(Described { parameters, schema: schema(&planned?) })
    }

    async fn planned(&self, planning: &dyn Planning, sql: &str) -> Result<LogicalPlan, QueryError> {
        let statement = planning.parse(sql)?;
        self.plan(planning.state(), statement).await
    }
}

/// The parameters that stand as `ANY($1)`, where lists do.
fn in_any(sql: &str) -> HashSet<usize> {
    let flat = sql.split_whitespace().collect::<String>().to_uppercase();
    let behind = |opening: &str| -> Vec<usize> {
        let number = |(at, found): (usize, &str)| {
            flat[at + found.len()..].chars().take_while(char::is_ascii_digit).collect::<String>().parse().ok()
        };
        flat.match_indices(opening).filter_map(number).collect()
    };
    behind("ANY($").into_iter().chain(behind("ALL($")).collect()
}

fn schema(plan: &LogicalPlan) -> SchemaRef {
    plain_schema(plan.schema().as_arrow())
}

/// The types of the parameters that the plan tells, casts and limits included.
fn inferred(plan: &LogicalPlan) -> DfResult<HashMap<String, Option<DataType>>> {
    let mut types = plan.get_parameter_types()?;
    let mut learn = |id: &str, kind: &DataType| {
        types.entry(id.to_owned()).or_default().get_or_insert_with(|| kind.clone());
    };
    plan.apply_with_subqueries(|node| {
        for expr in node.expressions() {
            expr.apply(|expr| {
                let cast = match expr {
                    Expr::Cast(cast) => Some((&*cast.expr, &cast.field)),
                    Expr::TryCast(cast) => Some((&*cast.expr, &cast.field)),
                    Expr::Placeholder(it) if matches!(node, LogicalPlan::Limit(_)) => {
                        learn(&it.id, &DataType::Int64);
                        None
                    }
                    _ => None,
                };
                if let Some((Expr::Placeholder(it), field)) = cast {
                    learn(&it.id, field.data_type());
                }
                Ok::<_, DataFusionError>(TreeNodeRecursion::Continue)
            })?;
        }
        Ok(TreeNodeRecursion::Continue)
    })?;
    Ok(types)
}

/// No value of a type.
fn null_of(kind: Option<&DataType>) -> String {
    format!("CAST(NULL AS {})", kind.and_then(sql_type).unwrap_or_else(|| "VARCHAR".to_owned()))
}

/// Some value of a type, where none is not taken.
fn sample_of(kind: Option<&DataType>) -> String {
    match kind {
        None | Some(DataType::Utf8 | DataType::Utf8View | DataType::LargeUtf8) => "''".to_owned(),
        Some(kind) if kind.is_integer() => "1".to_owned(),
        Some(kind) if kind.is_floating() => "CAST('1' AS DOUBLE)".to_owned(),
        Some(DataType::Boolean) => "FALSE".to_owned(),
        kind => null_of(kind),
    }
}

/// What a type is called in SQL.
#[must_use]
pub fn sql_type(kind: &DataType) -> Option<String> {
    Some(match kind {
        DataType::Boolean => "BOOLEAN".to_owned(),
        DataType::Int8 | DataType::Int16 | DataType::UInt8 => "SMALLINT".to_owned(),
        DataType::Int32 | DataType::UInt16 => "INT".to_owned(),
        DataType::Int64 | DataType::UInt32 | DataType::UInt64 => "BIGINT".to_owned(),
        DataType::Float16 | DataType::Float32 => "REAL".to_owned(),
        DataType::Float64 => "DOUBLE".to_owned(),
        DataType::Decimal128(precision, scale) => format!("DECIMAL({precision}, {scale})"),
        DataType::Utf8 | DataType::LargeUtf8 | DataType::Utf8View => "VARCHAR".to_owned(),
        DataType::Dictionary(_, value) => return sql_type(value),
        DataType::Date32 | DataType::Date64 => "DATE".to_owned(),
        DataType::Time32(TimeUnit::Second | TimeUnit::Millisecond) | DataType::Time64(_) => "TIME".to_owned(),
        DataType::Timestamp(_, None) => "TIMESTAMP".to_owned(),
        DataType::Timestamp(_, Some(_)) => "TIMESTAMP WITH TIME ZONE".to_owned(),
        DataType::Interval(_) | DataType::Duration(_) => "INTERVAL".to_owned(),
        DataType::Binary | DataType::LargeBinary | DataType::BinaryView => "BYTEA".to_owned(),
        DataType::List(item) | DataType::LargeList(item) | DataType::ListView(item) => {
            format!("{}[]", sql_type(item.data_type())?)
        }
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_stay_values() {
        let literals = ["'o''x'".to_owned(), "(-5)".to_owned()];
        let bound = bind_numbered("SELECT '$1', $2 -$2 -- $1\n, \"$1\", $1::text", &literals).unwrap();
        assert_eq!(bound, "SELECT '$1', (-5) -(-5) -- $1\n, \"$1\", 'o''x'::text");
        assert_eq!(bind_numbered("SELECT $3", &literals).unwrap_err().message, "$3 has no value");
        assert_eq!(parameters("SELECT $2, '$9', $1"), 2);
        for (value, text) in [
            (ScalarValue::from("a'b"), "'a''b'"),
            (ScalarValue::from(-5_i64), "(-5)"),
            (ScalarValue::from(true), "TRUE"),
            (ScalarValue::from(0.1), "CAST('0.1' AS DOUBLE)"),
            (ScalarValue::Decimal128(Some(-15), 3, 2), "CAST('-0.15' AS DECIMAL(38, 2))"),
            (
                ScalarValue::TimestampMicrosecond(Some(0), None),
                "CAST('1970-01-01T00:00:00Z' AS TIMESTAMP WITH TIME ZONE)",
            ),
            (ScalarValue::Date32(Some(1)), "CAST('1970-01-02' AS DATE)"),
            (ScalarValue::Time64Microsecond(Some(3_723_000_004)), "CAST('01:02:03.000004' AS TIME)"),
            (ScalarValue::Utf8(None), "CAST(NULL AS VARCHAR)"),
            (ScalarValue::List(ScalarValue::new_list(&[], &DataType::Int64, true)), "CAST([] AS BIGINT[])"),
        ] {
            assert_eq!(literal(&value, true).unwrap(), text);
        }
        let naive = ScalarValue::TimestampMicrosecond(Some(1_500_000), None);
        assert_eq!(literal(&naive, false).unwrap(), "CAST('1970-01-01T00:00:01.500000' AS TIMESTAMP)");
    }
}
