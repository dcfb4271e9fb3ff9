//! The only functions of the crate that change a folder: create, write, sync, rename, remove.
//!
//! Every one is a *step*. In tests a fuse counts the steps, blows at the n-th and from then on refuses all of them,
//! which is what a killed process looks like to the disk (`fuse.rs`; it also forgets what was not synced, which is
//! what a power cut looks like).
#![expect(clippy::disallowed_methods, reason = "this is the one place that the lint points to")]

#[cfg(test)]
pub(super) mod fuse;

use std::fs::{self, File, OpenOptions};
use std::io::{self, Write};
use std::path::Path;

/// What a step is about to do; only the fuse of the tests looks at it.
#[cfg_attr(not(test), expect(dead_code, reason = "only the tests' fuse reads the paths"))]
#[derive(Debug, Clone, Copy)]
pub(super) enum Step<'a> {
    Create(&'a Path),
    Write(&'a Path),
    SyncFile(&'a Path),
    Rename(&'a Path, &'a Path),
    SyncDir(&'a Path),
    CreateDir(&'a Path),
    Remove,
    /// Before and after the catalog's COMMIT, which is SQLite's own business.
    Commit,
}

/// The hand that touches the disk.
#[derive(Debug, Clone, Default)]
pub(super) struct Disk {
    #[cfg(test)]
    pub(super) fuse: Option<std::sync::Arc<fuse::Fuse>>,
}

impl Disk {
    #[cfg(not(test))]
    #[expect(clippy::unused_self, clippy::unnecessary_wraps, reason = "the tests' twin uses both")]
    #[inline]
    pub(super) fn step(&self, _: Step<'_>) -> io::Result<()> {
        Ok(())
    }

    #[cfg(test)]
    pub(super) fn step(&self, step: Step<'_>) -> io::Result<()> {
        self.fuse.as_ref().map_or(Ok(()), |fuse| fuse.step(step))
    }

    /// Creates a file that must not exist yet.
    pub(super) fn create(&self, path: &Path) -> io::Result<File> {
        self.step(Step::Create(path))?;
        OpenOptions::new().write(true).create_new(true).open(path)
    }

    /// Creates a file that must not exist yet and that only its owner may read.
    pub(super) fn create_secret(&self, path: &Path) -> io::Result<File> {
        self.step(Step::Create(path))?;
        let mut options = OpenOptions::new();
        options.write(true).create_new(true);
        #[cfg(unix)]
        std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
        options.open(path)
    }

    /// Opens a file for reading and writing, creating it empty when it is not there.
    pub(super) fn open_or_create(&self, path: &Path) -> io::Result<File> {
        self.step(Step::Create(path))?;
        OpenOptions::new().read(true).write(true).create(true).truncate(false).open(path)
    }

    /// Appends bytes to an open file.
    pub(super) fn write_all(&self, mut file: &File, path: &Path, bytes: &[u8]) -> io::Result<()> {
        self.step(Step::Write(path))?;
        file.write_all(bytes)
    }

    /// Replaces the content of a small open file.
    pub(super) fn rewrite(&self, mut file: &File, path: &Path, text: &str) -> io::Result<()> {
        use std::io::{Seek, SeekFrom};
        self.step(Step::Write(path))?;
        file.set_len(0)?;
        file.seek(SeekFrom::Start(0))?;
        file.write_all(text.as_bytes())
    }

    /// Makes the bytes of a file durable.
    pub(super) fn sync_file(&self, file: &File, path: &Path) -> io::Result<()> {
        self.step(Step::SyncFile(path))?;
        file.sync_all()
    }

    /// Makes a file that of whom another one is of, as far as the system allows it.
    pub(super) fn give_like(file: &File, like: &Path) {
        #[cfg(unix)]
        if let Ok(known) = fs::metadata(like) {
            use std::os::unix::fs::{MetadataExt as _, fchown};
            // Only root may give files away, and for everybody else the owner is right already.
            let _ = fchown(file, Some(known.uid()), Some(known.gid()));
        }
    }

    /// Makes a file one of whoever another one is of, for the same readers.
    pub(super) fn share_like(file: &File, like: &Path) {
        Self::give_like(file, like);
        if let Ok(known) = fs::metadata(like) {
            // Who may not, owns neither: then the folder's rules are the only ones.
            let _ = file.set_permissions(known.permissions());
        }
    }

    /// Makes the names in a folder durable.
    pub(super) fn sync_dir(&self, dir: &Path) -> io::Result<()> {
        self.step(Step::SyncDir(dir))?;
        File::open(dir)?.sync_all()
    }

    pub(super) fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        self.step(Step::Rename(from, to))?;
        fs::rename(from, to)
    }

    /// Creates a folder and makes its name durable. It being there already is fine.
    pub(super) fn create_dir(&self, dir: &Path) -> io::Result<()> {
        if dir.is_dir() {
            return Ok(());
        }
        self.step(Step::CreateDir(dir))?;
        match fs::create_dir(dir) {
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists && dir.is_dir() => Ok(()),
            Err(error) => Err(error),
            // The parent of a bare name is the working directory.
            Ok(()) => dir.parent().map_or(Ok(()), |parent| {
                self.sync_dir(if parent.as_os_str().is_empty() { Path::new(".") } else { parent })
            }),
        }
    }

    /// Removes a file. It being gone already is fine; `true` when it was there.
    pub(super) fn remove(&self, path: &Path) -> io::Result<bool> {
        self.step(Step::Remove)?;
        match fs::remove_file(path) {
            Ok(()) => Ok(true),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(false),
            Err(error) => Err(error),
        }
    }

    /// Removes a folder that is empty; any other stays.
    pub(super) fn remove_empty_dir(&self, dir: &Path) -> io::Result<()> {
        self.step(Step::Remove)?;
        match fs::remove_dir(dir) {
            Err(error) if !matches!(error.kind(), io::ErrorKind::DirectoryNotEmpty | io::ErrorKind::NotFound) => {
                Err(error)
            }
            _ => Ok(()),
        }
    }

    /// The file names in a folder, sorted; none when the folder is not there.
    pub(super) fn names(dir: &Path) -> io::Result<Vec<String>> {
        let entries = match fs::read_dir(dir) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
            other => other?,
        };
        let mut names = Vec::new();
        for entry in entries {
            names.push(entry?.file_name().to_string_lossy().into_owned());
        }
        names.sort_unstable();
        Ok(names)
    }
}
