//! Cutting a TCP connection without an answer, which no HTTP framework offers.

use std::{
    any::Any,
    net::{Shutdown, TcpStream},
    os::fd::AsFd,
    sync::Arc,
};

use actix_web::dev::Extensions;

/// A second handle on the client's TCP connection.
#[derive(Debug, Clone)]
pub(crate) struct Line(Arc<TcpStream>);

impl Line {
    /// Keeps a handle for the requests of a new connection.
    pub(crate) fn keep(io: &dyn Any, extensions: &mut Extensions) {
        let Some(stream) = io.downcast_ref::<actix_web::rt::net::TcpStream>() else {
            return;
        };
        if let Ok(handle) = stream.as_fd().try_clone_to_owned() {
            extensions.insert(Self(Arc::new(TcpStream::from(handle))));
        }
    }

    /// Ends the connection in both directions.
    pub(crate) fn cut(&self) {
        // It fails only when the client has ended it first.
        drop(self.0.shutdown(Shutdown::Both));
    }
}
