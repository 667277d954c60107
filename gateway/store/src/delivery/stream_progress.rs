//! Table `stream_progress`: how far the consumer of each stream subscription is, as the worker has last seen it.

use std::collections::HashMap;

use billwire_schemas::{
    clock::Timestamp,
    ids::{StreamSubscriptionId, TenantId},
};
use sea_orm::{ConnectionTrait, QueryResult};

use crate::{Error, Store, Tx, micros, moment};

/// A place on a stream.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StreamPlace {
    /// Which stream: one that was made anew has another epoch.
    pub epoch: String,
    /// A stream sequence.
    pub sequence: u64,
}

/// What a consumer had to do and has done.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Seen {
    /// Events that wait to be read.
    pub pending: u64,
    /// Events that are read and not acknowledged.
    pub outstanding: u64,
    /// When an event was last acknowledged, if one ever was.
    pub acknowledged_at: Option<Timestamp>,
    /// When this was seen.
    pub at: Timestamp,
}

/// How far the consumer of a subscription is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StreamProgress {
    /// The subscription.
    pub subscription: StreamSubscriptionId,
    /// How often the subscription had been reset: the progress of an earlier reading counts no more.
    pub resets: u32,
    /// Up to where nothing is left to deliver; `None`: nothing is known of that.
    pub settled: Option<StreamPlace>,
    /// What was last seen of it.
    pub seen: Option<Seen>,
}

const COLUMNS: &str = "subscription_id, resets, epoch, settled, pending, outstanding, acknowledged_at, observed_at";

fn whole(number: u64) -> i64 {
    i64::try_from(number).unwrap_or(i64::MAX)
}

fn read(row: &QueryResult) -> Result<StreamProgress, Error> {
    let number = |column: &str| -> Result<Option<u64>, Error> { Ok(row.try_get::<Option<i64>>("", column)?.map(|n| n.unsigned_abs())) };
    let at = |column: &str| -> Result<Option<Timestamp>, Error> { Ok(row.try_get::<Option<i64>>("", column)?.map(moment)) };
    let epoch: Option<String> = row.try_get("", "epoch")?;
    let sequence = number("settled")?.unwrap_or(0);
    let seen = match (number("pending")?, number("outstanding")?, at("observed_at")?) {
        (Some(pending), Some(outstanding), Some(observed)) => {
            Some(Seen { pending, outstanding, acknowledged_at: at("acknowledged_at")?, at: observed })
        }
        _ => None,
    };
    Ok(StreamProgress {
        subscription: StreamSubscriptionId(row.try_get("", "subscription_id")?),
        resets: u32::try_from(row.try_get::<i64>("", "resets")?).unwrap_or(u32::MAX),
        settled: epoch.map(|epoch| StreamPlace { epoch, sequence }),
        seen,
    })
}

impl Store {
    /// The progress of a tenant's stream subscriptions; of all tenants without one.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn stream_progress(&self, tenant: Option<&TenantId>) -> Result<HashMap<StreamSubscriptionId, StreamProgress>, Error> {
        let rows = match tenant {
            Some(tenant) => {
                let sql = format!("SELECT {COLUMNS} FROM stream_progress WHERE tenant = $1");
                self.0.read.query_all_raw(self.statement(&sql, [tenant.as_str().into()])).await?
            }
            None => self.0.read.query_all_raw(self.statement(&format!("SELECT {COLUMNS} FROM stream_progress"), [])).await?,
        };
        rows.iter().map(|row| read(row).map(|one| (one.subscription, one))).collect()
    }

    /// Records how far a consumer is, unless its subscription was reset or deleted meanwhile, or the stream rolled back.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn save_stream_progress(&self, now: &StreamProgress, before: &StreamProgress) -> Result<(), Error> {
        let (Some(place), Some(seen)) = (&now.settled, &now.seen) else { return Ok(()) };
        let sql = "UPDATE stream_progress SET epoch = $1, settled = $2, pending = $3, outstanding = $4, acknowledged_at = $5, \
                   observed_at = $6 WHERE subscription_id = $7 AND resets = $8 AND settled = $9";
        let values = [
            place.epoch.as_str().into(),
            whole(place.sequence).into(),
            whole(seen.pending).into(),
            whole(seen.outstanding).into(),
            seen.acknowledged_at.map(micros).into(),
            micros(seen.at).into(),
            now.subscription.0.into(),
            i64::from(now.resets).into(),
            whole(before.settled.as_ref().map_or(0, |place| place.sequence)).into(),
        ];
        self.0.write.execute_raw(self.statement(sql, values)).await?;
        Ok(())
    }
}

impl Tx<'_> {
    /// Begins the progress of a subscription that was created or reset: up to `settled`, nothing is to be delivered.
    pub fn begin_stream_progress(&mut self, subscription: StreamSubscriptionId, resets: u32, settled: Option<&StreamPlace>) {
        let sql = "INSERT INTO stream_progress (subscription_id, tenant, resets, epoch, settled) VALUES ($1, $2, $3, $4, $5) \
                   ON CONFLICT (subscription_id) DO UPDATE SET resets = excluded.resets, epoch = excluded.epoch, settled = excluded.settled, \
                   pending = NULL, outstanding = NULL, acknowledged_at = NULL, observed_at = NULL";
        let (epoch, sequence) = (settled.map(|place| place.epoch.clone()), whole(settled.map_or(0, |place| place.sequence)));
        let tenant = self.tenant().as_str().to_owned();
        self.defer(sql.to_owned(), vec![subscription.0.into(), tenant.into(), i64::from(resets).into(), epoch.into(), sequence.into()]);
    }

    /// Forgets the progress of a subscription.
    pub fn end_stream_progress(&mut self, subscription: StreamSubscriptionId) {
        self.defer("DELETE FROM stream_progress WHERE subscription_id = $1".to_owned(), vec![subscription.0.into()]);
    }
}
