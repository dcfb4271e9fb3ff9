//! Who is who, as a steward says it.

use super::{Database, Error};
use crate::maintain::{self, Say};
use crate::time;

impl Database {
    /// Says that two ids are one person, are not, or that nothing is known. Where masks hide ids, those of the input
    /// are understood as well.
    ///
    /// # Errors
    /// What [`crate::maintain::MaintainError`] says; the store is as it was then.
    pub fn say(&self, say: Say) -> Result<(), Error> {
        let now = self.now.unwrap_or_else(time::now_micros);
        Ok(maintain::say(&self.store, &self.config, say, now)?)
    }

    /// The id that an id of the input has in the store.
    ///
    /// # Errors
    /// The store's key cannot be read.
    pub fn known_as(&self, id: &str) -> Result<String, Error> {
        self.stored_id(id)
    }
}
