//! Bill runs, invoices, payments, refunds, credits, and the test clock.

pub(crate) mod balances;
pub(crate) mod bill_runs;
pub(crate) mod credits;
pub(crate) mod invoice_attributes;
pub(crate) mod invoice_lines;
pub(crate) mod invoice_reminders;
pub(crate) mod invoices;
pub(crate) mod payment_allocations;
pub(crate) mod payments;
pub(crate) mod refunds;
pub(crate) mod test_clock;
