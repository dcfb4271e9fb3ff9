//! `privacy.key`: the secret that the masks' hashes are made with.
//!
//! It lies beside the catalog and not in it: whoever may query the store, in whatever tool, reads the catalog and the
//! parts, and must not be able to try out which id a hash is of. The catalog only knows which key it is (`jq_meta`
//! `privacy_key`), so that a store never goes on with another one, and `made` tells a key of ours from one that was
//! put there before the first masked ingest, to have the same hashes in several stores.

use std::fs;
use std::io;

use super::catalog::Catalog;
use super::disk::Disk;
use super::layout::Layout;
use super::{Store, StoreError, Writer};
use crate::privacy::Key;

/// The fact in `jq_meta`: `made` or `given`, and [`Key::check`].
pub(super) const META: &str = "privacy_key";

impl Store {
    /// The key of the store's masks; `None` where nothing was ever masked.
    ///
    /// # Errors
    /// It is missing, unreadable or another store's.
    pub fn key(&self) -> Result<Option<Key>, StoreError> {
        let known = self.catalog().meta(META)?;
        match known {
            Some(known) => checked(&self.layout, &known).map(Some),
            None => Ok(None),
        }
    }
}

impl Store {
    /// Puts a key into a store in which nothing was masked yet.
    ///
    /// # Errors
    /// It cannot be written.
    pub fn give_key(&self, key: &Key) -> Result<(), StoreError> {
        write(&self.layout, &self.disk, key)
    }
}

impl Writer {
    /// The key of the store's masks; where there is none yet, one is made if it is `needed`.
    ///
    /// # Errors
    /// It is missing, unreadable or another store's, or cannot be written.
    pub fn key(&mut self, needed: bool) -> Result<Option<Key>, StoreError> {
        let (layout, disk) = (self.layout.clone(), self.disk.clone());
        let catalog = self.catalog_mut();
        if let Some(known) = catalog.meta(META)? {
            return checked(&layout, &known).map(Some);
        }
        if !needed {
            return Ok(None);
        }
        let (key, origin) = match read(&layout)? {
            Some(key) => (key, "given"),
            None => (make(&layout, &disk)?, "made"),
        };
        catalog.set_meta(META, &format!("{origin} {}", key.check()))?;
        Ok(Some(key))
    }
}

/// Whether the key was made for this store, so that it goes with it.
pub(super) fn is_ours(catalog: &Catalog) -> Result<bool, StoreError> {
    Ok(catalog.meta(META)?.is_some_and(|known| known.starts_with("made ")))
}

/// The key in the file, if it is the one that the catalog knows.
fn checked(layout: &Layout, known: &str) -> Result<Key, StoreError> {
    let refused = |what| StoreError::Key { path: layout.key(), what };
    let key = read(layout)?.ok_or(refused("is missing"))?;
    let same = known.split_once(' ').is_some_and(|(_, check)| check == key.check());
    if same { Ok(key) } else { Err(refused("is not the key that this store was masked with")) }
}

fn read(layout: &Layout) -> Result<Option<Key>, StoreError> {
    let path = layout.key();
    let no_key = |path| StoreError::Key { path, what: "is no key (64 hex digits)" };
    match fs::read_to_string(&path) {
        Ok(text) => Key::from_hex(&text).map(Some).ok_or(no_key(path)),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) if error.kind() == io::ErrorKind::InvalidData => Err(no_key(path)),
        Err(error) => Err(StoreError::io("reading", &path, error)),
    }
}

/// A new key, in its file before anything is masked with it.
fn make(layout: &Layout, disk: &Disk) -> Result<Key, StoreError> {
    let mut bytes = [0; 32];
    let failed = |error| StoreError::io("writing", &layout.key(), io::Error::other(error));
    getrandom::fill(&mut bytes).map_err(failed)?;
    let key = Key::new(bytes);
    write(layout, disk, &key)?;
    Ok(key)
}

fn write(layout: &Layout, disk: &Disk, key: &Key) -> Result<(), StoreError> {
    let path = layout.key();
    let tmp = path.with_extension("key.tmp");
    let failed = |error| StoreError::io("writing", &path, error);
    disk.remove(&tmp).map_err(failed)?;
    let file = disk.create_secret(&tmp).map_err(failed)?;
    disk.write_all(&file, &tmp, format!("{}\n", key.to_hex()).as_bytes()).map_err(failed)?;
    disk.sync_file(&file, &tmp).map_err(failed)?;
    disk.rename(&tmp, &path).map_err(failed)?;
    disk.sync_dir(layout.root()).map_err(failed)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::Linking;

    #[test]
    fn a_key_is_made_once_and_only_its_owner_reads_it() {
        let dir = tempfile::tempdir().unwrap();
        let store = Store::create(dir.path()).unwrap();
        assert_eq!(store.key().unwrap(), None);
        assert_eq!(store.writer(Linking::default()).unwrap().key(false).unwrap(), None);
        fs::write(dir.path().join("privacy.key.tmp"), "half of one").unwrap();
        let key = store.writer(Linking::default()).unwrap().key(true).unwrap().unwrap();
        assert_eq!(store.writer(Linking::default()).unwrap().key(true).unwrap(), Some(key.clone()));
        assert_eq!(store.writer(Linking::default()).unwrap().key(false).unwrap(), Some(key.clone()));
        assert_eq!(store.key().unwrap(), Some(key.clone()));
        #[cfg(unix)]
        {
            let mode = fs::metadata(dir.path().join("privacy.key")).unwrap();
            assert_eq!(std::os::unix::fs::PermissionsExt::mode(&mode.permissions()) & 0o777, 0o600);
        }
        for name in fs::read_dir(dir.path()).unwrap().map(|entry| entry.unwrap().path()) {
            let holds_it =
                fs::read(&name).is_ok_and(|bytes| memchr::memmem::find(&bytes, key.to_hex().as_bytes()).is_some());
            assert_eq!(holds_it, name.ends_with("privacy.key"), "{}", name.display());
        }
    }

    #[test]
    fn another_key_or_none_is_refused() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("privacy.key");
        let store = Store::create(dir.path()).unwrap();
        let own = store.writer(Linking::default()).unwrap().key(true).unwrap().unwrap();
        for (text, said) in [
            (Key::new([1; 32]).to_hex(), "is not the key"),
            ("no such key".to_owned(), "64 hex digits"),
            (String::new(), "64 hex"),
        ] {
            fs::write(&path, &text).unwrap();
            let error = store.writer(Linking::default()).unwrap().key(true).unwrap_err();
            assert!(error.is_damage() && error.to_string().contains(said), "{error}");
            assert!(text.is_empty() || !error.to_string().contains(&text), "{error}");
        }
        fs::remove_file(&path).unwrap();
        assert!(store.key().unwrap_err().to_string().contains("is missing"));
        fs::write(&path, own.to_hex()).unwrap();
        assert_eq!(store.key().unwrap(), Some(own));
    }

    #[test]
    fn a_key_that_is_there_first_is_taken_and_outlives_an_empty_store() {
        let dir = tempfile::tempdir().unwrap();
        let (path, given) = (dir.path().join("privacy.key"), Key::new([3; 32]));
        fs::write(&path, given.to_hex()).unwrap();
        let store = Store::create(dir.path()).unwrap();
        assert_eq!(store.writer(Linking::default()).unwrap().key(true).unwrap(), Some(given));
        assert!(store.discard(false).unwrap() && path.exists());
        let made = dir.path().join("made");
        let store = Store::create(&made).unwrap();
        store.writer(Linking::default()).unwrap().key(true).unwrap();
        assert!(store.discard(true).unwrap() && !made.exists());
    }
}
