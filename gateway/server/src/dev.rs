//! `billwire dev`: gives the crate billwire-dev the configuration, and the gateway that it starts and stops.

use async_trait::async_trait;
use billwire_dev::Started;
use billwire_schemas::ids::EventId;

use crate::{
    cli,
    config::Settings,
    data_dir::{self, DataDirLock},
    database, nats_access,
    nats_child::NatsChild,
    roles::{self, Running},
    telemetry,
};

/// Longest an event waits for the warehouse, in milliseconds.
const WAREHOUSE_AGE_MS: u64 = 500;

/// Runs until Ctrl-C; with `once`, until the story ends.
///
/// # Errors
/// One line that says what is wrong and what to do; with `once` also when something did not arrive.
pub async fn run(mut settings: Settings, once: bool) -> Result<(), String> {
    let mut signals = cli::Signals::catch()?;
    settings.test_clock = true;
    // The local mailbox has no public address.
    settings.smtp_public_only = false;
    settings.warehouse_age_ms = settings.warehouse_age_ms.min(WAREHOUSE_AGE_MS);
    if settings.log == Settings::default().log {
        "warn".clone_into(&mut settings.log);
    }
    let log = telemetry::start(&settings.log)?;
    let lock = data_dir::lock(&settings.data_dir)?;
    let read = billwire_dev::Settings {
        data_dir: settings.data_dir.clone(),
        database_url: settings.database_url.clone(),
        master_key: settings.master_key.clone(),
        master_key_file: settings.master_key_file.clone(),
        admin_key: settings.admin_key.clone(),
        webhook_connect_to: settings.webhook_connect_to.clone(),
        webhook_ca_file: settings.webhook_ca_file.clone(),
        warehouse_url: settings.warehouse()?,
    };
    let gateway = Gateway { settings, log: log.lines.clone(), lock: Some(lock), child: None, running: None };
    billwire_dev::run(read, gateway, signals.stopped(), once).await
}

/// What runs in this process, so that it can be stopped whatever state the start has reached.
struct Gateway {
    settings: Settings,
    log: telemetry::Lines,
    lock: Option<DataDirLock>,
    child: Option<NatsChild>,
    running: Option<Running>,
}

#[async_trait]
impl billwire_dev::Gateway for Gateway {
    async fn start(&mut self, completed: &billwire_dev::Settings) -> Result<Started, String> {
        let settings = &mut self.settings;
        settings.master_key_file.clone_from(&completed.master_key_file);
        settings.admin_key.clone_from(&completed.admin_key);
        settings.webhook_connect_to.clone_from(&completed.webhook_connect_to);
        settings.webhook_ca_file.clone_from(&completed.webhook_ca_file);
        let (access, child) = nats_access::configured_or_private(settings).await?;
        self.child = child;
        let nats = match &self.child {
            Some(child) => ("private nats-server", format!("its URL, with the login, is in {}", child.url_file.display())),
            None => ("NATS, as configured", database::without_password(&access.url)),
        };
        let lock = self.lock.take().ok_or("the gateway was started before")?;
        let running = self.running.insert(roles::start(settings, &roles::ALL, access, self.log.clone(), lock).await?);
        let address = running.address.ok_or("the API does not listen")?;
        Ok(Started { address, now: running.app.now(), nats })
    }

    async fn loaded(&self, events: &[EventId]) -> Result<Vec<EventId>, String> {
        let running = self.running.as_ref().ok_or("the gateway does not run")?;
        running.store.in_written_batches(events).await.map_err(|e| e.to_string())
    }

    async fn stop(&mut self) {
        if let Some(running) = self.running.take() {
            self.lock = Some(running.stop().await);
        }
        if let Some(child) = self.child.take() {
            child.stop().await;
        }
        // Only now may another process use the data directory.
        self.lock = None;
    }
}
