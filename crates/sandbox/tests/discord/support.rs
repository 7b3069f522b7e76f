//! A running simulator, a bot's HTTP client, a person's browser, and a gateway client.

use std::{net::SocketAddr, time::Duration};

use chrono::{DateTime, Utc};
use futures::{SinkExt, StreamExt};
use reqwest::{Client, Method, RequestBuilder, Response, StatusCode, header};
use rolecall_sandbox::{
    clock::Clock,
    discord::{Config, Simulator, demo},
    tasks,
};
use serde_json::{Value, json};
use tokio::net::TcpStream;
use tokio_websockets::{ClientBuilder, MaybeTlsStream, Message, WebSocketStream};
use url::Url;

pub(crate) const GUILD: u64 = demo::GUILD;
pub(crate) const COUNCIL: u64 = demo::COUNCIL_ROLE;
pub(crate) const DEBTOR: u64 = demo::DEBTOR_ROLE;
pub(crate) const ADA: u64 = demo::OWNER + 1;
pub(crate) const BEN: u64 = demo::OWNER + 2;
pub(crate) const REDIRECT: &str = "http://localhost:3000/auth/discord/callback";
pub(crate) const ALL_SCOPES: &str = "identify email guilds.join";

/// Everything a test needs.
pub(crate) struct World {
    pub(crate) discord: Simulator,
    pub(crate) http: Client,
    pub(crate) clock: Clock,
}

/// Fails a test that waits for something which never comes.
pub(crate) async fn soon<T>(future: impl Future<Output = T>) -> T {
    tokio::time::timeout(Duration::from_secs(20), future)
        .await
        .expect("it never happened")
}

pub(crate) fn noon() -> DateTime<Utc> {
    DateTime::parse_from_rfc3339("2026-11-20T12:00:00Z")
        .unwrap()
        .to_utc()
}

pub(crate) async fn start() -> World {
    start_with(|_| {}).await
}

/// Starts the demo's world, changed a little.
pub(crate) async fn start_with(change: impl FnOnce(&mut Config)) -> World {
    let clock = Clock::fixed(noon());
    let listen = SocketAddr::from(([127, 0, 0, 1], 0));
    let mut config = Config::demo(listen, clock.clone(), vec![REDIRECT.to_owned()]);
    config.gateway.identify_interval = Duration::ZERO;
    change(&mut config);
    let discord = Simulator::start(config).await.unwrap();
    let http = tasks::http_client(Duration::from_secs(20)).unwrap();
    World { discord, http, clock }
}

impl World {
    pub(crate) fn url(&self, path: &str) -> String {
        format!("{}{path}", self.discord.origin())
    }

    /// A request without authorisation.
    pub(crate) fn call(&self, method: Method, path: &str) -> RequestBuilder {
        let url = self.url(&format!("/api/v10{path}"));
        self.http
            .request(method, url)
            .header(header::USER_AGENT, "DiscordBot (https://test.example, 1)")
    }

    /// A request of the bot.
    pub(crate) fn bot(&self, method: Method, path: &str) -> RequestBuilder {
        self.call(method, path)
            .header(header::AUTHORIZATION, format!("Bot {}", demo::BOT_TOKEN))
    }

    pub(crate) async fn get(&self, path: &str) -> Response {
        self.bot(Method::GET, path).send().await.unwrap()
    }

    /// The bot gives (PUT) or takes (DELETE) a role.
    pub(crate) async fn role(&self, method: Method, user: u64, role: u64) -> Response {
        self.bot(method, &format!("/guilds/{GUILD}/members/{user}/roles/{role}"))
            .send()
            .await
            .unwrap()
    }

    /// A person authorises the application on the page; answers with where they are sent.
    pub(crate) async fn authorize(&self, person: u64, scope: &str, more: &[(&str, &str)]) -> Url {
        self.answer_consent(
            scope,
            more,
            &[("decision", "authorize"), ("person", &person.to_string())],
        )
        .await
    }

    pub(crate) async fn answer_consent(
        &self,
        scope: &str,
        more: &[(&str, &str)],
        answer: &[(&str, &str)],
    ) -> Url {
        let client_id = demo::CLIENT_ID.to_string();
        let query = [
            ("client_id", client_id.as_str()),
            ("redirect_uri", REDIRECT),
            ("response_type", "code"),
            ("scope", scope),
        ];
        let page = self.url("/oauth2/authorize");
        let request = self.http.post(page).query(&query).query(more).form(answer);
        let response = request.send().await.unwrap();
        assert_eq!(response.status(), StatusCode::FOUND);
        response.headers()[header::LOCATION]
            .to_str()
            .unwrap()
            .parse()
            .unwrap()
    }

    /// Asks the token endpoint, authenticated in the form.
    pub(crate) async fn token(&self, fields: &[(&str, &str)]) -> Response {
        let client_id = demo::CLIENT_ID.to_string();
        let mut form = vec![
            ("client_id", client_id.as_str()),
            ("client_secret", demo::CLIENT_SECRET),
        ];
        form.extend(fields);
        self.call(Method::POST, "/oauth2/token")
            .form(&form)
            .send()
            .await
            .unwrap()
    }

    pub(crate) async fn exchange(&self, code: &str, more: &[(&str, &str)]) -> Response {
        let mut form = vec![
            ("grant_type", "authorization_code"),
            ("code", code),
            ("redirect_uri", REDIRECT),
        ];
        form.extend(more);
        self.token(&form).await
    }

    /// An access token of a person.
    pub(crate) async fn access_token(&self, person: u64, scope: &str) -> String {
        let target = self.authorize(person, scope, &[]).await;
        let tokens: Value = self
            .exchange(&query(&target, "code"), &[])
            .await
            .json()
            .await
            .unwrap();
        tokens["access_token"].as_str().unwrap().to_owned()
    }

    pub(crate) fn act(&self, action: &Value) -> RequestBuilder {
        self.http.post(self.url("/_sandbox/act")).json(action)
    }

    /// Connects to the gateway and reads HELLO.
    pub(crate) async fn connect(&self) -> Gateway {
        self.connect_to(&self.discord.gateway_url()).await
    }

    pub(crate) async fn connect_to(&self, base: &str) -> Gateway {
        let uri = format!("{base}/?v=10&encoding=json").parse().unwrap();
        let (socket, _) = soon(ClientBuilder::from_uri(uri).connect()).await.unwrap();
        let mut gateway = Gateway { socket, sequence: 0 };
        assert_eq!(gateway.next().await["op"], 10);
        gateway
    }

    /// Connects, identifies, and reads READY and `GUILD_CREATE`.
    pub(crate) async fn identified(&self, intents: u64) -> (Gateway, Ready) {
        let mut gateway = self.connect().await;
        gateway.identify(intents).await;
        let ready = gateway.event("READY").await;
        let guild = gateway.event("GUILD_CREATE").await;
        (gateway, Ready { ready, guild })
    }
}

/// What a session starts with.
pub(crate) struct Ready {
    pub(crate) ready: Value,
    pub(crate) guild: Value,
}

/// A gateway client.
pub(crate) struct Gateway {
    socket: WebSocketStream<MaybeTlsStream<TcpStream>>,
    pub(crate) sequence: u64,
}

impl Gateway {
    pub(crate) async fn send(&mut self, op: u8, data: Value) {
        self.send_text(json!({"op": op, "d": data}).to_string()).await;
    }

    pub(crate) async fn send_text(&mut self, text: String) {
        self.socket.send(Message::text(text)).await.unwrap();
    }

    pub(crate) async fn identify(&mut self, intents: u64) {
        self.identify_with(demo::BOT_TOKEN, intents).await;
    }

    pub(crate) async fn identify_with(&mut self, token: &str, intents: u64) {
        let properties = json!({"os": "linux", "browser": "test", "device": "test"});
        self.send(
            2,
            json!({"token": token, "intents": intents, "properties": properties}),
        )
        .await;
    }

    pub(crate) async fn resume(&mut self, ready: &Value, sequence: u64) {
        let token = format!("Bot {}", demo::BOT_TOKEN);
        self.send(
            6,
            json!({"token": token, "session_id": ready["session_id"], "seq": sequence}),
        )
        .await;
    }

    /// The next payload.
    pub(crate) async fn next(&mut self) -> Value {
        loop {
            let message = soon(self.socket.next())
                .await
                .expect("the connection ended")
                .unwrap();
            if let Some(text) = message.as_text() {
                let payload: Value = serde_json::from_str(text).unwrap();
                self.sequence = payload["s"].as_u64().unwrap_or(self.sequence);
                return payload;
            }
            assert!(message.is_ping(), "unexpected: {message:?}");
        }
    }

    /// The data of the next event, which must be this one.
    pub(crate) async fn event(&mut self, name: &str) -> Value {
        let mut payload = self.next().await;
        assert_eq!(payload["t"], name, "{payload}");
        payload["d"].take()
    }

    /// The code with which the simulator closes; payloads before it are read over. `None` for a cut.
    pub(crate) async fn closed(mut self) -> Option<u16> {
        loop {
            match soon(self.socket.next()).await {
                Some(Ok(message)) => {
                    if let Some((code, _)) = message.as_close() {
                        return Some(code.into());
                    }
                }
                Some(Err(_)) | None => return None,
            }
        }
    }

    /// Goes away with a code.
    pub(crate) async fn close(mut self, code: u16) {
        let close = Message::close(Some(code.try_into().unwrap()), "");
        self.socket.send(close).await.unwrap();
    }
}

/// A parameter of a query.
pub(crate) fn query(url: &Url, name: &str) -> String {
    let found = url.query_pairs().find(|(key, _)| key == name);
    found
        .unwrap_or_else(|| panic!("no {name} in {url}"))
        .1
        .into_owned()
}

/// The status and Discord's code of a refusal.
pub(crate) async fn refusal(response: Response) -> (u16, u64) {
    let status = response.status().as_u16();
    let body: Value = response.json().await.unwrap();
    (
        status,
        body["code"]
            .as_u64()
            .unwrap_or_else(|| panic!("no code in {body}")),
    )
}

pub(crate) fn header_of(response: &Response, name: &str) -> Option<String> {
    response
        .headers()
        .get(name)
        .map(|value| value.to_str().unwrap().to_owned())
}
