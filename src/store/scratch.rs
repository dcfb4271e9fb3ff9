//! A store for the length of one command, in the system's folder for temporary files.

use std::hash::{BuildHasher, Hasher, RandomState};
use std::path::PathBuf;
use std::sync::Arc;

use super::{Store, StoreError};

/// An empty store that goes with everything in it when it is dropped.
#[derive(Debug)]
pub struct Scratch {
    pub store: Arc<Store>,
    dir: PathBuf,
}

impl Scratch {
    /// Creates it in `TMPDIR`, else in `/tmp`.
    ///
    /// # Errors
    /// The folder cannot be written to.
    pub fn create() -> Result<Self, StoreError> {
        let random = RandomState::new().build_hasher().finish();
        let dir = std::env::temp_dir().join(format!("journeyql-scratch-{random:016x}"));
        Ok(Self { store: Arc::new(Store::create(&dir)?), dir })
    }
}

impl Drop for Scratch {
    #[expect(clippy::disallowed_methods, reason = "the whole folder was made for this")]
    fn drop(&mut self) {
        // Best effort, and open files do not mind: the system clears its folder for temporary files.
        drop(std::fs::remove_dir_all(&self.dir));
    }
}
