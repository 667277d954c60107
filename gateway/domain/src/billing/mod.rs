//! Bill runs, invoices and invoicing, payments, refunds, credits, and the balance of an account.

pub mod balance;
pub mod bill_run;
pub mod credit;
pub mod invoice;
pub mod invoicing;
pub mod payment;
pub mod refund;
