//! The moments at which people are reminded of an invoice: days after its delivery, and days before its due date.

use billwire_schemas::clock::Timestamp;
use chrono::{Days, NaiveDate};
use serde::{Deserialize, Serialize};

use crate::customers::billing_settings::{BillingSettings, local_moment};

/// A point in time a number of days after delivery.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct DeliveryOffset {
    /// Days after the delivery date in the tenant's time zone.
    pub days: u32,
    /// Time of day in the tenant's time zone, `HH:MM`.
    pub time: String,
    /// The resulting moment.
    pub at: Timestamp,
    /// When the clock published the event.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub reached_at: Option<Timestamp>,
}

/// A point in time a number of days before the due date.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct DueReminder {
    /// Days before the due date.
    pub days: u32,
    /// Time of day in the tenant's time zone, `HH:MM`.
    pub time: String,
    /// The resulting moment.
    pub at: Timestamp,
    /// When the clock published the event.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub reached_at: Option<Timestamp>,
}

/// The reminders of an invoice that is posted `now`. One whose moment has passed by then is left out.
pub(crate) fn due_reminders(settings: &BillingSettings, due_on: NaiveDate, now: Timestamp) -> Vec<DueReminder> {
    let reminders = settings.due_reminders.iter().filter_map(|reminder| {
        let at = local_moment(settings.zone(), due_on.checked_sub_days(Days::new(u64::from(reminder.days)))?, reminder.time);
        Some(DueReminder { days: reminder.days, time: reminder.time.to_string(), at, reached_at: None })
    });
    let mut reminders: Vec<DueReminder> = reminders.filter(|reminder| reminder.at > now).collect();
    reminders.sort_by_key(|reminder| reminder.at);
    reminders
}
