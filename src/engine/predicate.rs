//! SQL conditions that are evaluated during a pass.

use std::sync::Arc;

use datafusion::catalog::Session;
use datafusion::common::{DFSchema, Result};
use datafusion::logical_expr::Expr;
use datafusion::logical_expr::simplify::SimplifyContext;
use datafusion::optimizer::simplify_expressions::ExprSimplifier;
use datafusion::physical_expr::PhysicalExpr;

/// The condition ready to be evaluated on batches of `schema`: types are made to agree, and functions that exist only
/// until they are simplified (such as `coalesce`) are.
///
/// # Errors
/// Types that cannot agree, or a part that cannot be evaluated row by row.
pub fn physical(expr: Expr, schema: DFSchema, session: &dyn Session) -> Result<Arc<dyn PhysicalExpr>> {
    let schema = Arc::new(schema);
    let context = SimplifyContext::builder()
        .with_schema(Arc::clone(&schema))
        .with_config_options(Arc::clone(session.config().options()))
        .with_query_execution_start_time(session.execution_props().query_execution_start_time)
        .build();
    let simplifier = ExprSimplifier::new(context);
    let simple = simplifier.simplify(simplifier.coerce(expr, &schema)?)?;
    session.create_physical_expr(simple, &schema)
}
