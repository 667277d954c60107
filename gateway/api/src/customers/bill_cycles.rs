//! Bill cycles.

use billwire_app::{
    CreateBillCycle, DeleteBillCycle, Filter, UpdateBillCycle,
    domain::{calendar, customers::bill_cycle},
};
use billwire_schemas::ids::{BillCycleId, fresh};
use billwire_schemas::refusal::Code;
use chrono::NaiveDate;
use poem_openapi::{Object, OpenApi, Tags, param::Path, types::Example};
use uuid::Uuid;

use crate::{
    http::{
        problem::Problem,
        request_context::Context,
        responses::{Created, Done, Found, IfNoneMatch, Listed},
        validated_body::{Validate, Validated},
    },
    openapi::operation::{Operation, change, create, created, delete, get, list, updated},
    types::example::{example_id, example_moment},
    types::nullable::Nullable,
    types::scalars::{AnnounceDays, BillingDay, ExternalId, Hour, Moment, Month, Name, PeriodLength, PeriodUnit, Reference},
};

#[derive(Tags)]
pub(crate) enum Tag {
    /// Billing schedules of accounts.
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
            Code::AnnouncementNotAllowed,
            Code::AutoRunNotAllowed,
        ],
        created("billCycle", "BillCycle", &["bill_cycle.created"]),
    ),
    list("listBillCycles", "bill_cycles:read"),
    get("getBillCycle", "bill_cycles:read", &[Code::BillCycleNotFound]),
    change(
        "updateBillCycle",
        "bill_cycles:write",
        &[Code::BillCycleNotFound, Code::ExternalIdTaken, Code::AnnouncementNotAllowed, Code::AutoRunNotAllowed],
        updated("billCycle", "BillCycle", &["bill_cycle.updated"]),
    ),
    delete("deleteBillCycle", "bill_cycles:write", &[Code::BillCycleNotFound, Code::StillInUse], "billCycle", "BillCycle"),
];

/// The bill cycle to create.
#[derive(Debug, Object)]
#[oai(rename_all = "camelCase", skip_serializing_if_is_none, example)]
pub(crate) struct BillCycleInput {
    /// External id: the id in your system; unique. Operations accept it in place of the id.
    external_id: Option<ExternalId>,
    /// Display name.
    name: Name,
    /// Unit of the billing period.
    period: PeriodUnit,
    /// Length of a billing period, in units.
    #[oai(default = "one_unit")]
    length: PeriodLength,
    /// Whether each account has its own billing day; the cycle then has none.
    #[oai(default)]
    individual: bool,
    /// Billing day of all its accounts: 1 to 7 (Monday is 1) for `week`, 1 to 28 for `month` and `year`. Required for these units unless
    /// `individual`; not allowed for `day`.
    billing_day: Option<BillingDay>,
    /// Billing month; required for `year`, otherwise not allowed.
    billing_month: Option<Month>,
    /// Days before each billing date at which `bill_run.upcoming` is published, at the start of the day in the tenant's time zone, 0 to 365.
    /// Absent: it is not published. Not allowed for an individual cycle, whose accounts have billing dates of their own.
    announce_days: Option<AnnounceDays>,
    /// When its bill runs start by themselves. Absent: they do not. Not allowed for an individual cycle.
    auto_run: Option<AutoRunInput>,
}

/// When the bill run of each billing date starts by itself, as if `startBillRun` was called then for that date. A billing date that has a run
/// already gets no second one; a run waits until the cycle's earlier runs are completed. `startBillRun` stays possible.
#[derive(Debug, Object)]
#[oai(rename_all = "camelCase")]
pub(crate) struct AutoRunInput {
    /// Hour of the billing date in the tenant's time zone, 0 to 23. An hour that is skipped in spring is the first moment after the gap, one
    /// that occurs twice in autumn the earlier one. If the time zone changes, a planned run does not start before its hour in the new one.
    hour: Hour,
}

impl AutoRunInput {
    fn command(&self) -> bill_cycle::AutoRun {
        bill_cycle::AutoRun { hour: self.hour.0 }
    }
}

fn one_unit() -> PeriodLength {
    PeriodLength(1)
}

impl Validate for BillCycleInput {}

impl Example for BillCycleInput {
    fn example() -> Self {
        Self {
            external_id: Some("MONTHLY-20".into()),
            name: "Monthly on the 20th".into(),
            period: PeriodUnit::Month,
            length: one_unit(),
            individual: false,
            billing_day: Some(BillingDay(20)),
            billing_month: None,
            announce_days: None,
            auto_run: None,
        }
    }
}

/// Changes to a bill cycle. Absent members keep their values.
#[derive(Debug, Object)]
#[oai(rename_all = "camelCase", skip_serializing_if_is_none, example)]
pub(crate) struct BillCycleRenaming {
    /// External id: the id in your system; unique. The old one is free afterwards.
    external_id: Nullable<ExternalId>,
    /// Display name.
    name: Option<Name>,
    /// Days before each billing date at which `bill_run.upcoming` is published; null: it is not published.
    announce_days: Nullable<AnnounceDays>,
    /// When its bill runs start by themselves; null: they do not. A run that is planned keeps its billing date.
    auto_run: Nullable<AutoRunInput>,
}

impl Validate for BillCycleRenaming {}

impl Example for BillCycleRenaming {
    fn example() -> Self {
        Self {
            external_id: Nullable::default(),
            name: Some("Mid-month".into()),
            announce_days: AnnounceDays(3).into(),
            auto_run: AutoRunInput { hour: Hour(3) }.into(),
        }
    }
}

/// The announcement of a billing date.
#[derive(Debug, Object)]
#[oai(rename_all = "camelCase")]
pub(crate) struct BillRunAnnouncement {
    /// The billing date.
    billing_date: NaiveDate,
    /// Time at which `bill_run.upcoming` is published.
    at: Moment,
}

/// When on a billing date the bill run starts by itself.
#[derive(Debug, Object)]
#[oai(rename_all = "camelCase")]
pub(crate) struct AutoRun {
    /// Hour of the billing date in the tenant's time zone.
    hour: u32,
}

/// A bill run that starts by itself.
#[derive(Debug, Object)]
#[oai(rename_all = "camelCase")]
pub(crate) struct NextBillRun {
    /// The billing date.
    billing_date: NaiveDate,
    /// Time at which the run starts.
    at: Moment,
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
    /// Length of a billing period, in units.
    length: u32,
    /// Whether each account has its own billing day.
    individual: bool,
    /// Billing day of all its accounts.
    billing_day: Option<u32>,
    /// Billing month, for `year`.
    billing_month: Option<u32>,
    /// Days before each billing date at which `bill_run.upcoming` is published.
    announce_days: Option<u32>,
    /// The next announcement.
    announcement: Option<BillRunAnnouncement>,
    /// When its bill runs start by themselves.
    auto_run: Option<AutoRun>,
    /// The next bill run that starts by itself. After a change of the tenant's time zone, it keeps the moment that it had until then.
    next_run: Option<NextBillRun>,
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
            announce_days: None,
            announcement: None,
            auto_run: None,
            next_run: None,
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
    /// A bill cycle is a billing schedule for accounts, such as every month on the 15th. In an individual cycle, each account has its own
    /// billing day.
    #[oai(path = "/bill-cycles", method = "post", operation_id = "createBillCycle")]
    async fn create(&self, context: Context, input: Validated<BillCycleInput>) -> Result<Created, Problem> {
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
            announce_days: new.announce_days.map(|days| days.0),
            auto_run: new.auto_run.as_ref().map(AutoRunInput::command),
        };
        let reply = context.execute(input.canonical.as_deref(), CreateBillCycle(create)).await?;
        Ok(Created::under("/v1/bill-cycles", reply))
    }

    /// List bill cycles
    ///
    /// Oldest first.
    #[oai(path = "/bill-cycles", method = "get", operation_id = "listBillCycles")]
    async fn list(&self, context: Context) -> Result<Listed<BillCycle>, Problem> {
        Listed::objects::<bill_cycle::BillCycle>(&context, Filter::new()).await
    }

    /// Get a bill cycle
    ///
    /// Returns the object with this id or external id.
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

    /// Change a bill cycle
    ///
    /// Absent members keep their values; null unsets a member. The schedule cannot change, since accounts are in the middle of their periods. Create another cycle for another schedule.
    #[oai(path = "/bill-cycles/:billCycle", method = "patch", operation_id = "updateBillCycle")]
    async fn update(
        &self,
        context: Context,
        /// Id or external id of the bill cycle.
        #[oai(name = "billCycle")]
        bill_cycle: Path<Reference>,
        input: Validated<BillCycleRenaming>,
    ) -> Result<Done, Problem> {
        let wanted = input.body;
        let command = bill_cycle::Update {
            external_id: wanted.external_id.map(|id| id.0),
            name: wanted.name.map(|name| name.0),
            announce_days: wanted.announce_days.map(|days| days.0),
            auto_run: wanted.auto_run.map(|auto_run| auto_run.command()),
        };
        Ok(Done(context.execute_on(&bill_cycle.0, input.canonical.as_deref(), UpdateBillCycle(command)).await?))
    }

    /// Delete a bill cycle
    ///
    /// Allowed only when no account is in the cycle or has a planned change to it.
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
