//! Queue statistics.

use billwire_app::QueueStatistics as Told;
use billwire_schemas::{delivery::Progress, refusal::Code};
use chrono::TimeDelta;
use poem_openapi::{Object, OpenApi, param::Path, types::Example};

use crate::{
    delivery::queues::Tag,
    http::{problem::Problem, request_context::Context, responses::Shown},
    openapi::operation::{Operation, PLAIN, get},
    types::scalars::{Moment, Reference},
};

pub(crate) struct QueueStatisticsOfQueues;

/// Registry entries of the operations below.
pub(crate) const OPERATIONS: &[Operation] =
    &[Operation { takes: PLAIN, ..get("getQueueStatistics", "queues:read", &[Code::QueueNotFound]) }];

/// Statistics of a queue.
#[derive(Debug, Object)]
#[oai(rename_all = "camelCase", skip_serializing_if_is_none, example)]
pub(crate) struct QueueStatistics {
    /// Number of waiting deliveries: for their next attempt, or behind another one of their ordering key. Counted up to 100 000.
    waiting: u64,
    /// Time at which the oldest of them was first recorded.
    oldest_waiting_at: Option<Moment>,
    /// Time the oldest one has waited, in seconds.
    oldest_waiting_seconds: Option<i64>,
    /// Number of events that the queue has not taken in, counted up to 100 000. If it is paused or catching up: those that came meanwhile.
    /// Otherwise the tenant's events that wait for the stream, or have been on it for more than 15 seconds without being taken in; or, if that is
    /// more, the messages on the stream, for whatever queue, that the consumers reported within the last minute as not read.
    lag: u64,
    /// Successful deliveries per second, averaged over the last minute.
    delivered_per_second: f64,
    /// Failed attempts per second, averaged over the last minute.
    failed_per_second: f64,
    /// Time of the consumers' latest report; they report every few seconds while active.
    as_of: Option<Moment>,
}

impl Example for QueueStatistics {
    fn example() -> Self {
        Self {
            waiting: 0,
            oldest_waiting_at: None,
            oldest_waiting_seconds: None,
            lag: 0,
            delivered_per_second: 12.5,
            failed_per_second: 0.25,
            as_of: None,
        }
    }
}

/// Maximum age of a consumer's report for rates.
const FRESH: TimeDelta = TimeDelta::seconds(60);

#[OpenApi(prefix_path = "/v1", tag = "Tag::Queues")]
impl QueueStatisticsOfQueues {
    /// Get the statistics of a queue
    ///
    /// Returns the waiting deliveries, the lag behind the stream, and the delivery rates.
    #[oai(path = "/queues/:queue/statistics", method = "get", operation_id = "getQueueStatistics")]
    async fn get(
        &self,
        context: Context,
        /// Id or name of the queue.
        queue: Path<Reference>,
    ) -> Result<Shown<QueueStatistics>, Problem> {
        let Told { depth, progress, behind } = context.app().queue_statistics(context.tenant(), &queue.0.0).await?;
        let now = context.app().now();
        let rate = |count: fn(&Progress) -> u64| {
            progress.iter().filter(|told| now - told.at < FRESH).map(count).sum::<u64>() as f64 / FRESH.num_seconds() as f64
        };
        Ok(Shown(QueueStatistics {
            waiting: depth.waiting,
            oldest_waiting_at: depth.oldest.map(Into::into),
            oldest_waiting_seconds: depth.oldest.map(|oldest| (now - oldest).num_seconds().max(0)),
            lag: behind.max(progress.iter().filter(|told| now - told.at < FRESH).map(|told| told.pending).sum()),
            delivered_per_second: rate(|told| told.delivered),
            failed_per_second: rate(|told| told.failed),
            as_of: progress.iter().map(|told| told.at).max().map(Into::into),
        }))
    }
}
