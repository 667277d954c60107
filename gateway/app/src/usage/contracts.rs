//! `createContract`, `updateContract`, `deleteContract`, and the end of a contract period.

use async_trait::async_trait;
use billwire_domain::{
    Change, Entity, Rejected,
    customers::{account::Account, billing_settings::BillingSettings},
    usage::contract::{self, Contract, Status},
};
use billwire_schemas::{
    clock::Timestamp,
    events::envelope::Parameters,
    ids::{ContractId, OrderingKey},
};
use billwire_store::{Tx, commit::Failure};

use crate::{
    customers::{account_ending::also, billing_settings::settings},
    events::event_parameters::{of_account, recorded},
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

/// Changes a contract.
#[derive(Debug, Clone)]
pub struct UpdateContract {
    /// The changes.
    pub command: contract::Update,
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
        tx.ensure_external_id_can_change(&contract, &self.command.external_id).await?;
        let change = contract::update(contract, &account, self.command.clone(), zone, now)?;
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

/// The changes that end a contract with its account, at `now`: its periods that have ended by then are evaluated, and the running one up to
/// then.
///
/// # Errors
/// A database failure.
pub(crate) async fn end_contract(
    tx: &mut Tx<'_>,
    contract: Contract,
    settings: &BillingSettings,
    now: Timestamp,
) -> Result<Vec<Change<Contract>>, Failure> {
    let (mut contract, mut changes) = (contract, Vec::new());
    while contract.status == Status::Active {
        let until = contract.period_ends_at.min(now);
        let spend = tx.charge_sum(contract.account_id, contract.period_starts_at, until).await?;
        let change = contract::due(contract.clone(), spend, settings.zone(), now)
            .unwrap_or_else(|| contract::end(contract.clone(), spend, settings.zone(), now));
        contract = change.after.clone();
        changes.push(change);
    }
    Ok(changes)
}

#[async_trait]
impl UseCase for EndContractPeriod {
    const OPERATION: &'static str = "endContractPeriod";

    fn key(&self) -> OrderingKey {
        self.key.clone()
    }
    async fn run(&self, tx: &mut Tx<'_>, now: Timestamp) -> Result<Option<Record>, Failure> {
        let contract = tx.load::<Contract>(self.id.0).await?.filter(|contract| contract.due_at().is_some_and(|at| at <= now));
        let Some(contract) = contract else { return Ok(None) };
        let settings = settings(tx).await?;
        if let Some(ended_at) = owner(tx, &contract).await?.ended_at() {
            let related = of_account(tx, contract.account_id).await?;
            let mut record = Record::default();
            for change in end_contract(tx, contract, &settings, ended_at).await? {
                record = also(tx, record, &change, &related, Parameters::new())?;
            }
            return Ok(Some(record));
        }
        let spend = tx.charge_sum(contract.account_id, contract.period_starts_at, contract.period_ends_at).await?;
        match contract::due(contract, spend, settings.zone(), now) {
            Some(change) => recorded(tx, &change, Parameters::new()).await,
            None => Ok(None),
        }
    }
}
