//! Accounts.

use billwire_app::{CreateAccount, DeleteAccount, Filter, UpdateAccount, domain::customers::account};
use billwire_schemas::ids::{AccountId, fresh};
use billwire_schemas::refusal::Code;
use chrono::NaiveDate;
use poem_openapi::{Object, OpenApi, Tags, param::Path, types::Example};
use uuid::Uuid;

use crate::{
    customers::companies::{Company, NewCompany},
    http::{
        problem::Problem,
        request_context::{Context, Query},
        responses::{Created, Done, Found, IfNoneMatch, Listed},
        validated_body::{Validate, Validated},
    },
    openapi::operation::{Operation, change, create, created, delete, get, list, updated},
    types::example::{example_id, example_moment},
    types::scalars::{AnyStatus, BillingDay, Currency, Cursor, Days, ExternalId, FirstStatus, Limit, Moment, Name, Reference},
};

#[derive(Tags)]
pub(crate) enum Tag {
    /// Who is billed, their status, and in which bill cycle.
    #[oai(rename = "Accounts")]
    Accounts,
}

pub(crate) struct Accounts;

/// Registry entries of the operations below.
pub(crate) const OPERATIONS: &[Operation] = &[
    create(
        "createAccount",
        "accounts:write",
        &[
            Code::ExternalIdTaken,
            Code::CurrencyUnknown,
            Code::CountryUnknown,
            Code::PaymentTermOutOfRange,
            Code::BillCycleUnknown,
            Code::BillingDayRequired,
            Code::BillingDayNotAllowed,
            Code::BillingDayOutOfRange,
        ],
        created("account", "Account", &["account.created"]),
    ),
    list("listAccounts", "accounts:read"),
    get("getAccount", "accounts:read", &[Code::AccountNotFound]),
    change(
        "updateAccount",
        "accounts:write",
        &[
            Code::AccountNotFound,
            Code::AccountDeactivated,
            Code::CountryUnknown,
            Code::PaymentTermOutOfRange,
            Code::ContactUnknown,
            Code::ContactOfOtherAccount,
        ],
        updated("account", "Account", &["account.updated"]),
    ),
    delete(
        "deleteAccount",
        "accounts:write",
        &[Code::AccountNotFound, Code::AccountDeactivated, Code::AccountNotInactive, Code::StillInUse],
        "account",
        "Account",
    ),
];

/// An account to be made.
#[derive(Debug, Object)]
#[oai(rename_all = "camelCase", skip_serializing_if_is_none, example)]
pub(crate) struct NewAccount {
    /// Its id in your system; unique. It addresses the account as well as the id does.
    external_id: Option<ExternalId>,
    /// Display name.
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
    /// The company behind it.
    company: Option<NewCompany>,
    /// Days from an invoice's posting to its due date, 0 to 365; absent: as the billing settings say.
    payment_term_days: Option<Days>,
}

fn active() -> FirstStatus {
    FirstStatus::Active
}

impl Validate for NewAccount {}

impl Example for NewAccount {
    fn example() -> Self {
        Self {
            external_id: Some("CRM-4711".into()),
            name: "Acme Telecom".into(),
            currency: "EUR".into(),
            bill_cycle: "MONTHLY-15".into(),
            billing_day: None,
            status: active(),
            company: Some(NewCompany::example()),
            payment_term_days: None,
        }
    }
}

/// What shall change of an account; what is absent stays. Status and bill cycle have operations of their own.
#[derive(Debug, Object)]
#[oai(rename_all = "camelCase", skip_serializing_if_is_none, example)]
pub(crate) struct AccountUpdate {
    /// Display name.
    name: Option<Name>,
    /// The company behind it; replaces the present one as a whole.
    company: Option<NewCompany>,
    /// Id or external id of the contact, one of the account's own, who gets its bills.
    billing_contact: Option<Reference>,
    /// Days from an invoice's posting to its due date, 0 to 365.
    payment_term_days: Option<Days>,
}

impl Validate for AccountUpdate {}

impl Example for AccountUpdate {
    fn example() -> Self {
        Self { name: None, company: None, billing_contact: Some("PERSON-12".into()), payment_term_days: Some(Days(30)) }
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

impl Period {
    /// Builds an example.
    pub fn of(start: NaiveDate, end: NaiveDate) -> Self {
        Self { start, end }
    }
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
    /// Unique id.
    id: Uuid,
    /// Version, starting at 1.
    version: i64,
    /// External id: the id in your system.
    external_id: Option<String>,
    /// Display name.
    name: String,
    /// Its status: `inactive`, `active`, `suspended` or `deactivated`. More values may be added.
    status: String,
    /// Reason for the status, if one was given.
    status_reason: Option<String>,
    /// Its currency, ISO 4217.
    currency: String,
    /// The company behind it.
    company: Option<Company>,
    /// The contact who gets its bills.
    billing_contact_id: Option<Uuid>,
    /// Days from an invoice's posting to its due date; absent: as the billing settings say.
    payment_term_days: Option<u32>,
    /// The cycle it is billed in.
    bill_cycle: CurrentBillCycle,
    /// The change of cycle in progress, where there is one.
    planned_bill_cycle_change: Option<PlannedBillCycleChange>,
    /// Creation time.
    created_at: Moment,
    /// Time of the last change.
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
            company: Some(Company::example()),
            billing_contact_id: None,
            payment_term_days: None,
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

#[OpenApi(prefix_path = "/v1", tag = "Tag::Accounts")]
impl Accounts {
    /// Create an account
    ///
    /// Its first billing period runs from today to the next billing date of its cycle.
    #[oai(path = "/accounts", method = "post", operation_id = "createAccount")]
    async fn create(&self, context: Context, input: Validated<NewAccount>) -> Result<Created, Problem> {
        let new = input.body;
        let command = account::Create {
            id: AccountId(fresh()),
            external_id: new.external_id.map(|id| id.0),
            name: new.name.0,
            currency: new.currency.0,
            active: new.status == FirstStatus::Active,
            billing_day: new.billing_day.map(|day| day.0),
            company: new.company.map(Into::into),
            payment_term_days: new.payment_term_days.map(|days| days.0),
        };
        let reply = context.execute(input.canonical.as_deref(), CreateAccount { command, bill_cycle: new.bill_cycle.0 }).await?;
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
        /// Maximum number of items to return.
        limit: Query<Limit>,
        /// `nextCursor` of the previous page. Absent: the first page.
        cursor: Query<Cursor>,
    ) -> Result<Listed<Account>, Problem> {
        let page_request = context.page_request(limit.0, cursor.0.as_ref())?;
        let page = context
            .app()
            .list::<account::Account>(context.tenant(), Filter::new().is("status", status.0.map(AnyStatus::wire)), page_request)
            .await?;
        Listed::page(&context, &page)
    }

    /// Get an account
    ///
    /// Looks it up by id or external id.
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

    /// Change an account
    ///
    /// What is absent stays. Its status and its bill cycle have operations of their own.
    #[oai(path = "/accounts/:account", method = "patch", operation_id = "updateAccount")]
    async fn update(
        &self,
        context: Context,
        /// Id or external id of the account.
        account: Path<Reference>,
        input: Validated<AccountUpdate>,
    ) -> Result<Done, Problem> {
        let wanted = input.body;
        let command = account::Update {
            name: wanted.name.map(|name| name.0),
            company: wanted.company.map(Into::into),
            payment_term_days: wanted.payment_term_days.map(|days| days.0),
        };
        let contact = wanted.billing_contact.map(|contact| contact.0);
        let use_case = UpdateAccount { command, billing_contact: contact };
        Ok(Done(context.execute_on(&account.0, input.canonical.as_deref(), use_case).await?))
    }

    /// Delete an account
    ///
    /// Only one that was never active and to which nothing belongs. Any other is cancelled instead.
    #[oai(path = "/accounts/:account", method = "delete", operation_id = "deleteAccount")]
    async fn delete(
        &self,
        context: Context,
        /// Id or external id of the account.
        account: Path<Reference>,
    ) -> Result<Done, Problem> {
        Ok(Done(context.execute_on(&account.0, None, DeleteAccount).await?))
    }
}
