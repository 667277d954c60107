//! Credits.

use billwire_app::{
    CreateCredit, Filter, ReverseCredit,
    domain::{billing::credit, customers::account::Account},
};
use billwire_schemas::ids::{CreditId, fresh};
use billwire_schemas::refusal::Code;
use poem_openapi::{Object, OpenApi, param::Path, types::Example};
use uuid::Uuid;

use crate::{
    billing::payments::Tag,
    customers::account_bill_cycle::NoMembers,
    http::{
        problem::Problem,
        request_context::{Context, Query},
        responses::{Created, Done, Found, IfNoneMatch, Listed},
        validated_body::{Validate, Validated},
    },
    openapi::operation::{Operation, change, create, created, get, list, updated},
    types::example::{example_id, example_moment},
    types::{
        money::{Money, MoneyInput},
        scalars::{ExternalId, Moment, Reason, Reference},
    },
};

pub(crate) struct Credits;

/// Registry entries of the operations below.
pub(crate) const OPERATIONS: &[Operation] = &[
    create(
        "createCredit",
        "credits:write",
        &[
            Code::ExternalIdTaken,
            Code::AccountUnknown,
            Code::InvoiceUnknown,
            Code::InvoiceOfOtherAccount,
            Code::InvoiceNotOpen,
            Code::CreditExceedsDue,
            Code::FinalInvoiceExists,
            Code::CurrencyMismatch,
            Code::CurrencyUnknown,
            Code::AmountNotPositive,
            Code::AmountInvalid,
            Code::AmountTooFine,
            Code::AmountOutOfRange,
        ],
        created("credit", "Credit", &["credit.created", "credit.processed"]).and(&["invoice"]),
    ),
    change(
        "reverseCredit",
        "credits:write",
        &[Code::CreditNotFound, Code::CreditUsedUp],
        updated("credit", "Credit", &["credit.updated", "credit.reversed"]),
    ),
    list("listCredits", "credits:read"),
    get("getCredit", "credits:read", &[Code::CreditNotFound]),
];

/// The credit to create.
#[derive(Debug, Object)]
#[oai(rename_all = "camelCase", skip_serializing_if_is_none, example)]
pub(crate) struct CreditInput {
    /// External id: the id in your system; unique among credits.
    external_id: Option<ExternalId>,
    /// Id or external id of the credited account.
    account: Reference,
    /// Id or number of the open invoice to credit; the credit must not exceed its amount due. Absent: the next invoices are credited.
    invoice: Option<Reference>,
    /// Amount of the credit.
    amount: MoneyInput,
    /// Reason for the credit.
    reason: Reason,
}

impl Validate for CreditInput {}

impl Example for CreditInput {
    fn example() -> Self {
        Self {
            external_id: Some("CRED-0002".into()),
            account: "CRM-4711".into(),
            invoice: None,
            amount: MoneyInput::of("15.00", "EUR"),
            reason: "outage in January".into(),
        }
    }
}

/// An amount that an account does not have to pay.
#[derive(Debug, Object)]
#[oai(rename_all = "camelCase", skip_serializing_if_is_none, example)]
pub(crate) struct Credit {
    /// Unique id.
    id: Uuid,
    /// Version, starting at 1.
    version: i64,
    /// External id: the id in your system.
    external_id: Option<String>,
    /// Id of the credited account.
    account_id: Uuid,
    /// Id of the credited invoice, if one was named.
    invoice_id: Option<Uuid>,
    /// Amount of the credit.
    amount: Money,
    /// Amount not yet applied to an invoice.
    remaining: Money,
    /// The part that was taken back before an invoice used it, if any.
    reversed: Option<Money>,
    /// Reason for the credit.
    reason: String,
    /// Creation time.
    created_at: Moment,
    /// Time of the last change.
    updated_at: Moment,
}

impl Example for Credit {
    fn example() -> Self {
        Self {
            id: example_id(24),
            version: 1,
            external_id: Some("CRED-0001".to_owned()),
            account_id: example_id(1),
            invoice_id: None,
            amount: Money::of("15.00", "EUR"),
            remaining: Money::of("15.00", "EUR"),
            reversed: None,
            reason: "outage in January".to_owned(),
            created_at: example_moment(),
            updated_at: example_moment(),
        }
    }
}

#[OpenApi(prefix_path = "/v1", tag = "Tag::Payments")]
impl Credits {
    /// Create a credit
    ///
    /// With an open invoice, the credit lowers its amount due; at zero, the invoice is paid. Without one, the credit is applied to the
    /// account's next invoices, up to their totals.
    #[oai(path = "/credits", method = "post", operation_id = "createCredit")]
    async fn create(&self, context: Context, input: Validated<CreditInput>) -> Result<Created, Problem> {
        let new = input.body;
        let command = credit::Create {
            id: CreditId(fresh()),
            external_id: new.external_id.map(|id| id.0),
            amount: new.amount.exact("/amount")?,
            reason: new.reason.0,
        };
        let use_case = CreateCredit { invoice: new.invoice.map(|reference| reference.0), command };
        let reply = context.execute_on(&new.account, input.canonical.as_deref(), use_case).await?;
        Ok(Created::under("/v1/credits", reply))
    }

    /// Reverse a credit
    ///
    /// Takes back what no invoice has used of the credit. The body is optional.
    #[oai(path = "/credits/:credit/reverse", method = "post", operation_id = "reverseCredit")]
    async fn reverse(
        &self,
        context: Context,
        /// Id or external id of the credit.
        credit: Path<Reference>,
        input: Validated<Option<NoMembers>>,
    ) -> Result<Done, Problem> {
        Ok(Done(context.execute_on(&credit.0, input.canonical.as_deref(), ReverseCredit).await?))
    }

    /// List credits
    ///
    /// Oldest first.
    #[oai(path = "/credits", method = "get", operation_id = "listCredits")]
    async fn list(
        &self,
        context: Context,
        /// Only credits of this account, by its id or external id.
        account: Query<Reference>,
    ) -> Result<Listed<Credit>, Problem> {
        let filter = Filter::new().is_id("account_id", context.filtered::<Account>(&account).await?);
        Listed::objects::<credit::Credit>(&context, filter).await
    }

    /// Get a credit
    ///
    /// Returns the object with this id or external id.
    #[oai(path = "/credits/:credit", method = "get", operation_id = "getCredit")]
    async fn get(
        &self,
        context: Context,
        known: IfNoneMatch,
        /// Id or external id of the credit.
        credit: Path<Reference>,
    ) -> Result<Found<Credit>, Problem> {
        Found::of(&context.app().get::<credit::Credit>(context.tenant(), &credit.0.0).await?, &known)
    }
}
