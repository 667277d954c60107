//! `createContract`, `updateContract`, `deleteContract`, and the clock at the end of a contract's period.

use async_trait::async_trait;
use billwire_domain::{
    customers::account::Account,
    usage::contract::{self, Contract},
};
use billwire_schemas::{
    clock::Timestamp,
    events::envelope::Parameters,
    ids::{AccountId, ContractId, OrderingKey},
};
use billwire_store::{
    Tx,
    commit::{Failure, Prefetch},
};
use chrono::NaiveDate;

use crate::{
    account_object::AccountObject, customers::billing_settings::settings, events::event_parameters::recorded, execute::UseCase,
    objects::referenced, record::Record,
};

/// Makes a contract.
#[derive(Debug, Clone)]
pub struct CreateContract {
    /// Whose it shall be.
    pub account: AccountId,
    /// What it shall be.
    pub command: contract::Create,
}

/// Changes a contract; what is absent stays.
#[derive(Debug, Clone)]
pub struct UpdateContract {
    /// Which.
    pub contract: AccountObject,
    /// Its new name.
    pub name: Option<String>,
    /// The first day it shall no longer hold.
    pub end_date: Option<NaiveDate>,
}

/// Deletes a contract that has not started.
#[derive(Debug, Clone)]
pub struct DeleteContract(pub AccountObject);

/// What the clock does at the end of a period.
#[derive(Debug, Clone)]
pub(crate) struct EndContractPeriod {
    pub key: OrderingKey,
    pub id: ContractId,
}

#[async_trait]
impl UseCase for CreateContract {
    const OPERATION: &'static str = "createContract";
    const STATUS: u16 = 201;

    fn key(&self) -> OrderingKey {
        self.account.into()
    }
    fn prefetch(&self) -> Vec<Prefetch> {
        vec![Prefetch::of::<Account>(self.account.0)]
    }
    async fn run(&self, tx: &mut Tx<'_>, now: Timestamp) -> Result<Option<Record>, Failure> {
        let account = referenced::<Account>(tx, "/account", self.account.0).await?;
        tx.ensure_external_id_free::<Contract>(self.command.external_id.as_deref()).await?;
        let zone = settings(tx).await?.zone();
        recorded(tx, &contract::create(self.command.clone(), &account, zone, now)?, Parameters::new()).await
    }
}

#[async_trait]
impl UseCase for UpdateContract {
    const OPERATION: &'static str = "updateContract";
    const STATUS: u16 = 200;

    fn key(&self) -> OrderingKey {
        self.contract.key()
    }
    fn prefetch(&self) -> Vec<Prefetch> {
        self.contract.prefetch::<Contract>()
    }
    async fn run(&self, tx: &mut Tx<'_>, now: Timestamp) -> Result<Option<Record>, Failure> {
        let (contract, account) = self.contract.load::<Contract>(tx).await?;
        let zone = settings(tx).await?.zone();
        let change = contract::update(contract, &account, self.name.clone(), self.end_date, zone, now)?;
        recorded(tx, &change, Parameters::new()).await
    }
}

#[async_trait]
impl UseCase for DeleteContract {
    const OPERATION: &'static str = "deleteContract";
    const STATUS: u16 = 200;

    fn key(&self) -> OrderingKey {
        self.0.key()
    }
    fn prefetch(&self) -> Vec<Prefetch> {
        self.0.prefetch::<Contract>()
    }
    async fn run(&self, tx: &mut Tx<'_>, now: Timestamp) -> Result<Option<Record>, Failure> {
        let (contract, account) = self.0.load::<Contract>(tx).await?;
        recorded(tx, &contract::delete(contract, &account, now)?, Parameters::new()).await
    }
}

#[async_trait]
impl UseCase for EndContractPeriod {
    const OPERATION: &'static str = "endContractPeriod";
    const STATUS: u16 = 200;

    fn key(&self) -> OrderingKey {
        self.key.clone()
    }
    async fn run(&self, tx: &mut Tx<'_>, now: Timestamp) -> Result<Option<Record>, Failure> {
        let Some(contract) = tx.load::<Contract>(self.id.0).await? else { return Ok(None) };
        let spend = tx.charge_sum(contract.account_id, contract.period_starts_at, contract.period_ends_at).await?;
        let zone = settings(tx).await?.zone();
        match contract::due(contract, spend, zone, now) {
            Some(change) => recorded(tx, &change, Parameters::new()).await,
            None => Ok(None),
        }
    }
}
