//! Bill runs.

use billwire_app::{
    Filter, Reply, StartBillRun,
    domain::{billing::bill_run, customers::bill_cycle::BillCycle},
    page::Page,
};
use billwire_schemas::ids::{BillRunId, fresh};
use billwire_schemas::refusal::Code;
use chrono::NaiveDate;
use poem::{IntoResponse, Response};
use poem_openapi::{
    ApiResponse, Object, OpenApi, Tags,
    param::Path,
    registry::{MetaResponses, Registry},
    types::{Example, Type},
};
use uuid::Uuid;

use crate::{
    http::{
        problem::Problem,
        request_context::{Context, Query},
        responses::{Created, Found, IfNoneMatch, Listed, REPLAYED, answered, documented},
        validated_body::{Validate, Validated},
    },
    openapi::operation::{Operation, create, created, get, list},
    types::example::{example_id, example_moment},
    types::{
        business_transaction::BusinessTransaction,
        money::Money,
        scalars::{BillRunStatus, Date, ExternalId, Moment, Reference},
    },
};

#[derive(Tags)]
pub(crate) enum Tag {
    /// Runs that bill the accounts of a bill cycle.
    #[oai(rename = "Bill runs")]
    BillRuns,
}

pub(crate) struct BillRuns;

/// Registry entries of the operations below.
pub(crate) const OPERATIONS: &[Operation] = &[
    create(
        "startBillRun",
        "bill_runs:write",
        &[Code::ExternalIdTaken, Code::BillCycleUnknown, Code::BillRunInProgress, Code::BillingDateInFuture],
        created("billRun", "BillRun", &["bill_run.created", "bill_run.started"]),
    ),
    list("listBillRuns", "bill_runs:read"),
    get("getBillRun", "bill_runs:read", &[Code::BillRunNotFound]),
];

/// The bill run to start.
#[derive(Debug, Object)]
#[oai(rename_all = "camelCase", skip_serializing_if_is_none, example)]
pub(crate) struct BillRunInput {
    /// External id: the id in your system; unique among bill runs. Operations accept it in place of the id.
    external_id: Option<ExternalId>,
    /// Id or external id of the bill cycle whose accounts are billed. A cycle has at most one run in progress.
    bill_cycle: Reference,
    /// The run bills charges that occurred before this date in the tenant's time zone, and fees of periods that have ended by then. Must
    /// not be in the future. Absent: today.
    billing_date: Option<Date>,
}

impl Validate for BillRunInput {}

impl Example for BillRunInput {
    fn example() -> Self {
        Self { external_id: Some("RUN-2027-02".into()), bill_cycle: "MONTHLY-15".into(), billing_date: None }
    }
}

/// The billing of a bill cycle's accounts up to a date. While the run is in progress, its counts are live.
#[derive(Debug, Object)]
#[oai(rename_all = "camelCase", skip_serializing_if_is_none, example)]
pub(crate) struct BillRun {
    /// Unique id.
    id: Uuid,
    /// Version, starting at 1.
    version: i64,
    /// External id: the id in your system.
    external_id: Option<String>,
    /// Id of the bill cycle.
    bill_cycle_id: Uuid,
    /// The run bills charges that occurred before this date in the tenant's time zone, and fees of periods that have ended by then.
    billing_date: NaiveDate,
    /// Whether the run started by itself (`autoRun` of the bill cycle). It then bills only the accounts of which a billing period has ended.
    automatic: bool,
    /// `running`: accounts remain. `completed`: all accounts were processed. More values may be added.
    status: String,
    /// Number of processed accounts, including failed ones.
    accounts: i64,
    /// Number of posted invoices.
    invoices: i64,
    /// Number of accounts that could not be billed; each has an `account.billing_failed` event. The next run bills them again.
    failed: i64,
    /// Totals of the invoices, one amount per currency.
    totals: Vec<Money>,
    /// Number of accounts still to process, while the run is in progress.
    accounts_left: Option<i64>,
    /// Start time.
    started_at: Moment,
    /// Completion time.
    completed_at: Option<Moment>,
    /// Creation time.
    created_at: Moment,
    /// Time of the last change.
    updated_at: Moment,
}

impl Example for BillRun {
    fn example() -> Self {
        Self {
            id: example_id(21),
            version: 1,
            external_id: Some("RUN-2027-01".to_owned()),
            bill_cycle_id: example_id(3),
            billing_date: NaiveDate::from_ymd_opt(2027, 1, 4).unwrap_or_default(),
            automatic: false,
            status: "running".to_owned(),
            accounts: 0,
            invoices: 0,
            failed: 0,
            totals: Vec::new(),
            accounts_left: None,
            started_at: example_moment(),
            completed_at: None,
            created_at: example_moment(),
            updated_at: example_moment(),
        }
    }
}

/// 202 with the business transaction and the location of the started run.
pub(crate) struct Accepted(Created);

impl IntoResponse for Accepted {
    fn into_response(self) -> Response {
        self.0.into_response()
    }
}

impl Accepted {
    fn under(collection: &str, reply: Reply) -> Self {
        Self(Created::under(collection, reply))
    }
}

impl ApiResponse for Accepted {
    fn meta() -> MetaResponses {
        let headers = vec![documented("Location", "URL of the started bill run."), documented(REPLAYED.0, REPLAYED.1)];
        let description = "Accepted: the run continues asynchronously. Business transaction with its initial state and events.";
        MetaResponses { responses: vec![answered(202, description, Some(BusinessTransaction::schema_ref()), headers)] }
    }

    fn register(registry: &mut Registry) {
        BusinessTransaction::register(registry);
    }
}

#[OpenApi(prefix_path = "/v1", tag = "Tag::BillRuns")]
impl BillRuns {
    /// Start a bill run
    ///
    /// Bills the cycle's active and suspended accounts, each in its own business transaction: unbilled charges, fees of ended periods,
    /// pending adjustments and credits become an invoice. An account with nothing to bill gets no invoice, and one that cannot be billed
    /// does not stop the run. An interrupted run resumes where it stopped and bills nothing twice. The runs of a bill cycle with `autoRun` start by
    /// themselves; each waits for the cycle's earlier runs, and is `running` meanwhile. Such a run leaves out accounts of which no period has ended:
    /// those of a cycle of several weeks or months have periods that end on different billing dates.
    #[oai(path = "/bill-runs", method = "post", operation_id = "startBillRun")]
    async fn start(&self, context: Context, input: Validated<BillRunInput>) -> Result<Accepted, Problem> {
        let new = input.body;
        let command = bill_run::Start {
            id: BillRunId(fresh()),
            external_id: new.external_id.map(|id| id.0),
            billing_date: new.billing_date.map(|date| date.0),
            automatic: false,
        };
        let reply = context.execute_on(&new.bill_cycle, input.canonical.as_deref(), StartBillRun { command }).await?;
        Ok(Accepted::under("/v1/bill-runs", reply))
    }

    /// List bill runs
    ///
    /// Oldest first.
    #[oai(path = "/bill-runs", method = "get", operation_id = "listBillRuns")]
    async fn list(
        &self,
        context: Context,
        /// Only runs of this bill cycle, by its id or external id.
        #[oai(name = "billCycle")]
        bill_cycle: Query<Reference>,
        /// Only runs with this status.
        status: Query<BillRunStatus>,
    ) -> Result<Listed<BillRun>, Problem> {
        let filter = Filter::new()
            .is_id("bill_cycle_id", context.filtered::<BillCycle>(&bill_cycle).await?)
            .is("status", status.0.map(BillRunStatus::wire));
        let found = context.app().list::<bill_run::BillRun>(context.tenant(), filter, context.page().await?).await?;
        let mut items = Vec::with_capacity(found.items.len());
        for run in found.items {
            items.push(context.app().bill_run_now(context.tenant(), run).await?);
        }
        Listed::page(&context, &Page { items, next: found.next })
    }

    /// Get a bill run
    ///
    /// Returns the run with this id or external id. While the run is in progress, its counts and its `ETag` are live.
    #[oai(path = "/bill-runs/:billRun", method = "get", operation_id = "getBillRun")]
    async fn get(
        &self,
        context: Context,
        known: IfNoneMatch,
        /// Id or external id of the bill run.
        #[oai(name = "billRun")]
        bill_run: Path<Reference>,
    ) -> Result<Found<BillRun>, Problem> {
        let run = context.app().get::<bill_run::BillRun>(context.tenant(), &bill_run.0.0).await?;
        let now = context.app().bill_run_now(context.tenant(), run).await?;
        let state = match now.accounts_left {
            Some(left) => format!("{}.{}.{left}", now.run.version, now.run.tally.accounts),
            None => now.run.version.to_string(),
        };
        Found::counted(&now, &state, &known)
    }
}
