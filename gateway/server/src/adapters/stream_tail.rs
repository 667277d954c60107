//! The stream as the API reads it.

use std::{
    sync::{Arc, OnceLock},
    time::Duration,
};

use async_trait::async_trait;
use billwire_app::Stream;
use billwire_bus::{Authenticity, Bus};
use billwire_delivery::authenticity;
use billwire_schemas::{events::envelope::subjects_of, ids::TenantId};

use crate::adapters::delivery_store::SqlDeliveryStore;

/// The bus, once NATS is connected.
#[derive(Clone)]
pub struct Tail {
    bus: Arc<OnceLock<Bus>>,
    delivery_store: SqlDeliveryStore,
}

impl Tail {
    /// Not connected yet; `delivery_store` confirms messages without a seal.
    pub fn new(delivery_store: SqlDeliveryStore) -> Self {
        Self { bus: Arc::default(), delivery_store }
    }

    /// NATS is connected.
    pub fn connected(&self, bus: Bus) {
        // Set once; a second connection of the same process would be equivalent.
        let _ = self.bus.set(bus);
    }
}

/// The subjects of a tenant's events whose types match the pattern.
fn subjects(tenant: &TenantId, pattern: Option<&str>) -> String {
    match pattern.and_then(|pattern| pattern.split_once('.')) {
        Some((object, what)) => format!("billing.{tenant}.{object}.{what}.>"),
        None => subjects_of(tenant),
    }
}

#[async_trait]
impl Stream for Tail {
    async fn after(
        &self,
        tenant: &TenantId,
        pattern: Option<&str>,
        after: Option<u64>,
        limit: (usize, usize),
        wait: Duration,
    ) -> Result<(Vec<String>, u64), String> {
        let bus = self.bus.get().ok_or("NATS has not been reached from here yet")?;
        let (limit, bytes) = limit;
        let (mut found, next) =
            bus.after(subjects(tenant, pattern), after, (limit, Some(bytes)), wait).await.map_err(|error| error.to_string())?;
        authenticity::confirm(&self.delivery_store, &mut found).await?;
        // The others are logged by the consumers; here each read would log them again.
        let genuine = found.into_iter().filter(|message| message.authenticity == Authenticity::Genuine);
        let text = |body: bytes::Bytes| String::from_utf8(body.into()).map_err(|error| error.to_string());
        Ok((genuine.map(|message| text(message.body)).collect::<Result<_, _>>()?, next))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn types_and_patterns_become_subjects_of_the_tenant_alone() {
        let tenant = TenantId::default_tenant();
        for (pattern, expected) in [
            (None, "billing.default.>"),
            (Some("*"), "billing.default.>"),
            (Some("invoice.posted"), "billing.default.invoice.posted.>"),
            (Some("invoice.*"), "billing.default.invoice.*.>"),
            (Some("*.created"), "billing.default.*.created.>"),
        ] {
            assert_eq!(subjects(&tenant, pattern), expected);
        }
    }
}
