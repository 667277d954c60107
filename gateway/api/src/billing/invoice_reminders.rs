//! The times at which people are reminded of an invoice.

use poem_openapi::Object;

use crate::types::scalars::Moment;

/// A time that is a number of days after an invoice's delivery.
#[derive(Debug, Object)]
#[oai(rename_all = "camelCase", skip_serializing_if_is_none)]
pub(crate) struct InvoiceDeliveryOffset {
    /// Days after the day of delivery.
    pub days: u32,
    /// Time of day, `HH:MM` in the tenant's time zone.
    pub time: String,
    /// The resulting time.
    pub at: Moment,
    /// Time at which it was reached and its event was published.
    pub reached_at: Option<Moment>,
}

/// A time that is a number of days before an invoice's due date.
#[derive(Debug, Object)]
#[oai(rename_all = "camelCase", skip_serializing_if_is_none)]
pub(crate) struct InvoiceDueReminder {
    /// Days before the due date.
    pub days: u32,
    /// Time of day, `HH:MM` in the tenant's time zone.
    pub time: String,
    /// The resulting time.
    pub at: Moment,
    /// Time at which it was reached and its event was published.
    pub reached_at: Option<Moment>,
}
