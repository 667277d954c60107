//! `billwire dev`: everything on this machine, a short story played through the public API, and a view of what arrived where.
//!
//! The program `billwire` calls [`run`] with its configuration and a [`Gateway`] to start and stop. This crate adds what a real
//! installation has elsewhere: a webhook receiver with TLS, a mailbox, and a page that shows both. It has no access to the inside of
//! the gateway: set-up and story are HTTP calls like any client's. Only the warehouse is looked up through [`Gateway::loaded`],
//! because no operation reports on it.

mod arrivals;
mod certificate;
mod client;
mod files;
mod links;
mod mail;
mod page;
mod ports;
mod prepare;
mod receiver;
mod ring_buffer;
mod sample;
mod setup;
mod smtp;
mod story;
mod terminal;

use std::{future::Future, net::SocketAddr, path::PathBuf};

use async_trait::async_trait;
use billwire_schemas::{
    clock::{Clock, SystemClock, Timestamp},
    ids::EventId,
};
use tokio::task::JoinSet;

use self::{arrivals::Places, client::Api, mail::Mail, ports::Ports, prepare::Secrets, receiver::Call, ring_buffer::RingBuffer};

/// The part of the gateway's configuration that `dev` reads. It fills in what is not configured.
#[derive(Debug, Clone, Default)]
pub struct Settings {
    /// The data directory. `dev` keeps its own files in the sub-folder `dev`.
    pub data_dir: PathBuf,
    /// The database's URL; `None`: SQLite in the data directory.
    pub database_url: Option<String>,
    /// The master key.
    pub master_key: Option<String>,
    /// The file that holds the master key.
    pub master_key_file: Option<PathBuf>,
    /// The admin API key.
    pub admin_key: Option<String>,
    /// Where webhook hosts are really reached, `host=ip:port,…`.
    pub webhook_connect_to: String,
    /// Additional trusted roots for webhooks, PEM.
    pub webhook_ca_file: Option<PathBuf>,
    /// The warehouse's URL.
    pub warehouse_url: String,
}

/// The gateway that `dev` starts and stops.
#[async_trait]
pub trait Gateway: Send + Sync {
    /// Starts NATS, unless it is configured, and all roles with the completed `settings`.
    ///
    /// # Errors
    /// One line that says what is wrong and what to do.
    async fn start(&mut self, settings: &Settings) -> Result<Started, String>;

    /// The events among `events` that are in a complete file of the warehouse.
    ///
    /// # Errors
    /// When the database fails.
    async fn loaded(&self, events: &[EventId]) -> Result<Vec<EventId>, String>;

    /// Stops whatever [`Gateway::start`] started, even if it failed or was cancelled.
    async fn stop(&mut self);
}

/// A gateway that runs.
#[derive(Debug)]
pub struct Started {
    /// Where the API listens.
    pub address: SocketAddr,
    /// Business time at the moment of the answer.
    pub now: Timestamp,
    /// The kind of NATS server, and where it is; without a password.
    pub nats: (&'static str, String),
}

/// Runs `gateway` and the local parts until `stopped` resolves; with `once`, until the story ends.
///
/// # Errors
/// One line that says what is wrong and what to do; with `once` also when something did not arrive.
pub async fn run(settings: Settings, mut gateway: impl Gateway, stopped: impl Future<Output = ()>, once: bool) -> Result<(), String> {
    let mut tasks = JoinSet::new();
    let outcome = tokio::select! {
        () = stopped => if once { Err("stopped before the story was over".to_owned()) } else { Ok(()) },
        played = live(&mut tasks, settings, &mut gateway, once) => played,
    };
    // The gateway first, while the receivers it calls are still there.
    terminal::during("stopping", gateway.stop()).await;
    tasks.shutdown().await;
    outcome
}

/// What the story needs of the local parts.
struct Local {
    ports: Ports,
    secrets: Secrets,
    calls: RingBuffer<Call>,
    mails: RingBuffer<Mail>,
}

async fn live(tasks: &mut JoinSet<()>, mut settings: Settings, gateway: &mut impl Gateway, once: bool) -> Result<(), String> {
    let local = local_parts(tasks, &mut settings)?;
    terminal::heading("Starting");
    let started = terminal::during("nats-server and gateway", gateway.start(&settings)).await?;
    let shift = started.now - SystemClock.now();
    let api = Api::new(started.address, local.secrets.admin_key.clone());
    terminal::done(started.nats.0, &started.nats.1);
    terminal::done("gateway", &api.base());
    terminal::done("webhook receiver (TLS)", &format!("{} at 127.0.0.1:{}", receiver::URL, local.ports.receiver));
    terminal::done("mailbox (SMTP)", &format!("127.0.0.1:{}", local.ports.mailbox));
    terminal::heading("Set-up, through the public API");
    setup::run(&api, &local.secrets, local.ports.mailbox).await?;
    terminal::heading("The story");
    let expected = story::play(&api, shift).await?;
    let places = Places { calls: local.calls, mails: local.mails, gateway };
    let arrivals = places.wait(&expected).await?;
    arrivals.show();
    terminal::line("");
    sample::fill(&api, local.ports.mailbox).await?;
    links::show(&settings.warehouse_url, &api, &local.secrets, local.ports);
    if once {
        return match arrivals.missing().len() {
            0 => Ok(()),
            n => Err(format!("{n} deliveries did not arrive; the table above names them")),
        };
    }
    terminal::line("");
    terminal::line("Ctrl-C stops everything. The data stays.");
    std::future::pending().await
}

/// Starts receiver, mailbox and page, and adds them to the settings.
fn local_parts(tasks: &mut JoinSet<()>, settings: &mut Settings) -> Result<Local, String> {
    let folder = prepare::folder(settings)?;
    let secrets = prepare::secrets(settings, &folder)?;
    let identity = certificate::load_or_create(&folder, receiver::HOST)?;
    let (ports, listeners) = ports::listen(&folder)?;
    prepare::local_receiver(settings, &folder, &identity, ports)?;
    let (calls, mails) = (RingBuffer::default(), RingBuffer::default());
    receiver::start(tasks, listeners.receiver, identity, &secrets.webhook, calls.clone())?;
    let mailbox = tokio::net::TcpListener::from_std(listeners.mailbox).map_err(|e| format!("the local mailbox: {e}"))?;
    tasks.spawn(smtp::serve(mailbox, mails.clone()));
    page::start(tasks, listeners.page, calls.clone(), mails.clone())?;
    Ok(Local { ports, secrets, calls, mails })
}
