//! The roles of a process: starts the ones that were chosen on what they share, and stops them.
//!
//! [`api`], [`relay`], [`clock`] and [`consumers`] say what each role runs.

pub(crate) mod api;
pub(crate) mod audit;
pub(crate) mod bill_runs;
pub(crate) mod callout;
pub(crate) mod clock;
pub(crate) mod consumers;
pub(crate) mod held_queues;
pub(crate) mod log_watch;
pub(crate) mod monitoring;
pub(crate) mod outbox_watch;
pub(crate) mod relay;
pub(crate) mod replays;
pub(crate) mod restored;
pub(crate) mod retention;
pub(crate) mod set_aside;
pub(crate) mod storage_watch;
pub(crate) mod stream_audit;
pub(crate) mod stream_subscriptions;
pub(crate) mod supervised;
pub(crate) mod tenant_deletion;
mod throughput;

use std::{sync::Arc, time::Duration};

use billwire_app::{App, StreamAccess};
use billwire_bus::Bus;
use billwire_delivery::lease::Leases;
use billwire_monitoring::{
    metrics::{Finding, METRICS},
    parts::{Part, Parts, Status},
};
use billwire_schemas::{
    clock::{Clock, ShiftedClock, SystemClock},
    ids::fresh,
};
use billwire_store::Store;
use billwire_warehouse::Directory;
use billwire_webhook::WebhookChannel;
use tokio::{
    sync::{oneshot, watch},
    task::JoinSet,
    time::{interval, sleep, timeout},
};

use self::{callout::Callout, consumers::Consumers, restored::Guard, tenant_deletion::TenantDeletions};
use crate::{
    adapters::{
        channels, delivery_store::SqlDeliveryStore, issuers::Issuers, sandbox::Sandbox, smtp::SmtpAdapter,
        stream_consumers::Consumers as StreamConsumers, stream_tail::Tail, webhook::WebhookAdapter,
    },
    admin,
    config::Settings,
    data_dir::DataDirLock,
    database,
    nats_access::{CalloutAccess, NatsAccess},
    seal_keys, shared_places,
    telemetry::Lines,
};

/// What a process does.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub enum Role {
    /// Answers HTTP.
    Api,
    /// Publishes the outbox.
    Relay,
    /// Performs what is due.
    Clock,
    /// Delivers to webhooks, e-mail and the warehouse.
    Consumers,
}

/// All roles.
pub const ALL: [Role; 4] = [Role::Api, Role::Relay, Role::Clock, Role::Consumers];

/// A running gateway.
pub struct Running {
    /// Where the API listens, if the process has that role.
    pub address: Option<std::net::SocketAddr>,
    /// The use cases. `dev` reads business time from them.
    #[cfg(feature = "dev")]
    pub app: App,
    /// The database. `dev` looks the warehouse's batches up in it.
    pub store: Store,
    /// The admin key, if this start created one. It is shown once.
    pub new_admin_key: Option<String>,
    stop: watch::Sender<bool>,
    tasks: JoinSet<()>,
    lock: DataDirLock,
}

/// Starts `roles`, and watches the log. If `nats` is empty, only the API and the clock can run.
///
/// # Errors
/// One line that says what is wrong and what to do.
pub async fn start(settings: &Settings, roles: &[Role], nats: NatsAccess, log: Lines, lock: DataDirLock) -> Result<Running, String> {
    let store = database::open(settings).await?;
    let listener = if roles.contains(&Role::Api) { Some(api::bind(settings).await?) } else { None };
    let listening = listener.as_ref().and_then(|listener| listener.local_addr().ok()).unwrap_or(settings.listen);
    let clock = Arc::new(ShiftedClock::default());
    let app = new_app(settings, &store, &clock, listening)?;
    app.follow_test_clock().await.map_err(|e| e.to_string())?;
    let owner = format!("{}-{}", std::process::id(), fresh());
    let delivery_store = SqlDeliveryStore::new(store.clone(), app.clone(), settings.limits(), owner, channels::action_of);
    let leases: Arc<dyn Leases> = Arc::new(delivery_store.clone());
    let guarded = webhook_client(settings)?;
    let webhook = Arc::new(WebhookChannel::new(Arc::new(delivery_store.clone()), guarded.clone(), Arc::new(SystemClock)));
    let (tail, consumers) = (Tail::new(delivery_store.clone()), StreamConsumers::default());
    let smtp = Arc::new(smtp_client(settings)?);
    let app = app
        .with_webhook_client(Arc::new(WebhookAdapter { delivery_store: delivery_store.clone(), channel: webhook.clone() }))
        .with_smtp_client(Arc::new(SmtpAdapter { delivery_store: delivery_store.clone(), client: smtp.clone() }))
        .with_issuer_client(Arc::new(Issuers(guarded)))
        .with_stream(Arc::new(tail.clone()));
    let NatsAccess { url: nats, callout } = nats;
    let app = with_stream_access(app, settings, callout.as_ref(), &consumers);
    let new_admin_key = admin::ensure_admin_key(&app, settings.admin_key.clone()).await?;
    let (stop, stopped) = watch::channel(false);
    let mut tasks = JoinSet::new();
    watch_state(&mut tasks, settings, &app, &store, log, &stopped);
    if let Some(address) = settings.monitoring_listen {
        monitoring::start(&mut tasks, address, settings, &app, &stopped).await?;
    }
    let shared = shared_places::claim(settings, &store, &nats, roles).await?;
    tasks.spawn(shared_places::renew(shared, store.clone(), settings.lease(), stopped.clone()));
    let (guard, halted) = Guard::new(store.clone(), app.parts().clone());
    guard.recall().await?;
    tasks.spawn(guard.clone().follow(stopped.clone()));
    if !nats.is_empty() {
        let relay = roles.contains(&Role::Relay).then(|| (leases.clone(), settings.lease()));
        let delivery = if roles.contains(&Role::Consumers) {
            Some(Consumers::new(settings.clone(), delivery_store, webhook, smtp, app.clone(), clock)?)
        } else {
            None
        };
        let callout = callout.map(|access| Arc::new(Callout::new(app.clone(), &access, settings)));
        let options = bus_options(settings, nats, &store).await?;
        let (compared, comparison) = oneshot::channel();
        let warehouse = delivery.is_some().then(|| settings.warehouse_directory()).transpose()?;
        let stream = StreamRole { app: app.clone(), tail, consumers, callout };
        let roles = NatsRoles { options, relay, consumers: delivery, store: store.clone(), stream, guard, warehouse };
        tasks.spawn(with_nats(roles, compared, halted.clone()));
        // Nothing is accepted before the database was compared with the stream, unless NATS is away.
        let _ = timeout(COMPARED_WITHIN, comparison).await;
    }
    let mut address = None;
    if let Some(listener) = listener {
        address = Some(api::start(&mut tasks, listener, settings, &app, &stopped)?);
    }
    if roles.contains(&Role::Clock) {
        clock::start(&mut tasks, settings, &app, &store, leases.clone(), &halted);
    }
    Ok(Running {
        address,
        #[cfg(feature = "dev")]
        app,
        store,
        new_admin_key,
        stop,
        tasks,
        lock,
    })
}

impl Running {
    /// Stops everything and waits for it. The data directory stays locked until the result is dropped: its nats-server may still be
    /// writing.
    pub async fn stop(mut self) -> DataDirLock {
        let _ = self.stop.send(true);
        let all = async { while self.tasks.join_next().await.is_some() {} };
        if timeout(api::DRAIN + Duration::from_secs(2), all).await.is_err() {
            tracing::warn!("some work did not finish in time; the next start resumes it");
        }
        // What was counted while the others came to their ends.
        if let Err(error) = self.store.save_throughput().await {
            tracing::warn!(%error, "cannot save the throughput");
        }
        self.lock
    }
}

/// The use cases, in a process that listens there.
///
/// # Errors
/// One line that names the wrong setting.
fn new_app(settings: &Settings, store: &Store, clock: &Arc<ShiftedClock>, listening: std::net::SocketAddr) -> Result<App, String> {
    let sandbox = Sandbox::new(settings.template_workers, settings.template_memory_mb);
    Ok(App::new(store.clone(), clock.clone(), settings.test_clock)
        .with_renderer(Arc::new(sandbox))
        .with_retention(settings.retention()?)
        .with_public_url(&settings.public_url(listening)?))
}

/// Lets subscribers read the stream, if they can connect.
fn with_stream_access(app: App, settings: &Settings, callout: Option<&CalloutAccess>, consumers: &StreamConsumers) -> App {
    let Some(access) = callout else { return app };
    let (url, per_tenant) = (access.subscribers_url.clone(), settings.stream_subscriptions_per_tenant);
    app.with_stream_access(StreamAccess { url, per_tenant, consumers: Arc::new(consumers.clone()) })
}

/// Starts what keeps the process's knowledge of its surroundings up to date.
fn watch_state(tasks: &mut JoinSet<()>, settings: &Settings, app: &App, store: &Store, log: Lines, stopped: &watch::Receiver<bool>) {
    app.parts().ok(Part::Tasks, SystemClock.now());
    let surroundings = || (app.parts().clone(), stopped.clone(), app.clone(), store.clone());
    let (outbox_max, floor, folders) = (settings.outbox_max, settings.disk_free_min_mb << 20, settings.local_folders());
    let (parts, stop, a, s) = surroundings();
    tasks.spawn(supervised::run("outbox watch", parts, stop, move |stop| outbox_watch::backlog(a.clone(), s.clone(), outbox_max, stop)));
    let (parts, stop, a, s) = surroundings();
    tasks.spawn(supervised::run("lag watch", parts, stop, move |stop| outbox_watch::lag(a.clone(), s.clone(), stop)));
    let (parts, stop, _, s) = surroundings();
    tasks.spawn(supervised::run("payload watch", parts, stop, move |stop| outbox_watch::max_payload(s.clone(), stop)));
    let (parts, stop, _, s) = surroundings();
    tasks.spawn(supervised::run("throughput", parts, stop, move |stop| throughput::run(s.clone(), stop)));
    let (parts, stop, a, s) = surroundings();
    let watch = move |stop| storage_watch::run(a.clone(), s.clone(), folders.clone(), floor, stop);
    tasks.spawn(supervised::run("storage watch", parts, stop, watch));
    let (parts, stop, a, _) = surroundings();
    tasks.spawn(supervised::run("log watch", parts, stop, move |stop| log_watch::run(log.clone(), a.parts().clone(), stop)));
}

fn webhook_client(settings: &Settings) -> Result<billwire_webhook::Client, String> {
    billwire_webhook::Client::new(billwire_webhook::Config {
        connect_to: settings.connect_to()?,
        ca_file: settings.webhook_ca_file.clone(),
        call_timeout: Duration::from_millis(settings.webhook_timeout_ms),
        connections: settings.webhook_connections,
        ..billwire_webhook::Config::default()
    })
    .map_err(|e| format!("webhooks: {e}"))
}

fn smtp_client(settings: &Settings) -> Result<billwire_email::Client, String> {
    billwire_email::Client::new(&billwire_email::Settings {
        timeout: Duration::from_millis(settings.smtp_timeout_ms),
        ca_file: settings.smtp_ca_file.clone(),
        public_only: settings.smtp_public_only,
    })
    .map_err(|e| format!("e-mail: {e}"))
}

/// How to reach NATS.
///
/// # Errors
/// One line: the database fails, or the keys that seal messages cannot be read.
pub(crate) async fn bus_options(settings: &Settings, nats: String, store: &Store) -> Result<billwire_bus::Options, String> {
    let mut options = billwire_bus::Options::new(nats, Arc::new(seal_keys::load(store).await?));
    options.credentials.clone_from(&settings.nats_creds);
    options.replicas = settings.nats_replicas;
    options.max_age = Duration::from_secs(settings.retention_stream_days.max(1).saturating_mul(24 * 3600));
    Ok(options)
}

/// How long a start waits for the comparison of the database with the stream.
const COMPARED_WITHIN: Duration = Duration::from_secs(10);
/// The wait before NATS is tried again.
const AGAIN: Duration = Duration::from_secs(1);

/// The roles that need NATS.
struct NatsRoles {
    options: billwire_bus::Options,
    relay: Option<(Arc<dyn Leases>, Duration)>,
    consumers: Option<Consumers>,
    store: Store,
    stream: StreamRole,
    guard: Guard,
    /// If this process loads it.
    warehouse: Option<Directory>,
}

/// What lets people and programs read the stream.
struct StreamRole {
    app: App,
    tail: Tail,
    consumers: StreamConsumers,
    callout: Option<Arc<Callout>>,
}

impl NatsRoles {
    /// Connects, and compares the database with the stream. `None`: the database was restored to an older moment.
    async fn connect(&self) -> Result<Option<Bus>, String> {
        let bus = Bus::connect(&self.options).await.map_err(|e| e.to_string())?;
        self.stream.tail.connected(bus.clone());
        self.stream.consumers.connected(bus.clone());
        match restored::compare(&self.store, &bus, self.warehouse.as_ref()).await? {
            None => Ok(Some(bus)),
            Some(evidence) => {
                self.guard.restored(&evidence).await;
                Ok(None)
            }
        }
    }
}

/// Runs the roles that need NATS. NATS may be down at the start: operations are accepted meanwhile, and this function waits for NATS.
/// `compared` is dropped once the database was compared with the stream, or NATS is known to be down.
async fn with_nats(roles: NatsRoles, compared: oneshot::Sender<()>, mut stopped: watch::Receiver<bool>) {
    let mut compared = Some(compared);
    let bus = loop {
        if *stopped.borrow() {
            return;
        }
        match roles.connect().await {
            Ok(Some(bus)) => break bus,
            Ok(None) => return,
            Err(error) => {
                let detail = format!("cannot use it; operations are accepted, and their events are published later: {error}");
                roles.guard.parts.report(Part::Nats, Status::Degraded, detail, SystemClock.now());
            }
        }
        compared = None;
        tokio::select! {
            _ = stopped.changed() => return,
            () = sleep(AGAIN) => {}
        }
    };
    drop(compared);
    let NatsRoles { relay, consumers, store, guard, stream, .. } = roles;
    let mut tasks = JoinSet::new();
    tasks.spawn(watch_nats(bus.clone(), guard.parts.clone(), stopped.clone()));
    if let Some(callout) = stream.callout {
        tasks.spawn(callout.run(stopped.clone()));
    }
    if let Some(relay) = relay {
        let deletions = TenantDeletions { app: stream.app.clone(), store: store.clone(), bus: bus.clone() };
        tasks.spawn(tenant_deletion::run(deletions, relay.clone(), stopped.clone()));
        tasks.spawn(stream_subscriptions::run(stream.app, store.clone(), bus.clone(), relay.clone(), stopped.clone()));
        tasks.spawn(relay::run(store.clone(), bus.clone(), relay, guard, stopped.clone()));
    }
    if let Some(consumers) = consumers {
        consumers.start(&mut tasks, bus, store, &stopped);
    }
    while tasks.join_next().await.is_some() {}
}

/// How often the connection to NATS is looked at.
const NATS_EVERY: Duration = Duration::from_secs(1);

/// Reports the connection to NATS, and the messages that were rejected, until `stop` turns true.
async fn watch_nats(bus: Bus, parts: Arc<Parts>, mut stop: watch::Receiver<bool>) {
    let mut tick = interval(NATS_EVERY);
    let forged = METRICS.audit_findings.get_or_create_owned(&Finding { finding: "forged_messages" });
    loop {
        tokio::select! {
            _ = stop.changed() => return,
            _ = tick.tick() => {}
        }
        forged.inc_by(bus.rejected().saturating_sub(forged.get()));
        if bus.is_connected() {
            parts.ok(Part::Nats, SystemClock.now());
        } else {
            let detail = "the connection is lost; operations are accepted, and their events are published later";
            parts.report(Part::Nats, Status::Degraded, detail, SystemClock.now());
        }
    }
}
