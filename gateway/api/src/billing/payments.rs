//! Payments.

use billwire_app::{
    Filter, RecordPayment,
    domain::{billing::payment, customers::account::Account},
};
use billwire_schemas::ids::{PaymentId, fresh};
use billwire_schemas::refusal::Code;
use poem_openapi::{Object, OpenApi, Tags, param::Path, types::Example};
use uuid::Uuid;

use crate::{
    http::{
        problem::Problem,
        request_context::{Context, Query},
        responses::{Created, Found, IfNoneMatch, Listed},
        validated_body::{Validate, Validated},
    },
    openapi::operation::{Operation, create, created, get, list},
    types::example::{example_id, example_moment},
    types::{
        money::{Money, MoneyInput},
        scalars::{ExternalId, Moment, Name, NewPaymentStatus, PaymentStatus, Reason, Reference},
    },
};

#[derive(Tags)]
pub(crate) enum Tag {
    /// Payments, refunds and credits.
    #[oai(rename = "Payments")]
    Payments,
}

pub(crate) struct Payments;

/// Registry entries of the operations below.
pub(crate) const OPERATIONS: &[Operation] = &[
    create(
        "recordPayment",
        "payments:write",
        &[
            Code::ExternalIdTaken,
            Code::AccountUnknown,
            Code::InvoiceUnknown,
            Code::InvoiceNamedTwice,
            Code::InvoiceOfOtherAccount,
            Code::InvoiceNotOpen,
            Code::PaymentErrorRequired,
            Code::PaymentErrorNotAllowed,
            Code::TimeOutOfRange,
            Code::CurrencyMismatch,
            Code::CurrencyUnknown,
            Code::AmountNotPositive,
            Code::AmountInvalid,
            Code::AmountTooFine,
            Code::AmountOutOfRange,
        ],
        created("payment", "Payment", &["payment.created", "payment.processed"]).and(&["invoice"]),
    ),
    list("listPayments", "payments:read"),
    get("getPayment", "payments:read", &[Code::PaymentNotFound]),
];

/// The error of a failed payment.
#[derive(Debug, Object)]
pub(crate) struct PaymentErrorInput {
    /// Error code of the payment processor.
    code: Name,
    /// Error message.
    message: Reason,
}

/// The payment to record.
#[derive(Debug, Object)]
#[oai(rename_all = "camelCase", skip_serializing_if_is_none, example)]
pub(crate) struct PaymentInput {
    /// External id: the id in your system; unique among payments.
    external_id: Option<ExternalId>,
    /// Id or external id of the paying account.
    account: Reference,
    /// Payment method, such as `card` or `transfer`.
    method: Name,
    /// Amount.
    amount: MoneyInput,
    /// Whether the payment succeeded. Default `processed`.
    status: Option<NewPaymentStatus>,
    /// The error; required for a failed payment, otherwise not allowed.
    error: Option<PaymentErrorInput>,
    /// Ids or numbers of the invoices to pay, in this order. Absent: the account's open invoices, oldest first.
    #[oai(validator(min_items = 1, max_items = 50))]
    invoices: Option<Vec<Reference>>,
    /// Time of receipt: at most ten years ago and at most one hour ahead. Absent: now.
    received_at: Option<Moment>,
}

impl Validate for PaymentInput {}

impl Example for PaymentInput {
    fn example() -> Self {
        Self {
            external_id: Some("PAY-0002".into()),
            account: "CRM-4711".into(),
            method: "card".into(),
            amount: MoneyInput::of("50.00", "EUR"),
            status: Some(NewPaymentStatus::Processed),
            error: None,
            invoices: None,
            received_at: None,
        }
    }
}

/// The error of a failed payment.
#[derive(Debug, Object)]
pub(crate) struct PaymentError {
    /// Error code of the payment processor.
    code: String,
    /// Error message.
    message: String,
}

/// The part of a payment that pays one invoice.
#[derive(Debug, Object)]
#[oai(rename_all = "camelCase")]
pub(crate) struct Allocation {
    /// Id of the invoice.
    invoice_id: Uuid,
    /// Amount.
    amount: Money,
}

/// A processed, failed or cancelled payment: `amount` = allocations + `unallocated` + `refunded`, unless it failed or is cancelled.
#[derive(Debug, Object)]
#[oai(rename_all = "camelCase", skip_serializing_if_is_none, example)]
pub(crate) struct Payment {
    /// Unique id.
    id: Uuid,
    /// Version, starting at 1.
    version: i64,
    /// External id: the id in your system.
    external_id: Option<String>,
    /// Id of the paying account.
    account_id: Uuid,
    /// Payment method.
    method: String,
    /// Amount.
    amount: Money,
    /// `processed`, `failed` or `cancelled`. More values may be added.
    status: String,
    /// The error, if the payment failed.
    error: Option<PaymentError>,
    /// Why the payment was cancelled, if it was.
    cancel_reason: Option<String>,
    /// Allocations to invoices, if any.
    allocations: Option<Vec<Allocation>>,
    /// Amount not allocated to an invoice.
    unallocated: Money,
    /// Refunded amount.
    refunded: Money,
    /// Time of receipt.
    received_at: Moment,
    /// Time of recording.
    created_at: Moment,
    /// Time of the last change.
    updated_at: Moment,
}

impl Example for Payment {
    fn example() -> Self {
        Self {
            id: example_id(22),
            version: 1,
            external_id: Some("PAY-0001".to_owned()),
            account_id: example_id(1),
            method: "card".to_owned(),
            amount: Money::of("50.00", "EUR"),
            status: "processed".to_owned(),
            error: None,
            cancel_reason: None,
            allocations: None,
            unallocated: Money::of("50.00", "EUR"),
            refunded: Money::of("0.00", "EUR"),
            received_at: example_moment(),
            created_at: example_moment(),
            updated_at: example_moment(),
        }
    }
}

#[OpenApi(prefix_path = "/v1", tag = "Tag::Payments")]
impl Payments {
    /// Record a payment
    ///
    /// A processed payment pays the named invoices, or else the account's open invoices, oldest first; the rest stays unallocated. A failed
    /// payment pays nothing and publishes `payment.failed`. The business transaction contains the payment and every paid invoice.
    #[oai(path = "/payments", method = "post", operation_id = "recordPayment")]
    async fn record(&self, context: Context, input: Validated<PaymentInput>) -> Result<Created, Problem> {
        let new = input.body;
        let command = payment::Create {
            id: PaymentId(fresh()),
            external_id: new.external_id.map(|id| id.0),
            method: new.method.0,
            amount: new.amount.exact("/amount")?,
            status: match new.status {
                Some(NewPaymentStatus::Failed) => payment::Status::Failed,
                Some(NewPaymentStatus::Processed) | None => payment::Status::Processed,
            },
            error: new.error.map(|error| payment::ProcessingError { code: error.code.0, message: error.message.0 }),
            received_at: new.received_at.map(|moment| moment.0),
        };
        let invoices = new.invoices.map(|invoices| invoices.into_iter().map(|reference| reference.0).collect());
        let reply = context.execute_on(&new.account, input.canonical.as_deref(), RecordPayment { invoices, command }).await?;
        Ok(Created::under("/v1/payments", reply))
    }

    /// List payments
    ///
    /// Oldest first.
    #[oai(path = "/payments", method = "get", operation_id = "listPayments")]
    async fn list(
        &self,
        context: Context,
        /// Only payments of this account, by its id or external id.
        account: Query<Reference>,
        /// Only payments with this status.
        status: Query<PaymentStatus>,
    ) -> Result<Listed<Payment>, Problem> {
        let filter =
            Filter::new().is_id("account_id", context.filtered::<Account>(&account).await?).is("status", status.0.map(PaymentStatus::wire));
        Listed::objects::<payment::Payment>(&context, filter).await
    }

    /// Get a payment
    ///
    /// Returns the object with this id or external id.
    #[oai(path = "/payments/:payment", method = "get", operation_id = "getPayment")]
    async fn get(
        &self,
        context: Context,
        known: IfNoneMatch,
        /// Id or external id of the payment.
        payment: Path<Reference>,
    ) -> Result<Found<Payment>, Problem> {
        Found::of(&context.app().get::<payment::Payment>(context.tenant(), &payment.0.0).await?, &known)
    }
}
