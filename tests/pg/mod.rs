//! `journeyql serve --pg` as a black box: the binary, a socket, and the clients that people have.

mod abuse;
mod catalog;
mod clients;
mod equal;
mod gate;
mod idle;
mod reads;
mod server;
mod wire;
mod zone;
