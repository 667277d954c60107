//! `billwire dev`: everything on this machine, a short true story through the public API, and a look at what arrived where.
//!
//! Called by the command line. It starts the same roles as `serve`, plus what a real installation has elsewhere: a webhook
//! receiver with TLS, a mailbox, and a page that shows both. It never reaches into the gateway: what it sets up and plays goes
//! over HTTP as any client's calls do; only the warehouse is looked up in the database, since no operation tells of it.
//! It exists so that one command shows a newcomer that it works.

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
mod setup;
mod signature;
mod smtp;
mod story;
mod terminal;

use billwire_schemas::clock::{Clock, SystemClock};
use tokio::task::JoinSet;

use self::{
    arrivals::Places, client::Api, mail::Mail, ports::Ports, prepare::Secrets, receiver::Call, ring_buffer::RingBuffer, terminal::Terminal,
};
use crate::{
    cli,
    config::Settings,
    nats_child::NatsChild,
    roles::{self, Running},
    telemetry,
};

/// Runs until Ctrl-C, or with `once` until the story is told.
///
/// # Errors
/// One line that says what is wrong and what to do; with `once` also when something did not arrive.
pub async fn run(settings: Settings, once: bool) -> Result<(), String> {
    let mut signals = cli::Signals::catch()?;
    let mut house = DevStack { terminal: Terminal::new(), tasks: JoinSet::new(), child: None, running: None };
    let outcome = tokio::select! {
        () = signals.stopped() => if once { Err("stopped before the story was over".to_owned()) } else { Ok(()) },
        told = house.live(settings, once) => told,
    };
    house.close().await;
    outcome
}

/// All that runs, so that it can be stopped from wherever it got to.
struct DevStack {
    terminal: Terminal,
    tasks: JoinSet<()>,
    child: Option<NatsChild>,
    running: Option<Running>,
}

/// What the story needs of the local parts.
struct Local {
    ports: Ports,
    secrets: Secrets,
    calls: RingBuffer<Call>,
    mails: RingBuffer<Mail>,
}

impl DevStack {
    async fn live(&mut self, mut settings: Settings, once: bool) -> Result<(), String> {
        prepare::comforts(&mut settings);
        telemetry::start(&settings.log)?;
        let terminal = self.terminal;
        let lock = roles::lock_data_dir(&settings)?;
        let local = self.local(&mut settings)?;
        terminal.heading("Starting");
        let starting = terminal.during(|| "nats-server".to_owned(), roles::nats(&settings));
        let (nats, child) = starting.await?;
        match &child {
            Some(child) => terminal.done("private nats-server", &format!("its URL, with the login, is in {}", child.url_file.display())),
            None => terminal.done("NATS, as configured", &roles::without_password(&nats)),
        }
        self.child = child;
        let running = self.running.insert(roles::start(&settings, &roles::ALL, nats, lock).await?);
        let address = running.address.ok_or("the API does not listen")?;
        let now = running.app.now();
        let shift = now - SystemClock.now();
        let api = Api::new(address, local.secrets.admin_key.clone());
        terminal.done("gateway", &api.base());
        terminal.done("webhook receiver (TLS)", &format!("{} at 127.0.0.1:{}", receiver::URL, local.ports.receiver));
        terminal.done("mailbox (SMTP)", &format!("127.0.0.1:{}", local.ports.mailbox));
        terminal.heading("Set-up, through the public API");
        setup::run(&api, terminal, &local.secrets, local.ports.mailbox).await?;
        terminal.heading("The story");
        let told = story::play(&api, terminal, shift).await?;
        let store = roles::open_store(&settings).await?;
        let places = Places { calls: local.calls, mails: local.mails, store };
        let arrivals = places.wait(&told, terminal).await?;
        arrivals.show(terminal);
        links::show(terminal, &settings, &api, &local.secrets, local.ports)?;
        if once {
            return match arrivals.missing().len() {
                0 => Ok(()),
                n => Err(format!("{n} deliveries did not arrive; the table above names them")),
            };
        }
        drop(places);
        terminal.line("");
        terminal.line("Ctrl-C stops everything. The data stays.");
        std::future::pending().await
    }

    /// Starts receiver, mailbox and page, and lets the gateway know of them.
    fn local(&mut self, settings: &mut Settings) -> Result<Local, String> {
        let folder = prepare::folder(settings)?;
        let secrets = prepare::secrets(settings, &folder)?;
        let identity = certificate::of(&folder, receiver::HOST)?;
        let (ports, listeners) = ports::take(&folder)?;
        prepare::local_receiver(settings, &folder, &identity, ports)?;
        let (calls, mails) = (RingBuffer::default(), RingBuffer::default());
        receiver::start(&mut self.tasks, listeners.receiver, identity, &secrets.webhook, calls.clone())?;
        let mailbox = tokio::net::TcpListener::from_std(listeners.mailbox).map_err(|e| format!("the local mailbox: {e}"))?;
        self.tasks.spawn(smtp::serve(mailbox, mails.clone()));
        page::start(&mut self.tasks, listeners.page, calls.clone(), mails.clone())?;
        Ok(Local { ports, secrets, calls, mails })
    }

    /// Stops everything: the gateway first, while what it calls is still there, then its child, then the local parts.
    async fn close(mut self) {
        self.terminal.clear();
        let mut taken = None;
        if let Some(running) = self.running.take() {
            taken = Some(self.terminal.during(|| "stopping".to_owned(), running.stop()).await);
        }
        if let Some(child) = self.child.take() {
            child.stop().await;
        }
        // Only now may another start take the data directory.
        drop(taken);
        self.tasks.shutdown().await;
    }
}
