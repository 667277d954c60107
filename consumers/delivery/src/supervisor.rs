//! The supervisor: runs one task per queue and partition.

use std::{collections::HashMap, sync::Arc, time::Duration};

use billwire_schemas::{ids::QueueId, lease::Lease};
use tokio::{
    sync::watch,
    task::{AbortHandle, JoinSet},
    time::{interval, sleep},
};

use crate::{
    engine::Engine,
    lease::{self, Leases, RETRY_WAIT},
    partition::{Partition, Stop, consumer_name},
    store::Queue,
};

/// How often the configuration is read for new queues, made here or by another process.
const LOOK_EVERY: Duration = Duration::from_secs(1);

/// Runs every queue until `stop` turns true.
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
        save_health(&engine).await;
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

/// Stores the health of targets, and disables those that have failed for too long.
async fn save_health(engine: &Engine) {
    let now = engine.clock.now();
    let health_changes = engine.limiters.health_changes(now, engine.options.give_up_after);
    let saved = async {
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
    if let Err(error) = saved.await {
        tracing::warn!(%error, "the health of targets could not be saved");
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

/// Deletes the consumer of a partition that is gone.
async fn delete_consumer(engine: &Engine, queue: &Queue, number: u32) {
    let consumer = consumer_name(queue.id, number);
    tracing::info!(queue.id = %queue.id, "a partition is gone; its consumer is deleted");
    if let Err(error) = engine.bus.delete_consumer(&consumer).await {
        tracing::warn!(%error, consumer, "a consumer could not be deleted");
    }
}
