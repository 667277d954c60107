//! The history of business transactions and events.

use billwire_domain::{Rejected, customers::account::Account};
use billwire_schemas::{
    events::selection::{Selection, is_pattern},
    ids::{AccountId, TenantId},
};
use billwire_store::{commit::Failure, events::history, page};

use crate::{App, Purgeable};

impl App {
    /// A recorded business transaction, as JSON.
    ///
    /// # Errors
    /// `business_transaction_not_found`, `purged`, or a database failure.
    pub async fn business_transaction(&self, tenant: &TenantId, id: &str) -> Result<String, Failure> {
        let found = match id.parse() {
            Ok(id) => self.store.business_transaction(tenant, id).await?,
            Err(_) => None,
        };
        match found {
            Some(found) => Ok(found),
            None => Err(self.absent(tenant, Purgeable::BusinessTransactions, id).await?.into()),
        }
    }

    /// An event's message, as JSON.
    ///
    /// # Errors
    /// `event_not_found`, `purged`, or a database failure.
    pub async fn event(&self, tenant: &TenantId, id: &str) -> Result<String, Failure> {
        let found = match id.parse() {
            Ok(id) => self.store.event(tenant, id).await?,
            Err(_) => None,
        };
        match found {
            Some(found) => Ok(found),
            None => Err(self.absent(tenant, Purgeable::Events, id).await?.into()),
        }
    }

    /// A page of business transactions, newest first.
    ///
    /// # Errors
    /// A database failure.
    pub async fn list_business_transactions(
        &self,
        tenant: &TenantId,
        wanted: history::Transactions,
        page_request: page::PageRequest,
    ) -> Result<page::Page<String>, Failure> {
        Ok(self.store.list_business_transactions(tenant, wanted, page_request).await?)
    }

    /// A page of events, newest first.
    ///
    /// # Errors
    /// `event_type_unknown` for a pattern that no type matches, or a database failure.
    pub async fn list_events(
        &self,
        tenant: &TenantId,
        wanted: history::Events,
        page_request: page::PageRequest,
    ) -> Result<page::Page<String>, Failure> {
        // A name is not checked: events of a type that was deleted are still listed.
        if let Some(pattern) = wanted.kind.as_deref().filter(|kind| is_pattern(kind)) {
            self.ensure_pattern(tenant, pattern).await?;
        }
        Ok(self.store.list_events(tenant, wanted, page_request).await?)
    }

    /// Refuses a name or pattern that no event type of the tenant matches.
    pub(crate) async fn ensure_pattern(&self, tenant: &TenantId, pattern: &str) -> Result<(), Failure> {
        match self.catalogue(tenant).await?.unknown(&Selection::of_types(&[pattern])).into_iter().next() {
            Some(unknown) => Err(Rejected::violation("", unknown.code, unknown.message).into()),
            None => Ok(()),
        }
    }

    /// The id of the account with this id or external id; `None` if it does not exist.
    ///
    /// # Errors
    /// A database failure.
    pub async fn account_named(&self, tenant: &TenantId, reference: &str) -> Result<Option<AccountId>, Failure> {
        let named = self.store.named::<Account>(tenant, &[reference.to_owned()]).await?;
        Ok(named.get(reference).copied().map(AccountId))
    }
}
