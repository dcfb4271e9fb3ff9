//! The rules file of a store, written once: by the command that creates it.

use std::path::PathBuf;

use super::{Store, StoreError};

impl Store {
    /// Where the rules lie.
    #[must_use]
    pub fn rules_path(&self) -> PathBuf {
        self.layout.root().join("journeyql.toml")
    }

    /// Writes the rules that the store is created with: whole or not at all.
    ///
    /// # Errors
    /// The folder cannot be written to.
    pub fn write_rules(&self, text: &str) -> Result<(), StoreError> {
        let path = self.rules_path();
        let tmp = path.with_extension("toml.tmp");
        let failed = |error| StoreError::io("writing", &path, error);
        let file = self.disk.open_or_create(&tmp).map_err(failed)?;
        self.disk.rewrite(&file, &tmp, text).map_err(failed)?;
        self.disk.sync_file(&file, &tmp).map_err(failed)?;
        self.disk.rename(&tmp, &path).map_err(failed)?;
        self.disk.sync_dir(self.layout.root()).map_err(failed)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rules_are_written_whole() {
        let dir = tempfile::tempdir().unwrap();
        let store = Store::create(dir.path()).unwrap();
        store.write_rules("[session]\ngap = \"5 minutes\"\n").unwrap();
        store.write_rules("[session]\n").unwrap();
        assert_eq!(std::fs::read_to_string(store.rules_path()).unwrap(), "[session]\n");
        assert!(!dir.path().join("journeyql.toml.tmp").exists());
    }
}
