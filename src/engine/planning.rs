//! Planning that no text can bring down: a stack that is deep enough, and plans that are small enough.

use datafusion::common::Result as DfResult;
use datafusion::common::tree_node::TreeNodeRecursion;
use datafusion::logical_expr::LogicalPlan;

use super::error::{QueryError, QueryErrorKind};
use crate::limits;

/// Refuses a plan that a short text blew up: a WITH clause that is named twice stands twice in it, and a chain of those
/// would be walked for ever.
pub(super) fn check_size(plan: &LogicalPlan) -> Result<(), QueryError> {
    let mut nodes = 0;
    let counted = plan.apply_with_subqueries(|_| {
        nodes += 1;
        Ok(if nodes > limits::PLAN_NODES { TreeNodeRecursion::Stop } else { TreeNodeRecursion::Continue })
    });
    counted.map_err(|error| QueryError::from_datafusion(&error, &[]))?;
    if nodes <= limits::PLAN_NODES {
        return Ok(());
    }
    let most = limits::PLAN_NODES;
    Err(QueryError::sql(format!("the plan of the statement has more than {most} nodes"))
        .with_hint("name each part of a WITH clause fewer times"))
}

/// Drives a future to its end on a thread of its own with room for deep trees.
pub(super) async fn on_big_stack<T, F>(work: impl FnOnce() -> F + Send + 'static) -> Result<DfResult<T>, QueryError>
where
    T: Send + 'static,
    F: Future<Output = DfResult<T>>,
{
    let runtime = tokio::runtime::Handle::current();
    let (done, answer) = tokio::sync::oneshot::channel();
    let thread = std::thread::Builder::new().name("plan".to_owned()).stack_size(limits::PLANNING_STACK);
    let failed = |why: &dyn std::fmt::Display| QueryError {
        kind: QueryErrorKind::Failed,
        message: format!("the statement could not be planned: {why}"),
        at: None,
        hint: None,
    };
    thread
        .spawn(move || {
            let mut done = done;
            let made = runtime.block_on(async {
                tokio::select! {
                    made = work() => Some(made),
                    () = done.closed() => None,
                }
            });
            // Nobody waits for a plan whose query was given up.
            if let Some(made) = made {
                let _ = done.send(made);
            }
        })
        .map_err(|error| failed(&error))?;
    answer.await.map_err(|error| failed(&error))
}
