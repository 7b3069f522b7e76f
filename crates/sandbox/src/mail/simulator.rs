//! The handle of a running mail server.

use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use tokio::net::TcpListener;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::clock::Clock;
use crate::mail::http;
use crate::mail::mailbox::{Mailbox, Refusal};
use crate::mail::message::Message;
use crate::mail::session;
use crate::{tasks, web};

/// What a mail server is started with.
#[derive(Clone, Debug)]
pub struct Config {
    /// Where SMTP listens; port 0 picks a free one.
    pub smtp_listen: SocketAddr,
    /// Where the mailbox page listens; port 0 picks a free one.
    pub http_listen: SocketAddr,
    /// The time that messages are stamped with.
    pub clock: Clock,
}

impl Default for Config {
    fn default() -> Self {
        let any_port = SocketAddr::from((Ipv4Addr::LOCALHOST, 0));
        Self {
            smtp_listen: any_port,
            http_listen: any_port,
            clock: Clock::system(),
        }
    }
}

/// A running mail server.
#[derive(Debug)]
pub struct Simulator {
    mailbox: Arc<Mailbox>,
    smtp: SocketAddr,
    server: web::Served,
    stop: CancellationToken,
    accepting: JoinHandle<()>,
}

impl Simulator {
    /// Starts a mail server.
    pub async fn start(config: Config) -> io::Result<Self> {
        let mailbox = Arc::new(Mailbox::new(config.clock));
        let listener = TcpListener::bind(config.smtp_listen).await?;
        let smtp = listener.local_addr()?;
        let shown = Arc::clone(&mailbox);
        let server = web::serve("mail.http", config.http_listen, move |services| {
            http::configure(&shown, services);
        })?;
        let stop = CancellationToken::new();
        let accepting = tasks::spawn(
            "mail.smtp",
            accept(listener, Arc::clone(&mailbox), stop.child_token()),
        );
        Ok(Self {
            mailbox,
            smtp,
            server,
            stop,
            accepting,
        })
    }

    /// Where SMTP listens.
    pub fn smtp_address(&self) -> SocketAddr {
        self.smtp
    }

    /// `smtp://host:port`
    pub fn smtp_url(&self) -> String {
        format!("smtp://{}", self.smtp)
    }

    /// `http://host:port` of the mailbox page.
    pub fn origin(&self) -> String {
        self.server.origin()
    }

    /// All messages, oldest first.
    pub fn messages(&self) -> Vec<Message> {
        self.mailbox.messages()
    }

    /// Waits until there are at least `count` messages; `None` when they have not come within `limit`.
    pub async fn wait_for(&self, count: usize, limit: Duration) -> Option<Vec<Message>> {
        let mut counts = self.mailbox.count();
        let came = tokio::time::timeout(limit, counts.wait_for(|now| *now >= count)).await;
        came.ok()?.ok()?;
        Some(self.messages())
    }

    /// Throws all messages away.
    pub fn clear(&self) {
        self.mailbox.clear();
    }

    /// Refuses the next `times` messages with this SMTP code, 400 to 599.
    pub fn refuse_next(&self, times: u32, code: u16) {
        self.mailbox.refuse(Refusal { code, times });
    }

    /// Takes the next `times` messages without a word to whoever sends them.
    pub fn be_silent(&self, times: u32) {
        self.mailbox.be_silent(times);
    }

    /// Ends it, conversations included.
    pub async fn shutdown(self) {
        self.stop.cancel();
        self.server.stop().await;
        if let Err(error) = self.accepting.await {
            tracing::error!(%error, "the mail server's task failed");
        }
    }
}

async fn accept(listener: TcpListener, mailbox: Arc<Mailbox>, stop: CancellationToken) {
    let conversations = TaskTracker::new();
    loop {
        let accepted = tokio::select! {
            () = stop.cancelled() => break,
            accepted = listener.accept() => accepted,
        };
        let stream = match accepted {
            Ok((stream, _)) => stream,
            Err(error) => {
                tracing::warn!(%error, "a connection to the mail server was not accepted");
                continue;
            }
        };
        let (mailbox, stop) = (Arc::clone(&mailbox), stop.clone());
        tasks::spawn(
            "mail.conversation",
            conversations.track_future(async move {
                tokio::select! {
                    () = stop.cancelled() => {}
                    ended = session::serve(stream, &mailbox) => if let Err(error) = ended {
                        tracing::debug!(%error, "an SMTP client left early");
                    },
                }
            }),
        );
    }
    conversations.close();
    conversations.wait().await;
}
