//! Billing settings: the settings of all accounts of a tenant. One object per tenant; defaults apply until it is first set.

mod local_time;
mod status_model;

use billwire_schemas::{clock::Timestamp, ids::BillingSettingsId, money::Currency, refusal::Code};
use chrono::NaiveDate;
use chrono_tz::Tz;
use serde::{Deserialize, Serialize};

use crate::{
    amounts::currency_of,
    change::{Change, Entity, settings_members},
    rejected::{Rejected, Violation},
};

pub use local_time::{TimeOfDay, local_moment};
pub use status_model::{StatusByDay, StatusKind, StatusModel, StatusTransition};

/// The maximum payment term and delivery offset, in days.
const DAYS_MAX: u32 = 365;
/// The maximum number of delivery offsets, and of reminders, per tenant.
const OFFSETS_MAX: usize = 20;

/// A number of days after an invoice's delivery, at a time of day in the tenant's time zone.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct DeliveryOffset {
    /// Days after the day of delivery.
    pub days: u32,
    /// The time of day.
    pub time: TimeOfDay,
}

/// A number of days before an invoice's due date, at a time of day in the tenant's time zone.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct DueReminder {
    /// Days before the due date.
    pub days: u32,
    /// The time of day.
    pub time: TimeOfDay,
}

/// A tenant's billing settings.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct BillingSettings {
    /// Object id; absent until the settings are first set.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub id: Option<BillingSettingsId>,
    /// Object version: 0 while the defaults apply, then counted from 1.
    pub version: i64,
    /// The tenant's time zone, as an IANA name.
    pub time_zone: Tz,
    /// The currency of accounts that are created without one.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub default_currency: Option<Currency>,
    /// Days from an invoice's posting to its due date, for accounts without a payment term of their own.
    pub payment_term_days: u32,
    /// When to publish `invoice.delivery_offset_reached` after a delivery.
    pub delivery_offsets: Vec<DeliveryOffset>,
    /// When to publish `invoice.due_soon` before a due date.
    #[serde(default)]
    pub due_reminders: Vec<DueReminder>,
    /// Whether new invoices are paid from what earlier payments have left, instead of by hand.
    #[serde(default = "yes")]
    pub allocate_prepayments: bool,
    /// The statuses of services.
    pub service_statuses: StatusModel,
    /// The statuses of package subscriptions.
    pub package_statuses: StatusModel,
    /// When the settings were first set.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub created_at: Option<Timestamp>,
    /// When the settings were last set.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub updated_at: Option<Timestamp>,
}

fn yes() -> bool {
    true
}

impl Default for BillingSettings {
    fn default() -> Self {
        Self {
            id: None,
            version: 0,
            time_zone: Tz::UTC,
            default_currency: None,
            payment_term_days: 14,
            delivery_offsets: Vec::new(),
            due_reminders: Vec::new(),
            allocate_prepayments: true,
            service_statuses: StatusModel::of_services(),
            package_statuses: StatusModel::of_packages(),
            created_at: None,
            updated_at: None,
        }
    }
}

impl BillingSettings {
    /// The tenant's time zone.
    pub fn zone(&self) -> Tz {
        self.time_zone
    }

    /// The date at `moment` in the tenant's time zone.
    pub fn date_of(&self, moment: Timestamp) -> NaiveDate {
        moment.with_timezone(&self.time_zone).date_naive()
    }
}

/// A delivery offset or reminder as requested.
#[derive(Debug, Clone)]
pub struct AskedOffset {
    /// See [`DeliveryOffset::days`].
    pub days: u32,
    /// `HH:MM`.
    pub time: String,
}

/// `updateBillingSettings`: the complete new settings.
#[derive(Debug, Clone)]
pub struct Update {
    /// Object id, used if the settings are set for the first time.
    pub id: BillingSettingsId,
    /// IANA time zone name.
    pub time_zone: String,
    /// See [`BillingSettings::default_currency`].
    pub default_currency: Option<String>,
    /// See [`BillingSettings::payment_term_days`].
    pub payment_term_days: u32,
    /// See [`BillingSettings::delivery_offsets`].
    pub delivery_offsets: Vec<AskedOffset>,
    /// See [`BillingSettings::due_reminders`].
    pub due_reminders: Vec<AskedOffset>,
    /// See [`BillingSettings::allocate_prepayments`].
    pub allocate_prepayments: bool,
    /// See [`BillingSettings::service_statuses`].
    pub service_statuses: StatusModel,
    /// See [`BillingSettings::package_statuses`].
    pub package_statuses: StatusModel,
}

impl Update {
    /// The defaults.
    pub fn defaults(id: BillingSettingsId) -> Self {
        let BillingSettings { time_zone, payment_term_days, allocate_prepayments, service_statuses, package_statuses, .. } =
            BillingSettings::default();
        Self {
            id,
            time_zone: time_zone.to_string(),
            default_currency: None,
            payment_term_days,
            delivery_offsets: Vec::new(),
            due_reminders: Vec::new(),
            allocate_prepayments,
            service_statuses,
            package_statuses,
        }
    }
}

/// Decides `updateBillingSettings`; `settings` are the current ones or the defaults.
///
/// # Errors
/// `time_zone_unknown`, `currency_unknown`, `payment_term_out_of_range`, the rules of delivery offsets (`too_many_delivery_offsets`,
/// `delivery_offset_out_of_range`, `time_of_day_invalid`, `delivery_offset_repeated`), those of reminders (`too_many_due_reminders`,
/// `due_reminder_out_of_range`, `time_of_day_invalid`, `due_reminder_repeated`) and of status models ([`StatusModel::violations`]).
pub fn update(settings: BillingSettings, command: Update, now: Timestamp) -> Result<Change<BillingSettings>, Rejected> {
    let mut broken = Vec::new();
    let time_zone = command.time_zone.parse::<Tz>().unwrap_or_else(|_| {
        let message = format!("'{}' is not an IANA time zone, such as Europe/Berlin.", command.time_zone);
        broken.push(Violation::new("/timeZone", Code::TimeZoneUnknown, message));
        Tz::UTC
    });
    let default_currency = command.default_currency.map(|code| currency_of("/defaultCurrency", &code).map_err(|wrong| broken.push(wrong)));
    broken.extend(check_payment_term(command.payment_term_days));
    let delivery_offsets = times(&command.delivery_offsets, &DELIVERY_OFFSETS, &mut broken);
    let delivery_offsets = delivery_offsets.into_iter().map(|(days, time)| DeliveryOffset { days, time }).collect();
    let due_reminders = times(&command.due_reminders, &DUE_REMINDERS, &mut broken);
    let due_reminders = due_reminders.into_iter().map(|(days, time)| DueReminder { days, time }).collect();
    broken.extend(command.service_statuses.violations("/serviceStatuses"));
    broken.extend(command.package_statuses.violations("/packageStatuses"));
    if let Some(rejected) = Rejected::from_violations(broken) {
        return Err(rejected);
    }
    let after = BillingSettings {
        id: Some(settings.id.unwrap_or(command.id)),
        version: settings.version + 1,
        time_zone,
        default_currency: default_currency.and_then(Result::ok),
        payment_term_days: command.payment_term_days,
        delivery_offsets,
        due_reminders,
        allocate_prepayments: command.allocate_prepayments,
        service_statuses: command.service_statuses,
        package_statuses: command.package_statuses,
        created_at: Some(settings.created_at.unwrap_or(now)),
        updated_at: Some(now),
    };
    Ok(Change::of_settings(settings, after))
}

/// Checks a payment term of the settings or of an account: `payment_term_out_of_range` at `/paymentTermDays`.
pub fn check_payment_term(days: u32) -> Option<Violation> {
    (days > DAYS_MAX).then(|| {
        let message = format!("paymentTermDays is {days}; it must be from 0 to {DAYS_MAX}.");
        Violation::new("/paymentTermDays", Code::PaymentTermOutOfRange, message)
    })
}

/// A list of days and times of day: its member, what an item is called, and its codes.
struct Times {
    member: &'static str,
    name: &'static str,
    too_many: Code,
    out_of_range: Code,
    repeated: Code,
}

const DELIVERY_OFFSETS: Times = Times {
    member: "/deliveryOffsets",
    name: "delivery offset",
    too_many: Code::TooManyDeliveryOffsets,
    out_of_range: Code::DeliveryOffsetOutOfRange,
    repeated: Code::DeliveryOffsetRepeated,
};

const DUE_REMINDERS: Times = Times {
    member: "/dueReminders",
    name: "reminder",
    too_many: Code::TooManyDueReminders,
    out_of_range: Code::DueReminderOutOfRange,
    repeated: Code::DueReminderRepeated,
};

/// Checks a list of days and times of day.
fn times(asked: &[AskedOffset], list: &Times, broken: &mut Vec<Violation>) -> Vec<(u32, TimeOfDay)> {
    let Times { member, name, .. } = list;
    if asked.len() > OFFSETS_MAX {
        let message = format!("There are {} {name}s; at most {OFFSETS_MAX} are allowed.", asked.len());
        broken.push(Violation::new(*member, list.too_many, message));
    }
    let mut times = Vec::with_capacity(asked.len());
    for (index, AskedOffset { days, time }) in asked.iter().enumerate() {
        if *days > DAYS_MAX {
            let message = format!("days is {days}; it must be from 0 to {DAYS_MAX}.");
            broken.push(Violation::new(format!("{member}/{index}/days"), list.out_of_range, message));
        }
        let Ok(time) = time.parse::<TimeOfDay>() else {
            let message = format!("'{time}' is not a time of day from 00:00 to 23:59, such as 09:30.");
            broken.push(Violation::new(format!("{member}/{index}/time"), Code::TimeOfDayInvalid, message));
            continue;
        };
        if times.contains(&(*days, time)) {
            broken.push(Violation::new(
                format!("{member}/{index}"),
                list.repeated,
                format!("The {name} of {days} days at {time} is listed twice."),
            ));
        }
        times.push((*days, time));
    }
    times
}

impl Entity for BillingSettings {
    const TYPE: &'static str = "billingSettings";
    const EVENT_OBJECT: Option<&'static str> = None;

    settings_members!();
}

#[cfg(test)]
mod tests;
