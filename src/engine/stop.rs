//! Told to long work: nobody waits for it any more.
//!
//! ```text
//! work of a door or a command ─► during(stop) ─► a plan made in it ─► its joins look at the flag
//! an operator of ours ─► its own flag, raised when its stream is dropped
//! ```
//!
//! A future is only dropped where it yields; who must end sooner looks at a flag that somebody else raises.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

tokio::task_local! {
    static CURRENT: Stop;
}

/// Raised when nobody waits for the answer any more.
#[derive(Debug, Clone, Default)]
pub struct Stop(Arc<AtomicBool>);

impl From<Arc<AtomicBool>> for Stop {
    /// A flag that is raised elsewhere.
    fn from(flag: Arc<AtomicBool>) -> Self {
        Self(flag)
    }
}

impl Stop {
    /// Whether it is time to end.
    #[must_use]
    pub fn is_raised(&self) -> bool {
        self.0.load(Ordering::Relaxed)
    }

    /// Work whose plans look at this flag.
    pub fn during<T>(self, work: impl Future<Output = T>) -> impl Future<Output = T> {
        CURRENT.scope(self, work)
    }

    /// The flag of the work that is being done here, if it has one.
    pub(super) fn current() -> Option<Self> {
        CURRENT.try_with(Clone::clone).ok()
    }
}

/// Raises its flag when it is dropped.
#[derive(Debug, Default)]
pub struct Raises(Stop);

impl Raises {
    /// The flag.
    #[must_use]
    pub fn stop(&self) -> Stop {
        self.0.clone()
    }
}

impl Drop for Raises {
    fn drop(&mut self) {
        self.0.0.store(true, Ordering::Relaxed);
    }
}
