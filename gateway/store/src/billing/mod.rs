//! Bill runs, invoices, payments, refunds, credits.

mod balance;
pub(crate) mod bill_runs;
pub(crate) mod credits;
pub(crate) mod invoices;
pub(crate) mod payments;
pub(crate) mod refunds;
