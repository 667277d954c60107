//! Throughput: how things flow.

use billwire_app::Spans;
use poem_openapi::{Object, OpenApi, types::Example};

use crate::{
    delivery::deliveries::Tag,
    http::{
        problem::Problem,
        request_context::{Context, Query},
        responses::Shown,
    },
    openapi::operation::{Operation, PLAIN, get},
    types::{
        example::example_moment,
        scalars::{Hours, Moment},
    },
};

pub(crate) struct Throughputs;

/// Registry entries of the operations below.
pub(crate) const OPERATIONS: &[Operation] = &[Operation { takes: PLAIN, ..get("getThroughput", "deliveries:read", &[]) }];

/// What was counted in a span of time.
#[derive(Debug, Object)]
#[oai(rename_all = "camelCase", skip_serializing_if_is_none)]
pub(crate) struct ThroughputSpan {
    /// Time at which the span begins.
    from: Moment,
    /// Number of business transactions.
    operations: u64,
    /// Number of events.
    events: u64,
    /// Number of deliveries that succeeded.
    delivered: u64,
    /// Number of attempts that failed.
    failed_attempts: u64,
    /// Number of deliveries that were given up, or block their ordering key.
    dead_letters: u64,
}

/// What a tenant had in equal spans of time.
#[derive(Debug, Object)]
#[oai(rename_all = "camelCase", skip_serializing_if_is_none, example)]
pub(crate) struct Throughput {
    /// The length of each span, in seconds: 60 for up to 2 hours, 600 for up to 24, otherwise 3600.
    step_seconds: i64,
    /// The spans, oldest first; the last one is running. They include what was counted until some ten seconds ago.
    spans: Vec<ThroughputSpan>,
}

impl Example for Throughput {
    fn example() -> Self {
        let span =
            ThroughputSpan { from: example_moment(), operations: 120, events: 260, delivered: 258, failed_attempts: 2, dead_letters: 0 };
        Self { step_seconds: 60, spans: vec![span] }
    }
}

#[OpenApi(prefix_path = "/v1", tag = "Tag::Deliveries")]
impl Throughputs {
    /// Get the throughput
    ///
    /// Returns how many business transactions, events, deliveries and failed attempts there were in each span of the last hours, by the clock of the
    /// machine. It shows how things flow: what a process that was killed had counted in its last seconds is missing.
    #[oai(path = "/throughput", method = "get", operation_id = "getThroughput")]
    async fn get(
        &self,
        context: Context,
        /// Number of hours, up to 168. Absent: 1.
        hours: Query<Hours>,
    ) -> Result<Shown<Throughput>, Problem> {
        let hours = hours.0.map_or(1, |hours| hours.0);
        let Spans { from, step, counted } = context.app().throughput(context.tenant(), hours).await?;
        let spans = (0..).zip(counted).map(|(number, counted)| ThroughputSpan {
            from: (from + step * number).into(),
            operations: counted.operations,
            events: counted.events,
            delivered: counted.delivered,
            failed_attempts: counted.failed,
            dead_letters: counted.dead,
        });
        Ok(Shown(Throughput { step_seconds: step.num_seconds(), spans: spans.collect() }))
    }
}
