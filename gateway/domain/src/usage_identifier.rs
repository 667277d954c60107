//! Usage identifiers: what usage is reported under, such as a SIM or a number.
//!
//! One that has seen no usage for the days it was given is dormant; the clock tells so once, until usage comes again.

use billwire_schemas::{
    clock::Timestamp,
    events::envelope::Parameters,
    ids::{AccountId, ServiceId, UsageIdentifierId},
};
use chrono::{Days, NaiveDate, NaiveTime, SecondsFormat};
use serde::{Deserialize, Serialize};

use crate::{
    account::{Account, unless_deactivated},
    change::{Change, Entity},
    rejected::Rejected,
    service::Service,
};

/// A usage identifier.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct UsageIdentifier {
    /// Its id.
    pub id: UsageIdentifierId,
    /// Its version, from 1.
    pub version: i64,
    /// Its id in the outside system.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub external_id: Option<String>,
    /// Whose it is.
    pub account_id: AccountId,
    /// Which service its usage is for.
    pub service_id: ServiceId,
    /// What kind it is, such as `iccid` or `msisdn`; free text.
    pub kind: String,
    /// The identifier itself; unique within its kind.
    pub value: String,
    /// After how many days without usage it is dormant; absent: never.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub dormant_after_days: Option<u32>,
    /// The latest date of usage, UTC. A date, not a moment: it changes at most once a day.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub last_usage_on: Option<NaiveDate>,
    /// Since when it is dormant.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub dormant_since: Option<Timestamp>,
    /// When it was made.
    pub created_at: Timestamp,
    /// When it last changed.
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

/// Decides `createUsageIdentifier`; `taken` tells whether its kind has this value already.
///
/// # Errors
/// `account_deactivated`, `usage_identifier_taken`.
pub fn create(
    command: Create,
    service: &Service,
    account: &Account,
    taken: bool,
    now: Timestamp,
) -> Result<Change<UsageIdentifier>, Rejected> {
    unless_deactivated(account)?;
    if taken {
        let message = format!("There is another usage identifier of kind '{}' with the value '{}'.", command.kind, command.value);
        return Err(Rejected::conflict("usage_identifier_taken", message));
    }
    Ok(Change::created(UsageIdentifier {
        id: command.id,
        version: 1,
        external_id: command.external_id,
        account_id: service.account_id,
        service_id: service.id,
        kind: command.kind,
        value: command.value,
        dormant_after_days: command.dormant_after_days,
        last_usage_on: None,
        dormant_since: None,
        created_at: now,
        updated_at: now,
    }))
}

/// Decides `updateUsageIdentifier`: another number of days. One that is dormant starts anew, since the days it was told of do
/// not hold any more.
///
/// # Errors
/// `account_deactivated`.
pub fn update(
    identifier: UsageIdentifier,
    account: &Account,
    dormant_after_days: Option<u32>,
    now: Timestamp,
) -> Result<Change<UsageIdentifier>, Rejected> {
    unless_deactivated(account)?;
    let mut after = touched(&identifier, now);
    if dormant_after_days.is_some() {
        after.dormant_after_days = dormant_after_days;
        after.dormant_since = None;
    }
    Ok(Change::updated(identifier, after, Vec::<&'static str>::new()))
}

/// Decides `deleteUsageIdentifier`.
///
/// # Errors
/// `account_deactivated`.
pub fn delete(identifier: UsageIdentifier, account: &Account) -> Result<Change<UsageIdentifier>, Rejected> {
    unless_deactivated(account)?;
    Ok(Change::deleted(identifier))
}

/// What usage on a date changes: `None` when that date or a later one is noted already and nothing has to wake up.
pub fn used(identifier: UsageIdentifier, on: NaiveDate, now: Timestamp) -> Option<Change<UsageIdentifier>> {
    let later = identifier.last_usage_on.is_none_or(|last| on > last);
    let wakes = identifier.dormant_since.is_some_and(|since| on >= since.date_naive());
    if !later && !wakes {
        return None;
    }
    let mut after = touched(&identifier, now);
    after.last_usage_on = identifier.last_usage_on.max(Some(on));
    if wakes {
        after.dormant_since = None;
    }
    Some(Change::updated(identifier, after, Vec::<&'static str>::new()))
}

/// What the clock does with it: `None` when it is not due, so that a second clock or a restart changes nothing.
pub fn due(identifier: UsageIdentifier, now: Timestamp) -> Option<Change<UsageIdentifier>> {
    if identifier.due_at().is_none_or(|at| at > now) {
        return None;
    }
    let mut after = touched(&identifier, now);
    after.dormant_since = Some(now);
    Some(Change::updated(identifier, after, vec!["usage_identifier.dormant"]))
}

fn touched(identifier: &UsageIdentifier, now: Timestamp) -> UsageIdentifier {
    UsageIdentifier { version: identifier.version + 1, updated_at: now, ..identifier.clone() }
}

impl Entity for UsageIdentifier {
    const TYPE: &'static str = "usageIdentifier";
    const EVENT_OBJECT: Option<&'static str> = Some("usage_identifier");

    fn id(&self) -> uuid::Uuid {
        self.id.0
    }
    fn version(&self) -> i64 {
        self.version
    }
    fn external_id(&self) -> Option<&str> {
        self.external_id.as_deref()
    }
    fn created_at(&self) -> Timestamp {
        self.created_at
    }
    /// The start of the day (UTC) after the last of the days without usage.
    fn due_at(&self) -> Option<Timestamp> {
        if self.dormant_since.is_some() {
            return None;
        }
        let last = self.created_at.date_naive().max(self.last_usage_on.unwrap_or(NaiveDate::MIN));
        let due = last.checked_add_days(Days::new(u64::from(self.dormant_after_days?) + 1))?;
        Some(due.and_time(NaiveTime::MIN).and_utc())
    }
    fn account(&self) -> Option<AccountId> {
        Some(self.account_id)
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
mod tests {
    use billwire_schemas::ids::fresh;
    use chrono::TimeDelta;

    use super::*;

    fn moment(text: &str) -> Timestamp {
        text.parse().expect("a moment")
    }

    fn identifier(days: Option<u32>) -> UsageIdentifier {
        UsageIdentifier {
            id: UsageIdentifierId(fresh()),
            version: 1,
            external_id: None,
            account_id: AccountId(fresh()),
            service_id: ServiceId(fresh()),
            kind: "iccid".into(),
            value: "8949".into(),
            dormant_after_days: days,
            last_usage_on: None,
            dormant_since: None,
            created_at: moment("2027-01-01T15:00:00Z"),
            updated_at: moment("2027-01-01T15:00:00Z"),
        }
    }

    #[test]
    fn it_is_dormant_once_after_its_days_without_usage_and_again_after_new_usage() {
        let fresh = identifier(Some(3));
        let at = moment("2027-01-05T00:00:00Z");
        assert_eq!(fresh.due_at(), Some(at));
        assert_eq!(due(fresh.clone(), at - TimeDelta::microseconds(1)), None);
        let dormant = due(fresh, at).expect("dormant");
        assert_eq!(dormant.lifecycle, ["usage_identifier.dormant"]);
        assert_eq!(due(dormant.after.clone(), at + TimeDelta::days(9)), None, "told once");
        let used = used(dormant.after, at.date_naive(), at).expect("used").after;
        assert_eq!((used.dormant_since, used.due_at()), (None, Some(moment("2027-01-09T00:00:00Z"))));
        assert!(due(used, moment("2027-01-09T00:00:00Z")).is_some(), "told again");
        assert_eq!(identifier(None).due_at(), None);
    }

    #[test]
    fn usage_is_noted_at_most_once_a_day_and_late_usage_wakes_nobody() {
        let now = moment("2027-01-04T10:00:00Z");
        let date = |day| NaiveDate::from_ymd_opt(2027, 1, day).expect("a date");
        let noted = used(identifier(Some(3)), date(4), now).expect("noted").after;
        assert_eq!(used(noted.clone(), date(4), now), None);
        assert_eq!(used(noted.clone(), date(3), now), None);
        let dormant = due(noted, moment("2027-01-10T00:00:00Z")).expect("dormant").after;
        assert_eq!(used(dormant.clone(), date(4), now), None, "usage from before is no sign of life");
        let woken = used(dormant, date(11), now).expect("woken").after;
        assert_eq!((woken.dormant_since, woken.last_usage_on), (None, Some(date(11))));
    }
}
