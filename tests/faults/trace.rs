//! `strace`: it counts the calls of the system that a command makes, and spoils one of them.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;
use std::process::{Command, Stdio};

use super::Dice;

/// The calls by which a store is read and changed; the names differ between machines.
const CALLS: &[&str] = &[
    "openat",
    "write",
    "pwrite64",
    "fsync",
    "fdatasync",
    "rename",
    "renameat",
    "renameat2",
    "unlink",
    "unlinkat",
    "mkdir",
    "mkdirat",
    "ftruncate",
    "flock",
    "fcntl",
    "close",
    "lseek",
    "read",
    "pread64",
    "getdents64",
];

/// Why the machine cannot trace, if so.
pub fn missing() -> Result<(), String> {
    let mut words = count(Path::new("/dev/null"));
    words.push("true".to_owned());
    let traced = Command::new(&words[0]).args(&words[1..]).stdout(Stdio::null()).stderr(Stdio::null()).status();
    if traced.is_ok_and(|status| status.success()) { Ok(()) } else { Err("strace cannot trace here".to_owned()) }
}

/// The words before a command. With `-D` the process that was started is the command itself, so that it is signalled
/// and waited for as always.
fn strace(output: &Path, more: &[&str]) -> Vec<String> {
    let mut words: Vec<String> = ["strace", "-D", "-f", "-qq", "-o"].map(str::to_owned).into();
    words.push(output.display().to_string());
    words.extend(more.iter().map(|&word| word.to_owned()));
    words
}

/// Lists the calls.
pub fn count(list: &Path) -> Vec<String> {
    strace(list, &["-e", "trace=%file,%desc"])
}

/// Does something to a call: `signal=KILL:when=3`.
pub fn inject(call: &str, what: &str) -> Vec<String> {
    let (trace, inject) = (format!("trace={call}"), format!("inject={call}:{what}"));
    strace(Path::new("/dev/null"), &["-e", &trace, "-e", &inject])
}

/// How often one thread of a command makes each call, at most: that is how strace counts.
pub struct Calls(Vec<(&'static str, u64)>);

impl Calls {
    pub fn read(list: &Path) -> Self {
        let mut by_thread: BTreeMap<(&str, &str), u64> = BTreeMap::new();
        let text = fs::read_to_string(list).unwrap();
        for line in text.lines() {
            // `4711 openat(AT_FDCWD, …`
            let Some((thread, call)) = line.split_once(' ') else { continue };
            let Some((call, _)) = call.trim_start().split_once('(') else { continue };
            *by_thread.entry((call, thread)).or_default() += 1;
        }
        let most = |call: &str| by_thread.iter().filter(|((name, _), _)| *name == call).map(|(_, count)| *count).max();
        let calls: Vec<_> = CALLS.iter().filter_map(|call| Some((*call, most(call)?))).collect();
        assert!(calls.len() > 8, "{calls:?}");
        Self(calls)
    }

    /// One of the calls, and which time it is made; of `among`, or of all.
    pub fn any(&self, dice: &mut Dice, among: &[&str]) -> Option<(&'static str, u64)> {
        let meant: Vec<_> = self.0.iter().filter(|(call, _)| among.is_empty() || among.contains(call)).collect();
        let (call, most) = meant.get(usize::try_from(dice.below(meant.len() as u64)).unwrap())?;
        Some((call, dice.below(*most) + 1))
    }
}
