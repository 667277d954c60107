//! Resolving many references with few queries.

use std::collections::HashMap;

use billwire_schemas::ids::TenantId;
use sea_orm::{
    Condition, EntityTrait, QueryFilter,
    sea_query::{Alias, Expr, ExprTrait},
};
use uuid::Uuid;

use crate::{
    Error, Store,
    batching::filled,
    objects::{ObjectRow, Persisted, TableOf, by_ids},
};

impl Store {
    /// Which objects these ids and external ids name; those that name none are missing.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn named<T: Persisted>(&self, tenant: &TenantId, references: &[String]) -> Result<HashMap<String, Uuid>, Error> {
        let mut found = HashMap::new();
        let ids: Vec<Uuid> = references.iter().filter_map(|reference| reference.parse().ok()).collect();
        for (owner, object) in by_ids::<T>(&self.0.read, &ids).await? {
            if owner == tenant.as_str() {
                found.insert(object.id(), object.id());
            }
        }
        let mut named: HashMap<String, Uuid> = HashMap::new();
        let mut rest = Vec::new();
        for reference in references {
            match reference.parse().ok().and_then(|id: Uuid| found.get(&id)) {
                Some(id) => drop(named.insert(reference.clone(), *id)),
                None => rest.push(reference.clone()),
            }
        }
        for part in rest.chunks(512) {
            let same = Condition::all()
                .add(Expr::col(Alias::new("tenant")).eq(tenant.as_str()))
                .add(Expr::col(Alias::new("external_id")).is_in(filled(part)));
            for row in TableOf::<T>::find().filter(same).all(&self.0.read).await? {
                let common = row.common();
                if let Some(external_id) = common.external_id {
                    named.insert(external_id, common.id);
                }
            }
        }
        Ok(named)
    }
}
