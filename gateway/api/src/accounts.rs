//! Accounts.

use billwire_app::{
    ChangeAccountStatus, CreateAccount, Filter,
    domain::{
        account::{self, Status},
        bill_cycle::BillCycle,
    },
};
use billwire_schemas::ids::{AccountId, fresh};
use chrono::NaiveDate;
use poem_openapi::{Object, OpenApi, param::Path, types::Example};
use uuid::Uuid;

use crate::{
    Tag,
    addressed::on,
    answers::{Created, Done, Found, IfNoneMatch, Listed},
    checked::{Checkable, Checked},
    context::{Context, Query},
    example_id, example_moment,
    fields::{AnyStatus, BillingDay, Currency, Cursor, ExternalId, FirstStatus, Limit, Moment, Name, NextStatus, Reason, Reference},
    operations::{Operation, change, create, created, get, list, updated},
    problem::Problem,
};

pub(crate) struct Accounts;

/// What they ask for and answer.
pub(crate) const OPERATIONS: &[Operation] = &[
    create(
        "createAccount",
        "accounts:write",
        &["external_id_taken", "bill_cycle_unknown", "billing_day_required", "billing_day_not_allowed", "billing_day_out_of_range"],
        created("account", "Account", &["account.created"]),
    ),
    list("listAccounts", "accounts:read"),
    get("getAccount", "accounts:read", &["account_not_found"]),
    change(
        "changeAccountStatus",
        "accounts:write",
        &["account_not_found", "account_deactivated", "status_unchanged", "status_transition_not_allowed"],
        updated("account", "Account", &["account.updated", "account.status_changed"]),
    ),
];

/// An account to be made.
#[derive(Debug, Object)]
#[oai(rename_all = "camelCase", skip_serializing_if_is_none, example)]
pub(crate) struct NewAccount {
    /// Its id in your system; unique. It addresses the account as well as the id does.
    external_id: Option<ExternalId>,
    /// Its name.
    name: Name,
    /// Its currency, ISO 4217.
    currency: Currency,
    /// Id or external id of the bill cycle it is billed in.
    bill_cycle: Reference,
    /// Its own billing day; required by an individual bill cycle, else not allowed.
    billing_day: Option<BillingDay>,
    /// Whether it is billed from now on.
    #[oai(default = "active")]
    status: FirstStatus,
}

fn active() -> FirstStatus {
    FirstStatus::Active
}

impl Checkable for NewAccount {}

impl Example for NewAccount {
    fn example() -> Self {
        Self {
            external_id: Some("CRM-4711".into()),
            name: "Acme Telecom".into(),
            currency: "EUR".into(),
            bill_cycle: "MONTHLY-15".into(),
            billing_day: None,
            status: active(),
        }
    }
}

/// A status to go to.
#[derive(Debug, Object)]
#[oai(rename_all = "camelCase", skip_serializing_if_is_none, example)]
pub(crate) struct StatusChange {
    /// Where to. From inactive to active; from active to suspended and back; from any of them to deactivated, which is final.
    status: NextStatus,
    /// Why.
    reason: Option<Reason>,
}

impl Checkable for StatusChange {}

impl Example for StatusChange {
    fn example() -> Self {
        Self { status: NextStatus::Suspended, reason: Some(Reason("customer_request".to_owned())) }
    }
}

/// A range of dates: `start` is in it, `end` is the first day after.
#[derive(Debug, Object)]
pub(crate) struct Period {
    /// First day.
    start: NaiveDate,
    /// First day after.
    end: NaiveDate,
}

/// The bill cycle an account is in.
#[derive(Debug, Object)]
#[oai(rename_all = "camelCase", skip_serializing_if_is_none)]
pub(crate) struct CurrentBillCycle {
    /// Which cycle.
    bill_cycle_id: Uuid,
    /// The account's own billing day, on an individual cycle.
    billing_day: Option<u32>,
    /// The running billing period.
    period: Period,
    /// The shortened, prorated period between the running one and the first full one of a new cycle.
    short_period: Option<Period>,
}

/// A planned change of bill cycle.
#[derive(Debug, Object)]
#[oai(rename_all = "camelCase", skip_serializing_if_is_none)]
pub(crate) struct PlannedBillCycleChange {
    /// The cycle it leads to.
    bill_cycle_id: Uuid,
    /// The account's own billing day, on an individual cycle.
    billing_day: Option<u32>,
    /// When it takes effect.
    valid_from: Moment,
}

/// An account.
#[derive(Debug, Object)]
#[oai(rename_all = "camelCase", skip_serializing_if_is_none, example)]
pub(crate) struct Account {
    /// Its id.
    id: Uuid,
    /// Its version, from 1.
    version: i64,
    /// Its id in your system.
    external_id: Option<String>,
    /// Its name.
    name: String,
    /// Its status: `inactive`, `active`, `suspended` or `deactivated`. More may come.
    status: String,
    /// Why it has this status, where a reason was given.
    status_reason: Option<String>,
    /// Its currency, ISO 4217.
    currency: String,
    /// The cycle it is billed in.
    bill_cycle: CurrentBillCycle,
    /// The change of cycle in progress, where there is one.
    planned_bill_cycle_change: Option<PlannedBillCycleChange>,
    /// When it was made.
    created_at: Moment,
    /// When it last changed.
    updated_at: Moment,
}

impl Example for Account {
    fn example() -> Self {
        let day = |day| NaiveDate::from_ymd_opt(2027, 1, day).unwrap_or_default();
        Self {
            id: example_id(1),
            version: 1,
            external_id: Some("CRM-4711".to_owned()),
            name: "Acme Telecom".to_owned(),
            status: "active".to_owned(),
            status_reason: None,
            currency: "EUR".to_owned(),
            bill_cycle: CurrentBillCycle {
                bill_cycle_id: example_id(2),
                billing_day: None,
                period: Period { start: day(4), end: day(15) },
                short_period: None,
            },
            planned_bill_cycle_change: None,
            created_at: example_moment(),
            updated_at: example_moment(),
        }
    }
}

impl From<NextStatus> for Status {
    fn from(status: NextStatus) -> Self {
        match status {
            NextStatus::Active => Self::Active,
            NextStatus::Suspended => Self::Suspended,
            NextStatus::Deactivated => Self::Deactivated,
        }
    }
}

#[OpenApi(prefix_path = "/v1", tag = "Tag::Accounts")]
impl Accounts {
    /// Create an account
    ///
    /// Its first billing period runs from today to the next billing date of its cycle.
    #[oai(path = "/accounts", method = "post", operation_id = "createAccount")]
    async fn create(&self, context: Context, input: Checked<NewAccount>) -> Result<Created, Problem> {
        let new = input.body;
        let cycle = context.app().referenced::<BillCycle>(context.tenant(), "/billCycle", &new.bill_cycle.0).await?;
        let command = account::Create {
            id: AccountId(fresh()),
            external_id: new.external_id.map(|id| id.0),
            name: new.name.0,
            currency: new.currency.0,
            active: new.status == FirstStatus::Active,
            billing_day: new.billing_day.map(|day| day.0),
        };
        let use_case = CreateAccount { command, bill_cycle: cycle.id };
        let reply = context.app().once(context.demand(input.canonical.as_deref()), use_case).await?;
        Ok(Created::under("/v1/accounts", reply))
    }

    /// List accounts
    ///
    /// Oldest first.
    #[oai(path = "/accounts", method = "get", operation_id = "listAccounts")]
    async fn list(
        &self,
        context: Context,
        /// Only accounts of this status.
        status: Query<AnyStatus>,
        /// How many items at the most.
        limit: Query<Limit>,
        /// Where to go on: `nextCursor` of the part before.
        cursor: Query<Cursor>,
    ) -> Result<Listed<Account>, Problem> {
        let ask = context.ask(limit.0, cursor.0.as_ref())?;
        let page = context
            .app()
            .list::<account::Account>(context.tenant(), Filter::new().is("status", status.0.map(AnyStatus::wire)), ask)
            .await?;
        Listed::page(&context, &page)
    }

    /// Get an account
    ///
    /// By its id or external id.
    #[oai(path = "/accounts/:account", method = "get", operation_id = "getAccount")]
    async fn get(
        &self,
        context: Context,
        known: IfNoneMatch,
        /// Id or external id of the account.
        account: Path<Reference>,
    ) -> Result<Found<Account>, Problem> {
        Found::of(&context.app().get::<account::Account>(context.tenant(), &account.0.0).await?, &known)
    }

    /// Change an account's status
    ///
    /// Moves the account along its table of statuses. Deactivated is final: the account takes no changes after it, and a
    /// planned bill cycle change is dropped. Deactivating causes `account.cancelled` besides `account.status_changed`.
    #[oai(path = "/accounts/:account/status", method = "post", operation_id = "changeAccountStatus")]
    async fn change_status(
        &self,
        context: Context,
        /// Id or external id of the account.
        account: Path<Reference>,
        input: Checked<StatusChange>,
    ) -> Result<Done, Problem> {
        let (if_match, status, reason) = (context.if_match(), input.body.status.into(), input.body.reason.map(|reason| reason.0));
        let use_case = |id| ChangeAccountStatus { account: AccountId(id), if_match, status, reason: reason.clone() };
        Ok(Done(on::<account::Account, _>(&context, &account.0.0, input.canonical.as_deref(), use_case).await?))
    }
}
