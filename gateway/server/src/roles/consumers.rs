//! The role `consumers`: delivers to webhooks and by e-mail, performs internal actions, loads the warehouse, and works on replays.

use std::{
    sync::{Arc, Mutex},
    time::Duration,
};

use billwire_app::App;
use billwire_bus::Bus;
use billwire_delivery::{
    bulk,
    channel::Channels,
    engine::{self, Engine, InFlightBytes},
    lease::Leases,
    limits::limiters::Limiters,
    shared_store::SharedStore,
    supervisor,
};
use billwire_schemas::clock::{Clock, ShiftedClock};
use billwire_store::Store;
use billwire_warehouse::Warehouse;
use billwire_webhook::WebhookChannel;
use tokio::{sync::watch, task::JoinSet, time::sleep};

use super::{held_queues, replays};
use crate::{
    adapters::{channels, delivery_store::SqlDeliveryStore},
    config::Settings,
};

/// The name of the warehouse's consumer and lease.
pub(crate) const WAREHOUSE: &str = "warehouse";

/// What the role needs besides the bus. Created before the process waits for NATS, so that a wrong setting ends the start with one
/// clear line.
pub struct Consumers {
    settings: Settings,
    delivery_store: SqlDeliveryStore,
    channels: Channels,
    warehouse: Arc<Warehouse<SqlDeliveryStore>>,
    clock: Arc<ShiftedClock>,
}

impl Consumers {
    /// Connects the channels and the warehouse.
    ///
    /// # Errors
    /// One line that names the wrong setting.
    pub fn new(
        settings: Settings,
        delivery_store: SqlDeliveryStore,
        webhook: Arc<WebhookChannel>,
        smtp: Arc<billwire_email::Client>,
        app: App,
        clock: Arc<ShiftedClock>,
    ) -> Result<Self, String> {
        let channels = channels::registered(delivery_store.clone(), webhook, smtp, app);
        let warehouse = Arc::new(Warehouse::new(delivery_store.clone(), settings.warehouse_directory()?));
        Ok(Self { settings, delivery_store, channels, warehouse, clock })
    }

    /// Starts the role.
    pub fn start(self, tasks: &mut JoinSet<()>, bus: Bus, store: Store, stopped: &watch::Receiver<bool>) {
        let Self { settings, delivery_store, channels, warehouse, clock } = self;
        let lease = settings.lease();
        tasks.spawn(replays::run(delivery_store.clone(), clock.clone(), lease, stopped.clone()));
        let mut options = bulk::Options::new(WAREHOUSE);
        options.age_max = Duration::from_millis(settings.warehouse_age_ms);
        options.lease = lease;
        tasks.spawn(bulk::run(bus.clone(), Arc::new(delivery_store.clone()), warehouse, options, stopped.clone()));
        let shifted = clock.clone();
        let engine = Engine {
            bus,
            changed: store.configured(),
            enqueued: store.enqueued(),
            adopted: Mutex::default(),
            unsettled: watch::Sender::default(),
            delivery_store: Arc::new(delivery_store.clone()),
            shared_store: SharedStore::new(Arc::new(delivery_store.clone())),
            channels,
            clock: clock as Arc<dyn Clock>,
            limiters: Limiters::new(settings.circuit()),
            in_flight_bytes: InFlightBytes::new(settings.in_flight_bytes),
            options: engine::Options {
                retry_plan: settings.retry_plan().unwrap_or_default(),
                lease,
                give_up_after: Duration::from_secs(settings.give_up_hours * 3600),
                ..engine::Options::default()
            },
        };
        tasks.spawn(held_queues::run(delivery_store.clone(), shifted, lease, stopped.clone()));
        tasks.spawn(deliver(Arc::new(engine), store, stopped.clone()));
    }
}

/// The wait after a failed take-over.
const AGAIN: Duration = Duration::from_millis(500);

/// Runs the delivery engine, after the take-over from the version before.
async fn deliver(engine: Arc<Engine>, store: Store, mut stopped: watch::Receiver<bool>) {
    let leases: Arc<dyn Leases> = engine.delivery_store.clone();
    while let Err(error) = held_queues::take_over(&store, &engine.bus, &leases, engine.options.lease).await {
        tracing::warn!(error, "the take-over from the version before failed; it starts again");
        tokio::select! {
            _ = stopped.changed() => return,
            () = sleep(AGAIN) => {}
        }
    }
    // Each process has a lease with a name of its own; those of processes that are gone would gather.
    if let Err(error) = store.purge_leases(supervisor::MEMBER).await {
        tracing::warn!(%error, "the leases of earlier processes were not deleted");
    }
    supervisor::run(engine, stopped).await;
}
