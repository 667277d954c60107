//! Deletes what was kept long enough from the beginning of a chain. Where the chain begins now is proven as its end is.

use sea_orm::{ConnectionTrait, DatabaseTransaction, DbErr, QueryResult};
use uuid::Uuid;

use super::seal_of_start;
use crate::{
    Error, Store, micros,
    retention::{Deleted, Range},
};

impl Store {
    /// Deletes the first entries of a range. The last entry of a chain always stays.
    pub(crate) async fn purge_audit(
        &self,
        transaction: &DatabaseTransaction,
        Range { tenant, until, limit, .. }: &Range<'_>,
    ) -> Result<Vec<Deleted>, Error> {
        let sql = format!(
            "SELECT number, occurred_at, hash FROM audit_entry WHERE tenant = $1 AND number < \
             (SELECT number FROM audit_head WHERE tenant = $1) ORDER BY number LIMIT {limit}"
        );
        let read = |row: &QueryResult| -> Result<(i64, i64, String), DbErr> {
            Ok((row.try_get("", "number")?, row.try_get("", "occurred_at")?, row.try_get("", "hash")?))
        };
        let first = transaction.query_all_raw(self.statement(&sql, [tenant.as_str().into()])).await?;
        let mut first = first.iter().map(read).collect::<Result<Vec<_>, DbErr>>()?;
        let old = first.iter().take_while(|(_, at, _)| *at < micros(*until)).count();
        first.truncate(old);
        let Some((number, _, hash)) = first.last() else { return Ok(Vec::new()) };
        let delete = "DELETE FROM audit_entry WHERE tenant = $1 AND number <= $2";
        transaction.execute_raw(self.statement(delete, [tenant.as_str().into(), (*number).into()])).await?;
        let seal = seal_of_start(self.chain_key().await?, tenant.as_str(), *number, hash);
        let begin = "UPDATE audit_head SET purged = $2, purged_hash = $3, purged_seal = $4 WHERE tenant = $1";
        let values = [tenant.as_str().into(), (*number).into(), hash.as_str().into(), seal.into()];
        transaction.execute_raw(self.statement(begin, values)).await?;
        Ok(first.iter().map(|(_, at, _)| (*at, Uuid::nil())).collect())
    }
}
