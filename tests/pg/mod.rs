//! `journeyql serve --pg` as a black box: the binary, a socket, and the clients that people have.

mod abuse;
mod catalog;
mod clients;
mod gate;
mod server;
mod wire;
