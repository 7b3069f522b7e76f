//! What the crate promises to others, against a server that answers as told. One binary: it links
//! once.
#![cfg(test)]

mod calls;
mod changing;
mod objects;
mod signature_vectors;
mod support;
mod transport;
