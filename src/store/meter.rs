//! How far long work has come.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

/// Is told the bytes that are done and those that there are. Cloning shares it.
#[derive(Clone)]
pub struct Meter(Arc<dyn Fn(u64, u64) + Send + Sync>);

impl Meter {
    /// `tell` may be called from several threads.
    pub fn new(tell: impl Fn(u64, u64) + Send + Sync + 'static) -> Self {
        Self(Arc::new(tell))
    }

    /// Nobody looks.
    #[must_use]
    pub fn silent() -> Self {
        Self::new(|_, _| {})
    }

    /// Starts work of `total` bytes: each call of the answer tells of so many more.
    pub fn over(&self, total: u64) -> impl Fn(u64) + Sync + use<> {
        let (tell, done) = (Arc::clone(&self.0), AtomicU64::new(0));
        tell(0, total);
        move |bytes| tell(done.fetch_add(bytes, Ordering::Relaxed) + bytes, total)
    }
}

impl fmt::Debug for Meter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Meter")
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Mutex;

    use super::*;

    #[test]
    fn what_is_done_adds_up() {
        let said = Arc::new(Mutex::new(Vec::new()));
        let heard = Arc::clone(&said);
        let more = Meter::new(move |done, total| heard.lock().unwrap().push((done, total))).over(10);
        more(4);
        more(6);
        assert_eq!(*said.lock().unwrap(), [(0, 10), (4, 10), (10, 10)]);
    }
}
