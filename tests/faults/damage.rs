//! Files of a store that are not as they were written.

use std::fs;
use std::path::{Path, PathBuf};

use journeyql::store::{Store, Table};
use rusqlite::{Connection, Row};

use super::scene::{Bench, Scene, copy};
use super::{INGEST, Turn, Verb};

/// What reads every row of the events, in one way or another.
const EVENTS: [&[&str]; 7] = [
    &["sql", "SELECT * FROM events"],
    &["sql", "SELECT user_id, max(ts) FROM events GROUP BY user_id"],
    &["sql", "SELECT count(*) FROM steps"],
    &["sql", "SELECT * FROM sessions"],
    &["sql", "SELECT * FROM transitions"],
    &["reprocess", "--from", "2025-03-01", "--to", "2025-04-01"],
    &["compact"],
];
const QUARANTINE: [&[&str]; 3] =
    [&["sql", "SELECT * FROM quarantine"], &["quarantine", "list"], &["quarantine", "show"]];
const ANY: &Verb = &Verb { name: "ingest", args: INGEST, first: false };

/// The names of the live parts of a table.
fn parts(store: &Path, table: Table) -> Vec<PathBuf> {
    let snapshot = Store::open(store).unwrap().snapshot().unwrap();
    snapshot.parts(table).iter().map(|part| part.path.clone()).collect()
}

fn name(path: &Path) -> &str {
    path.file_name().unwrap().to_str().unwrap()
}

#[track_caller]
fn assert_names(scene: &Scene<'_>, args: &[&str], path: &Path) {
    let (code, text) = scene.bench.said(&scene.store, args);
    assert!(code == Some(5) && text.contains(name(path)), "{args:?} of {}: {code:?} {text}", path.display());
}

/// Does something to a part of the table, and everything that reads it says so.
fn spoiled(bench: &Bench, turn: &mut Turn, table: Table, spoil: impl Fn(&Path, u64)) {
    let reads: &[&[&str]] = if table == Table::Events { &EVENTS } else { &QUARANTINE };
    for _ in 0..turn.rounds.min(5) {
        let scene = bench.scene(ANY);
        let parts = parts(&scene.store, table);
        let part = turn.dice.pick(&parts);
        let length = fs::metadata(part).unwrap().len();
        spoil(part, turn.dice.below(length));
        // A day of one part is compact already.
        let alone = parts.iter().filter(|it| it.parent() == part.parent()).count() == 1;
        let read = reads.iter().copied().filter(|args| !(alone && args == &["compact"]));
        for args in read.chain([&["verify"][..]]) {
            assert_names(&scene, args, part);
        }
        let count =
            |store: &Path| bench.said(store, &["sql", &format!("SELECT count(*) FROM {table}"), "--format", "csv"]);
        let (code, text) = count(&scene.store);
        assert!(code == Some(5) || (code, &text) == (Some(0), &count(&bench.path("begun")).1), "{code:?} {text}");
    }
}

fn cut(path: &Path, length: u64) {
    fs::OpenOptions::new().write(true).open(path).unwrap().set_len(length).unwrap();
}

fn flip(path: &Path, at: u64, bit: u64) {
    let mut bytes = fs::read(path).unwrap();
    bytes[usize::try_from(at).unwrap()] ^= 1 << bit;
    fs::write(path, bytes).unwrap();
}

pub fn cut_events(bench: &Bench, turn: &mut Turn) {
    spoiled(bench, turn, Table::Events, cut);
}

pub fn cut_quarantine(bench: &Bench, turn: &mut Turn) {
    spoiled(bench, turn, Table::Quarantine, cut);
}

pub fn missing(bench: &Bench, turn: &mut Turn) {
    for table in Table::ALL {
        spoiled(bench, turn, table, |part, _| fs::remove_file(part).unwrap());
    }
}

fn flipped(bench: &Bench, turn: &mut Turn, table: Table) {
    let reads: &[&[&str]] = if table == Table::Events { &EVENTS[..5] } else { &QUARANTINE };
    for _ in 0..turn.rounds.min(40) {
        let scene = bench.scene(ANY);
        let parts = parts(&scene.store, table);
        let part = turn.dice.pick(&parts);
        let at = turn.dice.below(fs::metadata(part).unwrap().len());
        flip(part, at, turn.dice.below(8));
        assert_names(&scene, &["verify"], part);
        // A query need not notice; it must come to an end as a query does.
        let args = *turn.dice.pick(reads);
        let (code, text) = bench.said(&scene.store, args);
        assert!(matches!(code, Some(0 | 5)), "byte {at} of {}: {code:?} {text}", part.display());
    }
}

pub fn flipped_events(bench: &Bench, turn: &mut Turn) {
    flipped(bench, turn, Table::Events);
}

pub fn flipped_quarantine(bench: &Bench, turn: &mut Turn) {
    flipped(bench, turn, Table::Quarantine);
}

pub fn cut_catalog(bench: &Bench, turn: &mut Turn) {
    for round in 0..=turn.rounds.min(20) {
        let scene = bench.scene(ANY);
        let catalog = scene.store.join("catalog.sqlite");
        let length = fs::metadata(&catalog).unwrap().len();
        cut(&catalog, if round == 0 { 0 } else { turn.dice.below(length) });
        for args in [&["sql", "SELECT count(*) FROM events"][..], &["verify"], &["status"], INGEST] {
            assert_names(&scene, args, &catalog);
        }
    }
}

/// The log holds commits for as long as somebody reads, and after a kill.
pub fn wal(bench: &Bench, turn: &mut Turn) {
    let scene = bench.scene(ANY);
    let reader = Connection::open(scene.store.join("catalog.sqlite")).unwrap();
    reader.execute_batch("BEGIN; SELECT count(*) FROM jq_meta").unwrap();
    assert_eq!(scene.finish(&[]).code(), Some(0));
    let whole = scene.state();
    let log = scene.store.join("catalog.sqlite-wal");
    let length = fs::metadata(&log).unwrap().len();
    assert!(length > 4096, "{length} bytes");
    for round in 0..turn.rounds.min(40) + 2 {
        let spoiled = Scene { bench, verb: ANY, store: bench.fresh() };
        copy(&scene.store, &spoiled.store);
        // Nobody knows it any more: the next one reads the log from its beginning.
        fs::remove_file(spoiled.store.join("catalog.sqlite-shm")).unwrap();
        let path = spoiled.store.join(name(&log));
        match round {
            0 => fs::remove_file(&path).unwrap(),
            1 => cut(&path, turn.dice.below(length)),
            _ => flip(&path, turn.dice.below(length), turn.dice.below(8)),
        }
        for args in [&["sql", "SELECT count(*) FROM events"][..], &["verify"], INGEST] {
            let (code, text) = bench.said(&spoiled.store, args);
            let named = code == Some(5) && text.contains("catalog.sqlite");
            let same = code == Some(0) && spoiled.state() == whole;
            assert!(named || same, "round {round}, {args:?}: {code:?} {text}");
        }
    }
    drop(reader);
}

/// Some bytes of the file mean nothing, and names, notes and links have no checksum; every line and every counter has.
pub fn flipped_catalog(bench: &Bench, turn: &mut Turn) {
    let whole = rows(&bench.scene(ANY).store.join("catalog.sqlite"));
    for _ in 0..turn.rounds * 16 {
        let scene = bench.scene(ANY);
        let catalog = scene.store.join("catalog.sqlite");
        // Most of the file is room for more.
        let bytes = fs::read(&catalog).unwrap();
        let written: Vec<u64> = (0..).zip(&bytes).filter(|(_, byte)| **byte != 0).map(|(at, _)| at).collect();
        let (at, bit) = (*turn.dice.pick(&written), turn.dice.below(8));
        flip(&catalog, at, bit);
        let (code, text) = bench.said(&scene.store, &["verify", "--quick"]);
        let (code, text) = if code == Some(0) { bench.said(&scene.store, &["verify"]) } else { (code, text) };
        let what = format!("bit {bit} of byte {at}: {code:?} {text}");
        match code {
            Some(5) => assert!(text.contains("catalog") || text.contains("part-"), "{what}"),
            Some(0) => assert!(rows(&catalog) == whole, "{what}"),
            _ => panic!("{what}"),
        }
    }
}

/// Every row of every table of a catalog; the digest says nothing of its own.
fn rows(catalog: &Path) -> Vec<String> {
    let connection = Connection::open(catalog).unwrap();
    let texts = |sql: &str| -> Vec<String> {
        let mut query = connection.prepare(sql).unwrap();
        let columns = query.column_count();
        let text = |row: &Row<'_>| {
            Ok((0..columns).map(|at| format!("{:?}", row.get_ref(at).unwrap())).collect::<Vec<_>>().join(" "))
        };
        query.query_map([], text).unwrap().map(Result::unwrap).collect()
    };
    let mut query = connection.prepare("SELECT name FROM sqlite_master WHERE type = 'table'").unwrap();
    let tables: Vec<String> = query.query_map([], |row| row.get(0)).unwrap().map(Result::unwrap).collect();
    let of = |table: &String| texts(&format!("SELECT '{table}', * FROM \"{table}\""));
    let mut rows: Vec<String> = tables.iter().filter(|table| *table != "jq_meta").flat_map(of).collect();
    rows.extend(texts("SELECT * FROM jq_meta WHERE key <> 'digest'"));
    rows.extend(texts("SELECT type, name, tbl_name, sql FROM sqlite_master"));
    rows.sort();
    rows
}

pub fn key(bench: &Bench, turn: &mut Turn) {
    let first = Verb { name: "first ingest", args: INGEST, first: true };
    let rules = bench.fresh();
    fs::write(&rules, "[privacy]\nip = \"hash\"\n").unwrap();
    let scene = bench.scene(&first);
    let args = [INGEST, &["--config", rules.to_str().unwrap()]].concat();
    let (code, text) = bench.said(&scene.store, &args);
    assert_eq!(code, Some(0), "{text}");
    let key = scene.store.join("privacy.key");
    let good = fs::read(&key).unwrap();
    let mut flipped = good.clone();
    let at = usize::try_from(turn.dice.below(64)).unwrap();
    flipped[at] = if flipped[at] == b'0' { b'1' } else { b'0' };
    for bytes in [Some(&flipped[..]), Some(&good[..at]), Some(b"\xff\0"), None] {
        match bytes {
            Some(bytes) => fs::write(&key, bytes).unwrap(),
            None => fs::remove_file(&key).unwrap(),
        }
        for args in [&["verify"][..], &args] {
            assert_names(&scene, args, &key);
        }
        assert_eq!(fs::read(&key).ok().as_deref(), bytes, "it was replaced");
    }
    fs::write(&key, good).unwrap();
    assert_eq!(bench.said(&scene.store, &["verify"]).0, Some(0));
}

pub fn people(bench: &Bench, turn: &mut Turn) {
    let scene = bench.scene(ANY);
    assert_eq!(scene.finish(&[]).code(), Some(0));
    let path = scene.store.join("people.parquet");
    let good = fs::read(&path).unwrap();
    let count = ["sql", "SELECT count(DISTINCT user_id) FROM steps"];
    let before = bench.said(&scene.store, &count);
    assert_eq!(before.0, Some(0), "{}", before.1);
    for round in 0..turn.rounds.min(20) * 2 {
        let at = turn.dice.below(good.len() as u64);
        if round % 2 == 0 {
            cut(&path, at);
        } else {
            flip(&path, at, turn.dice.below(8));
        }
        // A flipped mark is another one, and then the file is not needed.
        if round % 2 == 0 || bench.said(&scene.store, &count) != before {
            for args in [&count[..], &["sql", "SELECT * FROM sessions"], &["verify"], &["verify", "--quick"]] {
                assert_names(&scene, args, &path);
            }
        }
        let (code, text) = bench.said(&scene.store, &["compact"]);
        assert_eq!(code, Some(0), "{text}");
        assert_eq!(fs::read(&path).unwrap(), good, "made of the same links it is the same");
        assert_eq!(bench.said(&scene.store, &count), before);
    }
    fs::remove_file(&path).unwrap();
    assert_eq!(bench.said(&scene.store, &count), before, "it is not needed");
    scene.assert_sound("without the map");
}

pub fn rules(bench: &Bench, _: &mut Turn) {
    let scene = bench.scene(ANY);
    let path = scene.store.join("journeyql.toml");
    let good = fs::read_to_string(&path).unwrap();
    for bad in
        [&good[..good.len() - 3], &good[1..], &good.replace("ids", "idz"), &good.replace("[st", "\0st"), "\u{fffd}"]
    {
        fs::write(&path, bad).unwrap();
        for args in [&["status"][..], &["sql", "SELECT 1"], &["verify"], INGEST] {
            let (code, text) = bench.said(&scene.store, args);
            assert!(code == Some(2) && text.contains("journeyql.toml"), "{bad:?} {args:?}: {code:?} {text}");
        }
    }
    fs::write(&path, b"\xff\xfe[pages]").unwrap();
    let (code, text) = bench.said(&scene.store, INGEST);
    assert!(code == Some(2) && text.contains("journeyql.toml"), "{code:?} {text}");
    fs::write(&path, good).unwrap();
    scene.assert_goes_on("the rules are back");
}

pub fn foreign(bench: &Bench, _: &mut Turn) {
    let scene = bench.scene(ANY);
    let before = scene.state();
    let part = parts(&scene.store, Table::Events).remove(0);
    let names = ["notes.txt", "part-00000000000000.parquet", "part-0660cff2e8b75fa978028a.parquet"];
    for stranger in names.map(|name| part.with_file_name(name)) {
        fs::copy(&part, &stranger).unwrap();
        before.assert_same(&scene.state(), "a foreign file");
        assert_names(&scene, &["verify"], &stranger);
        assert_eq!(scene.finish(&[]).code(), Some(0));
        bench.undisturbed(ANY).after.assert_same(&scene.state(), "a foreign file");
        fs::remove_file(&stranger).unwrap();
        let fresh = bench.scene(ANY);
        fs::remove_dir_all(&scene.store).unwrap();
        fs::rename(&fresh.store, &scene.store).unwrap();
        fs::create_dir(&fresh.store).unwrap();
    }
}

pub fn newer(bench: &Bench, _: &mut Turn) {
    let scene = bench.scene(ANY);
    let catalog = Connection::open(scene.store.join("catalog.sqlite")).unwrap();
    assert_eq!(catalog.execute("UPDATE jq_meta SET value = '99' WHERE key = 'format'", []).unwrap(), 1);
    for args in [&["sql", "SELECT 1 FROM events"][..], &["status"], &["verify"], &["compact"], INGEST] {
        let (code, text) = bench.said(&scene.store, args);
        assert!(
            code == Some(1) && text.contains("newer journeyql") && text.contains("99"),
            "{args:?}: {code:?} {text}"
        );
    }
    assert_eq!(catalog.execute("UPDATE jq_meta SET value = '1' WHERE key = 'format'", []).unwrap(), 1);
    drop(catalog);
    scene.assert_goes_on("the old number");
}
