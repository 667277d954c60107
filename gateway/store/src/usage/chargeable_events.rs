//! Table `chargeable_event`.
//!
//! A bill run puts an account's charges on an invoice by one statement, without loading them: what changes there (version,
//! state, invoice) is therefore read from the columns, not from the body.

use billwire_domain::{
    billing::invoicing::ChargeSum,
    usage::chargeable_event::{ChargeableEvent, State},
};
use billwire_schemas::{
    clock::Timestamp,
    ids::{AccountId, InvoiceId},
    money::Decimal,
};

use crate::{
    Error, Tx,
    commit::Failure,
    micros,
    objects::{BaseColumns, Persisted, object_table},
};

object_table!("chargeable_event" {
    service_id: Option<uuid::Uuid>,
    kind: String,
    occurred_at: i64,
    net_amount: i64,
    invoice_id: Option<uuid::Uuid>,
    search: String,
});

impl Persisted for ChargeableEvent {
    type Row = Model;
    const TABLE: &'static str = "chargeable_event";

    fn row(&self, common: BaseColumns) -> Model {
        let texts = [Some(&self.charge_type), self.description.as_ref(), self.external_id.as_ref()];
        let search = texts.into_iter().flatten().map(|text| text.to_lowercase()).collect::<Vec<_>>().join("\n");
        let net_amount = self.net_amount.amount.millionths();
        let invoice_id = self.invoice_id.map(|id| id.0);
        Model::of(
            common,
            self.service_id.map(|id| id.0),
            self.charge_type.clone(),
            micros(self.occurred_at),
            net_amount,
            invoice_id,
            search,
        )
    }

    fn read(row: Model) -> Result<Self, Error> {
        let mut charge: Self = serde_json::from_str(&row.body).map_err(Error::corrupt(Self::TABLE))?;
        charge.version = row.version;
        charge.invoice_id = row.invoice_id.map(InvoiceId);
        charge.state = if row.invoice_id.is_some() { State::Billed } else { State::Unbilled };
        Ok(charge)
    }
}

/// A sum that the database gave as units and millionths: a single sum of millionths could overflow.
fn in_range(units: i64, millionths: i64) -> Option<Decimal> {
    let sum = units.checked_mul(1_000_000)?.checked_add(millionths)?;
    Decimal::from_millionths(sum).plus(Decimal::ZERO)
}

/// Puts an account's charges that are not billed and occurred before a moment on an invoice: the invoice, the account, the moment.
pub(crate) const BILL_CHARGES: &str = "UPDATE chargeable_event SET invoice_id = $1, status = 'billed', version = version + 1 \
                                       WHERE account_id = $2 AND invoice_id IS NULL AND occurred_at < $3";
/// Removes the charges of an invoice from it.
pub(crate) const UNBILL_CHARGES: &str =
    "UPDATE chargeable_event SET invoice_id = NULL, status = 'unbilled', version = version + 1 WHERE invoice_id = $1";

impl Tx<'_> {
    /// An account's charges that are not billed and occurred before `cutoff`, summed up by type.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn unbilled_charges(&self, account: AccountId, cutoff: Timestamp) -> Result<Vec<ChargeSum>, Failure> {
        let sql = "SELECT kind, CAST(COUNT(*) AS BIGINT) AS count, CAST(SUM(CAST(net_amount / 1000000 AS BIGINT)) AS BIGINT) AS units, \
                   CAST(SUM(net_amount % 1000000) AS BIGINT) AS millionths FROM chargeable_event \
                   WHERE account_id = $1 AND invoice_id IS NULL AND occurred_at < $2 GROUP BY kind ORDER BY kind";
        let rows = self.query(sql, vec![account.0.into(), micros(cutoff).into()]).await?;
        let sums = rows.iter().map(|row| {
            let sum = in_range(row.try_get("", "units")?, row.try_get("", "millionths")?);
            Ok(ChargeSum { charge_type: row.try_get("", "kind")?, count: row.try_get("", "count")?, sum })
        });
        Ok(sums.collect::<Result<Vec<_>, sea_orm::DbErr>>().map_err(Error::from)?)
    }

    /// The largest of an account's charges that are not billed and occurred before `cutoff`, up to `count`.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn largest_unbilled_charges(
        &mut self,
        account: AccountId,
        cutoff: Timestamp,
        count: u64,
    ) -> Result<Vec<ChargeableEvent>, Failure> {
        let sql = "SELECT id FROM chargeable_event WHERE account_id = $1 AND invoice_id IS NULL AND occurred_at < $2 \
                   ORDER BY net_amount DESC, id LIMIT $3";
        let count = i64::try_from(count).unwrap_or(i64::MAX);
        let rows = self.query(sql, vec![account.0.into(), micros(cutoff).into(), count.into()]).await?;
        let ids = rows.iter().map(|row| row.try_get("", "id")).collect::<Result<Vec<uuid::Uuid>, _>>().map_err(Error::from)?;
        self.preload::<ChargeableEvent>(&ids).await?;
        let mut charges = Vec::with_capacity(ids.len());
        for id in ids {
            charges.extend(self.load::<ChargeableEvent>(id).await?);
        }
        Ok(charges)
    }

    /// Puts an account's charges that are not billed and occurred before `cutoff` on an invoice.
    pub fn bill_charges(&mut self, account: AccountId, cutoff: Timestamp, invoice: InvoiceId) {
        self.defer(BILL_CHARGES.to_owned(), vec![invoice.0.into(), account.0.into(), micros(cutoff).into()]);
    }

    /// Removes the charges of an invoice from it: they are unbilled again.
    pub fn unbill_charges(&mut self, invoice: InvoiceId) {
        self.defer(UNBILL_CHARGES.to_owned(), vec![invoice.0.into()]);
    }

    /// The sum of the net amounts of an account's charges that occurred from `from` on and before `to`; the largest amount
    /// if the sum exceeds it.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn charge_sum(&self, account: AccountId, from: Timestamp, to: Timestamp) -> Result<Decimal, Failure> {
        let sql = "SELECT CAST(COALESCE(SUM(CAST(net_amount / 1000000 AS BIGINT)), 0) AS BIGINT) AS units, \
                   CAST(COALESCE(SUM(net_amount % 1000000), 0) AS BIGINT) AS millionths FROM chargeable_event \
                   WHERE account_id = $1 AND occurred_at >= $2 AND occurred_at < $3";
        let rows = self.query(sql, vec![account.0.into(), micros(from).into(), micros(to).into()]).await?;
        let Some(row) = rows.first() else { return Ok(Decimal::ZERO) };
        let units: i64 = row.try_get("", "units").map_err(Error::from)?;
        let millionths: i64 = row.try_get("", "millionths").map_err(Error::from)?;
        Ok(in_range(units, millionths).unwrap_or(Decimal::MAX))
    }
}
