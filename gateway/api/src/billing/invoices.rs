//! Invoices: reading them, the final bill of an account, and the preview of the next one.

use billwire_app::{
    CancelInvoice, CreateInvoiceOnDemand, DeliverInvoice, Filter, Reply,
    domain::{
        Entity,
        billing::{bill_run::BillRun, invoice},
        customers::account::Account,
    },
    page::Page,
};
use billwire_schemas::ids::{InvoiceId, fresh};
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
    customers::{account_bill_cycle::NoMembers, accounts::Period},
    http::{
        problem::Problem,
        request_context::{Context, Query},
        responses::{Created, Done, Found, IfNoneMatch, Listed, answered, replayed},
        validated_body::Validated,
    },
    openapi::operation::{Operation, PLAIN, change, created, get, list, updated},
    types::example::{example_id, example_moment},
    types::{
        money::Money,
        scalars::{Cursor, Flag, InvoiceStatus, Limit, Moment, Reference},
    },
};

#[derive(Tags)]
pub(crate) enum Tag {
    /// What accounts owe.
    #[oai(rename = "Invoices")]
    Invoices,
}

pub(crate) struct Invoices;

/// Registry entries of the operations below.
pub(crate) const OPERATIONS: &[Operation] = &[
    change(
        "createInvoiceOnDemand",
        "invoices:write",
        &[
            Code::AccountNotFound,
            Code::AccountNotDeactivated,
            Code::NothingToBill,
            Code::InvoiceTotalOutOfRange,
            Code::BillingDataUnreadable,
        ],
        created("invoice", "Invoice", &["invoice.created", "invoice.posted"]),
    ),
    Operation {
        id: "previewInvoice",
        scope: "invoices:read",
        own_codes: &[
            Code::AccountNotFound,
            Code::AccountDeactivated,
            Code::NothingToBill,
            Code::InvoiceTotalOutOfRange,
            Code::BillingDataUnreadable,
        ],
        takes: PLAIN,
        makes: None,
    },
    change(
        "deliverInvoice",
        "invoices:write",
        &[Code::InvoiceNotFound, Code::InvoiceNotOpen, Code::InvoiceAlreadyDelivered],
        updated("invoice", "Invoice", &["invoice.updated", "invoice.delivered"]),
    ),
    change(
        "cancelInvoice",
        "invoices:write",
        &[Code::InvoiceNotFound, Code::InvoiceNotOpen, Code::InvoiceHasPayments, Code::LaterInvoiceExists, Code::TooManyAdjustments],
        updated("invoice", "Invoice", &["invoice.updated", "invoice.cancelled"]),
    ),
    list("listInvoices", "invoices:read"),
    get("getInvoice", "invoices:read", &[Code::InvoiceNotFound]),
];

/// A line of an invoice.
#[derive(Debug, Object)]
#[oai(rename_all = "camelCase", skip_serializing_if_is_none, example)]
pub(crate) struct InvoiceLine {
    /// `charges`: all charges of one type. `fee`: a package subscription's fee for a period. `adjustment`: one of a charge on an
    /// earlier invoice. `credit`: what a credit covers. More values may be added.
    kind: String,
    /// For people.
    description: String,
    /// The charges' type.
    charge_type: Option<String>,
    /// How many charges.
    count: Option<i64>,
    /// Which package subscription.
    package_subscription_id: Option<Uuid>,
    /// The days the fee is for.
    period: Option<Period>,
    /// Which adjustment.
    adjustment_id: Option<Uuid>,
    /// Which credit.
    credit_id: Option<Uuid>,
    /// The sum before rounding, as a decimal string.
    exact: String,
    /// What is billed: the sum rounded to the currency's smallest coin, halves to the even neighbour. Negative for what is given
    /// back.
    amount: Money,
}

impl Example for InvoiceLine {
    fn example() -> Self {
        Self {
            kind: "charges".to_owned(),
            description: "3 charges: data".to_owned(),
            charge_type: Some("data".to_owned()),
            count: Some(3),
            package_subscription_id: None,
            period: None,
            adjustment_id: None,
            credit_id: None,
            exact: "9.8965".to_owned(),
            amount: Money::of("9.90", "EUR"),
        }
    }
}

/// A moment a number of days after an invoice's delivery.
#[derive(Debug, Object)]
#[oai(rename_all = "camelCase", skip_serializing_if_is_none)]
pub(crate) struct InvoiceDeliveryOffset {
    /// Days after the day of delivery.
    days: u32,
    /// The time of day, `HH:MM` in the tenant's time zone.
    time: String,
    /// The moment that is.
    at: Moment,
    /// When it was reached and told of.
    reached_at: Option<Moment>,
}

/// What an account owes.
#[derive(Debug, Object)]
#[oai(rename_all = "camelCase", skip_serializing_if_is_none, example)]
pub(crate) struct Invoice {
    /// Unique id.
    id: Uuid,
    /// Version, starting at 1.
    version: i64,
    /// The owning account.
    account_id: Uuid,
    /// Its number: unique, and counted per account.
    number: String,
    /// `cycle`: made by a bill run. `onDemand`: the final bill of a deactivated account. More values may be added.
    kind: String,
    /// The bill run that made it.
    bill_run_id: Option<Uuid>,
    /// Its currency, ISO 4217.
    currency: String,
    /// Its lines. Events, business transactions and lists carry them up to 64 KiB of JSON; beyond that they are absent there, and
    /// `lineCount` and `linesOperation` stand in their place. Of one invoice that is asked for, all are told.
    lines: Option<Vec<InvoiceLine>>,
    /// How many lines it has; only where they are absent.
    line_count: Option<u32>,
    /// The operation that gives the lines, in parts: `getInvoiceLines`; only where they are absent.
    lines_operation: Option<String>,
    /// The sum of the lines' amounts; never below nothing.
    total: Money,
    /// What payments have covered.
    amount_paid: Money,
    /// What credits made after posting have covered.
    amount_credited: Money,
    /// What is still to be paid.
    amount_due: Money,
    /// `open`: something is due. `paid`: nothing is. `cancelled`: it was taken back. More values may be added.
    status: String,
    /// The date it was posted, in the tenant's time zone.
    issued_on: NaiveDate,
    /// The last day to pay.
    due_on: NaiveDate,
    /// When it becomes overdue unless it is paid.
    overdue_at: Moment,
    /// It bills charges that occurred before this moment.
    cutoff: Moment,
    /// When it was delivered.
    delivered_at: Option<Moment>,
    /// Since when it is overdue.
    overdue_since: Option<Moment>,
    /// What is told a number of days after delivery; fixed at delivery.
    delivery_offsets: Option<Vec<InvoiceDeliveryOffset>>,
    /// Creation time.
    created_at: Moment,
    /// Time of the last change.
    updated_at: Moment,
}

impl Example for Invoice {
    fn example() -> Self {
        let date = |day| NaiveDate::from_ymd_opt(2027, 1, day).unwrap_or_default();
        Self {
            id: example_id(20),
            version: 1,
            account_id: example_id(1),
            number: "000000000001-0001".to_owned(),
            kind: "onDemand".to_owned(),
            bill_run_id: None,
            currency: "EUR".to_owned(),
            lines: Some(vec![InvoiceLine::example()]),
            line_count: None,
            lines_operation: None,
            total: Money::of("9.90", "EUR"),
            amount_paid: Money::of("0.00", "EUR"),
            amount_credited: Money::of("0.00", "EUR"),
            amount_due: Money::of("9.90", "EUR"),
            status: "open".to_owned(),
            issued_on: date(4),
            due_on: date(18),
            overdue_at: example_moment(),
            cutoff: example_moment(),
            delivered_at: None,
            overdue_since: None,
            delivery_offsets: None,
            created_at: example_moment(),
            updated_at: example_moment(),
        }
    }
}

/// An invoice that was not made.
pub(crate) struct Previewed(Reply);

impl IntoResponse for Previewed {
    fn into_response(self) -> Response {
        replayed(self.0)
    }
}

impl ApiResponse for Previewed {
    fn meta() -> MetaResponses {
        let description = "What the invoice would be. Its id and number mean nothing.";
        MetaResponses { responses: vec![answered(200, description, Some(Invoice::schema_ref()), Vec::new())] }
    }

    fn register(registry: &mut Registry) {
        Invoice::register(registry);
    }
}

#[OpenApi(prefix_path = "/v1", tag = "Tag::Invoices")]
impl Invoices {
    /// Post the final bill of an account
    ///
    /// Of a deactivated account, which no bill run bills any more: all its unbilled charges, fees up to the day it was
    /// deactivated on, pending adjustments and credits. The body is optional.
    #[oai(path = "/accounts/:account/invoices", method = "post", operation_id = "createInvoiceOnDemand")]
    async fn create_on_demand(
        &self,
        context: Context,
        /// Id or external id of the account.
        account: Path<Reference>,
        input: Validated<Option<NoMembers>>,
    ) -> Result<Created, Problem> {
        let use_case = CreateInvoiceOnDemand { invoice: InvoiceId(fresh()) };
        let reply = context.execute_on(&account.0, input.canonical.as_deref(), use_case).await?;
        Ok(Created::under("/v1/invoices", reply))
    }

    /// Preview an account's next invoice
    ///
    /// As the next bill run of its cycle would make it at the end of the running period, from what is known now. Nothing is kept
    /// and no event is published.
    #[oai(path = "/accounts/:account/invoice-preview", method = "get", operation_id = "previewInvoice")]
    async fn preview(
        &self,
        context: Context,
        /// Id or external id of the account.
        account: Path<Reference>,
    ) -> Result<Previewed, Problem> {
        let account = context.app().get::<Account>(context.tenant(), &account.0.0).await?;
        Ok(Previewed(context.app().preview_invoice(context.tenant(), account.id).await?))
    }

    /// List invoices
    ///
    /// Oldest first; those of very many lines without them.
    #[oai(path = "/invoices", method = "get", operation_id = "listInvoices")]
    #[expect(clippy::too_many_arguments, reason = "each is a query parameter")]
    async fn list(
        &self,
        context: Context,
        /// Only invoices of this account, by its id or external id.
        account: Query<Reference>,
        /// Only invoices of this bill run, by its id or external id.
        #[oai(name = "billRun")]
        bill_run: Query<Reference>,
        /// Only invoices of this status.
        status: Query<InvoiceStatus>,
        /// Only invoices that have become overdue, or only those that have not.
        overdue: Query<Flag>,
        /// Maximum number of items to return.
        limit: Query<Limit>,
        /// `nextCursor` of the previous page. Absent: the first page.
        cursor: Query<Cursor>,
    ) -> Result<Listed<Invoice>, Problem> {
        let page_request = context.page_request(limit.0, cursor.0.as_ref())?;
        let filter = Filter::new()
            .is_id("account_id", context.filtered::<Account>(&account).await?)
            .is_id("bill_run_id", context.filtered::<BillRun>(&bill_run).await?)
            .is("status", status.0.map(InvoiceStatus::wire))
            .has("overdue_since", overdue.0.map(|flag| flag == Flag::Yes));
        let Page { items, next } = context.app().list::<invoice::Invoice>(context.tenant(), filter, page_request).await?;
        let items = items.iter().map(Entity::to_json).collect::<Result<Vec<_>, _>>().map_err(Problem::internal)?;
        Listed::page(&context, &Page { items, next })
    }

    /// Get an invoice
    ///
    /// Looks it up by id or number.
    #[oai(path = "/invoices/:invoice", method = "get", operation_id = "getInvoice")]
    async fn get(
        &self,
        context: Context,
        known: IfNoneMatch,
        /// Id or number of the invoice.
        invoice: Path<Reference>,
    ) -> Result<Found<Invoice>, Problem> {
        Found::of(&context.app().get::<invoice::Invoice>(context.tenant(), &invoice.0.0).await?, &known)
    }

    /// Deliver an invoice
    ///
    /// Notes that it reached the customer. The moments of the billing settings' delivery offsets are fixed now; the clock tells of
    /// each while the invoice is open. The body is optional.
    #[oai(path = "/invoices/:invoice/deliver", method = "post", operation_id = "deliverInvoice")]
    async fn deliver(
        &self,
        context: Context,
        /// Id or number of the invoice.
        invoice: Path<Reference>,
        input: Validated<Option<NoMembers>>,
    ) -> Result<Done, Problem> {
        Ok(Done(context.execute_on(&invoice.0, input.canonical.as_deref(), DeliverInvoice).await?))
    }

    /// Cancel an invoice
    ///
    /// Only the account's latest, and only while nothing was paid or credited on it. What it billed is billed again: charges,
    /// fees, adjustments, and what it took of credits. The account's period is not moved back. The body is optional.
    #[oai(path = "/invoices/:invoice/cancel", method = "post", operation_id = "cancelInvoice")]
    async fn cancel(
        &self,
        context: Context,
        /// Id or number of the invoice.
        invoice: Path<Reference>,
        input: Validated<Option<NoMembers>>,
    ) -> Result<Done, Problem> {
        Ok(Done(context.execute_on(&invoice.0, input.canonical.as_deref(), CancelInvoice).await?))
    }
}
