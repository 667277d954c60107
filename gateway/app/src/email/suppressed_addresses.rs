//! `suppressAddress`, and suppression of addresses that servers refuse permanently.

use std::collections::HashSet;

use async_trait::async_trait;
use billwire_domain::{
    Rejected,
    access::grant::Grant,
    email::suppressed_address::{self, Suppress, SuppressedAddress, compared},
};
use billwire_schemas::{
    clock::{Clock, SystemClock, Timestamp},
    ids::{DeliveryId, OrderingKey, TenantId, fresh},
    refusal::Code,
};
use billwire_store::{ConfigurationKind as Kind, Tx, commit::Failure};

use crate::{
    App, Caller, RequestContext,
    configuration::{ConfigurationObject, created},
    execute::UseCase,
    record::Record,
};

impl ConfigurationObject for SuppressedAddress {
    const KIND: Kind = Kind::SuppressedAddress;
    const NAME: &'static str = "suppressed address";
    const NOT_FOUND: Code = Code::SuppressedAddressNotFound;
    const DELETE: &'static str = "deleteSuppressedAddress";
    fn name(&self) -> &str {
        &self.address
    }
}

/// Adds an address to the suppression list.
#[derive(Debug, Clone)]
pub struct SuppressAddress(pub Suppress);

#[async_trait]
impl UseCase for SuppressAddress {
    const OPERATION: &'static str = "suppressAddress";
    const STATUS: u16 = 201;

    fn key(&self) -> OrderingKey {
        suppressed_address::ordering_key(&self.0.address)
    }
    async fn run(&self, tx: &mut Tx<'_>, _: Timestamp) -> Result<Option<Record>, Failure> {
        let change = suppressed_address::suppress(self.0.clone(), SystemClock.now());
        let address = &change.after.address;
        if tx.has_configuration(Kind::SuppressedAddress, address).await? {
            return Err(Rejected::conflict(Code::AddressSuppressed, format!("'{address}' is already on the suppression list.")).into());
        }
        created(tx, &change, None).await.map(Some)
    }
}

impl App {
    /// Suppresses an address that a server refused permanently. Does nothing if the address is already on the list.
    ///
    /// # Errors
    /// A database failure.
    pub async fn suppress(
        &self,
        tenant: TenantId,
        delivery: DeliveryId,
        address: &str,
        status: Option<u16>,
        words: &str,
    ) -> Result<(), Failure> {
        let caller = Caller::part(tenant, "delivery", Grant::default());
        let (address, reason) = (address.to_owned(), words.to_owned());
        let command = Suppress { id: fresh(), address, reason, status, delivery_id: Some(delivery) };
        match self.execute(RequestContext::of(caller), SuppressAddress(command)).await {
            Ok(_) | Err(Failure::Rejected(_)) => Ok(()),
            Err(failure) => Err(failure),
        }
    }

    /// Those of `addresses` that are on the suppression list, in lowercase.
    ///
    /// # Errors
    /// A database failure.
    pub async fn suppressed(&self, tenant: &TenantId, addresses: &[String]) -> Result<HashSet<String>, Failure> {
        let names: Vec<String> = addresses.iter().map(|address| compared(address)).collect();
        Ok(self.store.configurations_named(tenant, Kind::SuppressedAddress, &names).await?)
    }
}
