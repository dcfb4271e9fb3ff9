//! `journeyql serve` as a black box: the binary, a socket, and what the command line says of the same store.

mod abuse;
pub mod client;
mod collect;
mod guard;
pub mod limits;
mod reads;
mod routes;
mod schema;
mod snippet;
