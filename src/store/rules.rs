//! The rules file of a store, written once: by the command that creates it, before the catalog makes it a store.

use std::path::PathBuf;

use super::disk::Disk;
use super::layout::Layout;
use super::{Store, StoreError};

impl Store {
    /// Where the rules lie.
    #[must_use]
    pub fn rules_path(&self) -> PathBuf {
        self.layout.rules()
    }
}

/// Writes the rules, whole or not at all.
pub(super) fn write(layout: &Layout, disk: &Disk, text: &str) -> Result<(), StoreError> {
    let path = layout.rules();
    let tmp = path.with_extension("toml.tmp");
    let failed = |error| StoreError::io("writing", &path, error);
    let file = disk.open_or_create(&tmp).map_err(failed)?;
    disk.rewrite(&file, &tmp, text).map_err(failed)?;
    disk.sync_file(&file, &tmp).map_err(failed)?;
    disk.rename(&tmp, &path).map_err(failed)?;
    disk.sync_dir(layout.root()).map_err(failed)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rules_are_written_whole_and_before_the_store_is_one() {
        let dir = tempfile::tempdir().unwrap();
        std::fs::write(dir.path().join("journeyql.toml.tmp"), "half of an earlier creation, which is longer").unwrap();
        let store = Store::create_with_rules(dir.path(), "[session]\n").unwrap();
        assert_eq!(std::fs::read_to_string(store.rules_path()).unwrap(), "[session]\n");
        assert!(!dir.path().join("journeyql.toml.tmp").exists());
    }
}
