//! `suppressAddress`, `deleteSuppressedAddress`, and addresses that servers refuse for good.

use std::collections::HashSet;

use async_trait::async_trait;
use billwire_domain::{
    Rejected,
    email::suppressed_address::{self, Suppress, compared},
};
use billwire_schemas::{
    clock::{Clock, SystemClock, Timestamp},
    ids::{DeliveryId, OrderingKey, TenantId, fresh},
    refusal::Code,
};
use billwire_store::{Configuration, ConfigurationKind as Kind, Store, Tx, commit::Failure};

use crate::{App, Caller, RequestContext, execute::UseCase, record::Record};

/// Puts an address on the suppression list.
#[derive(Debug, Clone)]
pub struct SuppressAddress(pub Suppress);

#[async_trait]
impl UseCase for SuppressAddress {
    const OPERATION: &'static str = "suppressAddress";
    const STATUS: u16 = 201;

    fn key(&self) -> OrderingKey {
        Store::configuration_key()
    }
    async fn run(&self, tx: &mut Tx<'_>, _: Timestamp) -> Result<Option<Record>, Failure> {
        let change = suppressed_address::suppress(self.0.clone(), SystemClock.now());
        let (id, name, body) = (change.after.id, change.after.address.clone(), change.after.clone());
        if tx.has_configuration(Kind::SuppressedAddress, &name).await? {
            return Err(Rejected::conflict(Code::AddressSuppressed, format!("'{name}' is on the suppression list already.")).into());
        }
        let created_at = SystemClock.now();
        tx.save_configuration(Configuration { id, kind: Kind::SuppressedAddress, name, body, secrets: None, created_at }).await?;
        Record::of(&change).map(Some)
    }
}

impl App {
    /// Notes that a server refused an address for good; nothing happens when it is on the list already.
    ///
    /// # Errors
    /// The database's failure.
    pub async fn suppress(
        &self,
        tenant: TenantId,
        delivery: DeliveryId,
        address: &str,
        status: Option<u16>,
        words: &str,
    ) -> Result<(), Failure> {
        let caller = Caller { tenant, actor: "delivery".to_owned(), scopes: Vec::new() };
        let (address, reason) = (address.to_owned(), words.to_owned());
        let command = Suppress { id: fresh(), address, reason, status, delivery_id: Some(delivery) };
        match self.execute(RequestContext { caller, claim: None }, SuppressAddress(command)).await {
            Ok(_) | Err(Failure::Rejected(_)) => Ok(()),
            Err(failure) => Err(failure),
        }
    }

    /// Which of these addresses are on the suppression list, in small letters.
    ///
    /// # Errors
    /// The database's failure.
    pub async fn suppressed(&self, tenant: &TenantId, addresses: &[String]) -> Result<HashSet<String>, Failure> {
        let names: Vec<String> = addresses.iter().map(|address| compared(address)).collect();
        Ok(self.store.configurations_named(tenant, Kind::SuppressedAddress, &names).await?)
    }
}
