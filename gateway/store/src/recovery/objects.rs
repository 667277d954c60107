//! Restores objects as events show them: an event's `after` is the object whole.

use billwire_domain::{
    billing::{
        bill_run::BillRun,
        credit::Credit,
        invoice::{Invoice, Status},
        payment::Payment,
        refund::Refund,
    },
    customers::{
        account::Account, bill_cycle::BillCycle, contact::Contact, package::Package, package_subscription::PackageSubscription,
        service::Service,
    },
    usage::{
        adjustment::Adjustment, bucket::Bucket, chargeable_event::ChargeableEvent, contract::Contract, usage_identifier::UsageIdentifier,
    },
};
use billwire_schemas::{
    events::envelope::{Action, Data},
    ids::TenantId,
};
use sea_orm::{
    ConnectionTrait, DatabaseTransaction, EntityTrait, IdenStatic, IntoActiveModel, Iterable, Statement, TransactionTrait, Value,
    sea_query::{Alias, OnConflict},
};
use uuid::Uuid;

use super::take_back::{FromStream, NotRestored};
use crate::{
    Error, attributes,
    billing::bill_runs::INVOICED,
    micros,
    objects::{Persisted, TableOf, row_of},
    usage::chargeable_events::{BILL_CHARGES, UNBILL_CHARGES},
};

/// Why an object was not restored.
const CHANGED: &str = "the database has another change of it, made after the restore";

/// Restores the objects of a business transaction's events. Gives those that could not be restored.
pub(super) async fn restore_all(conn: &DatabaseTransaction, events: &[&FromStream]) -> Result<Vec<NotRestored>, Error> {
    let mut not_restored = Vec::new();
    let mut last = None;
    for event in events {
        let data = &event.envelope.data;
        // The events of one change have the same object.
        let change = (&data.object.kind, &data.object.id, data.object.version);
        if last.replace(change) == Some(change) {
            continue;
        }
        // A row that clashes with one of after the restore fails alone.
        let attempt = conn.begin().await?;
        let why = match restore(&attempt, &event.event.tenant, data).await {
            Ok(why) => {
                attempt.commit().await?;
                why
            }
            Err(error @ (Error::Contention(_) | Error::Corrupt { .. })) => {
                attempt.rollback().await?;
                Some(error.to_string())
            }
            Err(error) => return Err(error),
        };
        let object = &data.object;
        not_restored.extend(why.map(|why| NotRestored { kind: object.kind.clone(), id: object.id.clone(), version: object.version, why }));
    }
    Ok(not_restored)
}

/// Restores one object. Gives why it was not, or not wholly.
async fn restore(conn: &DatabaseTransaction, tenant: &TenantId, data: &Data) -> Result<Option<String>, Error> {
    macro_rules! nouns {
        ($($noun:ty),* $(,)?) => {
            match data.object.kind.as_str() {
                $(<$noun as billwire_domain::Entity>::TYPE => put::<$noun>(conn, tenant, data).await,)*
                Invoice::TYPE => invoice(conn, tenant, data).await,
                // A custom event is its own object, without a table.
                _ => Ok(None),
            }
        };
    }
    use billwire_domain::Entity;
    nouns!(
        Account,
        Adjustment,
        BillCycle,
        BillRun,
        Bucket,
        ChargeableEvent,
        Contact,
        Contract,
        Credit,
        Package,
        PackageSubscription,
        Payment,
        Refund,
        Service,
        UsageIdentifier,
    )
}

/// Writes the object, unless the database has a later one.
async fn put<T: Persisted>(conn: &DatabaseTransaction, tenant: &TenantId, data: &Data) -> Result<Option<String>, Error> {
    let (table, version) = (T::TABLE, data.object.version);
    let id: Uuid = data.object.id.parse().map_err(|_| Error::Corrupt { table, detail: format!("'{}' is no id", data.object.id) })?;
    let sql = format!("SELECT version FROM {table} WHERE id = $1");
    let there = conn.query_one_raw(Statement::from_sql_and_values(conn.get_database_backend(), sql, [id.into()])).await?;
    let there: Option<i64> = there.map(|row| row.try_get("", "version")).transpose()?;
    // A deletion is no version of its own.
    let later = there.is_some_and(|there| if data.object.action == Action::Deleted { there > version } else { there >= version });
    if later {
        return Ok(Some(CHANGED.to_owned()));
    }
    let Some(after) = data.after.as_ref().filter(|_| data.object.action != Action::Deleted) else {
        let sql = format!("DELETE FROM {table} WHERE id = $1");
        run(conn, &sql, vec![id.into()]).await?;
        let (sql, values) = attributes::removed(id);
        run(conn, &sql, values).await?;
        return Ok(None);
    };
    let object: T = serde_json::from_str(after.get()).map_err(Error::corrupt(table))?;
    let mut clash = OnConflict::column(Alias::new("id"));
    let columns = <TableOf<T> as EntityTrait>::Column::iter();
    clash.update_columns(columns.filter(|column| !matches!(column.as_str(), "id" | "tenant" | "created_at")));
    let row = row_of(tenant, &object)?.into_active_model();
    TableOf::<T>::insert(row).on_conflict(clash).exec_without_returning(conn).await?;
    if let Some(has) = object.attributes() {
        for (sql, values) in [Some(attributes::removed(id)), attributes::added(tenant, T::TYPE, id, has)].into_iter().flatten() {
            run(conn, &sql, values).await?;
        }
    }
    Ok(None)
}

/// An invoice: its charges were put on it by one statement, and have no events of that.
async fn invoice(conn: &DatabaseTransaction, tenant: &TenantId, data: &Data) -> Result<Option<String>, Error> {
    if let Some(why) = put::<Invoice>(conn, tenant, data).await? {
        return Ok(Some(why));
    }
    let Some(after) = &data.after else { return Ok(None) };
    let invoice: Invoice = serde_json::from_str(after.get()).map_err(Error::corrupt("invoice"))?;
    if data.object.action == Action::Created {
        for account in invoice.billed_accounts() {
            run(conn, BILL_CHARGES, vec![invoice.id.0.into(), account.0.into(), micros(invoice.cutoff).into()]).await?;
        }
        if let Some(run_id) = invoice.bill_run_id {
            let (total, currency) = (invoice.total.amount.millionths(), invoice.total.currency.to_string());
            let values = vec![run_id.0.into(), invoice.account_id.0.into(), invoice.id.0.into(), total.into(), currency.into()];
            run(conn, INVOICED, values).await?;
        }
    }
    if data.object.action == Action::Updated && invoice.status == Status::Cancelled {
        run(conn, UNBILL_CHARGES, vec![invoice.id.0.into()]).await?;
    }
    Ok(invoice.lines.is_empty().then(|| "its lines are too long for events; everything else of it was restored".to_owned()))
}

async fn run(conn: &DatabaseTransaction, sql: &str, values: Vec<Value>) -> Result<(), Error> {
    conn.execute_raw(Statement::from_sql_and_values(conn.get_database_backend(), sql, values)).await?;
    Ok(())
}
