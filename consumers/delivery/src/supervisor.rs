//! Keeps one task running per queue and partition.

use std::{collections::HashMap, sync::Arc, time::Duration};

use billwire_bus::Bus;
use billwire_schemas::{clock::Clock, ids::QueueId, lease::Lease};
use tokio::{
    sync::watch,
    task::{AbortHandle, JoinSet},
    time::{interval, sleep},
};

use crate::{
    channel::Channels,
    lease::{self, Leases, RETRY_WAIT},
    limits::{limiters::Limiters, retry_plan::RetryPlan},
    partition::{Partition, Stop, consumer_name},
    store::{DeliveryStore, Queue},
};

/// Limits of the engine. Every number can be configured.
#[derive(Debug, Clone)]
pub struct Options {
    /// When a failed delivery is tried again.
    pub retry_plan: RetryPlan,
    /// Messages in hand per partition. Default 4096.
    pub in_flight_max: usize,
    /// Deliveries of one subscription in line in memory; more go to the delivery store. Default 512.
    pub line_max: usize,
    /// Tries at once per subscription. Default 32.
    pub per_subscription_max: usize,
    /// Tries at once per partition. Default 1024.
    pub under_way_max: usize,
    /// Longest a try may take, whatever the channel. Default 60 s.
    pub attempt_timeout: Duration,
    /// How long a message may be in hand before the stream offers it again. Default 60 s.
    pub ack_wait: Duration,
    /// How long a lease holds without being prolonged. Default 5 s.
    pub lease: Duration,
    /// For how long a receiver may fail before it is disabled. Default 120 h.
    pub give_up_after: Duration,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            retry_plan: RetryPlan::default(),
            in_flight_max: 4096,
            line_max: 512,
            per_subscription_max: 32,
            under_way_max: 1024,
            attempt_timeout: Duration::from_secs(60),
            ack_wait: Duration::from_secs(60),
            lease: Duration::from_secs(5),
            give_up_after: Duration::from_secs(120 * 3600),
        }
    }
}

/// What every partition stands on.
pub struct Engine {
    /// The stream.
    pub bus: Bus,
    /// The memory.
    pub delivery_store: Arc<dyn DeliveryStore>,
    /// The registered channels.
    pub channels: Channels,
    /// What limits the calls.
    pub limiters: Limiters,
    /// Business time, by which waits are reckoned.
    pub clock: Arc<dyn Clock>,
    /// Limits.
    pub options: Options,
    /// Told when this process changed the configuration.
    pub changed: watch::Receiver<u64>,
}

/// How often the configuration is read for queues that are new, here or in another process.
const LOOK_EVERY: Duration = Duration::from_secs(1);

/// Runs every queue until `stop` turns true. What is in hand then comes again at the next start.
pub async fn run(engine: Arc<Engine>, mut stop: watch::Receiver<bool>) {
    let mut running: HashMap<(QueueId, u32, u32), AbortHandle> = HashMap::new();
    let mut tasks = JoinSet::new();
    let mut look = interval(LOOK_EVERY);
    let mut changed = engine.changed.clone();
    loop {
        tokio::select! {
            _ = stop.changed() => break,
            _ = look.tick() => {}
            Ok(()) = changed.changed() => {}
            Some(_) = tasks.join_next() => {}
        }
        running.retain(|_, attempt| !attempt.is_finished());
        watch_over(&engine).await;
        let routing_config = match engine.delivery_store.routing_config().await {
            Ok(routing_config) => routing_config,
            Err(error) => {
                tracing::warn!(%error, "the configuration could not be read");
                continue;
            }
        };
        for queue in &routing_config.queues {
            for number in 0..queue.partitions {
                running
                    .entry((queue.id, queue.partitions, number))
                    .or_insert_with(|| tasks.spawn(keep_running(engine.clone(), queue.clone(), number, stop.clone())));
            }
        }
    }
    while tasks.join_next().await.is_some() {}
}

/// Keeps in the delivery store who fails, and gives up on who has failed for too long.
async fn watch_over(engine: &Engine) {
    let now = engine.clock.now();
    let health_changes = engine.limiters.health_changes(now, engine.options.give_up_after);
    let noted = async {
        if !health_changes.failing.is_empty() || !health_changes.healed.is_empty() {
            engine.delivery_store.save_health(&health_changes.failing, &health_changes.healed).await?;
            engine.limiters.saved(&health_changes);
        }
        for target in &health_changes.given_up {
            let hours = engine.options.give_up_after.as_secs() / 3600;
            engine.delivery_store.give_up(target, &format!("every call has failed for more than {hours} hours")).await?;
        }
        engine.limiters.restore(engine.delivery_store.health().await?);
        Ok::<(), String>(())
    };
    if let Err(error) = noted.await {
        tracing::warn!(%error, "the health of receivers could not be kept");
    }
}

/// Runs one partition whenever its lease can be acquired, until the queue is gone or has other partitions, or the program stops.
async fn keep_running(engine: Arc<Engine>, queue: Arc<Queue>, number: u32, mut stop: watch::Receiver<bool>) {
    let name = format!("queue-{}-{}of{}", queue.id, number, queue.partitions);
    let leases: Arc<dyn Leases> = engine.delivery_store.clone();
    loop {
        let run = |lease: Lease| Partition::new(engine.clone(), queue.clone(), number).run(lease.fence, stop.clone());
        match lease::under(&leases, &name, engine.options.lease, run).await {
            Some(Stop::Shutdown) => return,
            Some(Stop::Reshaped) => return delete_consumer(&engine, &queue, number).await,
            Some(Stop::Failed(error)) => {
                tracing::warn!(queue.id = %queue.id, partition = number, error, "a partition failed; it starts again");
            }
            None => {}
        }
        tokio::select! {
            _ = stop.changed() => return,
            () = sleep(RETRY_WAIT) => {}
        }
        match engine.delivery_store.routing_config().await {
            Ok(routing_config) if !routing_config.queues.iter().any(|q| q.id == queue.id && q.partitions == queue.partitions) => return,
            _ => {}
        }
    }
}

/// Deletes the consumer of a queue that is gone.
async fn delete_consumer(engine: &Engine, queue: &Queue, number: u32) {
    let consumer = consumer_name(queue.id, number);
    tracing::info!(queue.id = %queue.id, "the queue is gone; its consumer is deleted");
    if let Err(error) = engine.bus.delete_consumer(&consumer).await {
        tracing::warn!(%error, consumer, "a consumer could not be deleted");
    }
}
