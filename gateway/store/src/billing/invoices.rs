//! Table `invoice`.

use billwire_domain::billing::invoice::{Invoice, Status};
use billwire_schemas::ids::{AccountId, InvoiceId};

use crate::{
    Error, Tx,
    commit::Failure,
    filter::{Filter, days},
    micros,
    objects::{BaseColumns, Persisted, object_table},
};

object_table!("invoice" { bill_run_id: Option<uuid::Uuid>, overdue_since: Option<i64>, amount_due: i64, issued_on: i64, due_on: i64 });

impl Persisted for Invoice {
    type Row = Model;
    const TABLE: &'static str = "invoice";

    fn row(&self, common: BaseColumns) -> Model {
        let due = if self.status == Status::Open { self.amount_due.amount.millionths() } else { 0 };
        let [issued_on, due_on] = [self.issued_on, self.due_on].map(days);
        Model::of(common, self.bill_run_id.map(|id| id.0), self.overdue_since.map(micros), due, issued_on, due_on)
    }
}

impl Tx<'_> {
    /// The number of invoices of an account, cancelled ones included.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn invoice_count(&self, account: AccountId) -> Result<i64, Failure> {
        let sql = "SELECT CAST(COUNT(*) AS BIGINT) AS count FROM invoice WHERE account_id = $1";
        let rows = self.query(sql, vec![account.0.into()]).await?;
        let count = rows.first().map(|row| row.try_get("", "count")).transpose().map_err(Error::from)?;
        Ok(count.unwrap_or(0))
    }

    /// The invoices of an account after this one.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn invoices_after(&self, account: AccountId, invoice: InvoiceId) -> Result<Vec<Invoice>, Failure> {
        // Ids sort by creation.
        self.select(Filter::new().is_id("account_id", Some(account.0)).after(invoice.0), u64::from(u32::MAX)).await
    }
}
