//! The supervisor: runs this process's share of the slots, each as a partition under a lease.

use std::{collections::HashMap, sync::Arc, time::Duration};

use billwire_schemas::{ids::Slot, lease::Lease};
use tokio::{
    sync::watch,
    task::{AbortHandle, JoinSet},
    time::{interval, sleep},
};

use crate::{
    engine::Engine,
    lease::{self, Leases, RETRY_WAIT},
    partition::{Partition, Stop},
};

/// How often the shares are looked at.
const LOOK_EVERY: Duration = Duration::from_secs(1);

/// How many looks apart the slots with unsettled events are looked for.
const UNSETTLED_EVERY: u64 = 5;

/// The processes that share the slots are counted by leases with this prefix, one held by each.
pub const MEMBER: &str = "consumers-";
/// The leases of slots have this prefix.
const SLOT: &str = "slot-";

/// A slot that runs here, or waits for its lease.
struct Running {
    task: AbortHandle,
    stop: watch::Sender<bool>,
}

/// Runs this process's share of the slots until `stop` turns true.
pub async fn run(engine: Arc<Engine>, mut stop: watch::Receiver<bool>) {
    let mut running: HashMap<Slot, Running> = HashMap::new();
    let mut tasks = JoinSet::new();
    let (mut look, mut looks) = (interval(LOOK_EVERY), 0_u64);
    let (leases, name): (Arc<dyn Leases>, String) = (engine.delivery_store.clone(), format!("{MEMBER}{}", engine.delivery_store.owner()));
    let (ttl, stopped) = (engine.options.lease, stop.clone());
    // A lease of its own, for as long as this process runs slots.
    tasks.spawn(async move { lease::run(&leases, &name, ttl, stopped, |_| std::future::pending()).await });
    loop {
        tokio::select! {
            _ = stop.changed() => break,
            _ = look.tick() => {}
            Some(_) = tasks.join_next() => {}
        }
        running.retain(|_, one| !one.task.is_finished());
        save_health(&engine).await;
        // Slots at rest learn of what another process has configured.
        if let Err(error) = engine.routing().await {
            tracing::warn!(error, "the configuration could not be read");
        }
        if let Err(error) = share_out(&engine, &mut running, &mut tasks).await {
            tracing::warn!(error, "the slots could not be shared out");
        }
        looks += 1;
        if looks % UNSETTLED_EVERY == 0 {
            match engine.delivery_store.unsettled_slots().await {
                Ok(unsettled) => _ = engine.unsettled.send_replace(unsettled),
                Err(error) => tracing::debug!(error, "what is not settled could not be read"),
            }
        }
        engine.limiters.set_slots(u8::try_from(running.len()).unwrap_or(Slot::COUNT), engine.clock.now());
    }
    for one in running.values() {
        one.stop.send_replace(true);
    }
    while tasks.join_next().await.is_some() {}
}

/// Stops slots beyond this process's share, so that all processes run about as many, and starts free ones up to the share.
async fn share_out(engine: &Arc<Engine>, running: &mut HashMap<Slot, Running>, tasks: &mut JoinSet<()>) -> Result<(), String> {
    let (leases, ttl) = (&engine.delivery_store, engine.options.lease);
    let held = leases.held_leases(&[MEMBER, SLOT]).await?;
    let members = held.iter().filter(|name| name.starts_with(MEMBER)).count();
    let share = usize::from(Slot::COUNT).div_ceil(members.max(1));
    for one in running.values().filter(|one| !*one.stop.borrow()).skip(share) {
        one.stop.send_replace(true);
    }
    for slot in Slot::all() {
        let name = lease_name(slot);
        if running.len() >= share || running.contains_key(&slot) || held.contains(&name) {
            continue;
        }
        if let Some(lease) = leases.acquire_lease(&name, ttl).await? {
            let (stop, stopped) = watch::channel(false);
            let task = tasks.spawn(run_slot(engine.clone(), slot, lease, stopped));
            running.insert(slot, Running { task, stop });
        }
    }
    Ok(())
}

fn lease_name(slot: Slot) -> String {
    format!("{SLOT}{slot}")
}

/// Runs one slot until it is stopped or fails.
async fn run_slot(engine: Arc<Engine>, slot: Slot, lease: Lease, stop: watch::Receiver<bool>) {
    let leases: Arc<dyn Leases> = engine.delivery_store.clone();
    let run = |lease: Lease| Partition::new(engine.clone(), slot).run(lease.fence, stop);
    if let Some(Stop::Failed(error)) = lease::while_held(&leases, lease, engine.options.lease, run).await {
        tracing::warn!(%slot, error, "the work on a slot failed; it starts again");
        sleep(RETRY_WAIT).await;
    }
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
