//! The connection to the servers' system account: questions of the auth callout come in over it, and connections of subscribers are
//! found and cut off.

use std::{collections::HashMap, time::Duration};

use async_nats::{Client, Subject, Subscriber, header::HeaderMap};
use bytes::Bytes;
use futures::{Stream, StreamExt, stream};
use serde::{Deserialize, de::DeserializeOwned};
use serde_json::json;
use tokio::time::timeout;

use crate::{Error, callout::SealedRequest, connect};

/// Where servers ask.
const CALLOUT: &str = "$SYS.REQ.USER.AUTH";
/// The queue group of all processes that answer: a request goes to one of them.
const GROUP: &str = "billwire";
/// The header with the server's public curve key.
const CURVE: &str = "Nats-Server-Xkey";
/// Connections that a server reports at once.
const PAGE: usize = 1_024;
/// How long servers may take to report their connections; how many there are is not known.
const REPORTED_WITHIN: Duration = Duration::from_millis(750);

/// How to reach the system account.
#[derive(Clone)]
pub struct SystemOptions {
    /// The URL, with the login of a user of the system account. Secret.
    pub url: String,
    /// How long a request may take.
    pub timeout: Duration,
}

/// A connection to the system account. Cheap to clone. It reconnects by itself, without limit.
#[derive(Clone)]
pub struct System {
    client: Client,
    timeout: Duration,
}

/// A request that must be answered, and what names the place of its answer.
#[derive(Debug)]
pub struct Token(Subject);

/// A connection of a subscriber: the server and its number there.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Connection {
    /// The server's id.
    pub server: String,
    /// Its number on the server.
    pub client: u64,
}

/// What has become of a connection.
#[derive(Debug, Clone)]
pub enum Connections {
    /// It was opened, by the user of this name from this address.
    Opened(Connection, String, String),
    /// It was closed.
    Closed(Connection),
}

#[derive(Deserialize)]
struct Event {
    server: EventServer,
    client: EventClient,
}

#[derive(Deserialize)]
struct EventServer {
    id: String,
}

#[derive(Deserialize)]
struct EventClient {
    id: u64,
    #[serde(default)]
    host: String,
    #[serde(default)]
    user: String,
}

/// A server's report of its connections.
#[derive(Deserialize)]
struct Report {
    server: EventServer,
    data: ReportData,
}

#[derive(Deserialize)]
struct ReportData {
    #[serde(default)]
    total: usize,
    #[serde(default)]
    connections: Vec<Reported>,
}

#[derive(Deserialize)]
struct Reported {
    cid: u64,
    #[serde(default)]
    ip: String,
    #[serde(default)]
    authorized_user: String,
}

fn unavailable(error: impl std::fmt::Display) -> Error {
    Error::Unavailable(error.to_string())
}

impl System {
    /// Connects.
    ///
    /// # Errors
    /// When NATS cannot be reached, or the login is not valid.
    pub async fn connect(options: &SystemOptions) -> Result<Self, Error> {
        let client = connect::client(&options.url, "billwire system", options.timeout).await?;
        Ok(Self { client, timeout: options.timeout })
    }

    /// The questions of the servers, each with the token for its answer. The processes share them.
    ///
    /// # Errors
    /// When the connection is lost.
    pub async fn questions(&self) -> Result<impl Stream<Item = (SealedRequest, Token)> + Send + use<>, Error> {
        let subscription = self.client.queue_subscribe(CALLOUT, GROUP.to_owned()).await.map_err(unavailable)?;
        // The servers know of it once it is flushed.
        self.client.flush().await.map_err(unavailable)?;
        Ok(subscription.filter_map(|message| async move {
            let reply = message.reply?;
            let curve = |headers: &HeaderMap| headers.get(CURVE).map(|value| value.as_str().to_owned());
            Some((SealedRequest { server_curve: message.headers.as_ref().and_then(curve), body: message.payload.into() }, Token(reply)))
        }))
    }

    /// Answers a question.
    ///
    /// # Errors
    /// When the connection is lost; the server then turns the client away.
    pub async fn answer(&self, token: Token, answer: Vec<u8>) -> Result<(), Error> {
        self.client.publish(token.0, answer.into()).await.map_err(unavailable)
    }

    /// What becomes of the connections of an account, from now on.
    ///
    /// # Errors
    /// When the connection is lost.
    pub async fn connections(&self, account: &str) -> Result<impl Stream<Item = Connections> + Send + use<>, Error> {
        let mut subscriptions: Vec<Subscriber> = Vec::new();
        for what in ["CONNECT", "DISCONNECT"] {
            subscriptions.push(self.client.subscribe(format!("$SYS.ACCOUNT.{account}.{what}")).await.map_err(unavailable)?);
        }
        self.client.flush().await.map_err(unavailable)?;
        Ok(stream::select_all(subscriptions).filter_map(|message| async move {
            let Event { server, client } = serde_json::from_slice(&message.payload).ok()?;
            let connection = Connection { server: server.id, client: client.id };
            let opened = !message.subject.ends_with(".DISCONNECT");
            Some(if opened { Connections::Opened(connection, client.user, client.host) } else { Connections::Closed(connection) })
        }))
    }

    /// The connections of an account to all servers: of each the user's name and the client's address.
    ///
    /// # Errors
    /// When the connection is lost, or a server's report cannot be read.
    pub async fn open_connections(&self, account: &str) -> Result<HashMap<Connection, (String, String)>, Error> {
        let mut found = HashMap::new();
        let mut offset = 0;
        loop {
            let question = json!({ "auth": true, "acc": account, "limit": PAGE, "offset": offset });
            let reports: Vec<Report> = self.ask_all("$SYS.REQ.SERVER.PING.CONNZ", question.to_string().into()).await?;
            let mut most = 0;
            for Report { server, data } in reports {
                most = most.max(data.total);
                for one in data.connections {
                    found.insert(Connection { server: server.id.clone(), client: one.cid }, (one.authorized_user, one.ip));
                }
            }
            offset += PAGE;
            if offset >= most {
                return Ok(found);
            }
        }
    }

    /// What all servers answer.
    async fn ask_all<T: DeserializeOwned>(&self, subject: &'static str, question: Bytes) -> Result<Vec<T>, Error> {
        let inbox = self.client.new_inbox();
        let mut answers = self.client.subscribe(inbox.clone()).await.map_err(unavailable)?;
        self.client.publish_with_reply(subject, inbox, question).await.map_err(unavailable)?;
        self.client.flush().await.map_err(unavailable)?;
        let mut found = Vec::new();
        while let Ok(Some(answer)) = timeout(REPORTED_WITHIN, answers.next()).await {
            found.push(serde_json::from_slice(&answer.payload).map_err(unavailable)?);
        }
        Ok(found)
    }

    /// Cuts a connection off.
    ///
    /// # Errors
    /// When the server cannot be reached. One that has no such connection is fine.
    pub async fn cut(&self, connection: &Connection) -> Result<(), Error> {
        let subject = format!("$SYS.REQ.SERVER.{}.KICK", connection.server);
        let question = json!({ "cid": connection.client }).to_string();
        timeout(self.timeout, self.client.request(subject, question.into())).await.map_err(unavailable)?.map_err(unavailable)?;
        Ok(())
    }

    /// Whether the connection stands now.
    pub fn is_connected(&self) -> bool {
        self.client.connection_state() == async_nats::connection::State::Connected
    }
}
