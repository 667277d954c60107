//! The sums that make up an account's balance, over tables `invoice`, `payment` and `credit`.

use billwire_domain::billing::balance::Balance;
use billwire_schemas::ids::{AccountId, TenantId};
use sea_orm::{ConnectionTrait, QueryResult};

use crate::{Error, Store, Tx, commit::Failure};

/// Units and millionths apart, as a single sum of millionths could overflow. One statement, so that all sums are of one moment.
const BALANCE: &str = "SELECT name, \
     CAST(COALESCE(SUM(CAST(amount / 1000000 AS BIGINT)), 0) AS BIGINT) AS units, \
     CAST(COALESCE(SUM(amount % 1000000), 0) AS BIGINT) AS millionths FROM ( \
         SELECT CASE WHEN overdue_since IS NULL THEN 'due' ELSE 'overdue' END AS name, amount_due AS amount FROM invoice \
         WHERE tenant = $1 AND account_id = $2 AND amount_due > 0 \
         UNION ALL SELECT 'unallocated', unallocated FROM payment WHERE tenant = $1 AND account_id = $2 AND unallocated > 0 \
         UNION ALL SELECT 'credits', remaining FROM credit WHERE tenant = $1 AND account_id = $2 AND remaining > 0 \
     ) AS part GROUP BY name";

fn balance(rows: &[QueryResult]) -> Result<Balance, Error> {
    let mut balance = Balance::default();
    for row in rows {
        let (units, millionths): (i64, i64) = (row.try_get("", "units")?, row.try_get("", "millionths")?);
        let sum = i128::from(units) * 1_000_000 + i128::from(millionths);
        match row.try_get::<String>("", "name")?.as_str() {
            "due" => balance.due += sum,
            "overdue" => {
                balance.due += sum;
                balance.overdue = sum;
            }
            "unallocated" => balance.unallocated = sum,
            _ => balance.credits = sum,
        }
    }
    Ok(balance)
}

impl Store {
    /// The balance of an account.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn balance(&self, tenant: &TenantId, account: AccountId) -> Result<Balance, Error> {
        let values = [tenant.as_str().into(), account.0.into()];
        balance(&self.0.read.query_all_raw(self.statement(BALANCE, values)).await?)
    }
}

impl Tx<'_> {
    /// The balance of an account, as it was before this unit.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn balance(&self, account: AccountId) -> Result<Balance, Failure> {
        let values = vec![self.tenant().as_str().into(), account.0.into()];
        Ok(balance(&self.query(BALANCE, values).await?)?)
    }
}
