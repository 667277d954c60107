//! The lines of an invoice, in pages.

use billwire_app::{
    domain::billing::invoice::{Invoice, Line},
    page::{After, Page, PageRequest},
};
use billwire_schemas::refusal::Code;
use poem_openapi::{Object, OpenApi, param::Path, types::Example};
use uuid::Uuid;

use crate::{
    billing::invoices::Tag,
    customers::accounts::Period,
    http::{cursor, problem::Problem, request_context::Context, responses::Listed},
    openapi::operation::{Operation, list},
    types::{money::Money, scalars::Reference},
};

pub(crate) struct InvoiceLines;

/// Registry entries of the operations below.
pub(crate) const OPERATIONS: &[Operation] =
    &[Operation { own_codes: &[Code::InvoiceNotFound], ..list("getInvoiceLines", "invoices:read") }];

/// A line of an invoice.
#[derive(Debug, Object)]
#[oai(rename_all = "camelCase", skip_serializing_if_is_none, example)]
pub(crate) struct InvoiceLine {
    /// `charges`: all charges of one type. `fee`: a package subscription's fee for a period. `adjustment`: an adjustment of a charge on an
    /// earlier invoice. `credit`: the amount a credit covers. More values may be added.
    kind: String,
    /// Id of the account whose items the line bills, if it is not the invoice's account.
    account_id: Option<Uuid>,
    /// Description of the line.
    description: String,
    /// Charge type.
    charge_type: Option<String>,
    /// Number of charges.
    count: Option<i64>,
    /// Id of the package subscription.
    package_subscription_id: Option<Uuid>,
    /// Period of the fee.
    period: Option<Period>,
    /// Id of the adjustment.
    adjustment_id: Option<Uuid>,
    /// Id of the credit.
    credit_id: Option<Uuid>,
    /// Sum before rounding, as a decimal string.
    exact: String,
    /// Billed amount: the sum rounded half to even to the currency's minor unit. Negative amounts are in the customer's favour.
    amount: Money,
}

impl Example for InvoiceLine {
    fn example() -> Self {
        Self {
            kind: "charges".to_owned(),
            account_id: None,
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

/// A page of an invoice's lines. Lines never change, so the cursor is a line's index.
fn part(invoice: Invoice, page_request: PageRequest) -> Page<Line> {
    let from = page_request.after.map_or(0, |after| usize::try_from(after.sort).unwrap_or(usize::MAX));
    let limit = usize::try_from(page_request.limit).unwrap_or(usize::MAX);
    let to = from.saturating_add(limit);
    let next = (to < invoice.lines.len()).then(|| After { sort: i64::try_from(to).unwrap_or(i64::MAX), id: invoice.id.0 });
    Page { items: invoice.lines.into_iter().skip(from).take(limit).collect(), next }
}

#[OpenApi(prefix_path = "/v1", tag = "Tag::Invoices")]
impl InvoiceLines {
    /// Get the lines of an invoice
    ///
    /// Returns all lines in pages, in invoice order. Events and business transactions omit lines that take more than 64 KiB of JSON and
    /// name this operation instead.
    #[oai(path = "/invoices/:invoice/lines", method = "get", operation_id = "getInvoiceLines")]
    async fn list(
        &self,
        context: Context,
        /// Id or number of the invoice.
        invoice: Path<Reference>,
    ) -> Result<Listed<InvoiceLine>, Problem> {
        let page_request = context.page().await?;
        let invoice = context.app().get::<Invoice>(context.tenant(), &invoice.0.0).await?;
        if page_request.after.is_some_and(|after| after.id != invoice.id.0) {
            return Err(cursor::foreign());
        }
        Listed::page(&context, &part(invoice, page_request))
    }
}
