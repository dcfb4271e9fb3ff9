//! The map's file beside the links that it follows from: after commits, crashes and damage.

use std::cell::Cell;
use std::fs;
use std::sync::Arc;

use super::*;
use crate::identity::Alias;
use crate::privacy::Identifiers;
use crate::store::crash::{copy, on};
use crate::store::disk::fuse::Fuse;
use crate::store::tests::{day, events, fresh, write as write_part};
use crate::store::{AliasEdit, Commit, Erasure, Linking, Meter, Table, Writer};

fn alias(commit: &mut Commit<'_>, id: &str, person: &str) {
    let (distinct_id, person, evidence) = (id.to_owned(), person.to_owned(), String::new());
    commit.alias(AliasEdit::Add(Alias { distinct_id, person, since: 0, evidence }));
}

fn link(writer: &mut Writer, pairs: &[(String, String)]) -> Result<i64, StoreError> {
    let mut commit = writer.begin();
    for (id, person) in pairs {
        alias(&mut commit, id, person);
    }
    commit.commit()
}

fn pairs(numbers: std::ops::Range<u32>) -> Vec<(String, String)> {
    numbers.map(|number| (format!("anon:{number}"), format!("user-{number}"))).collect()
}

/// Whether the file is what counts; the map is what follows from the links in any case.
fn is_read(store: &Store) -> bool {
    let snapshot = store.snapshot().unwrap();
    let people = store.people(&snapshot).unwrap();
    assert!(say_the_same(&people, &People::new(&store.links(&snapshot).unwrap())));
    assert_eq!(store.verify(true, &Meter::silent()).unwrap().findings, []);
    snapshot.linked().is_some_and(|mark| read(&store.layout, mark).unwrap().is_some())
}

#[test]
fn the_file_is_made_where_it_costs_little_and_never_says_what_was() {
    let (_dir, store) = fresh();
    let mut writer = store.writer(Linking::default()).unwrap();
    link(&mut writer, &pairs(0..1)).unwrap();
    assert!(!is_read(&store), "a row is no map");
    link(&mut writer, &pairs(1..64)).unwrap();
    assert!(is_read(&store));
    link(&mut writer, &pairs(64..65)).unwrap();
    assert!(!is_read(&store), "one row of 65 is no reason to write all of them");
    link(&mut writer, &pairs(65..69)).unwrap();
    assert!(is_read(&store), "five are, and those of before count");
    link(&mut writer, &pairs(69..70)).unwrap();
    assert!(!is_read(&store));
    writer.renew_people().unwrap();
    assert!(is_read(&store));

    let (monday, more) = (day("2026-01-05"), pairs(70..71));
    let part = write_part(&writer, Table::Events, monday, &events(monday, 400, 10, "a")).unwrap();
    let mut commit = writer.begin();
    commit.add(part);
    commit.source(crate::store::tests::source("a", 400, 0));
    alias(&mut commit, &more[0].0, &more[0].1);
    commit.commit().unwrap();
    assert!(is_read(&store), "beside 400 events it costs little");
    let before = fs::read(store.layout.people()).unwrap();
    drop(writer);
    drop(store.writer(Linking::default()).unwrap());
    assert_eq!(fs::read(store.layout.people()).unwrap(), before);
}

#[test]
fn whoever_is_erased_is_not_in_the_file() {
    let (_dir, store) = fresh();
    let mut writer = store.writer(Linking::default()).unwrap();
    link(&mut writer, &pairs(100..164)).unwrap();
    assert!(is_read(&store));
    let tells = || memchr::memmem::find(&fs::read(store.layout.people()).unwrap(), b"anon:131").is_some();
    assert!(tells());
    let mut commit = writer.begin();
    let identifiers = Identifiers::new(["anon:131".to_owned(), "user-131".to_owned()]).unwrap();
    commit.erase(Erasure { identifiers, ..Erasure::default() });
    commit.audit("forget", "…");
    commit.commit().unwrap();
    assert!(is_read(&store), "one that is gone is made anew");
    assert!(!tells());
}

#[test]
fn a_damaged_file_is_told_and_made_anew() {
    let (_dir, store) = fresh();
    let mut writer = store.writer(Linking::default()).unwrap();
    link(&mut writer, &pairs(0..64)).unwrap();
    let path = store.layout.people();
    let whole = fs::read(&path).unwrap();
    let mut flipped = whole.clone();
    flipped[whole.len() / 3] ^= 4;
    for bytes in [&whole[..whole.len() - 1], &flipped, b""] {
        fs::write(&path, bytes).unwrap();
        let error = store.people(&store.snapshot().unwrap()).unwrap_err();
        assert!(matches!(error, StoreError::DamagedPeople { .. }) && error.is_damage(), "{error}");
        let findings = store.verify(false, &Meter::silent()).unwrap().findings;
        assert_eq!(
            findings.iter().map(|it| (it.check, it.file.as_ref())).collect::<Vec<_>>(),
            [("people", Some(&path))]
        );
        writer.renew_people().unwrap();
        assert!(is_read(&store));
    }
    fs::write(&path, b"PAR1 nothing PAR1").unwrap();
    link(&mut writer, &pairs(64..65)).unwrap();
    assert!(is_read(&store), "the next commit mends it too");
}

#[test]
fn the_file_of_another_store_or_of_an_earlier_state_does_not_count() {
    let ((_one_dir, one), (_other_dir, other)) = (fresh(), fresh());
    for (store, from) in [(&one, 0), (&other, 10)] {
        link(&mut store.writer(Linking::default()).unwrap(), &pairs(from..from + 9)).unwrap();
    }
    fs::copy(other.layout.people(), one.layout.people()).unwrap();
    assert!(!is_read(&one));
    drop(one.writer(Linking::default()).unwrap());
    assert!(!is_read(&one));
    link(&mut one.writer(Linking::default()).unwrap(), &pairs(20..40)).unwrap();
    assert!(is_read(&one));
}

#[test]
fn a_disk_without_room_for_the_map_is_no_failed_commit() {
    let dir = tempfile::tempdir().unwrap();
    let base = dir.path().join("base");
    link(&mut Store::create(&base).unwrap().writer(Linking::default()).unwrap(), &pairs(0..9)).unwrap();
    let (mut without, mut from) = (0, 1);
    loop {
        let path = dir.path().join(from.to_string());
        copy(&base, &path);
        let fuse = Arc::new(Fuse::full(from));
        let made = Store::open_on(&path, &on(&fuse)).and_then(|store| {
            let mut writer = store.writer(Linking::default())?;
            link(&mut writer, &pairs(100..120))?;
            Ok(writer.renew_people().is_ok())
        });
        let store = Store::open(&path).unwrap();
        let is_read = is_read(&store);
        assert!(!store.layout.new_people().exists(), "step {from}");
        assert!(made.is_err() || store.snapshot().unwrap().id == 3, "step {from}");
        assert!(made.as_ref().is_err() || made.as_ref().is_ok_and(|renewed| *renewed == is_read), "step {from}");
        without += usize::from(made.is_ok() && !is_read);
        if fuse.taken() < from {
            assert!(made.is_ok() && is_read);
            break;
        }
        from += 1;
    }
    assert!(without > 1, "{without}");
}

#[test]
fn links_of_before_there_were_marks_get_their_file_by_compact() {
    let (_dir, store) = fresh();
    let mut writer = store.writer(Linking::default()).unwrap();
    link(&mut writer, &pairs(0..9)).unwrap();
    writer.catalog_mut().forget_meta(MARK).unwrap();
    link(&mut writer, &[]).unwrap();
    drop(writer);
    assert!(!is_read(&store));
    store.writer(Linking::default()).unwrap().renew_people().unwrap();
    assert!(is_read(&store));
}

/// Commits that bring links, take some away and erase somebody; the last acknowledged one is `done`.
fn work(store: &Store, done: &Cell<i64>) -> Result<(), StoreError> {
    let mut writer = store.writer(Linking::default())?;
    done.set(link(&mut writer, &pairs(100..120))?);
    let mut commit = writer.begin();
    commit.alias(AliasEdit::Remove("anon:101".to_owned(), "user-101".to_owned()));
    alias(&mut commit, "anon:101", "user-102");
    done.set(commit.commit()?);
    let mut commit = writer.begin();
    let identifiers = Identifiers::new(["anon:103".to_owned(), "user-103".to_owned()]).unwrap();
    commit.erase(Erasure { identifiers, ..Erasure::default() });
    commit.audit("forget", "…");
    done.set(commit.commit()?);
    writer.renew_people()
}

#[test]
fn wherever_a_writer_stops_the_map_is_that_of_the_links() {
    let dir = tempfile::tempdir().unwrap();
    let base = dir.path().join("base");
    link(&mut Store::create(&base).unwrap().writer(Linking::default()).unwrap(), &pairs(0..9)).unwrap();
    let whole = dir.path().join("whole");
    copy(&base, &whole);
    let counter = Arc::new(Fuse::new(u64::MAX));
    work(&Store::open_on(&whole, &on(&counter)).unwrap(), &Cell::default()).unwrap();
    let steps = counter.taken();
    assert!(steps > 20, "{steps} steps");
    let mut ways = std::collections::HashSet::new();
    for stop in 1..=steps + 1 {
        for power_cut in [false, true] {
            let path = dir.path().join(format!("{stop}-{power_cut}"));
            copy(&base, &path);
            let (fuse, done) = (Arc::new(Fuse::new(stop)), Cell::new(0));
            let outcome = work(&Store::open_on(&path, &on(&fuse)).unwrap(), &done);
            // The last one makes the name of the file durable, without which it is as good as not there.
            assert_eq!(outcome.is_ok(), stop >= steps, "step {stop}");
            if power_cut {
                fuse.cut_power().unwrap();
            }
            let store = Store::open(&path).unwrap();
            let head = store.snapshot().unwrap().id;
            assert!(head >= done.get(), "step {stop}: {head}");
            ways.insert((head, is_read(&store)));
            // Nobody who was erased stays in it, whenever that ended.
            if head == 5
                && let Ok(bytes) = fs::read(store.layout.people())
            {
                assert!(memchr::memmem::find(&bytes, b"anon:103").is_none(), "step {stop}");
            }
            link(&mut store.writer(Linking::default()).unwrap(), &pairs(200..220)).unwrap();
            assert!(is_read(&store) && !store.layout.new_people().exists(), "step {stop}");
            fs::remove_dir_all(&path).unwrap();
        }
    }
    assert!(ways.len() > 4, "{ways:?}");
}
