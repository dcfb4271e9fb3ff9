//! A conversation in SQL: one statement after another, with settings that last.

use std::pin::Pin;

use arrow::datatypes::SchemaRef;
use arrow::record_batch::RecordBatch;
use futures::{Stream, StreamExt, TryStreamExt};

use super::{Database, Error};
use crate::engine::{Engine, EngineOptions, QueryError};
use crate::output::{self, Format, Look};

/// The rows of an answer as they come.
pub struct Answer {
    schema: SchemaRef,
    rows: Pin<Box<dyn Stream<Item = Result<RecordBatch, QueryError>> + Send>>,
}
