//! Tables `bill_run` and `billed_account`: the result for each account of a run.
//!
//! A row of `billed_account` is written in the same transaction as the account's invoice. It makes a run resumable, and no account is
//! billed twice: the accounts left are those of the cycle without a row.

use billwire_domain::billing::bill_run::{BillRun, Outcome, Tally};
use billwire_schemas::{
    ids::{AccountId, BillCycleId, BillRunId, InvoiceId, TenantId},
    money::{Decimal, Money},
};
use chrono::NaiveDate;
use sea_orm::{ConnectionTrait, QueryResult, Value};
use uuid::Uuid;

use crate::{
    Error, Store, Tx,
    commit::Failure,
    filter::{Filter, days},
    objects::{self, BaseColumns, Persisted, object_table},
};

object_table!("bill_run" { bill_cycle_id: uuid::Uuid, billing_date: i64 });

impl Persisted for BillRun {
    type Row = Model;
    const TABLE: &'static str = "bill_run";

    fn row(&self, common: BaseColumns) -> Model {
        Model::of(common, self.bill_cycle_id.0, days(self.billing_date))
    }
}

/// The result for an account in a run.
#[derive(Debug, Clone)]
pub struct BilledAccount {
    /// The run.
    pub run: BillRunId,
    /// The account.
    pub account: AccountId,
    /// The result.
    pub outcome: Outcome,
    /// The invoice it got, and its total.
    pub invoice: Option<(InvoiceId, Money)>,
}

/// The accounts of a run's cycle that it has not processed yet. Those that another account pays for are billed with that one.
const LEFT: &str = "FROM account WHERE tenant = $1 AND bill_cycle_id = $2 AND status IN ('active', 'suspended') AND payer_id IS NULL \
    AND id > $4 \
    AND NOT EXISTS (SELECT 1 FROM billed_account done WHERE done.run_id = $3 AND done.account_id = account.id)";

fn left(tenant: &TenantId, run: &BillRun, after: Option<Uuid>) -> Vec<Value> {
    vec![tenant.as_str().into(), run.bill_cycle_id.0.into(), run.id.0.into(), after.unwrap_or(Uuid::nil()).into()]
}

/// The running runs whose turn it is: a cycle's runs, of which several can have started by themselves, are worked on one after another.
const RUNNING: &str = "SELECT tenant, id FROM bill_run WHERE status = 'running' AND NOT EXISTS (SELECT 1 FROM bill_run earlier \
    WHERE earlier.bill_cycle_id = bill_run.bill_cycle_id AND earlier.status = 'running' \
    AND (earlier.billing_date < bill_run.billing_date OR (earlier.billing_date = bill_run.billing_date AND earlier.id < bill_run.id))) \
    ORDER BY id LIMIT $1";

/// Units and millionths are summed apart: a single sum of millionths could overflow.
const TALLY: &str = "SELECT outcome, currency, CAST(COUNT(*) AS BIGINT) AS count, CAST(SUM(CAST(total / 1000000 AS BIGINT)) AS BIGINT) AS units, \
    CAST(SUM(total % 1000000) AS BIGINT) AS millionths FROM billed_account WHERE run_id = $1 GROUP BY outcome, currency ORDER BY currency";

/// The tally contains the sum of a run's invoices in a currency only if it is in the range of amounts.
fn tally(rows: &[QueryResult]) -> Result<Tally, Error> {
    let mut tally = Tally::default();
    for row in rows {
        let (outcome, count): (String, i64) = (row.try_get("", "outcome")?, row.try_get("", "count")?);
        tally.accounts += count;
        if outcome == Outcome::Failed.name() {
            tally.failed += count;
        }
        if outcome == Outcome::Invoiced.name() {
            tally.invoices += count;
            let (units, millionths): (i64, i64) = (row.try_get("", "units")?, row.try_get("", "millionths")?);
            let sum = units.checked_mul(1_000_000).and_then(|sum| sum.checked_add(millionths));
            let sum = sum.and_then(|sum| Decimal::from_millionths(sum).plus(Decimal::ZERO));
            let currency: String = row.try_get("", "currency")?;
            if let (Some(sum), Ok(currency)) = (sum, currency.parse()) {
                tally.totals.push(Money::new(sum, currency));
            }
        }
    }
    Ok(tally)
}

/// Records that an account was invoiced in a run: the run, the account, the invoice, its total and currency.
pub(crate) const INVOICED: &str = "INSERT INTO billed_account (run_id, account_id, outcome, invoice_id, total, currency) \
                                   VALUES ($1, $2, 'invoiced', $3, $4, $5) ON CONFLICT (run_id, account_id) DO NOTHING";

impl Tx<'_> {
    /// Whether the run has processed the account.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn billed_in_run(&self, run: BillRunId, account: AccountId) -> Result<bool, Failure> {
        let sql = "SELECT 1 AS one FROM billed_account WHERE run_id = $1 AND account_id = $2";
        Ok(!self.query(sql, vec![run.0.into(), account.0.into()]).await?.is_empty())
    }

    /// Records the result for an account in a run. A second record for the same account fails the transaction.
    pub fn note_billed(&mut self, billed: &BilledAccount) {
        let (invoice, total, currency) = match &billed.invoice {
            Some((id, total)) => (Some(id.0), total.amount.millionths(), total.currency.to_string()),
            None => (None, 0, String::new()),
        };
        let values =
            vec![billed.run.0.into(), billed.account.0.into(), billed.outcome.name().into(), invoice.into(), total.into(), currency.into()];
        let sql = "INSERT INTO billed_account (run_id, account_id, outcome, invoice_id, total, currency) VALUES ($1, $2, $3, $4, $5, $6)";
        self.defer(sql.to_owned(), values);
    }

    /// Whether the cycle has a run of this billing date.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn has_bill_run(&self, cycle: BillCycleId, billing_date: NaiveDate) -> Result<bool, Failure> {
        let of_date = Filter::new().since_day("billing_date", Some(billing_date)).until_day("billing_date", billing_date.succ_opt());
        Ok(!self.select::<BillRun>(of_date.is_id("bill_cycle_id", Some(cycle.0)), 1).await?.is_empty())
    }

    /// Whether the run has accounts left.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn has_accounts_left(&self, run: &BillRun) -> Result<bool, Failure> {
        let sql = format!("SELECT 1 AS one {LEFT} LIMIT 1");
        Ok(!self.query(&sql, left(self.tenant(), run, None)).await?.is_empty())
    }

    /// What the run has done so far.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn bill_run_tally(&self, run: BillRunId) -> Result<Tally, Failure> {
        Ok(tally(&self.query(TALLY, vec![run.0.into()]).await?)?)
    }
}

impl Store {
    /// The runs of all tenants that are not completed, of each cycle the earliest, oldest first, up to `limit`.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn running_bill_runs(&self, limit: u64) -> Result<Vec<(TenantId, BillRunId)>, Error> {
        let rows = self.0.read.query_all_raw(self.statement(RUNNING, [Value::from(i64::try_from(limit).unwrap_or(i64::MAX))])).await?;
        let mut found = Vec::with_capacity(rows.len());
        for row in rows {
            let (tenant, id): (String, Uuid) = (row.try_get("", "tenant")?, row.try_get("", "id")?);
            found.extend(tenant.parse().ok().map(|tenant| (tenant, BillRunId(id))));
        }
        Ok(found)
    }

    /// These runs, oldest first.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn bill_runs(&self, ids: &[BillRunId]) -> Result<Vec<(TenantId, BillRun)>, Error> {
        let ids: Vec<Uuid> = ids.iter().map(|id| id.0).collect();
        let mut found = objects::by_ids::<BillRun>(&self.0.read, &ids).await?;
        found.sort_by_key(|(_, run)| run.id.0);
        Ok(found.into_iter().filter_map(|(tenant, run)| Some((tenant.parse().ok()?, run))).collect())
    }

    /// The next accounts a run has to process, by id, after `after`.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn accounts_left(&self, tenant: &TenantId, run: &BillRun, after: Option<Uuid>, limit: u64) -> Result<Vec<AccountId>, Error> {
        let sql = format!("SELECT id {LEFT} ORDER BY id LIMIT {limit}");
        let rows = self.0.read.query_all_raw(self.statement(&sql, left(tenant, run, after))).await?;
        Ok(rows.iter().map(|row| row.try_get("", "id").map(AccountId)).collect::<Result<_, _>>()?)
    }

    /// What a run has done so far, and how many accounts are left.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn bill_run_progress(&self, tenant: &TenantId, run: &BillRun) -> Result<(Tally, i64), Error> {
        let done = tally(&self.0.read.query_all_raw(self.statement(TALLY, [run.id.0.into()])).await?)?;
        let sql = format!("SELECT CAST(COUNT(*) AS BIGINT) AS count {LEFT}");
        let row = self.0.read.query_one_raw(self.statement(&sql, left(tenant, run, None))).await?;
        let count = row.map(|row| row.try_get("", "count")).transpose()?;
        Ok((done, count.unwrap_or(0)))
    }
}
