//! Accounts.

use std::collections::HashMap;

use billwire_app::{
    CreateAccount, DeleteAccount, Filter, UpdateAccount,
    domain::customers::{account, bill_cycle::BillCycle},
};
use billwire_schemas::ids::{AccountId, fresh};
use billwire_schemas::refusal::Code;
use chrono::NaiveDate;
use poem_openapi::{Object, OpenApi, Tags, param::Path, types::Example};
use serde_json::Value;
use uuid::Uuid;

use crate::{
    customers::{
        account_bill_cycle::{CurrentBillCycle, PlannedBillCycleChange},
        account_history::{AccountStatusFrom, BillCycleFrom, BillingSchedule},
        account_status::PlannedStatusChange,
        companies::{Company, CompanyInput},
    },
    http::{
        problem::{Problem, Violation},
        request_context::{Context, Query, QueryAll},
        responses::{Created, Done, Found, IfNoneMatch, Listed},
        validated_body::{Validate, Validated},
    },
    openapi::operation::{Operation, change, create, created, delete, get, list, updated},
    types::example::{example_id, example_moment},
    types::scalars::{
        AnyStatus, AttributeFilter, BillingDay, Currency, Days, ExternalId, FirstStatus, Moment, Name, Reference, SearchText,
    },
    types::{
        attributes::{AttributeChanges, NewAttributes, attributes, changes, check_names, example_attributes, wanted},
        nullable::Nullable,
    },
};

#[derive(Tags)]
pub(crate) enum Tag {
    /// The billed parties, with their status and bill cycle.
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
            Code::TooManyAttributes,
            Code::AttributesTooLarge,
            Code::ExternalIdTaken,
            Code::CurrencyUnknown,
            Code::CurrencyRequired,
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
            Code::TooManyAttributes,
            Code::AttributesTooLarge,
            Code::AccountNotFound,
            Code::ExternalIdTaken,
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

/// The account to create.
#[derive(Debug, Object)]
#[oai(rename_all = "camelCase", skip_serializing_if_is_none, example)]
pub(crate) struct AccountInput {
    /// External id: the id in your system; unique. Operations accept it in place of the id.
    external_id: Option<ExternalId>,
    /// Display name.
    name: Name,
    /// Currency code, ISO 4217. Absent: the `defaultCurrency` of the billing settings.
    currency: Option<Currency>,
    /// Id or external id of the account's bill cycle.
    bill_cycle: Reference,
    /// The account's own billing day; required for an individual bill cycle, otherwise not allowed.
    billing_day: Option<BillingDay>,
    /// Initial status: `active` accounts are billed, `inactive` ones are not.
    #[oai(default = "active")]
    status: FirstStatus,
    /// The account holder's company.
    company: Option<CompanyInput>,
    /// Days from an invoice's posting to its due date, 0 to 365. Absent: the value in the billing settings.
    payment_term_days: Option<Days>,
    /// Custom attributes: up to 50 names of 1 to 64 letters, digits, `_`, `-` and `.`, beginning with a letter, each with a text; together at most
    /// 16 KiB. Lists find objects by them, and events offer them as parameters.
    attributes: Option<NewAttributes>,
}

fn active() -> FirstStatus {
    FirstStatus::Active
}

impl Validate for AccountInput {
    fn further(body: &Value, found: &mut Vec<Violation>) {
        check_names(body, found);
    }
}

impl Example for AccountInput {
    fn example() -> Self {
        Self {
            external_id: Some("CRM-4712".into()),
            name: "Acme Logistics".into(),
            currency: Some("EUR".into()),
            bill_cycle: "MONTHLY-15".into(),
            billing_day: None,
            status: FirstStatus::Inactive,
            company: Some(CompanyInput::example()),
            payment_term_days: None,
            attributes: Some(example_attributes()),
        }
    }
}

/// Changes to an account. Absent members keep their values.
#[derive(Debug, Object)]
#[oai(rename_all = "camelCase", skip_serializing_if_is_none, example)]
pub(crate) struct AccountUpdate {
    /// External id: the id in your system; unique. The old one is free afterwards.
    external_id: Nullable<ExternalId>,
    /// Display name.
    name: Option<Name>,
    /// The account holder's company; replaces the current one entirely.
    company: Nullable<CompanyInput>,
    /// Id or external id of the contact that receives the invoices; must belong to the account.
    billing_contact: Nullable<Reference>,
    /// Days from an invoice's posting to its due date, 0 to 365.
    payment_term_days: Nullable<Days>,
    /// Custom attributes, as a merge patch: a text sets one, null removes it; those that are not named stay. Null in place of the object removes all.
    attributes: AttributeChanges,
}

impl Validate for AccountUpdate {
    fn further(body: &Value, found: &mut Vec<Violation>) {
        check_names(body, found);
    }
}

impl Example for AccountUpdate {
    fn example() -> Self {
        let (company, billing_contact) = (Nullable::default(), Reference::from("PERSON-12").into());
        Self {
            external_id: Nullable::default(),
            name: None,
            company,
            billing_contact,
            payment_term_days: Days(30).into(),
            attributes: Nullable::default(),
        }
    }
}

/// A date range with an inclusive `start` and an exclusive `end`.
#[derive(Debug, Object)]
pub(crate) struct Period {
    /// First day.
    start: NaiveDate,
    /// First day after the period.
    end: NaiveDate,
}

impl Period {
    /// Builds an example.
    pub fn of(start: NaiveDate, end: NaiveDate) -> Self {
        Self { start, end }
    }
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
    /// `inactive`, `active`, `suspended` or `deactivated`. More values may be added.
    status: String,
    /// Reason for the status, if one was given.
    status_reason: Option<String>,
    /// Currency code, ISO 4217.
    currency: String,
    /// The account holder's company.
    company: Option<Company>,
    /// Id of the contact that receives the invoices.
    billing_contact_id: Option<Uuid>,
    /// Days from an invoice's posting to its due date. Absent: the value in the billing settings.
    payment_term_days: Option<u32>,
    /// Id of the account that pays for this one. Absent: it pays for itself.
    payer_id: Option<Uuid>,
    /// When the payer was last set, changed or removed.
    payer_changed_at: Option<Moment>,
    /// The current bill cycle.
    bill_cycle: CurrentBillCycle,
    /// The planned bill cycle change, if any.
    planned_bill_cycle_change: Option<PlannedBillCycleChange>,
    /// The planned status change, if any.
    planned_status_change: Option<PlannedStatusChange>,
    /// When the account was deactivated.
    deactivated_at: Option<Moment>,
    /// `true` while contracts, package subscriptions or usage identifiers of the deactivated account are still to be ended. Otherwise absent.
    ending: Option<bool>,
    /// The status by day, oldest first, up to the latest 1 000 changes. Absent until the first change of an account from a version without it.
    status_history: Option<Vec<AccountStatusFrom>>,
    /// The bill cycles by day, oldest first: billing periods follow from them, also when they are billed late. Absent as above.
    bill_cycle_history: Option<Vec<BillCycleFrom>>,
    /// Custom attributes, by name. Absent if there are none.
    attributes: Option<HashMap<String, String>>,
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
            payer_id: None,
            payer_changed_at: None,
            bill_cycle: CurrentBillCycle {
                bill_cycle_id: example_id(2),
                billing_day: None,
                period: Period { start: day(4), end: day(15) },
                short_period: None,
            },
            planned_bill_cycle_change: None,
            planned_status_change: None,
            deactivated_at: None,
            ending: None,
            attributes: Some(example_attributes()),
            status_history: Some(vec![AccountStatusFrom { from: day(4), status: "active".to_owned() }]),
            bill_cycle_history: Some(vec![BillCycleFrom {
                from: day(4),
                bill_cycle_id: example_id(2),
                schedule: BillingSchedule { period: "month".to_owned(), length: 1, billing_day: 15, billing_month: 1 },
            }]),
            created_at: example_moment(),
            updated_at: example_moment(),
        }
    }
}

#[OpenApi(prefix_path = "/v1", tag = "Tag::Accounts")]
impl Accounts {
    /// Create an account
    ///
    /// The first billing period runs from today to the next billing date of the bill cycle.
    #[oai(path = "/accounts", method = "post", operation_id = "createAccount")]
    async fn create(&self, context: Context, input: Validated<AccountInput>) -> Result<Created, Problem> {
        let new = input.body;
        let command = account::Create {
            id: AccountId(fresh()),
            external_id: new.external_id.map(|id| id.0),
            name: new.name.0,
            currency: new.currency.map(|code| code.0),
            active: new.status == FirstStatus::Active,
            billing_day: new.billing_day.map(|day| day.0),
            company: new.company.map(Into::into),
            payment_term_days: new.payment_term_days.map(|days| days.0),
            attributes: attributes(new.attributes),
        };
        let reply = context.execute(input.canonical.as_deref(), CreateAccount { command, bill_cycle: new.bill_cycle.0 }).await?;
        Ok(Created::under("/v1/accounts", reply))
    }

    /// List accounts
    ///
    /// Filters are combined with AND. Oldest first.
    #[oai(path = "/accounts", method = "get", operation_id = "listAccounts")]
    #[expect(clippy::too_many_arguments, reason = "a search has many filters")]
    async fn list(
        &self,
        context: Context,
        /// Only accounts with this status.
        status: Query<AnyStatus>,
        /// Only accounts whose name begins with this text; case-insensitive.
        name: Query<SearchText>,
        /// Only the account with this external id.
        #[oai(name = "externalId")]
        external_id: Query<Reference>,
        /// Only accounts on this bill cycle, by its id or external id.
        #[oai(name = "billCycle")]
        bill_cycle: Query<Reference>,
        /// Only accounts that this account pays for, by its id or external id.
        payer: Query<Reference>,
        /// Only accounts whose name or external id contains this text; case-insensitive.
        text: Query<SearchText>,
        /// Only those with this attribute, as `name:text`. Can be repeated, up to 10 times; all must hold.
        attribute: QueryAll<AttributeFilter>,
    ) -> Result<Listed<Account>, Problem> {
        let filter = Filter::new()
            .is("status", status.0.map(AnyStatus::wire))
            .begins("search", name.0.as_ref().map(|name| name.0.as_str()))
            .is("external_id", external_id.0.as_ref().map(|id| id.0.as_str()))
            .is_id("bill_cycle_id", context.filtered::<BillCycle>(&bill_cycle).await?)
            .is_id("payer_id", context.filtered::<account::Account>(&payer).await?)
            .contains("search", text.0.as_ref().map(|text| text.0.as_str()))
            .attributes::<account::Account>(context.tenant(), &wanted(&attribute));
        Listed::objects::<account::Account>(&context, filter).await
    }

    /// Get an account
    ///
    /// Returns the object with this id or external id.
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
    /// Absent members keep their values; null unsets a member. Status and bill cycle have their own operations.
    #[oai(path = "/accounts/:account", method = "patch", operation_id = "updateAccount")]
    async fn update(
        &self,
        context: Context,
        /// Id or external id of the account.
        account: Path<Reference>,
        input: Validated<AccountUpdate>,
    ) -> Result<Done, Problem> {
        let asked = input.body;
        let command = account::Update {
            external_id: asked.external_id.map(|id| id.0),
            name: asked.name.map(|name| name.0),
            company: asked.company.map(Into::into),
            payment_term_days: asked.payment_term_days.map(|days| days.0),
            attributes: changes(asked.attributes),
        };
        let contact = asked.billing_contact.map(|contact| contact.0);
        let use_case = UpdateAccount { command, billing_contact: contact };
        Ok(Done(context.execute_on(&account.0, input.canonical.as_deref(), use_case).await?))
    }

    /// Delete an account
    ///
    /// Allowed only for an account that was never active, has no dependent objects and pays for no other account. Cancel other accounts instead.
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
