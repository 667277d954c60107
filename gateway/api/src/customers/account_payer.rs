//! The account that pays for another one.

use billwire_app::{RemoveAccountPayer, UpdateAccountPayer};
use billwire_schemas::{
    ids::{InvoiceId, fresh},
    refusal::Code,
};
use poem_openapi::{Object, OpenApi, param::Path, types::Example};

use crate::{
    customers::{account_bill_cycle::NoMembers, accounts::Tag},
    http::{
        problem::Problem,
        request_context::Context,
        responses::Done,
        validated_body::{Validate, Validated},
    },
    openapi::operation::{Operation, change, updated},
    types::scalars::Reference,
};

pub(crate) struct AccountPayer;

/// What the invoice of the account's usage until then changes.
const BILLED: &[&str] = &["adjustment", "credit", "invoice", "packageSubscription", "payment"];

/// Registry entries of the operations below.
pub(crate) const OPERATIONS: &[Operation] = &[
    change(
        "updateAccountPayer",
        "accounts:write",
        &[
            Code::AccountNotFound,
            Code::AccountDeactivated,
            Code::AccountUnknown,
            Code::PayerIsItself,
            Code::CurrencyMismatch,
            Code::PayerNotActive,
            Code::PayerEnds,
            Code::AccountHasPayer,
            Code::AccountPaysForOthers,
            Code::TooManyPaidAccounts,
            Code::InvoiceTotalOutOfRange,
            Code::BillingDataUnreadable,
        ],
        updated("account", "Account", &["account.updated", "invoice.created", "invoice.posted"]).and(BILLED),
    ),
    change(
        "removeAccountPayer",
        "accounts:write",
        &[Code::AccountNotFound, Code::FinalInvoiceExists, Code::InvoiceTotalOutOfRange, Code::BillingDataUnreadable],
        updated("account", "Account", &["account.updated", "invoice.created", "invoice.posted"]).and(BILLED),
    ),
];

/// The account that is to pay for another one.
#[derive(Debug, Object)]
#[oai(rename_all = "camelCase", example)]
pub(crate) struct PayerUpdate {
    /// Id or external id of the payer: an account of the same currency that has no payer itself.
    payer: Reference,
}

impl Validate for PayerUpdate {}

impl Example for PayerUpdate {
    fn example() -> Self {
        Self { payer: "CRM-4700".into() }
    }
}

#[OpenApi(prefix_path = "/v1", tag = "Tag::Accounts")]
impl AccountPayer {
    /// Set an account's payer
    ///
    /// From now on, another account pays for this one: charges, fees and adjustments of this account become lines, with its `accountId`, of the
    /// payer's invoices, billed with the payer and by this account's own bill cycle. This account gets no invoices; its payments, credits and
    /// earlier invoices stay its own. What it has used until now is invoiced at once to who owed it until now. A payer pays for up to 100 accounts
    /// and has no payer itself. It is or was active, and is not to be deactivated. Setting the same payer again changes nothing.
    ///
    /// Usage that is recorded later is owed by the payer of that time, whenever it occurred. A charge that somebody else's invoice has billed is no
    /// longer adjusted or reversed; what was still pending of credit adjustments becomes a credit of who owed the charge.
    #[oai(path = "/accounts/:account/payer", method = "post", operation_id = "updateAccountPayer")]
    async fn update(
        &self,
        context: Context,
        /// Id or external id of the account that is to be paid for.
        account: Path<Reference>,
        input: Validated<PayerUpdate>,
    ) -> Result<Done, Problem> {
        let use_case = UpdateAccountPayer { payer: input.body.payer.0, invoice: InvoiceId(fresh()) };
        Ok(Done(context.execute_on(&account.0, input.canonical.as_deref(), use_case).await?))
    }

    /// Remove an account's payer
    ///
    /// From now on, the account pays for itself. What it has used until now is invoiced at once to the payer. The account may be deactivated, as long
    /// as the payer has no final invoice. Without a payer, nothing changes. The body is optional.
    #[oai(path = "/accounts/:account/payer/remove", method = "post", operation_id = "removeAccountPayer")]
    async fn remove(
        &self,
        context: Context,
        /// Id or external id of the account.
        account: Path<Reference>,
        input: Validated<Option<NoMembers>>,
    ) -> Result<Done, Problem> {
        let use_case = RemoveAccountPayer { invoice: InvoiceId(fresh()) };
        Ok(Done(context.execute_on(&account.0, input.canonical.as_deref(), use_case).await?))
    }
}
