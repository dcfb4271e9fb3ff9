//! `segment => 'name'`: the option that every table function has, since it is about the events and not about the function.

use std::sync::Arc;

use arrow::datatypes::SchemaRef;
use async_trait::async_trait;
use datafusion::catalog::{Session, TableProvider};
use datafusion::common::{ScalarValue, plan_datafusion_err, plan_err};
use datafusion::datasource::TableType;
use datafusion::error::{DataFusionError, Result};
use datafusion::logical_expr::Expr;
use datafusion::logical_expr::planner::RelationPlannerContext;
use datafusion::physical_plan::ExecutionPlan;
use datafusion::sql::sqlparser::ast::{Expr as SqlExpr, FunctionArg, FunctionArgExpr, FunctionArgOperator};

use super::call::{constant, shown};
use crate::engine::segments::{Segments, state};
use crate::engine::settings::Settings;
use crate::engine::source::Source;

/// The option's name.
pub(super) const OPTION: &str = "segment";

/// Takes the option out of the arguments of a call.
pub(super) fn take(args: &mut Vec<FunctionArg>) -> Option<SqlExpr> {
    let named = |arg: &FunctionArg| match arg {
        FunctionArg::Named { name, operator, .. } => {
            let given = matches!(operator, FunctionArgOperator::RightArrow | FunctionArgOperator::Assignment);
            given && name.value.eq_ignore_ascii_case(OPTION)
        }
        _ => false,
    };
    let at = args.iter().position(named)?;
    match args.remove(at) {
        FunctionArg::Named { arg: FunctionArgExpr::Expr(value), .. } => Some(value),
        other => {
            args.insert(at, other);
            None
        }
    }
}

/// The segment that the option names; NULL names none.
pub(super) fn read(
    function: &str,
    value: SqlExpr,
    segments: &Segments,
    planner: &mut dyn RelationPlannerContext,
) -> Result<Option<String>> {
    let name = match value {
        SqlExpr::Identifier(word) if word.quote_style.is_none() => word.value.to_ascii_lowercase(),
        SqlExpr::Identifier(word) => word.value,
        value => match constant(value, &format!("{function}: option '{OPTION}'"), planner)? {
            ScalarValue::Null => return Ok(None),
            value => match value.try_as_str().flatten() {
                Some(name) => name.to_owned(),
                None => {
                    return plan_err!("{function}: option '{OPTION}' is the name of a segment, not {}", shown(&value));
                }
            },
        },
    };
    let unknown = |error: DataFusionError| match error {
        DataFusionError::Plan(why) => plan_datafusion_err!("{function}: option '{OPTION}': {why}"),
        other => other,
    };
    segments.check(&name).map_err(unknown)?;
    Ok(Some(name))
}

/// The table of a call over the people of a segment: of the one that is named, else of the settings'.
pub(super) fn of(call: Arc<dyn TableProvider>, source: Arc<Source>, segment: Option<String>) -> Arc<dyn TableProvider> {
    Arc::new(OfSegment { call, source, segment })
}

#[derive(Debug)]
struct OfSegment {
    call: Arc<dyn TableProvider>,
    source: Arc<Source>,
    segment: Option<String>,
}

#[async_trait]
impl TableProvider for OfSegment {
    fn schema(&self) -> SchemaRef {
        self.call.schema()
    }

    fn table_type(&self) -> TableType {
        TableType::Temporary
    }

    async fn scan(
        &self,
        session: &dyn Session,
        projection: Option<&Vec<usize>>,
        filters: &[Expr],
        limit: Option<usize>,
    ) -> Result<Arc<dyn ExecutionPlan>> {
        let mut settings = Settings::of(session.config_options());
        settings.segment = self.segment.clone().or(settings.segment);
        if settings.segment.is_none() {
            return self.call.scan(session, projection, filters, limit).await;
        }
        self.source.segments().find_people(session, &mut settings).await?;
        let mut state = state(session)?.clone();
        state.config_mut().options_mut().extensions.insert(settings);
        self.call.scan(&state, projection, filters, limit).await
    }
}
