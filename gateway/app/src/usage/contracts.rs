//! `createContract`, `updateContract`, `deleteContract`, and the end of a contract period.

use async_trait::async_trait;
use billwire_domain::{
    Rejected,
    customers::account::Account,
    usage::contract::{self, Contract},
};
use billwire_schemas::{
    clock::Timestamp,
    events::envelope::Parameters,
    ids::{ContractId, OrderingKey},
};
use billwire_store::{Tx, commit::Failure};
use chrono::NaiveDate;

use crate::{
    customers::billing_settings::settings,
    events::event_parameters::recorded,
    execute::UseCase,
    execute_on::{ObjectUseCase, owner},
    objects::unknown,
    record::Record,
};

/// Creates a contract.
#[derive(Debug, Clone)]
pub struct CreateContract {
    /// What to create.
    pub command: contract::Create,
}

/// Changes a contract; absent members keep their values.
#[derive(Debug, Clone)]
pub struct UpdateContract {
    /// The new name.
    pub name: Option<String>,
    /// The first day after the contract.
    pub end_date: Option<NaiveDate>,
}

/// Deletes a contract that has not started.
#[derive(Debug, Clone)]
pub struct DeleteContract;

/// Evaluates a contract at the end of its period.
#[derive(Debug, Clone)]
pub(crate) struct EndContractPeriod {
    pub key: OrderingKey,
    pub id: ContractId,
}

#[async_trait]
impl ObjectUseCase for CreateContract {
    type Object = Account;
    const OPERATION: &'static str = "createContract";
    const STATUS: u16 = 201;

    fn missing(reference: &str) -> Rejected {
        unknown::<Account>("/account", reference)
    }
    async fn run(&self, tx: &mut Tx<'_>, account: Account, now: Timestamp) -> Result<Option<Record>, Failure> {
        tx.ensure_external_id_free::<Contract>(self.command.external_id.as_deref()).await?;
        let zone = settings(tx).await?.zone();
        recorded(tx, &contract::create(self.command.clone(), &account, zone, now)?, Parameters::new()).await
    }
}

#[async_trait]
impl ObjectUseCase for UpdateContract {
    type Object = Contract;
    const OPERATION: &'static str = "updateContract";

    async fn run(&self, tx: &mut Tx<'_>, contract: Contract, now: Timestamp) -> Result<Option<Record>, Failure> {
        let account = owner(tx, &contract).await?;
        let zone = settings(tx).await?.zone();
        let change = contract::update(contract, &account, self.name.clone(), self.end_date, zone, now)?;
        recorded(tx, &change, Parameters::new()).await
    }
}

#[async_trait]
impl ObjectUseCase for DeleteContract {
    type Object = Contract;
    const OPERATION: &'static str = "deleteContract";

    async fn run(&self, tx: &mut Tx<'_>, contract: Contract, now: Timestamp) -> Result<Option<Record>, Failure> {
        let account = owner(tx, &contract).await?;
        recorded(tx, &contract::delete(contract, &account, now)?, Parameters::new()).await
    }
}

#[async_trait]
impl UseCase for EndContractPeriod {
    const OPERATION: &'static str = "endContractPeriod";

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
