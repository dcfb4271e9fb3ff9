//! journeyql: an embedded database for user journeys.

#![cfg_attr(test, expect(clippy::disallowed_methods, reason = "tests make and break their own files"))]

pub mod config;
pub mod error;
pub mod event;
pub mod limits;
pub mod terminal;
pub mod time;

pub mod demo;
pub mod identity;
pub mod journey;
pub mod normalize;
pub mod output;
pub mod parse;

pub mod store;

pub mod engine;
pub mod ingest;
pub mod maintain;

pub mod database;

pub mod cli;
pub mod repl;
