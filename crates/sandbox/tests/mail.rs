//! The mail server over real SMTP and HTTP.

#![expect(clippy::unwrap_used, reason = "helpers of tests fail the test")]

use std::time::Duration;

use rolecall_sandbox::mail::{Config, Simulator};
use rolecall_sandbox::tasks;
use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader};
use tokio::net::TcpStream;

const LIMIT: Duration = Duration::from_secs(20);

struct Smtp(BufReader<TcpStream>);

impl Smtp {
    async fn connect(mail: &Simulator) -> Self {
        let mut smtp = Self(BufReader::new(
            TcpStream::connect(mail.smtp_address()).await.unwrap(),
        ));
        assert!(smtp.reply().await.starts_with("220 "));
        smtp
    }

    /// The last line of a reply.
    async fn reply(&mut self) -> String {
        loop {
            let mut line = String::new();
            tokio::time::timeout(LIMIT, self.0.read_line(&mut line))
                .await
                .unwrap()
                .unwrap();
            if line.as_bytes().get(3) != Some(&b'-') {
                return line.trim_end().to_owned();
            }
        }
    }

    async fn say(&mut self, line: &str) -> String {
        self.0.write_all(format!("{line}\r\n").as_bytes()).await.unwrap();
        self.reply().await
    }

    /// Sends a message and answers the server's verdict.
    async fn send(&mut self, body: &str) -> String {
        assert!(self.say("EHLO test").await.starts_with("250 "));
        assert!(
            self.say("MAIL FROM:<rolecall@example.com> SIZE=100")
                .await
                .starts_with("250 ")
        );
        assert!(self.say("RCPT TO:<ada@example.com>").await.starts_with("250 "));
        assert!(self.say("DATA").await.starts_with("354 "));
        self.say(&format!("{body}\r\n.")).await
    }
}

const WELCOME: &str = "From: Rolecall <rolecall@example.com>\r\nTo: ada@example.com\r\nSubject: Welcome\r\n\
    Content-Type: multipart/alternative; boundary=b\r\n\r\n--b\r\nContent-Type: text/plain\r\n\r\n\
    Open http://127.0.0.1:9/claim?x=1 please.\r\n..hidden dot\r\n--b\r\nContent-Type: text/html\r\n\r\n\
    <p>Open <script>alert(1)</script></p>\r\n--b--";

#[tokio::test]
async fn a_message_is_kept_and_shown() {
    let mail = Simulator::start(Config::default()).await.unwrap();
    let mut smtp = Smtp::connect(&mail).await;
    assert!(smtp.send(WELCOME).await.starts_with("250 "));
    assert!(smtp.say("QUIT").await.starts_with("221 "));
    let message = mail.wait_for(1, LIMIT).await.unwrap().remove(0);
    assert_eq!(
        (message.subject.as_str(), message.to.as_str()),
        ("Welcome", "ada@example.com")
    );
    assert_eq!(message.envelope_to, ["ada@example.com"]);
    assert_eq!(
        message.text.as_deref(),
        Some("Open http://127.0.0.1:9/claim?x=1 please.\n.hidden dot")
    );
    assert_eq!(message.links(), ["http://127.0.0.1:9/claim?x=1"]);

    let client = tasks::http_client(LIMIT).unwrap();
    let get = |path: &str| client.get(format!("{}{path}", mail.origin())).send();
    assert!(get("/").await.unwrap().text().await.unwrap().contains("Welcome"));
    let page = get("/messages/1").await.unwrap().text().await.unwrap();
    assert!(page.contains("sandbox=\"allow-popups") && !page.contains("<script>"));
    let framed = get("/messages/1/html").await.unwrap();
    let policy = framed.headers()["content-security-policy"].to_str().unwrap();
    assert!(policy.contains("default-src 'none'") && policy.contains("sandbox"));
    let listed: serde_json::Value = get("/_sandbox/messages").await.unwrap().json().await.unwrap();
    assert_eq!(listed["data"][0]["subject"], "Welcome");
    assert_eq!(get("/messages/2").await.unwrap().status(), 404);

    mail.clear();
    assert!(smtp_round(&mail).await.starts_with("250 "));
    let after = mail.wait_for(1, LIMIT).await.unwrap();
    assert_eq!((after.len(), after[0].id), (1, 2), "ids are not used again");
}

async fn smtp_round(mail: &Simulator) -> String {
    Smtp::connect(mail)
        .await
        .send("Subject: again\r\n\r\nHello")
        .await
}

#[tokio::test]
async fn the_next_messages_are_refused_as_told_and_then_taken() {
    let mail = Simulator::start(Config::default()).await.unwrap();
    mail.refuse_next(2, 451);
    let mut smtp = Smtp::connect(&mail).await;
    assert!(smtp.send("Subject: a\r\n\r\nb").await.starts_with("451 "));
    assert!(smtp.send("Subject: a\r\n\r\nb").await.starts_with("451 "));
    assert!(smtp.send("Subject: a\r\n\r\nb").await.starts_with("250 "));
    assert_eq!(mail.messages().len(), 1);
}

#[tokio::test]
async fn commands_out_of_order_and_nonsense_are_refused() {
    let mail = Simulator::start(Config::default()).await.unwrap();
    let mut smtp = Smtp::connect(&mail).await;
    assert!(smtp.say("MAIL FROM:<a@b.c>").await.starts_with("503 "));
    assert!(smtp.say("EHLO x").await.starts_with("250 "));
    assert!(smtp.say("RCPT TO:<a@b.c>").await.starts_with("503 "));
    assert!(smtp.say("DATA").await.starts_with("503 "));
    assert!(smtp.say("MAIL FROM:a@b.c").await.starts_with("501 "));
    assert!(
        smtp.say("MAIL FROM:<a@b.c> SIZE=99999999")
            .await
            .starts_with("552 ")
    );
    assert!(smtp.say("MAIL FROM:<a@b.c>").await.starts_with("250 "));
    assert!(smtp.say("RCPT TO:<nobody>").await.starts_with("501 "));
    assert!(smtp.say("STARTTLS").await.starts_with("502 "));
    assert!(smtp.say("RSET").await.starts_with("250 "));
    assert!(smtp.say("NOOP").await.starts_with("250 "));
}

#[tokio::test]
async fn shutdown_ends_open_conversations() {
    let mail = Simulator::start(Config::default()).await.unwrap();
    let _open = Smtp::connect(&mail).await;
    tokio::time::timeout(LIMIT, mail.shutdown()).await.unwrap();
}
