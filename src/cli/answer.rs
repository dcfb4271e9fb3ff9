//! SQL to stdout or a file: what `sql`, `run`, `explain` and `-c` share.

use super::args::Shape;
use super::context::Context;
use super::failure::{Code, Failure};
use super::target::Target;
use crate::database::Answer;

/// Says on stderr what an answer has to say beside its rows.
pub(super) fn tell(answer: &Answer, context: &Context) {
    for notice in answer.notices() {
        context.remark(&format!("warning: {notice}"));
    }
}

/// Runs the SQL and writes the answer as its batches come. `name` is the SQL's file, or `query`.
pub(super) async fn write(name: &str, sql: &str, shape: &Shape, context: &Context) -> Result<Code, Failure> {
    let target = Target::new(shape, context)?;
    let mut session = context.open()?.session();
    let explain = |error| Failure::of_sql(&error, name, sql);
    let mut answer = session.query(sql).await.map_err(explain)?;
    // The first batch decides whether there is an answer at all: a failing query leaves no half-written head.
    let mut batch = answer.next().await.transpose().map_err(explain)?;
    let schema = answer.schema();
    if schema.fields().is_empty() {
        // Only settings: there is nothing to show.
        return Ok(Code::Done);
    }
    target
        .write(&schema, async |writer| {
            while let Some(rows) = batch.take() {
                writer.batch(&rows)?;
                batch = answer.next().await.transpose().map_err(explain)?;
            }
            Ok(())
        })
        .await?;
    tell(&answer, context);
    Ok(Code::Done)
}
