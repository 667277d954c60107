//! The lines of an invoice, in pages.

use billwire_app::{
    domain::billing::invoice::{Invoice, Line},
    page::{After, Page, PageRequest},
};
use billwire_schemas::refusal::Code;
use poem_openapi::{OpenApi, param::Path};

use crate::{
    billing::invoices::InvoiceLine,
    billing::invoices::Tag,
    http::{cursor, problem::Problem, request_context::Context, responses::Listed},
    openapi::operation::{Operation, list},
    types::scalars::Reference,
};

pub(crate) struct InvoiceLines;

/// Registry entries of the operations below.
pub(crate) const OPERATIONS: &[Operation] =
    &[Operation { own_codes: &[Code::InvoiceNotFound], ..list("getInvoiceLines", "invoices:read") }];

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
