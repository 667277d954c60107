//! `changeAccountStatus`.

use async_trait::async_trait;
use billwire_domain::account::{self, Account, Status};
use billwire_schemas::{
    clock::Timestamp,
    ids::{AccountId, OrderingKey},
};
use billwire_store::{
    Tx,
    commit::{Failure, Prefetch},
};

use crate::{
    bill_cycle_change::{load, save},
    once::UseCase,
    record::Record,
};

/// Moves an account along its table of statuses.
#[derive(Debug, Clone)]
pub struct ChangeAccountStatus {
    /// Which account.
    pub account: AccountId,
    /// Only at this version.
    pub if_match: Option<i64>,
    /// Where to.
    pub status: Status,
    /// Why.
    pub reason: Option<String>,
}

#[async_trait]
impl UseCase for ChangeAccountStatus {
    const OPERATION: &'static str = "changeAccountStatus";
    const STATUS: u16 = 200;

    fn key(&self) -> OrderingKey {
        self.account.into()
    }
    fn prefetch(&self) -> Vec<Prefetch> {
        vec![Prefetch::of::<Account>(self.account.0)]
    }
    async fn run(&self, tx: &mut Tx<'_>, now: Timestamp) -> Result<Option<Record>, Failure> {
        let account = load(tx, self.account, self.if_match).await?;
        save(tx, &account::change_status(account, self.status, self.reason.clone(), now)?)
    }
}
