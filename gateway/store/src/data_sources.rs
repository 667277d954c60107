//! Data sources in memory: every event asks for its tenant's.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use billwire_domain::events::data_source::DataSource;
use billwire_schemas::ids::TenantId;

type ByTenant = HashMap<TenantId, (i64, Arc<Vec<DataSource>>)>;

/// The data sources of each tenant, with the revision of its configuration at which they were read or an earlier one.
#[derive(Default)]
pub(crate) struct DataSources(Mutex<ByTenant>);

impl DataSources {
    pub fn known(&self) -> MutexGuard<'_, ByTenant> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
