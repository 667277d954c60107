//! Objects that belong to an account, as operations address them: decided under the account's lock.

use billwire_domain::customers::account::Account;
use billwire_schemas::ids::{AccountId, OrderingKey};
use billwire_store::{
    Error, Persisted, Tx,
    commit::{Failure, Prefetch},
};
use uuid::Uuid;

use crate::objects::{Object, addressed};

/// An object of an account, addressed.
#[derive(Debug, Clone, Copy)]
pub struct AccountObject {
    /// Whose it is. Objects never move to another account, so this can be read before the lock is taken.
    pub account: AccountId,
    /// Which object.
    pub id: Uuid,
    /// Only at this version.
    pub if_match: Option<i64>,
}

impl AccountObject {
    /// What its events keep order within.
    pub(crate) fn key(&self) -> OrderingKey {
        self.account.into()
    }

    /// Object and account, to be read with those of others.
    pub(crate) fn prefetch<T: Persisted>(&self) -> Vec<Prefetch> {
        vec![Prefetch::of::<T>(self.id), Prefetch::of::<Account>(self.account.0)]
    }

    /// The object, at the version asked for, and its account.
    ///
    /// # Errors
    /// `<noun>_not_found`, `stale_version`, or the database's failure.
    pub(crate) async fn load<T: Object>(&self, tx: &mut Tx<'_>) -> Result<(T, Account), Failure> {
        let object = addressed::<T>(tx, self.id, self.if_match).await?;
        let account = tx.load::<Account>(self.account.0).await?.ok_or_else(|| Error::Corrupt {
            table: "account",
            detail: format!("{} {} belongs to the missing account {}", T::NAME, self.id, self.account),
        })?;
        Ok((object, account))
    }
}
