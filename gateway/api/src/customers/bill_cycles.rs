//! Bill cycles.

use billwire_app::{
    CreateBillCycle, DeleteBillCycle, Filter, UpdateBillCycle,
    domain::{calendar, customers::bill_cycle},
};
use billwire_schemas::ids::{BillCycleId, fresh};
use billwire_schemas::refusal::Code;
use poem_openapi::{Object, OpenApi, Tags, param::Path, types::Example};
use uuid::Uuid;

use crate::{
    http::{
        problem::Problem,
        request_context::{Context, Query},
        responses::{Created, Done, Found, IfNoneMatch, Listed},
        validated_body::{Validate, Validated},
    },
    openapi::operation::{Operation, change, create, created, delete, get, list, updated},
    types::example::{example_id, example_moment},
    types::scalars::{BillingDay, Cursor, ExternalId, Limit, Moment, Month, Name, PeriodLength, PeriodUnit, Reference},
};

#[derive(Tags)]
pub(crate) enum Tag {
    /// The rhythms accounts are billed in.
    #[oai(rename = "Bill cycles")]
    BillCycles,
}

pub(crate) struct BillCycles;

/// Registry entries of the operations below.
pub(crate) const OPERATIONS: &[Operation] = &[
    create(
        "createBillCycle",
        "bill_cycles:write",
        &[
            Code::ExternalIdTaken,
            Code::BillingDayRequired,
            Code::BillingDayNotAllowed,
            Code::BillingDayOutOfRange,
            Code::BillingMonthRequired,
            Code::BillingMonthNotAllowed,
        ],
        created("billCycle", "BillCycle", &["bill_cycle.created"]),
    ),
    list("listBillCycles", "bill_cycles:read"),
    get("getBillCycle", "bill_cycles:read", &[Code::BillCycleNotFound]),
    change("updateBillCycle", "bill_cycles:write", &[Code::BillCycleNotFound], updated("billCycle", "BillCycle", &["bill_cycle.updated"])),
    delete("deleteBillCycle", "bill_cycles:write", &[Code::BillCycleNotFound, Code::StillInUse], "billCycle", "BillCycle"),
];

/// A bill cycle to be made.
#[derive(Debug, Object)]
#[oai(rename_all = "camelCase", skip_serializing_if_is_none, example)]
pub(crate) struct NewBillCycle {
    /// Its id in your system; unique. It addresses the cycle as well as the id does.
    external_id: Option<ExternalId>,
    /// Display name.
    name: Name,
    /// Unit of the billing period.
    period: PeriodUnit,
    /// How many units a period lasts.
    #[oai(default = "one_unit")]
    length: PeriodLength,
    /// Whether each account has its own billing day. Then the cycle has none.
    #[oai(default)]
    individual: bool,
    /// The day of every account on it: 1 to 7 (Monday is 1) by week, 1 to 28 by month and year. Required for those unless
    /// individual; not allowed by day.
    billing_day: Option<BillingDay>,
    /// The month; required by year, else not allowed.
    billing_month: Option<Month>,
}

fn one_unit() -> PeriodLength {
    PeriodLength(1)
}

impl Validate for NewBillCycle {}

impl Example for NewBillCycle {
    fn example() -> Self {
        Self {
            external_id: Some("MONTHLY-15".into()),
            name: "Monthly on the 15th".into(),
            period: PeriodUnit::Month,
            length: one_unit(),
            individual: false,
            billing_day: Some(BillingDay(15)),
            billing_month: None,
        }
    }
}

/// What shall change of a bill cycle; what is absent stays.
#[derive(Debug, Object)]
#[oai(rename_all = "camelCase", skip_serializing_if_is_none, example)]
pub(crate) struct BillCycleRenaming {
    /// Display name.
    name: Option<Name>,
}

impl Validate for BillCycleRenaming {}

impl Example for BillCycleRenaming {
    fn example() -> Self {
        Self { name: Some("Mid-month".into()) }
    }
}

/// A bill cycle.
#[derive(Debug, Object)]
#[oai(rename_all = "camelCase", skip_serializing_if_is_none, example)]
pub(crate) struct BillCycle {
    /// Unique id.
    id: Uuid,
    /// Version, starting at 1.
    version: i64,
    /// External id: the id in your system.
    external_id: Option<String>,
    /// Display name.
    name: String,
    /// Unit of the billing period: `day`, `week`, `month` or `year`.
    period: String,
    /// How many units a period lasts.
    length: u32,
    /// Whether each account has its own billing day.
    individual: bool,
    /// The billing day of every account on it.
    billing_day: Option<u32>,
    /// The billing month, by year.
    billing_month: Option<u32>,
    /// Creation time.
    created_at: Moment,
    /// Time of the last change.
    updated_at: Moment,
}

impl Example for BillCycle {
    fn example() -> Self {
        Self {
            id: example_id(2),
            version: 1,
            external_id: Some("MONTHLY-15".to_owned()),
            name: "Monthly on the 15th".to_owned(),
            period: "month".to_owned(),
            length: 1,
            individual: false,
            billing_day: Some(15),
            billing_month: None,
            created_at: example_moment(),
            updated_at: example_moment(),
        }
    }
}

impl From<PeriodUnit> for calendar::PeriodUnit {
    fn from(unit: PeriodUnit) -> Self {
        match unit {
            PeriodUnit::Day => Self::Day,
            PeriodUnit::Week => Self::Week,
            PeriodUnit::Month => Self::Month,
            PeriodUnit::Year => Self::Year,
        }
    }
}

#[OpenApi(prefix_path = "/v1", tag = "Tag::BillCycles")]
impl BillCycles {
    /// Create a bill cycle
    ///
    /// A bill cycle is a rhythm accounts are billed in, such as every month on the 15th. Individual cycles leave the
    /// billing day to each account.
    #[oai(path = "/bill-cycles", method = "post", operation_id = "createBillCycle")]
    async fn create(&self, context: Context, input: Validated<NewBillCycle>) -> Result<Created, Problem> {
        let new = input.body;
        let create = bill_cycle::Create {
            id: BillCycleId(fresh()),
            external_id: new.external_id.map(|id| id.0),
            name: new.name.0,
            period: new.period.into(),
            length: new.length.0,
            individual: new.individual,
            billing_day: new.billing_day.map(|day| day.0),
            billing_month: new.billing_month.map(|month| month.0),
        };
        let reply = context.execute(input.canonical.as_deref(), CreateBillCycle(create)).await?;
        Ok(Created::under("/v1/bill-cycles", reply))
    }

    /// List bill cycles
    ///
    /// Oldest first.
    #[oai(path = "/bill-cycles", method = "get", operation_id = "listBillCycles")]
    async fn list(
        &self,
        context: Context,
        /// Maximum number of items to return.
        limit: Query<Limit>,
        /// `nextCursor` of the previous page. Absent: the first page.
        cursor: Query<Cursor>,
    ) -> Result<Listed<BillCycle>, Problem> {
        let page_request = context.page_request(limit.0, cursor.0.as_ref())?;
        Listed::page(&context, &context.app().list::<bill_cycle::BillCycle>(context.tenant(), Filter::new(), page_request).await?)
    }

    /// Get a bill cycle
    ///
    /// Looks it up by id or external id.
    #[oai(path = "/bill-cycles/:billCycle", method = "get", operation_id = "getBillCycle")]
    async fn get(
        &self,
        context: Context,
        known: IfNoneMatch,
        /// Id or external id of the bill cycle.
        #[oai(name = "billCycle")]
        bill_cycle: Path<Reference>,
    ) -> Result<Found<BillCycle>, Problem> {
        Found::of(&context.app().get::<bill_cycle::BillCycle>(context.tenant(), &bill_cycle.0.0).await?, &known)
    }

    /// Rename a bill cycle
    ///
    /// Its rhythm stays: accounts are in the middle of its periods. For another rhythm make another cycle.
    #[oai(path = "/bill-cycles/:billCycle", method = "patch", operation_id = "updateBillCycle")]
    async fn update(
        &self,
        context: Context,
        /// Id or external id of the bill cycle.
        #[oai(name = "billCycle")]
        bill_cycle: Path<Reference>,
        input: Validated<BillCycleRenaming>,
    ) -> Result<Done, Problem> {
        let name = input.body.name.map(|name| name.0);
        Ok(Done(context.execute_on(&bill_cycle.0, input.canonical.as_deref(), UpdateBillCycle { name }).await?))
    }

    /// Delete a bill cycle
    ///
    /// Only when no account is in it or plans to be.
    #[oai(path = "/bill-cycles/:billCycle", method = "delete", operation_id = "deleteBillCycle")]
    async fn delete(
        &self,
        context: Context,
        /// Id or external id of the bill cycle.
        #[oai(name = "billCycle")]
        bill_cycle: Path<Reference>,
    ) -> Result<Done, Problem> {
        Ok(Done(context.execute_on(&bill_cycle.0, None, DeleteBillCycle).await?))
    }
}
