//! Usage identifiers: the identifiers under which usage is reported, such as a SIM or a phone number.
//!
//! An identifier without usage for its configured number of days becomes dormant. An event reports this once, until usage resumes.

use billwire_schemas::{
    clock::Timestamp,
    events::envelope::Parameters,
    ids::{AccountId, ServiceId, UsageIdentifierId},
    refusal::Code,
};
use chrono::{Days, NaiveDate, SecondsFormat};
use serde::{Deserialize, Serialize};

use crate::{
    change::{Change, Entity, entity_members},
    customers::{
        account::{Account, ensure_not_deactivated},
        billing_settings::{BillingSettings, TimeOfDay, local_moment},
        service::Service,
    },
    patch::Patch,
    rejected::Rejected,
};

/// A usage identifier.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct UsageIdentifier {
    /// Object id.
    pub id: UsageIdentifierId,
    /// Object version, starting at 1.
    pub version: i64,
    /// The object's id in the external system.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub external_id: Option<String>,
    /// The owning account.
    pub account_id: AccountId,
    /// The service the usage belongs to.
    pub service_id: ServiceId,
    /// Kind of identifier, such as `iccid` or `msisdn`; free text.
    pub kind: String,
    /// The identifier itself; unique within its kind.
    pub value: String,
    /// Days without usage until the identifier is dormant; absent: never. The end of its account removes it.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub dormant_after_days: Option<u32>,
    /// The latest date of usage, in the tenant's time zone. Stored as a date, so it changes at most once a day.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub last_usage_on: Option<NaiveDate>,
    /// When the identifier becomes dormant unless it is used: the start of the day after the last of the days without usage, in the tenant's
    /// time zone.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub dormant_at: Option<Timestamp>,
    /// When the identifier became dormant.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub dormant_since: Option<Timestamp>,
    /// Creation time.
    pub created_at: Timestamp,
    /// Time of the last change.
    pub updated_at: Timestamp,
}

/// `createUsageIdentifier`.
#[derive(Debug, Clone)]
pub struct Create {
    /// The new identifier's id.
    pub id: UsageIdentifierId,
    /// See [`UsageIdentifier::external_id`].
    pub external_id: Option<String>,
    /// See [`UsageIdentifier::kind`].
    pub kind: String,
    /// See [`UsageIdentifier::value`].
    pub value: String,
    /// See [`UsageIdentifier::dormant_after_days`].
    pub dormant_after_days: Option<u32>,
}

/// Decides `createUsageIdentifier`; `taken` is true if another identifier of the kind has this value.
///
/// # Errors
/// `account_deactivated`, `usage_identifier_taken`.
pub fn create(
    command: Create,
    service: &Service,
    account: &Account,
    taken: bool,
    settings: &BillingSettings,
    now: Timestamp,
) -> Result<Change<UsageIdentifier>, Rejected> {
    ensure_not_deactivated(account)?;
    if taken {
        let message = format!("A usage identifier of kind '{}' with the value '{}' already exists.", command.kind, command.value);
        return Err(Rejected::conflict(Code::UsageIdentifierTaken, message));
    }
    let created = UsageIdentifier {
        id: command.id,
        version: 1,
        external_id: command.external_id,
        account_id: service.account_id,
        service_id: service.id,
        kind: command.kind,
        value: command.value,
        dormant_after_days: command.dormant_after_days,
        last_usage_on: None,
        dormant_at: None,
        dormant_since: None,
        created_at: now,
        updated_at: now,
    };
    Ok(Change::created(created.timed(settings)))
}

/// `updateUsageIdentifier`; absent members stay unchanged.
#[derive(Debug, Clone, Default)]
pub struct Update {
    /// See [`UsageIdentifier::external_id`].
    pub external_id: Patch<String>,
    /// See [`UsageIdentifier::dormant_after_days`].
    pub dormant_after_days: Patch<u32>,
}

/// Decides `updateUsageIdentifier`. A dormant identifier wakes up if the new number has not passed yet.
/// Otherwise it stays dormant, without a second event.
///
/// # Errors
/// `account_deactivated`.
pub fn update(
    identifier: UsageIdentifier,
    account: &Account,
    command: Update,
    settings: &BillingSettings,
    now: Timestamp,
) -> Result<Change<UsageIdentifier>, Rejected> {
    ensure_not_deactivated(account)?;
    let mut after = identifier.next_version(now);
    after.external_id = command.external_id.apply(after.external_id);
    after.dormant_after_days = command.dormant_after_days.apply(after.dormant_after_days);
    if after.dormant_after_days != identifier.dormant_after_days {
        after.dormant_since = None;
        after = after.timed(settings);
        if after.due_at().is_some_and(|at| at <= now) {
            (after.dormant_since, after.dormant_at) = (identifier.dormant_since, identifier.dormant_at);
        }
    }
    Ok(Change::updated(identifier, after, Vec::<&'static str>::new()))
}

/// Decides `deleteUsageIdentifier`.
///
/// # Errors
/// `account_deactivated`.
pub fn delete(identifier: UsageIdentifier, account: &Account) -> Result<Change<UsageIdentifier>, Rejected> {
    ensure_not_deactivated(account)?;
    Ok(Change::deleted(identifier))
}

/// Applies usage at a moment. `None` if this or a later date is already recorded and the identifier need not wake up. Late usage of a
/// deactivated account starts no new days without usage.
pub fn used(
    identifier: UsageIdentifier,
    account: &Account,
    at: Timestamp,
    settings: &BillingSettings,
    now: Timestamp,
) -> Option<Change<UsageIdentifier>> {
    let on = settings.date_of(at);
    let later = identifier.last_usage_on.is_none_or(|last| on > last);
    let wakes = identifier.dormant_since.is_some_and(|since| on >= settings.date_of(since));
    if !later && !wakes {
        return None;
    }
    let mut after = identifier.next_version(now);
    after.last_usage_on = identifier.last_usage_on.max(Some(on));
    if wakes {
        after.dormant_since = None;
    }
    let after = if account.ended_at().is_some() { after.untimed() } else { after.timed(settings) };
    Some(Change::updated(identifier, after, Vec::<&'static str>::new()))
}

/// Ends an identifier with its account: it no longer becomes dormant. `None` if it would not.
pub fn end_with_account(identifier: UsageIdentifier, now: Timestamp) -> Option<Change<UsageIdentifier>> {
    identifier.due_at()?;
    let after = identifier.next_version(now).untimed();
    Some(Change::updated(identifier, after, Vec::<&'static str>::new()))
}

/// Marks an identifier without usage as dormant. `None` if it is not due, so a second clock or a restart has no effect.
pub fn due(identifier: UsageIdentifier, now: Timestamp) -> Option<Change<UsageIdentifier>> {
    if identifier.due_at().is_none_or(|at| at > now) {
        return None;
    }
    let mut after = identifier.next_version(now);
    (after.dormant_since, after.dormant_at) = (Some(now), None);
    Some(Change::updated(identifier, after, vec!["usage_identifier.dormant"]))
}

impl UsageIdentifier {
    fn dormant_in(&self, settings: &BillingSettings) -> Option<Timestamp> {
        let last = settings.date_of(self.created_at).max(self.last_usage_on.unwrap_or(NaiveDate::MIN));
        let due = last.checked_add_days(Days::new(u64::from(self.dormant_after_days?) + 1))?;
        Some(local_moment(settings.zone(), due, TimeOfDay::MIDNIGHT))
    }

    /// With the moment at which it becomes dormant, if it is not.
    fn timed(self, settings: &BillingSettings) -> Self {
        let dormant_at = if self.dormant_since.is_some() { None } else { self.dormant_in(settings) };
        Self { dormant_at, ..self }
    }

    /// As one that never becomes dormant.
    fn untimed(self) -> Self {
        Self { dormant_after_days: None, dormant_at: None, ..self }
    }
}

impl Entity for UsageIdentifier {
    const TYPE: &'static str = "usageIdentifier";
    const EVENT_OBJECT: Option<&'static str> = Some("usage_identifier");

    entity_members!(updated_at, external_id, account_id);
    /// An identifier that has not changed since a version without [`UsageIdentifier::dormant_at`] has its days in UTC.
    fn due_at(&self) -> Option<Timestamp> {
        if self.dormant_since.is_some() {
            return None;
        }
        self.dormant_at.or_else(|| self.dormant_in(&BillingSettings::default()))
    }
    fn parameters(&self) -> Parameters {
        let mut parameters = Parameters::from([
            ("usageIdentifier.id".to_owned(), self.id.to_string().into()),
            ("usageIdentifier.kind".to_owned(), self.kind.clone().into()),
            ("usageIdentifier.value".to_owned(), self.value.clone().into()),
        ]);
        let texts = [
            ("usageIdentifier.externalId", self.external_id.clone()),
            ("usageIdentifier.lastUsageOn", self.last_usage_on.map(|date| date.to_string())),
            ("usageIdentifier.dormantSince", self.dormant_since.map(|since| since.to_rfc3339_opts(SecondsFormat::AutoSi, true))),
        ];
        for (name, text) in texts {
            if let Some(text) = text {
                parameters.insert(name.to_owned(), text.into());
            }
        }
        if let Some(days) = self.dormant_after_days {
            parameters.insert("usageIdentifier.dormantAfterDays".to_owned(), days.into());
        }
        parameters
    }
}

#[cfg(test)]
mod tests;
