//! Wiring: which tasks run, on what, and how they stop.

pub(crate) mod bill_runs;
pub(crate) mod relay;
pub(crate) mod replays;
pub(crate) mod set_aside;
pub(crate) mod timers;

use std::{path::PathBuf, sync::Arc, time::Duration};

use billwire_app::App;
use billwire_bus::Bus;
use billwire_delivery::{
    bulk,
    channel::Channels,
    engine::{self, Engine},
    limits::limiters::Limiters,
    supervisor,
};
use billwire_schemas::{
    clock::{Clock, ShiftedClock, SystemClock},
    ids::fresh,
};
use billwire_store::{MasterKey, Store, secrets::Sealer};
use billwire_warehouse::{Directory, Warehouse};
use billwire_webhook::WebhookChannel;
use tokio::{
    net::TcpListener,
    sync::watch,
    task::JoinSet,
    time::{sleep, timeout},
};

use crate::{
    adapters::{
        channels, delivery_store::SqlDeliveryStore, sandbox::Sandbox, smtp::SmtpAdapter, stream_tail::Tail, webhook::WebhookAdapter,
    },
    admin,
    config::Settings,
    connections, data_dir,
    nats_child::NatsChild,
    seal_keys,
};

/// What a process does.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub enum Role {
    /// Answers HTTP.
    Api,
    /// Publishes the outbox.
    Relay,
    /// Lets happen what is due.
    Clock,
    /// Delivers to webhooks, e-mail and the warehouse.
    Consumers,
}

/// All of them.
pub const ALL: [Role; 4] = [Role::Api, Role::Relay, Role::Clock, Role::Consumers];

/// A running gateway.
pub struct Running {
    /// Where it listens, once it does.
    pub address: Option<std::net::SocketAddr>,
    /// The use cases. `dev` asks them for business time.
    #[cfg(feature = "dev")]
    pub app: App,
    /// The database. `dev` looks the warehouse's batches up in it.
    #[cfg(feature = "dev")]
    pub store: Store,
    /// The admin key, if one was made just now: it is shown once.
    pub new_admin_key: Option<String>,
    stop: watch::Sender<bool>,
    tasks: JoinSet<()>,
    lock: DataDirLock,
}

/// How long open HTTP requests may take to end at a stop.
const DRAIN: Duration = Duration::from_secs(5);

/// Opens the store.
///
/// # Errors
/// One line that says what is wrong.
pub async fn open_store(settings: &Settings) -> Result<Store, String> {
    let keys = settings.master_keys()?;
    let sealer = Sealer::new(keys.iter().map(String::as_str)).map_err(|e| format!("BILLWIRE_MASTER_KEY: {e}"))?;
    let mut options = billwire_store::Options::new(settings.database());
    options.connections = settings.database_connections;
    let failed = |e| format!("database {}: {e}", without_password(&settings.database()));
    let store = Store::open(options, sealer).await.map_err(failed)?;
    match store.check_master_key().await.map_err(failed)? {
        MasterKey::Right => Ok(store),
        MasterKey::Wrong { needed, configured } => Err(format!(
            "BILLWIRE_MASTER_KEY: key {configured} does not open the secrets of this database, which were sealed with key {needed}; \
             set that key, or name it behind the new one, separated by a comma"
        )),
    }
}

/// A URL as it may be shown.
pub fn without_password(url: &str) -> String {
    match (url.split_once("://"), url.rsplit_once('@')) {
        (Some((scheme, _)), Some((_, host))) => format!("{scheme}://…@{host}"),
        _ => url.to_owned(),
    }
}

/// Only one process works in a data directory; a second one is told so at once.
pub struct DataDirLock(#[expect(dead_code, reason = "held, never read: the lock ends with the file")] std::fs::File);

/// Takes the data directory for this process.
///
/// # Errors
/// One line that says who has it or what is wrong with it.
pub fn lock_data_dir(settings: &Settings) -> Result<DataDirLock, String> {
    let folder = &settings.data_dir;
    data_dir::make_private(folder)?;
    let path = folder.join("lock");
    let file = std::fs::File::create(&path).map_err(|e| format!("BILLWIRE_DATA_DIR: {}: {e}", path.display()))?;
    match file.try_lock() {
        Ok(()) => Ok(DataDirLock(file)),
        Err(_) => {
            Err(format!("another billwire works in {} already; stop it, or set BILLWIRE_DATA_DIR to another folder", folder.display()))
        }
    }
}

/// Starts `roles`. `nats`: where NATS is reached; empty: nowhere, which is enough for the API and the clock.
///
/// # Errors
/// One line that says what is wrong and what to do.
pub async fn start(settings: &Settings, roles: &[Role], nats: String, lock: DataDirLock) -> Result<Running, String> {
    let store = open_store(settings).await?;
    let clock = Arc::new(ShiftedClock::default());
    let sandbox = Sandbox::new(settings.template_workers, settings.template_memory_mb);
    let app = App::new(store.clone(), clock.clone(), settings.test_clock).with_renderer(Arc::new(sandbox));
    app.follow_test_clock().await.map_err(|e| e.to_string())?;
    let delivery_store =
        SqlDeliveryStore::new(store.clone(), app.clone(), settings.limits(), format!("{}-{}", std::process::id(), fresh()));
    let webhook = Arc::new(WebhookChannel::new(Arc::new(delivery_store.clone()), webhook_client(settings)?, Arc::new(SystemClock)));
    let tail = Tail::new(delivery_store.clone());
    let smtp = Arc::new(smtp_client(settings)?);
    let app = app
        .with_webhook_client(Arc::new(WebhookAdapter { delivery_store: delivery_store.clone(), channel: webhook.clone() }))
        .with_smtp_client(Arc::new(SmtpAdapter { delivery_store: delivery_store.clone(), client: smtp.clone() }))
        .with_stream(Arc::new(tail.clone()));
    let new_admin_key = admin::ensure_admin_key(&store, settings.admin_key.clone()).await?;
    let (stop, stopped) = watch::channel(false);
    let mut tasks = JoinSet::new();
    let mut address = None;
    tasks.spawn(timers::watch_max_payload(store.clone(), stopped.clone()));
    if roles.contains(&Role::Api) {
        address = Some(serve_http(settings, &app, &mut tasks, stopped.clone()).await?);
        tasks.spawn(timers::watch_store(app.clone(), store.clone(), settings.outbox_max, stopped.clone()));
        tasks.spawn(timers::purge(store.clone(), settings.idempotency_hours, settings.attempts_days, stopped.clone()));
    }
    if roles.contains(&Role::Clock) {
        tasks.spawn(timers::due(app.clone(), stopped.clone()));
        let lease = Duration::from_millis(settings.lease_ms);
        tasks.spawn(bill_runs::run(app.clone(), Arc::new(delivery_store.clone()), lease, stopped.clone()));
    }
    if !nats.is_empty() {
        let parts = Parts::of(settings, delivery_store, webhook, smtp, app.clone(), clock)?;
        let bus = billwire_bus::Options::new(nats, Arc::new(seal_keys::load(&store).await?));
        tasks.spawn(connected(settings.clone(), roles.to_vec(), bus, store.clone(), parts, tail, stopped));
    }
    Ok(Running {
        address,
        #[cfg(feature = "dev")]
        app,
        #[cfg(feature = "dev")]
        store,
        new_admin_key,
        stop,
        tasks,
        lock,
    })
}

impl Running {
    /// Stops everything and waits for it. The data directory stays taken until what is given back is dropped: its nats-server
    /// may still be writing.
    pub async fn stop(mut self) -> DataDirLock {
        let _ = self.stop.send(true);
        let all = async { while self.tasks.join_next().await.is_some() {} };
        if timeout(DRAIN + Duration::from_secs(2), all).await.is_err() {
            tracing::warn!("some work did not end in time; it is taken up again at the next start");
        }
        self.lock
    }
}

async fn serve_http(
    settings: &Settings,
    app: &App,
    tasks: &mut JoinSet<()>,
    stopped: watch::Receiver<bool>,
) -> Result<std::net::SocketAddr, String> {
    let refused = |e| format!("cannot listen on {}: {e}; stop what uses that port, or set BILLWIRE_LISTEN to another", settings.listen);
    let listener = TcpListener::bind(settings.listen).await.map_err(refused)?;
    let address = listener.local_addr().map_err(refused)?;
    let options = connections::Options {
        limits: settings.connections(),
        patience: settings.patience(),
        trusted_proxies: settings.trusted_proxies()?,
        drain: DRAIN,
    };
    let service =
        billwire_api::service(app.clone(), billwire_api::Options { body_limit: settings.body_max, ..billwire_api::Options::default() });
    tasks.spawn(connections::serve(listener, service, options, stopped));
    Ok(address)
}

fn webhook_client(settings: &Settings) -> Result<billwire_webhook::Client, String> {
    billwire_webhook::Client::new(billwire_webhook::Config {
        connect_to: settings.connect_to()?,
        ca_file: settings.webhook_ca_file.clone(),
        call_timeout: Duration::from_millis(settings.webhook_timeout_ms),
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

/// What the consumers stand on besides the stream; made before anything starts, so that a bad setting is one clear line.
struct Parts {
    delivery_store: SqlDeliveryStore,
    channels: Channels,
    warehouse: Arc<Warehouse<SqlDeliveryStore>>,
    clock: Arc<ShiftedClock>,
}

impl Parts {
    fn of(
        settings: &Settings,
        delivery_store: SqlDeliveryStore,
        webhook: Arc<WebhookChannel>,
        smtp: Arc<billwire_email::Client>,
        app: App,
        clock: Arc<ShiftedClock>,
    ) -> Result<Self, String> {
        let channels = channels::registered(delivery_store.clone(), webhook, smtp, app);
        let mut directory = Directory::open(&settings.warehouse()?).map_err(|e| format!("BILLWIRE_WAREHOUSE_URL: {e}"))?;
        if settings.warehouse_url.is_some() {
            directory = directory.shared(data_dir::usual_umask());
        }
        let warehouse = Arc::new(Warehouse::new(delivery_store.clone(), directory));
        Ok(Self { delivery_store, channels, warehouse, clock })
    }
}

/// Runs what needs NATS. NATS may be away at the start: operations are accepted all the same, and this waits.
async fn connected(
    settings: Settings,
    roles: Vec<Role>,
    mut options: billwire_bus::Options,
    store: Store,
    parts: Parts,
    tail: Tail,
    mut stopped: watch::Receiver<bool>,
) {
    options.credentials.clone_from(&settings.nats_creds);
    options.replicas = settings.nats_replicas;
    let bus = loop {
        match Bus::connect(&options).await {
            Ok(bus) => break bus,
            Err(error) => tracing::warn!(%error, "NATS cannot be reached; operations are accepted and kept until it can"),
        }
        tokio::select! {
            _ = stopped.changed() => return,
            () = sleep(Duration::from_secs(1)) => {}
        }
    };
    tail.connected(bus.clone());
    // The relay keeps the stream in shape; made here first so that consumers of the same process need not wait for it.
    if let Err(error) = bus.ensure_stream(&fresh().to_string()).await {
        tracing::warn!(%error, "the stream could not be brought into shape yet");
    }
    let lease = Duration::from_millis(settings.lease_ms);
    let mut tasks = JoinSet::new();
    if roles.contains(&Role::Relay) {
        tasks.spawn(relay::run(store.clone(), bus.clone(), Arc::new(parts.delivery_store.clone()), lease, stopped.clone()));
    }
    if roles.contains(&Role::Consumers) {
        tasks.spawn(replays::run(parts.delivery_store.clone(), parts.clock.clone(), lease, stopped.clone()));
        let mut options = bulk::Options::new("warehouse");
        options.age_max = Duration::from_millis(settings.warehouse_age_ms);
        options.lease = lease;
        tasks.spawn(bulk::run(bus.clone(), Arc::new(parts.delivery_store.clone()), parts.warehouse, options, stopped.clone()));
        let engine = Engine {
            bus,
            changed: store.configured(),
            delivery_store: Arc::new(parts.delivery_store),
            channels: parts.channels,
            clock: parts.clock as Arc<dyn Clock>,
            limiters: Limiters::new(settings.circuit()),
            options: engine::Options {
                retry_plan: settings.retry_plan().unwrap_or_default(),
                lease,
                give_up_after: Duration::from_secs(settings.give_up_hours * 3600),
                ..engine::Options::default()
            },
        };
        tasks.spawn(supervisor::run(Arc::new(engine), stopped.clone()));
    }
    while tasks.join_next().await.is_some() {}
}

/// NATS as configured: the one named, or a private child.
///
/// # Errors
/// One line that says what to do.
pub async fn nats(settings: &Settings) -> Result<(String, Option<NatsChild>), String> {
    match &settings.nats_url {
        Some(url) => Ok((url.clone(), None)),
        None => {
            let program: Option<PathBuf> = settings.nats_server.clone();
            let child = NatsChild::start(program.as_deref(), &settings.data_dir).await?;
            Ok((child.url.clone(), Some(child)))
        }
    }
}
