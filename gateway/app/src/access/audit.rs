//! The audit: lists entries, and notes refusals and first uses.

use std::{
    collections::BTreeMap,
    sync::{Mutex, PoisonError},
    time::Duration,
};

use billwire_domain::access::audit::{By, ConnectionsMade, Entry, Refusal};
use billwire_schemas::{
    clock::{Clock, SystemClock},
    ids::TenantId,
    refusal::Code,
};
use billwire_store::{
    audit::AuditEntries,
    commit::Failure,
    page::{Page, PageRequest},
};
use tokio::time::sleep;

use crate::App;

/// How long refusals are counted before they become an entry.
const COUNTED_FOR: Duration = Duration::from_secs(1);
/// Kinds of refusals that are counted apart; the others of the time are counted together.
const APART_MAX: usize = 1_000;

/// Which refusals are the same: tenant, caller, operation, code.
type Same = (TenantId, By, Option<&'static str>, &'static str);

/// Refusals that are being counted.
#[derive(Default)]
pub(crate) struct Refusals(Mutex<BTreeMap<Same, u64>>);

/// Connections that are being counted, by tenant and key: no more of these than exist.
#[derive(Default)]
pub(crate) struct Connections(Mutex<BTreeMap<(TenantId, By), u64>>);

impl Refusals {
    /// Counts one; gives whether it is the first of those that are being counted.
    fn count(&self, mut same: Same) -> bool {
        let mut counted = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let first = counted.is_empty();
        if counted.len() >= APART_MAX && !counted.contains_key(&same) {
            same = (TenantId::default_tenant(), By::default(), None, same.3);
        }
        *counted.entry(same).or_default() += 1;
        first
    }

    fn take(&self) -> BTreeMap<TenantId, Vec<Refusal>> {
        let counted = std::mem::take(&mut *self.0.lock().unwrap_or_else(PoisonError::into_inner));
        let mut of: BTreeMap<TenantId, Vec<Refusal>> = BTreeMap::new();
        for ((tenant, by, operation, code), count) in counted {
            let refusal = Refusal { operation: operation.map(str::to_owned), by, code: code.to_owned(), count };
            of.entry(tenant).or_default().push(refusal);
        }
        of
    }
}

impl App {
    /// Notes in the background that a request was not allowed. `whose` are the credentials it came with, if that is known.
    pub fn note_refusal(&self, whose: Option<(TenantId, By)>, operation: Option<&'static str>, code: Code) {
        let (tenant, by) = whose.unwrap_or_else(|| (TenantId::default_tenant(), By::default()));
        if !self.refusals.count((tenant, by, operation, code.as_str())) {
            return;
        }
        let app = self.clone();
        tokio::spawn(async move {
            sleep(COUNTED_FOR).await;
            for (tenant, refusals) in app.refusals.take() {
                app.note_in_audit(&tenant, &Entry::refusals(SystemClock.now(), refusals)).await;
            }
        });
    }

    /// Notes in the background that a subscriber has connected to NATS.
    pub fn note_connection(&self, tenant: TenantId, by: By) {
        let first = {
            let mut counted = self.connections.0.lock().unwrap_or_else(PoisonError::into_inner);
            let first = counted.is_empty();
            *counted.entry((tenant, by)).or_default() += 1;
            first
        };
        if !first {
            return;
        }
        let app = self.clone();
        tokio::spawn(async move {
            sleep(COUNTED_FOR).await;
            let counted = std::mem::take(&mut *app.connections.0.lock().unwrap_or_else(PoisonError::into_inner));
            let mut of: BTreeMap<TenantId, Vec<ConnectionsMade>> = BTreeMap::new();
            for ((tenant, by), count) in counted {
                of.entry(tenant).or_default().push(ConnectionsMade { by, count });
            }
            for (tenant, connections) in of {
                app.note_in_audit(&tenant, &Entry::connections(SystemClock.now(), connections)).await;
            }
        });
    }

    pub(crate) async fn note_in_audit(&self, tenant: &TenantId, entry: &Entry) {
        if let Err(error) = self.store.note_in_audit(tenant, entry).await {
            tracing::warn!(%error, tenant = tenant.as_str(), kind = entry.kind.name(), "an entry of the audit could not be recorded");
        }
    }

    /// The entries of the tenant's audit, JSON, newest first.
    ///
    /// # Errors
    /// A database failure.
    pub async fn list_audit_entries(
        &self,
        tenant: &TenantId,
        wanted: AuditEntries,
        page_request: PageRequest,
    ) -> Result<Page<String>, Failure> {
        Ok(self.store.list_audit_entries(tenant, wanted, page_request).await?)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn equal_refusals_are_counted_and_too_many_kinds_are_counted_together() {
        let refusals = Refusals::default();
        let same = |operation| (TenantId::default_tenant(), By::default(), Some(operation), "insufficient_scope");
        assert!(refusals.count(same("getAccount")));
        assert!(!refusals.count(same("getAccount")));
        assert!(!refusals.count(same("getQueue")));
        let taken = refusals.take();
        let counts: Vec<u64> = taken.values().flatten().map(|refusal| refusal.count).collect();
        assert_eq!(counts, [2, 1]);
        assert!(refusals.take().is_empty());
        for tenant in 0..APART_MAX + 5 {
            refusals.count((format!("t{tenant}").parse().expect("a tenant"), By::default(), None, "unauthenticated"));
        }
        let taken: Vec<Refusal> = refusals.take().into_values().flatten().collect();
        assert_eq!(taken.len(), APART_MAX + 1);
        assert_eq!(taken.iter().map(|refusal| refusal.count).sum::<u64>(), APART_MAX as u64 + 5);
    }
}
