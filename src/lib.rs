//! journeyql: an embedded database for user journeys.
//!
//! ```text
//! bytes ─► source ─► parse ─► consent, masks ─► identify ─► normalize ─► rows ─► sort ─► Parquet part ─► one commit
//!                      └──────── reject(reason, offset, raw or redacted) ───► quarantine rows ──── the same commit
//!
//! SQL ─► views expanded ─► plan ─► events | steps | edges | sessions | journeys over snapshot n ─► Arrow batches
//!     ─► table, csv, tsv, json, ndjson, markdown, parquet, arrow, a page of charts
//! ```
//!
//! A line becomes an event or a quarantine row, or is counted as dropped by a named rule, or is a duplicate: never
//! nothing. Nothing before the store touches a disk or a clock.
//!
//! # Floors and rooms
//!
//! An import only ever points down, never sideways; `tests/architecture.rs` holds this plan.
//!
//! | floor | rooms |
//! |---|---|
//! | roof | `main.rs` |
//! | porch | [`cli`] one file per command, the only room that opens doors |
//! | doors | [`repl`] · [`http`] · `pg`: no SQL logic, and no door knows another |
//! | façade | [`database`] open, ingest, query, verify, make anew: what a program that embeds journeyql uses |
//! | flows | [`ingest`] lines to committed days · [`engine`] SQL to batches · [`maintain`] days made anew; they meet only in the store |
//! | cellar | [`store`] the only writer of a store's files; its contract is `src/store/FORMAT.md` |
//! | pure | [`parse`] · [`privacy`] · [`normalize`] · [`identity`] · [`correction`] · [`journey`] algorithms on plain slices · [`output`] · [`dashboard`] the page · [`demo`] |
//! | ground | [`event`] the record and its Arrow schema · [`config`] · [`time`] · [`limits`] · [`terminal`] · [`error`] |
//!
//! One name in all places: the funnel is `src/journey/funnel/`, `src/engine/functions/funnel/`, `queries/funnel.sql`,
//! `tests/sql/funnel.slt`. Views are `queries/views/NAME.sql`, reports `queries/NAME.sql`; a file of the same name in
//! the store's `queries/` takes their place.
//!
//! # Decisions that one would look for
//!
//! - The catalog decides what is data: events, refused lines, offsets and the audit advance in one SQLite transaction,
//!   in the tables of DuckLake 1.0 and in ours beside them ([`store`]).
//! - Parts of a day are sorted by person and time, so `steps` and its kin are one pass that merges sorted parts into a
//!   state machine, with pages as codes and without a sort ([`engine::scan`], [`engine::operators`]); the aggregates
//!   that the views make over them run inside that pass.
//! - Parallel readers take ranges of `distinct_id`. That is no partitioning DataFusion knows, and it is never declared
//!   as one.
//! - A day that more than eight parts share is merged by the ingest that finds it so, in levels: only parts that are
//!   no larger than all smaller ones together, so that following a log writes no large day again and again.
//! - Following a log is an ordinary ingest again and again of what was added; there is no second way in. Files are
//!   polled: no notification reaches a program on every file system, so nothing is built on one.
//! - Whether an event is a step follows from its stored columns alone, so that it can be derived again: an event that
//!   names neither page nor event is none, in a log and elsewhere. The fingerprint of a part tells the rules that read
//!   its lines from those that derive pages and steps; only the latter can change without the logs ([`maintain`]).
//! - A source is known by its first event line and continues only if its bytes so far are the same. Two inputs that
//!   begin with the same event line and then differ are two sources; the second one to arrive gets a number, so the
//!   order of their events of one microsecond and one person is that of arrival.
//! - A correction is a row in the catalog, never a rewritten event: a pass takes the stored row out by a row selection
//!   and reads the corrected one from a part in memory; the persons that corrections name are read apart, which
//!   costs a page of each part for each of them ([`engine::scan`], [`correction`]).
//! - Rows of redirected ids are read before a pass and merged into it under their person's name: a person's own rows
//!   stay in the stream, however many people have links ([`engine`]). Logins and log-outs of one microsecond count in
//!   that order, users by their ids, so that a device's history needs no line numbers ([`identity`]).

#![cfg_attr(test, expect(clippy::disallowed_methods, reason = "tests make and break their own files"))]

pub mod config;
pub mod error;
pub mod event;
pub mod limits;
pub mod terminal;
pub mod time;

pub mod correction;
pub mod dashboard;
pub mod demo;
pub mod identity;
pub mod journey;
pub mod normalize;
pub mod output;
pub mod parse;
#[cfg(feature = "pg")]
pub mod pg;
pub mod privacy;

pub mod store;

pub mod engine;
pub mod ingest;
pub mod maintain;

pub mod database;

pub mod cli;
pub mod http;
pub mod repl;
