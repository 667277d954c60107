//! Bill runs, invoices and invoicing, payments, refunds, credits.

pub mod bill_run;
pub mod credit;
pub mod invoice;
pub mod invoicing;
pub mod payment;
pub mod refund;
