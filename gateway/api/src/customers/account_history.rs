//! The statuses and bill cycles of an account by day.

use chrono::NaiveDate;
use poem_openapi::Object;
use uuid::Uuid;

/// An account status and the first day it held.
#[derive(Debug, Object)]
pub(crate) struct AccountStatusFrom {
    /// First day, in the tenant's time zone.
    pub from: NaiveDate,
    /// The status. Fees are charged for days in status `active` or `suspended`.
    pub status: String,
}

/// The schedule of a bill cycle.
#[derive(Debug, Object)]
#[oai(rename_all = "camelCase")]
pub(crate) struct BillingSchedule {
    /// Unit of the billing period: `day`, `week`, `month` or `year`.
    pub period: String,
    /// Length of a billing period, in units.
    pub length: u32,
    /// Billing day. Means nothing for `day`.
    pub billing_day: u32,
    /// Billing month. Means nothing except for `year`.
    pub billing_month: u32,
}

/// A bill cycle and the first day it held.
#[derive(Debug, Object)]
#[oai(rename_all = "camelCase")]
pub(crate) struct BillCycleFrom {
    /// First day, in the tenant's time zone. The earliest cycle also counts for the days before.
    pub from: NaiveDate,
    /// Id of the bill cycle.
    pub bill_cycle_id: Uuid,
    /// Its schedule, with the account's own billing day.
    pub schedule: BillingSchedule,
}
