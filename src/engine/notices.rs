//! What a query has to say beside its rows, such as that no event has the name that was asked for.
//!
//! A function that runs says it to the query's [`Notices`], which travel with the task; who reads the answer tells them
//! to people, never among the rows.

use std::collections::BTreeSet;
use std::sync::{Mutex, PoisonError};

use datafusion::execution::TaskContext;

/// The remarks of one query, each once.
#[derive(Debug, Default)]
pub struct Notices(Mutex<BTreeSet<String>>);

impl Notices {
    /// Says something about the query that runs in this context: `what – hint`.
    pub fn say(context: &TaskContext, remark: String) {
        // A plan that is run without anybody who listens has no room for them.
        if let Some(notices) = context.session_config().get_extension::<Self>() {
            notices.0.lock().unwrap_or_else(PoisonError::into_inner).insert(remark);
        }
    }

    /// What was said so far.
    #[must_use]
    pub fn all(&self) -> Vec<String> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).iter().cloned().collect()
    }
}
