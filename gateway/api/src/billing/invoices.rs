//! Invoices: reading, delivery, cancellation, final invoices and previews.

use std::collections::HashMap;

use billwire_app::{
    CancelInvoice, CreateInvoiceOnDemand, DeliverInvoice, Filter, Reply, UpdateInvoice,
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
    billing::{
        invoice_attributes::InvoiceUpdate,
        invoice_lines::InvoiceLine,
        invoice_reminders::{InvoiceDeliveryOffset, InvoiceDueReminder},
    },
    customers::account_bill_cycle::NoMembers,
    http::{
        problem::Problem,
        request_context::{Context, Query, QueryAll},
        responses::{Created, Done, Found, IfNoneMatch, Listed, answered, replayed},
        validated_body::Validated,
    },
    openapi::operation::{Operation, PLAIN, change, created, get, list, updated},
    types::example::{example_id, example_moment},
    types::{
        attributes::{changes, wanted},
        money::Money,
        scalars::{AttributeFilter, Date, Direction, Flag, InvoiceOrder, InvoiceStatus, Moment, Reference},
    },
};

#[derive(Tags)]
pub(crate) enum Tag {
    /// Invoices of accounts.
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
            Code::AccountHasPayer,
            Code::AccountNotDeactivated,
            Code::NothingToBill,
            Code::InvoiceTotalOutOfRange,
            Code::BillingDataUnreadable,
        ],
        created("invoice", "Invoice", &["invoice.created", "invoice.posted"]).and(&[
            "account",
            "adjustment",
            "credit",
            "packageSubscription",
            "payment",
        ]),
    ),
    Operation {
        id: "previewInvoice",
        scope: "invoices:read",
        own_codes: &[
            Code::AccountNotFound,
            Code::AccountHasPayer,
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
        &[
            Code::InvoiceNotFound,
            Code::InvoiceNotOpen,
            Code::InvoiceHasPayments,
            Code::LaterInvoiceExists,
            Code::PayerChangedSince,
            Code::TooManyAdjustments,
        ],
        updated("invoice", "Invoice", &["invoice.updated", "invoice.cancelled"]).and(&[
            "account",
            "adjustment",
            "credit",
            "packageSubscription",
        ]),
    ),
    change(
        "updateInvoice",
        "invoices:write",
        &[Code::InvoiceNotFound, Code::TooManyAttributes, Code::AttributesTooLarge],
        updated("invoice", "Invoice", &["invoice.updated"]),
    ),
    list("listInvoices", "invoices:read"),
    get("getInvoice", "invoices:read", &[Code::InvoiceNotFound]),
];

/// An invoice of an account.
#[derive(Debug, Object)]
#[oai(rename_all = "camelCase", skip_serializing_if_is_none, example)]
pub(crate) struct Invoice {
    /// Unique id.
    id: Uuid,
    /// Version, starting at 1.
    version: i64,
    /// The owning account.
    account_id: Uuid,
    /// Invoice number: unique, and sequential per account.
    number: String,
    /// `cycle`: created by a bill run. `onDemand`: the final invoice of a deactivated account. `payerChange`: what an account,
    /// which then alone is in `paidForAccountIds` unless it is `accountId`, had used when its payer changed. More values may be added.
    kind: String,
    /// Ids of the other accounts whose items the lines bill, each once: the invoice's account pays for them. Absent if there are none.
    paid_for_account_ids: Option<Vec<Uuid>>,
    /// Id of the bill run that created it.
    bill_run_id: Option<Uuid>,
    /// Currency code, ISO 4217.
    currency: String,
    /// The lines. Events, business transactions and lists omit lines that take more than 64 KiB of JSON, and have `lineCount` and
    /// `linesOperation` instead. Getting a single invoice always returns all lines.
    lines: Option<Vec<InvoiceLine>>,
    /// Number of lines; present only if `lines` is absent.
    line_count: Option<u32>,
    /// The operation that returns the lines, in pages: `getInvoiceLines`. Present only if `lines` is absent.
    lines_operation: Option<String>,
    /// Sum of the lines' amounts; never negative.
    total: Money,
    /// Amount covered by payments.
    amount_paid: Money,
    /// Amount covered by credits created after posting.
    amount_credited: Money,
    /// Amount still to be paid.
    amount_due: Money,
    /// `open`: an amount is due. `paid`: nothing is due. `cancelled`: withdrawn. More values may be added.
    status: String,
    /// Posting date, in the tenant's time zone.
    issued_on: NaiveDate,
    /// Due date: the last day to pay.
    due_on: NaiveDate,
    /// Time at which the invoice becomes overdue unless paid.
    overdue_at: Moment,
    /// The invoice bills charges that occurred before this time.
    cutoff: Moment,
    /// Time of delivery to the customer.
    delivered_at: Option<Moment>,
    /// Time at which the invoice became overdue.
    overdue_since: Option<Moment>,
    /// Times after delivery at which `invoice.delivery_offset_reached` is published; fixed at delivery.
    delivery_offsets: Option<Vec<InvoiceDeliveryOffset>>,
    /// Times before the due date at which `invoice.due_soon` is published; fixed at posting. Absent if there are none.
    due_reminders: Option<Vec<InvoiceDueReminder>>,
    /// Custom attributes, by name. Absent if there are none.
    attributes: Option<HashMap<String, String>>,
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
            paid_for_account_ids: None,
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
            due_reminders: None,
            attributes: None,
            created_at: example_moment(),
            updated_at: example_moment(),
        }
    }
}

/// 200 with a previewed invoice.
pub(crate) struct Previewed(Reply);

impl IntoResponse for Previewed {
    fn into_response(self) -> Response {
        replayed(self.0)
    }
}

impl ApiResponse for Previewed {
    fn meta() -> MetaResponses {
        let description = "The previewed invoice. Its id and number have no meaning.";
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
    /// Bills a deactivated account, which bill runs no longer include: all unbilled charges, fees up to the day of deactivation, pending
    /// adjustments and credits, and the same of the accounts that it pays for. From then on, these accounts accept no late usage and no
    /// adjustments, unless the invoice is cancelled. The body is optional.
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
    /// Returns the invoice that the next bill run of the cycle would create, from the data known now: a run of today if a period has ended that is not
    /// billed yet, else one at the end of the current period. It has the items of the accounts that the account pays for, and planned changes of
    /// status count as if they had come true. Nothing is stored and no event is published.
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
    /// Filters are combined with AND. Oldest first by default. Invoices with very many lines are returned without `lines`.
    #[oai(path = "/invoices", method = "get", operation_id = "listInvoices")]
    #[expect(clippy::too_many_arguments, reason = "a search has many filters")]
    async fn list(
        &self,
        context: Context,
        /// Only invoices of this account, by its id or external id.
        account: Query<Reference>,
        /// Only invoices of this bill run, by its id or external id.
        #[oai(name = "billRun")]
        bill_run: Query<Reference>,
        /// Only invoices with this status.
        status: Query<InvoiceStatus>,
        /// `true`: only invoices that have become overdue. `false`: only the others.
        overdue: Query<Flag>,
        /// Only invoices posted on or after this date.
        #[oai(name = "issuedFrom")]
        issued_from: Query<Date>,
        /// Only invoices posted before this date.
        #[oai(name = "issuedTo")]
        issued_to: Query<Date>,
        /// Only invoices due on or after this date.
        #[oai(name = "dueFrom")]
        due_from: Query<Date>,
        /// Only invoices due before this date.
        #[oai(name = "dueTo")]
        due_to: Query<Date>,
        /// Only those with this attribute, as `name:text`. Can be repeated, up to 10 times; all must hold.
        attribute: QueryAll<AttributeFilter>,
        /// Sort key. Default `createdAt`.
        sort: Query<InvoiceOrder>,
        /// Sort direction. Default `ascending`.
        order: Query<Direction>,
    ) -> Result<Listed<Invoice>, Problem> {
        let day = |date: Query<Date>| date.0.map(|date| date.0);
        let filter = Filter::new()
            .is_id("account_id", context.filtered::<Account>(&account).await?)
            .is_id("bill_run_id", context.filtered::<BillRun>(&bill_run).await?)
            .is("status", status.0.map(InvoiceStatus::wire))
            .has("overdue_since", overdue.0.map(|flag| flag == Flag::Yes))
            .since_day("issued_on", day(issued_from))
            .until_day("issued_on", day(issued_to))
            .since_day("due_on", day(due_from))
            .until_day("due_on", day(due_to))
            .attributes::<invoice::Invoice>(context.tenant(), &wanted(&attribute));
        let ascending = order.0 != Some(Direction::Descending);
        let (app, tenant, page_request) = (context.app(), context.tenant(), context.page().await?);
        let Page { items, next } = match (sort.0.unwrap_or(InvoiceOrder::CreatedAt), ascending) {
            // Ids sort by creation.
            (InvoiceOrder::CreatedAt, true) => app.list::<invoice::Invoice>(tenant, filter, page_request).await?,
            // Invoices are posted on the day they are created, and within a day the id decides.
            (InvoiceOrder::CreatedAt | InvoiceOrder::IssuedOn, _) => {
                app.list_sorted(tenant, filter, ("issued_on", ascending), page_request).await?
            }
            (InvoiceOrder::DueOn, _) => app.list_sorted(tenant, filter, ("due_on", ascending), page_request).await?,
        };
        let items = items.iter().map(Entity::to_json).collect::<Result<Vec<_>, _>>().map_err(Problem::internal)?;
        Listed::page(&context, &Page { items, next })
    }

    /// Get an invoice
    ///
    /// Returns the invoice with this id or number.
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

    /// Change an invoice's attributes
    ///
    /// Nothing else of an invoice can be changed. The invoice may be paid or cancelled.
    #[oai(path = "/invoices/:invoice", method = "patch", operation_id = "updateInvoice")]
    async fn update(
        &self,
        context: Context,
        /// Id or number of the invoice.
        invoice: Path<Reference>,
        input: Validated<InvoiceUpdate>,
    ) -> Result<Done, Problem> {
        let use_case = UpdateInvoice { attributes: changes(input.body.attributes) };
        Ok(Done(context.execute_on(&invoice.0, input.canonical.as_deref(), use_case).await?))
    }

    /// Deliver an invoice
    ///
    /// Records that the invoice reached the customer. The times of the billing settings' delivery offsets are fixed now; each one reached
    /// while the invoice is open publishes an event. The body is optional.
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
    /// Allowed only for the account's latest invoice, and only if nothing was paid or credited on it. Its charges, fees, adjustments and
    /// applied credits will be billed again. The account's period stays as it is. The body is optional.
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
