//! Bill runs, invoices, payments, refunds, credits.

pub(crate) mod bill_run_turns;
pub(crate) mod bill_runs;
pub(crate) mod invoice_on_demand;
pub(crate) mod invoices;
pub(crate) mod invoicing;
pub(crate) mod payments;
