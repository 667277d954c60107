//! Changes of several accounts' objects that are made together.

use billwire_domain::{Change, Entity, customers::account::Account};
use billwire_schemas::{events::envelope::Parameters, ids::AccountId};
use billwire_store::{Error, Persisted, Tx, commit::Failure};

use super::Record;
use crate::events::event_parameters::of_account;

/// A record per account: the changes of each become a business transaction of its own, in the order of its ordering key.
#[derive(Debug, Default)]
pub(crate) struct ByAccount(Vec<OfAccount>);

#[derive(Debug)]
struct OfAccount {
    id: AccountId,
    parameters: Parameters,
    record: Record,
}

impl ByAccount {
    /// Saves and records a change of an account or of its object; its events offer the account's parameters and `more`.
    ///
    /// # Errors
    /// A database failure.
    pub async fn add<T: Persisted>(&mut self, tx: &mut Tx<'_>, change: &Change<T>, more: Parameters) -> Result<(), Failure> {
        let id = change.after.account();
        let id = id.ok_or_else(|| Error::Corrupt { table: T::TABLE, detail: format!("{} belongs to no account", change.after.id()) })?;
        tx.save(change)?;
        let known = self.0.iter().position(|one| one.id == id);
        if known.is_none() || T::TYPE == Account::TYPE {
            let parameters = of_account(tx, id).await?;
            match known {
                Some(index) => self.0[index].parameters = parameters,
                None => self.0.push(OfAccount { id, parameters, record: Record::default() }),
            }
        }
        let Some(one) = self.0.iter_mut().find(|one| one.id == id) else { return Ok(()) };
        let mut related = one.parameters.clone();
        related.extend(more);
        one.record = std::mem::take(&mut one.record).and(change, &related)?;
        Ok(())
    }

    /// The whole as one record; the reply shows the transaction of the account that changed first. `None` if nothing changed.
    pub fn record(self) -> Option<Record> {
        let mut records = self.0.into_iter().map(|one| one.record);
        records.next().map(|first| Record { beside: records.collect(), ..first })
    }
}
