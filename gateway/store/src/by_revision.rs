//! Configuration in memory: what every event asks for is read again only after a change of its tenant's configuration.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use billwire_domain::events::{data_source::DataSource, stream_settings::StreamSettings};
use billwire_schemas::ids::TenantId;

type ByTenant<T> = HashMap<TenantId, (i64, Arc<Vec<T>>)>;

/// Objects of each tenant, with the revision of its configuration at which they were read or an earlier one.
pub struct ByRevision<T>(Mutex<ByTenant<T>>);

impl<T> Default for ByRevision<T> {
    fn default() -> Self {
        Self(Mutex::default())
    }
}

impl<T> ByRevision<T> {
    fn known(&self) -> MutexGuard<'_, ByTenant<T>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// What is kept of a tenant, and its revision.
    pub fn get(&self, tenant: &TenantId) -> Option<(i64, Arc<Vec<T>>)> {
        self.known().get(tenant).cloned()
    }

    /// Keeps what was read after this revision.
    pub fn keep(&self, tenant: &TenantId, revision: i64, objects: Vec<T>) -> Arc<Vec<T>> {
        let objects = Arc::new(objects);
        self.known().insert(tenant.clone(), (revision, objects.clone()));
        objects
    }

    /// Forgets what is kept of a tenant.
    pub fn forget(&self, tenant: &TenantId) {
        self.known().remove(tenant);
    }
}

/// Configuration that every operation asks for.
#[derive(Default)]
pub(crate) struct KnownConfiguration {
    pub data_sources: ByRevision<DataSource>,
    /// None or one of each tenant.
    pub stream_settings: ByRevision<StreamSettings>,
}
