//! The moments at which people are reminded of an invoice: days after its delivery, and days before its due date.

use billwire_schemas::{clock::Timestamp, events::envelope::Parameters};
use chrono::{Days, NaiveDate};
use serde::{Deserialize, Serialize};

use super::Invoice;
use crate::{
    change::{Change, Entity, Lifecycle},
    customers::billing_settings::{BillingSettings, local_moment},
};

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

/// Publishes everything due by `now`, in the order it fell due; `None` if nothing is due. A second clock, a restart or a clock
/// jump publishes nothing twice.
pub fn due(invoice: Invoice, now: Timestamp) -> Option<Change<Invoice>> {
    let mut after = invoice.next_version(now);
    let mut lifecycle: Vec<Lifecycle> = Vec::new();
    while let Some(at) = after.due_at().filter(|at| *at <= now) {
        if let Some(reminder) = after.due_reminders.iter_mut().find(|reminder| reminder.reached_at.is_none() && reminder.at == at) {
            reminder.reached_at = Some(now);
            let parameters = Parameters::from([
                ("invoice.daysUntilDue".to_owned(), reminder.days.into()),
                ("invoice.reminderTime".to_owned(), reminder.time.clone().into()),
            ]);
            lifecycle.push(Lifecycle { kind: "invoice.due_soon", parameters });
            continue;
        }
        let reached = after.delivery_offsets.iter_mut().find(|offset| offset.reached_at.is_none() && offset.at == at);
        match reached {
            Some(offset) => {
                offset.reached_at = Some(now);
                let parameters = Parameters::from([
                    ("invoice.offsetDays".to_owned(), offset.days.into()),
                    ("invoice.offsetTime".to_owned(), offset.time.clone().into()),
                ]);
                lifecycle.push(Lifecycle { kind: "invoice.delivery_offset_reached", parameters });
            }
            None => {
                after.overdue_since = Some(after.overdue_at);
                lifecycle.push("invoice.overdue".into());
            }
        }
    }
    (!lifecycle.is_empty()).then(|| Change::updated(invoice, after, lifecycle))
}
