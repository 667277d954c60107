//! What payments pay: allocations changed by hand, and payments that are cancelled.

use billwire_app::{AllocatePayment, CancelPayment, DeallocatePayment};
use billwire_schemas::refusal::Code;
use poem_openapi::{Object, OpenApi, param::Path, types::Example};

use crate::{
    billing::payments::Tag,
    http::{
        problem::Problem,
        request_context::Context,
        responses::Done,
        validated_body::{Validate, Validated},
    },
    openapi::operation::{Operation, change, updated},
    types::scalars::{Reason, Reference},
};

pub(crate) struct PaymentAllocations;

/// Registry entries of the operations below.
pub(crate) const OPERATIONS: &[Operation] = &[
    change(
        "allocatePayment",
        "payments:write",
        &[
            Code::PaymentNotFound,
            Code::PaymentNotProcessed,
            Code::NothingUnallocated,
            Code::NoOpenInvoice,
            Code::InvoiceUnknown,
            Code::InvoiceNamedTwice,
            Code::InvoiceOfOtherAccount,
            Code::InvoiceNotOpen,
        ],
        updated("payment", "Payment", &["payment.updated"]).and(&["invoice"]),
    ),
    change(
        "deallocatePayment",
        "payments:write",
        &[Code::PaymentNotFound, Code::PaymentNotProcessed, Code::NothingAllocated, Code::InvoiceUnknown, Code::InvoiceNamedTwice],
        updated("payment", "Payment", &["payment.updated"]).and(&["invoice"]),
    ),
    change(
        "cancelPayment",
        "payments:write",
        &[Code::PaymentNotFound, Code::PaymentNotProcessed, Code::PaymentRefunded],
        updated("payment", "Payment", &["payment.updated", "payment.cancelled"]).and(&["invoice"]),
    ),
];

/// The invoices to pay.
#[derive(Debug, Object)]
#[oai(rename_all = "camelCase", skip_serializing_if_is_none, example)]
pub(crate) struct PaymentAllocation {
    /// Ids or numbers of the invoices to pay, in this order. Absent: the account's open invoices, oldest first.
    #[oai(validator(min_items = 1, max_items = 50))]
    invoices: Option<Vec<Reference>>,
}

impl Validate for PaymentAllocation {}

impl Example for PaymentAllocation {
    fn example() -> Self {
        Self { invoices: None }
    }
}

/// The invoices to take the payment back from.
#[derive(Debug, Object)]
#[oai(rename_all = "camelCase", skip_serializing_if_is_none, example)]
pub(crate) struct PaymentDeallocation {
    /// Ids or numbers of the invoices. Absent: all that the payment pays.
    #[oai(validator(min_items = 1, max_items = 50))]
    invoices: Option<Vec<Reference>>,
}

impl Validate for PaymentDeallocation {}

impl Example for PaymentDeallocation {
    fn example() -> Self {
        Self { invoices: None }
    }
}

/// Why a payment is cancelled.
#[derive(Debug, Object)]
#[oai(rename_all = "camelCase", example)]
pub(crate) struct PaymentCancellation {
    /// Reason, such as that the payment bounced or was charged back.
    reason: Reason,
}

impl Validate for PaymentCancellation {}

impl Example for PaymentCancellation {
    fn example() -> Self {
        Self { reason: "charged back".into() }
    }
}

fn references(invoices: Option<Vec<Reference>>) -> Option<Vec<String>> {
    invoices.map(|invoices| invoices.into_iter().map(|reference| reference.0).collect())
}

#[OpenApi(prefix_path = "/v1", tag = "Tag::Payments")]
impl PaymentAllocations {
    /// Allocate a payment
    ///
    /// Pays invoices from what is left of the payment: the named ones, or else the account's open invoices, oldest first. New invoices do so by
    /// themselves unless `allocatePrepayments` of the billing settings is `false`.
    #[oai(path = "/payments/:payment/allocate", method = "post", operation_id = "allocatePayment")]
    async fn allocate(
        &self,
        context: Context,
        /// Id or external id of the payment.
        payment: Path<Reference>,
        input: Validated<PaymentAllocation>,
    ) -> Result<Done, Problem> {
        let use_case = AllocatePayment { invoices: references(input.body.invoices) };
        Ok(Done(context.execute_on(&payment.0, input.canonical.as_deref(), use_case).await?))
    }

    /// Deallocate a payment
    ///
    /// The payment no longer pays these invoices: what they got of it is due again, and unallocated.
    #[oai(path = "/payments/:payment/deallocate", method = "post", operation_id = "deallocatePayment")]
    async fn deallocate(
        &self,
        context: Context,
        /// Id or external id of the payment.
        payment: Path<Reference>,
        input: Validated<PaymentDeallocation>,
    ) -> Result<Done, Problem> {
        let use_case = DeallocatePayment { invoices: references(input.body.invoices) };
        Ok(Done(context.execute_on(&payment.0, input.canonical.as_deref(), use_case).await?))
    }

    /// Cancel a payment
    ///
    /// For a payment that bounced or was charged back: the invoices it paid are due again. A payment that was refunded in part or in full
    /// cannot be cancelled.
    #[oai(path = "/payments/:payment/cancel", method = "post", operation_id = "cancelPayment")]
    async fn cancel(
        &self,
        context: Context,
        /// Id or external id of the payment.
        payment: Path<Reference>,
        input: Validated<PaymentCancellation>,
    ) -> Result<Done, Problem> {
        let use_case = CancelPayment { reason: input.body.reason.0 };
        Ok(Done(context.execute_on(&payment.0, input.canonical.as_deref(), use_case).await?))
    }
}
