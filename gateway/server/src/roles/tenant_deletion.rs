//! Deletes what tenants have whose deletion the operator has asked for: one process at a time, in small steps with pauses between them.

use std::{collections::HashMap, sync::Arc, time::Duration};

use billwire_app::App;
use billwire_bus::Bus;
use billwire_delivery::lease::{self, Leases};
use billwire_schemas::{
    clock::{Clock, SystemClock},
    lease::Lease,
};
use billwire_store::{Part, Store};
use chrono::TimeDelta;
use tokio::{sync::watch, time::sleep};

use super::retention::pace::Pace;
use crate::{adapters::delivery_store::text, domain::access::tenant::Tenant};

/// How often deletions are looked for.
const EVERY: Duration = Duration::from_secs(1);

/// What the role works with.
pub struct TenantDeletions {
    /// The use cases.
    pub app: App,
    /// The database.
    pub store: Store,
    /// The stream.
    pub bus: Bus,
}

/// Deletes until `stop` turns true.
pub async fn run(role: TenantDeletions, (leases, ttl): (Arc<dyn Leases>, Duration), stop: watch::Receiver<bool>) {
    lease::run(&leases, "tenant-deletion", ttl, stop, |lease| role.delete(lease)).await;
}

impl TenantDeletions {
    async fn delete(&self, lease: Lease) -> Result<(), String> {
        let mut paces = HashMap::new();
        loop {
            for tenant in self.store.tenants_being_deleted().await.map_err(text)? {
                if self.pass(&lease, &tenant, &mut paces).await? == 0 {
                    self.end(&tenant).await?;
                }
            }
            sleep(EVERY).await;
        }
    }

    /// Deletes what can be deleted now; gives how many rows that were.
    async fn pass(&self, lease: &Lease, tenant: &Tenant, paces: &mut HashMap<Part, Pace>) -> Result<u64, String> {
        let mut deleted = 0;
        for part in Part::ALL {
            let mut after = None;
            loop {
                let pace = paces.entry(part).or_default();
                let range = (after, pace.rows());
                let step = self.store.delete_of_tenant(lease, &tenant.tenant_id, part, range).await.map_err(text)?;
                let step = step.ok_or("another process deletes tenants now")?;
                deleted += step.deleted;
                let pause = pace.pause_after(step.took);
                let Some(next) = step.next else { break };
                after = Some(next);
                sleep(pause).await;
            }
        }
        Ok(deleted)
    }

    /// Ends a deletion, if nothing is left on the stream either and nothing can come any more.
    async fn end(&self, tenant: &Tenant) -> Result<(), String> {
        let Some(state) = self.store.tenant_deletion(&tenant.tenant_id).await.map_err(text)? else { return Ok(()) };
        // For so long, calls may go on that were accepted before.
        let age = SystemClock.now() - state.requested_at;
        if age < TimeDelta::from_std(self.store.operation_deadline()).map_err(text)?
            || self.store.has_events(&tenant.tenant_id).await.map_err(text)?
        {
            return Ok(());
        }
        let messages = self.bus.delete_messages(&tenant.tenant_id).await.map_err(text)?;
        if messages > 0 {
            return self.store.count_deleted_messages(&tenant.tenant_id, messages).await.map_err(text);
        }
        self.app.end_tenant_deletion(tenant.id).await.map_err(text)?;
        tracing::info!(tenant = %tenant.tenant_id, rows = state.rows, messages = state.messages, "the tenant is deleted");
        Ok(())
    }
}
