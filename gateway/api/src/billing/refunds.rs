//! Refunds.

use billwire_app::{
    CreateRefund, Filter,
    domain::{
        billing::{payment::Payment, refund},
        customers::account::Account,
    },
};
use billwire_schemas::ids::{RefundId, fresh};
use billwire_schemas::refusal::Code;
use poem_openapi::{Object, OpenApi, param::Path, types::Example};
use uuid::Uuid;

use crate::{
    billing::payments::Tag,
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
        scalars::{ExternalId, Moment, Reason, Reference},
    },
};

pub(crate) struct Refunds;

/// Registry entries of the operations below.
pub(crate) const OPERATIONS: &[Operation] = &[
    create(
        "createRefund",
        "refunds:write",
        &[
            Code::ExternalIdTaken,
            Code::PaymentUnknown,
            Code::PaymentNotProcessed,
            Code::RefundExceedsPayment,
            Code::CurrencyMismatch,
            Code::CurrencyUnknown,
            Code::AmountNotPositive,
            Code::AmountInvalid,
            Code::AmountTooFine,
            Code::AmountOutOfRange,
        ],
        created("refund", "Refund", &["refund.created", "refund.processed", "payment.updated"]).and(&["invoice", "payment"]),
    ),
    list("listRefunds", "refunds:read"),
    get("getRefund", "refunds:read", &[Code::RefundNotFound]),
];

/// The refund to create.
#[derive(Debug, Object)]
#[oai(rename_all = "camelCase", skip_serializing_if_is_none, example)]
pub(crate) struct RefundInput {
    /// External id: the id in your system; unique among refunds.
    external_id: Option<ExternalId>,
    /// Id or external id of the payment to refund.
    payment: Reference,
    /// Amount. All refunds of a payment together must not exceed the payment.
    amount: MoneyInput,
    /// Reason for the refund.
    reason: Reason,
}

impl Validate for RefundInput {}

impl Example for RefundInput {
    fn example() -> Self {
        Self {
            external_id: Some("REF-0002".into()),
            payment: "PAY-0001".into(),
            amount: MoneyInput::of("20.00", "EUR"),
            reason: "paid twice".into(),
        }
    }
}

/// A full or partial refund of a payment.
#[derive(Debug, Object)]
#[oai(rename_all = "camelCase", skip_serializing_if_is_none, example)]
pub(crate) struct Refund {
    /// Unique id.
    id: Uuid,
    /// Version; a refund never changes.
    version: i64,
    /// External id: the id in your system.
    external_id: Option<String>,
    /// Id of the refunded account.
    account_id: Uuid,
    /// Id of the payment.
    payment_id: Uuid,
    /// Refunded amount.
    amount: Money,
    /// Reason for the refund.
    reason: String,
    /// Creation time.
    created_at: Moment,
}

impl Example for Refund {
    fn example() -> Self {
        Self {
            id: example_id(23),
            version: 1,
            external_id: Some("REF-0001".to_owned()),
            account_id: example_id(1),
            payment_id: example_id(22),
            amount: Money::of("20.00", "EUR"),
            reason: "paid twice".to_owned(),
            created_at: example_moment(),
        }
    }
}

#[OpenApi(prefix_path = "/v1", tag = "Tag::Payments")]
impl Refunds {
    /// Create a refund
    ///
    /// Refunds a payment in part or in full: first what is unallocated, then what invoices got, newest allocation first; those invoices are due
    /// again. To forgive the amount as well, create a credit.
    #[oai(path = "/refunds", method = "post", operation_id = "createRefund")]
    async fn create(&self, context: Context, input: Validated<RefundInput>) -> Result<Created, Problem> {
        let new = input.body;
        let command = refund::Create {
            id: RefundId(fresh()),
            external_id: new.external_id.map(|id| id.0),
            amount: new.amount.exact("/amount")?,
            reason: new.reason.0,
        };
        let reply = context.execute_on(&new.payment, input.canonical.as_deref(), CreateRefund { command }).await?;
        Ok(Created::under("/v1/refunds", reply))
    }

    /// List refunds
    ///
    /// Oldest first.
    #[oai(path = "/refunds", method = "get", operation_id = "listRefunds")]
    async fn list(
        &self,
        context: Context,
        /// Only refunds of this account, by its id or external id.
        account: Query<Reference>,
        /// Only refunds of this payment, by its id or external id.
        payment: Query<Reference>,
    ) -> Result<Listed<Refund>, Problem> {
        let filter = Filter::new()
            .is_id("account_id", context.filtered::<Account>(&account).await?)
            .is_id("payment_id", context.filtered::<Payment>(&payment).await?);
        Listed::objects::<refund::Refund>(&context, filter).await
    }

    /// Get a refund
    ///
    /// Returns the object with this id or external id.
    #[oai(path = "/refunds/:refund", method = "get", operation_id = "getRefund")]
    async fn get(
        &self,
        context: Context,
        known: IfNoneMatch,
        /// Id or external id of the refund.
        refund: Path<Reference>,
    ) -> Result<Found<Refund>, Problem> {
        Found::of(&context.app().get::<refund::Refund>(context.tenant(), &refund.0.0).await?, &known)
    }
}
