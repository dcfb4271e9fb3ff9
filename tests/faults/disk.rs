//! A disk that says no: full, read only, not ours any more, or broken at one call.

use std::fs::{self, Permissions};
use std::io::Write;
use std::os::unix::fs::{MetadataExt, PermissionsExt, chown};
use std::os::unix::process::{CommandExt, ExitStatusExt};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use super::scene::{Bench, Scene, copy, files, wait};
use super::{Turn, Verb, trace};

/// What a call may say, and which calls. Not `write`: threads wake each other by it, and that never fails in truth;
/// [`full`] has it. Nor `read`: a log that cannot be read is left out, with exit 1, and the others are taken.
const ERRORS: [(&str, &[&str]); 4] = [
    ("ENOSPC", &["pwrite64", "ftruncate", "mkdir", "mkdirat"]),
    ("EIO", &["fsync", "fdatasync", "pread64", "getdents64"]),
    ("EIO", &["rename", "renameat", "renameat2", "unlink", "unlinkat"]),
    ("EACCES", &["openat", "mkdir", "mkdirat"]),
];

/// It may be of no importance, and is never hushed up where it is.
pub fn failing_call(bench: &Bench, verb: &Verb, turn: &mut Turn) {
    if let Err(why) = trace::missing() {
        return turn.cannot(why);
    }
    for _ in 0..turn.rounds {
        let (error, among) = *turn.dice.pick(&ERRORS);
        let Some((call, number)) = bench.calls(verb).any(&mut turn.dice, among) else { continue };
        let what = format!("{error} of {call} {number}");
        let scene = bench.scene(verb);
        let end = scene.finish(&trace::inject(call, &format!("error={error}:when={number}")));
        assert!(end.status.signal().is_none(), "{what}: {}", end.status);
        let done = scene.assert_whole(&what);
        assert!(end.code() != Some(0) || done, "{what}: exit 0 and it is not done\n{}", end.stderr);
        assert!(end.code() == Some(0) || end.stderr.len() > 10, "{what}: it does not say why");
        let (undisturbed, denied) = (bench.undisturbed(verb), end.stderr.contains("as it was before"));
        let wrong = done && denied && undisturbed.before != undisturbed.after;
        assert!(!wrong, "{what}: it is done, and this is said: {}", end.stderr);
        scene.assert_goes_on(&what);
    }
}

/// A small file system in memory, there until dropped.
struct Mount(PathBuf);

impl Mount {
    fn new(bench: &Bench, turn: &mut Turn) -> Option<Self> {
        let dir = bench.fresh();
        fs::create_dir(&dir).unwrap();
        let mounted = mount(&["-t", "tmpfs", "-o", "size=6m", "tmpfs"], &dir);
        if !mounted {
            turn.cannot("nobody may mount a file system here");
        }
        mounted.then_some(Self(dir))
    }

    fn scene<'a>(&self, bench: &'a Bench, verb: &'a Verb) -> Scene<'a> {
        let store = self.0.join("store");
        if !verb.first {
            copy(&bench.path("begun"), &store);
        }
        Scene { bench, verb, store }
    }
}

impl Drop for Mount {
    fn drop(&mut self) {
        _ = Command::new("umount").arg("-l").arg(&self.0).status();
    }
}

fn mount(args: &[&str], dir: &Path) -> bool {
    let mounted = Command::new("mount").args(args).arg(dir).stderr(Stdio::null()).status();
    mounted.is_ok_and(|status| status.success())
}

pub fn full(bench: &Bench, verb: &Verb, turn: &mut Turn) {
    let Some(mount) = Mount::new(bench, turn) else { return };
    for _ in 0..turn.rounds.min(20) {
        let scene = mount.scene(bench, verb);
        let (room, ballast) = (turn.dice.below(150) * 4096, mount.0.join("ballast"));
        let what = format!("{room} bytes of room");
        let mut file = fs::File::create(&ballast).unwrap();
        while file.write_all(&[0; 4096]).is_ok() {}
        let most = file.metadata().unwrap().len();
        file.set_len(most.saturating_sub(room)).unwrap();
        drop(file);
        let end = scene.finish(&[]);
        let said = end.code() == Some(1) && end.stderr.contains("no space left");
        let done = scene.assert_whole(&what);
        assert!(said || end.code() == Some(0) && done, "{what}: {} {}", end.status, end.stderr);
        fs::remove_file(&ballast).unwrap();
        scene.assert_goes_on(&what);
    }
}

pub fn read_only(bench: &Bench, verb: &Verb, turn: &mut Turn) {
    let Some(mount_point) = Mount::new(bench, turn) else { return };
    let scene = mount_point.scene(bench, verb);
    let before = scene.state();
    // A child that another test has just made holds this process's files open until it is a program of its own.
    let late = Instant::now() + Duration::from_secs(30);
    while !mount(&["-o", "remount,ro"], &mount_point.0) {
        assert!(Instant::now() < late, "cannot make it read only");
        std::thread::sleep(Duration::from_millis(100));
    }
    let end = scene.finish(&[]);
    let named = end.stderr.contains("permission") && end.stderr.contains(mount_point.0.to_str().unwrap());
    assert!(end.code() == Some(1) && named, "{}: {}", end.status, end.stderr);
    assert!(mount(&["-o", "remount,rw"], &mount_point.0));
    before.assert_same(&scene.state(), "read only");
    scene.assert_goes_on("writable again");
}

/// Somebody whom permissions bind: root is above them.
const NOBODY: u32 = 65_534;

pub fn permission_lost(bench: &Bench, turn: &mut Turn) {
    let verb = &Verb { name: "ingest", args: super::INGEST, first: false };
    let scene = bench.scene(verb);
    let root = fs::metadata(&scene.store).unwrap().uid() == 0;
    let command = |args: &[&str]| {
        let mut command = bench.command(&[], &scene.store, args);
        if root {
            command.uid(NOBODY).gid(NOBODY);
        }
        command
    };
    let give = || {
        let all = [vec![scene.store.clone()], folders(&scene.store), files(&scene.store)].concat();
        all.iter().filter(|_| root).for_each(|path| chown(path, Some(NOBODY), Some(NOBODY)).unwrap());
    };
    fs::set_permissions(bench.path(""), Permissions::from_mode(0o755)).unwrap();
    if !command(&["--version"]).status().is_ok_and(|status| status.success()) {
        return turn.cannot("nobody else may run the binary here");
    }
    let before = scene.state();
    give();
    let log = fs::read(bench.path("logs/web.log")).unwrap();
    let mut child = command(&["ingest", "-", "--max-rejects", "100%"]).stdin(Stdio::piped()).spawn().unwrap();
    let mut stdin = child.stdin.take().unwrap();
    stdin.write_all(&log[..log.len() / 2]).unwrap();
    let days = folders(&scene.store.join("data"));
    let permit = |mode| {
        for day in &days {
            fs::set_permissions(day, Permissions::from_mode(mode)).unwrap();
        }
    };
    permit(0o555);
    stdin.write_all(&log[log.len() / 2..]).unwrap();
    drop(stdin);
    let end = wait(child);
    let named = end.stderr.contains("no permission") && end.stderr.contains("data/");
    assert!(end.code() == Some(1) && named, "{}: {}", end.status, end.stderr);
    permit(0o755);
    before.assert_same(&scene.state(), "without permission");
    give();
    let end = wait(command(verb.args).spawn().unwrap());
    assert_eq!(end.code(), Some(0), "{}", end.stderr);
    scene.assert_goes_on("with permission");
}

/// Every folder below a folder.
fn folders(dir: &Path) -> Vec<PathBuf> {
    let inside = fs::read_dir(dir).unwrap().map(|entry| entry.unwrap().path()).filter(|path| path.is_dir());
    inside.flat_map(|path| [vec![path.clone()], folders(&path)].concat()).collect()
}
