//! Billing settings: what holds for all of a tenant's accounts. One object per tenant; until it is first set, the defaults hold.

mod local_time;
mod status_model;

use billwire_schemas::{clock::Timestamp, ids::BillingSettingsId, refusal::Code};
use chrono::NaiveDate;
use chrono_tz::Tz;
use serde::{Deserialize, Serialize};

use crate::{
    change::{Change, Entity},
    rejected::{Rejected, Violation},
};

pub use local_time::{TimeOfDay, local_moment};
pub use status_model::{StatusKind, StatusModel, StatusTransition};

/// The longest payment term and delivery offset, in days.
const DAYS_MAX: u32 = 365;
/// How many delivery offsets a tenant can have.
const OFFSETS_MAX: usize = 20;

/// So many days after an invoice's delivery, at this time of day in the tenant's time zone.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct DeliveryOffset {
    /// Days after the day of delivery.
    pub days: u32,
    /// The time of day.
    pub time: TimeOfDay,
}

/// A tenant's billing settings.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct BillingSettings {
    /// Their id; absent until they are first set.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub id: Option<BillingSettingsId>,
    /// Their version: 0 while the defaults hold, from 1 once they are set.
    pub version: i64,
    /// The tenant's time zone, by its IANA name.
    pub time_zone: Tz,
    /// Days from an invoice's posting to its due date, for accounts that have no term of their own.
    pub payment_term_days: u32,
    /// When `invoice.delivery_offset_reached` is published after a delivery.
    pub delivery_offsets: Vec<DeliveryOffset>,
    /// The statuses of services.
    pub service_statuses: StatusModel,
    /// The statuses of package subscriptions.
    pub package_statuses: StatusModel,
    /// When they were first set.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub created_at: Option<Timestamp>,
    /// When they were last set.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub updated_at: Option<Timestamp>,
}

impl Default for BillingSettings {
    fn default() -> Self {
        Self {
            id: None,
            version: 0,
            time_zone: Tz::UTC,
            payment_term_days: 14,
            delivery_offsets: Vec::new(),
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

    /// The date it is in the tenant's time zone at `moment`.
    pub fn date_of(&self, moment: Timestamp) -> NaiveDate {
        moment.with_timezone(&self.time_zone).date_naive()
    }
}

/// A delivery offset as it was asked for.
#[derive(Debug, Clone)]
pub struct AskedOffset {
    /// See [`DeliveryOffset::days`].
    pub days: u32,
    /// `HH:MM`.
    pub time: String,
}

/// `updateBillingSettings`: the settings as they shall be, whole.
#[derive(Debug, Clone)]
pub struct Update {
    /// Their id, if they are set for the first time.
    pub id: BillingSettingsId,
    /// An IANA name.
    pub time_zone: String,
    /// See [`BillingSettings::payment_term_days`].
    pub payment_term_days: u32,
    /// See [`BillingSettings::delivery_offsets`].
    pub delivery_offsets: Vec<AskedOffset>,
    /// See [`BillingSettings::service_statuses`].
    pub service_statuses: StatusModel,
    /// See [`BillingSettings::package_statuses`].
    pub package_statuses: StatusModel,
}

/// Decides `updateBillingSettings`; `settings` are the present ones, or the defaults.
///
/// # Errors
/// `time_zone_unknown`, `payment_term_out_of_range`, the rules of [`check_payment_term`], of delivery offsets
/// (`too_many_delivery_offsets`, `delivery_offset_out_of_range`, `time_of_day_invalid`, `delivery_offset_repeated`) and of
/// status models ([`StatusModel::violations`]).
pub fn update(settings: BillingSettings, command: Update, now: Timestamp) -> Result<Change<BillingSettings>, Rejected> {
    let mut broken = Vec::new();
    let time_zone = command.time_zone.parse::<Tz>().unwrap_or_else(|_| {
        let message = format!("'{}' is no time zone of the IANA database, such as Europe/Berlin.", command.time_zone);
        broken.push(Violation::new("/timeZone", Code::TimeZoneUnknown, message));
        Tz::UTC
    });
    broken.extend(check_payment_term(command.payment_term_days));
    let delivery_offsets = offsets(&command.delivery_offsets, &mut broken);
    broken.extend(command.service_statuses.violations("/serviceStatuses"));
    broken.extend(command.package_statuses.violations("/packageStatuses"));
    if let Some(rejected) = Rejected::from_violations(broken) {
        return Err(rejected);
    }
    let after = BillingSettings {
        id: Some(settings.id.unwrap_or(command.id)),
        version: settings.version + 1,
        time_zone,
        payment_term_days: command.payment_term_days,
        delivery_offsets,
        service_statuses: command.service_statuses,
        package_statuses: command.package_statuses,
        created_at: Some(settings.created_at.unwrap_or(now)),
        updated_at: Some(now),
    };
    Ok(if settings.id.is_none() { Change::created(after) } else { Change::updated(settings, after, Vec::<&'static str>::new()) })
}

/// What is wrong with a payment term of `days` at `/paymentTermDays`, of the settings or of an account: `payment_term_out_of_range`.
pub fn check_payment_term(days: u32) -> Option<Violation> {
    (days > DAYS_MAX).then(|| {
        let message = format!("paymentTermDays is {days}, but must lie between 0 and {DAYS_MAX}.");
        Violation::new("/paymentTermDays", Code::PaymentTermOutOfRange, message)
    })
}

fn offsets(asked: &[AskedOffset], broken: &mut Vec<Violation>) -> Vec<DeliveryOffset> {
    if asked.len() > OFFSETS_MAX {
        let message = format!("There are {} delivery offsets, but at most {OFFSETS_MAX} are allowed.", asked.len());
        broken.push(Violation::new("/deliveryOffsets", Code::TooManyDeliveryOffsets, message));
    }
    let mut offsets = Vec::with_capacity(asked.len());
    for (index, offset) in asked.iter().enumerate() {
        if offset.days > DAYS_MAX {
            let message = format!("days is {}, but must lie between 0 and {DAYS_MAX}.", offset.days);
            broken.push(Violation::new(format!("/deliveryOffsets/{index}/days"), Code::DeliveryOffsetOutOfRange, message));
        }
        let Ok(time) = offset.time.parse::<TimeOfDay>() else {
            let message = format!("'{}' is no time of day such as 09:30, from 00:00 to 23:59.", offset.time);
            broken.push(Violation::new(format!("/deliveryOffsets/{index}/time"), Code::TimeOfDayInvalid, message));
            continue;
        };
        let offset = DeliveryOffset { days: offset.days, time };
        if offsets.contains(&offset) {
            let message = format!("{} days after delivery at {time} stands in the list already.", offset.days);
            broken.push(Violation::new(format!("/deliveryOffsets/{index}"), Code::DeliveryOffsetRepeated, message));
        }
        offsets.push(offset);
    }
    offsets
}

impl Entity for BillingSettings {
    const TYPE: &'static str = "billingSettings";
    const EVENT_OBJECT: Option<&'static str> = None;

    fn set_next_version(&mut self, now: Timestamp) {
        self.version += 1;
        self.updated_at = Some(now);
    }
    fn id(&self) -> uuid::Uuid {
        self.id.map_or(uuid::Uuid::nil(), |id| id.0)
    }
    fn version(&self) -> i64 {
        self.version
    }
    fn created_at(&self) -> Timestamp {
        self.created_at.unwrap_or_default()
    }
}

#[cfg(test)]
mod tests;
