//! Retention: for how long the history is kept. An installation has limits, and a tenant may choose to keep less within them.

use std::fmt;

use billwire_schemas::{clock::Timestamp, ids::RetentionSettingsId, refusal::Code};
use serde::{Deserialize, Serialize};

use crate::{
    change::{Change, Entity, settings_members},
    rejected::{Rejected, Violation},
};

/// For how long each part of the history is kept; absent: for ever, or as the installation says.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Retention {
    /// Events, in days.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub events_days: Option<u32>,
    /// Business transactions, in days; at least as long as their events.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub business_transactions_days: Option<u32>,
    /// Finished deliveries, in days.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub deliveries_days: Option<u32>,
    /// Failed attempts, in days.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub attempts_days: Option<u32>,
    /// The texts of receivers' and mail servers' answers, in days.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub answers_days: Option<u32>,
    /// Replies to idempotency keys, in hours.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub idempotency_hours: Option<u32>,
}

impl Retention {
    /// Each member with its name.
    fn members(&self) -> [(&'static str, Option<u32>); 6] {
        [
            ("eventsDays", self.events_days),
            ("businessTransactionsDays", self.business_transactions_days),
            ("deliveriesDays", self.deliveries_days),
            ("attemptsDays", self.attempts_days),
            ("answersDays", self.answers_days),
            ("idempotencyHours", self.idempotency_hours),
        ]
    }
}

/// What an installation allows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RetentionLimits {
    /// The longest retention, which applies where a tenant chose none.
    pub longest: Retention,
    /// For how many days the stream keeps messages. Events and deliveries are kept longer, so that SQL knows what the stream holds.
    pub stream_days: u32,
    /// Entries of the audit, in days; absent: for ever. No tenant shortens it, so that nobody removes what tells of them.
    pub audit_days: Option<u32>,
}

/// The shortest retention of replies to idempotency keys that a tenant may choose, in hours.
const IDEMPOTENCY_MIN: u32 = 24;

impl Default for RetentionLimits {
    fn default() -> Self {
        let days = |days| Some(days);
        Self {
            longest: Retention {
                events_days: days(400),
                business_transactions_days: days(400),
                deliveries_days: days(90),
                attempts_days: days(30),
                answers_days: days(30),
                idempotency_hours: Some(7 * 24),
            },
            stream_days: 30,
            audit_days: days(730),
        }
    }
}

impl RetentionLimits {
    /// The shortest retention that a tenant may choose.
    pub fn shortest(&self) -> Retention {
        let beyond_stream = Some(self.stream_days.saturating_add(1));
        Retention {
            events_days: beyond_stream,
            business_transactions_days: beyond_stream,
            deliveries_days: beyond_stream,
            attempts_days: Some(1),
            answers_days: Some(1),
            idempotency_hours: self.longest.idempotency_hours.map_or(Some(IDEMPOTENCY_MIN), |longest| Some(longest.min(IDEMPOTENCY_MIN))),
        }
    }

    /// What applies to a tenant that chose `own`: the shorter of both.
    pub fn of(&self, own: &Retention) -> Retention {
        let shorter = |own: Option<u32>, longest: Option<u32>| own.into_iter().chain(longest).min();
        let longest = &self.longest;
        Retention {
            events_days: shorter(own.events_days, longest.events_days),
            business_transactions_days: shorter(own.business_transactions_days, longest.business_transactions_days),
            deliveries_days: shorter(own.deliveries_days, longest.deliveries_days),
            attempts_days: shorter(own.attempts_days, longest.attempts_days),
            answers_days: shorter(own.answers_days, longest.answers_days),
            idempotency_hours: shorter(own.idempotency_hours, longest.idempotency_hours),
        }
    }
}

/// A tenant's retention settings: what it chose, the rest as the installation says. One object per tenant.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct RetentionSettings {
    /// Object id; absent until the settings are first set.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub id: Option<RetentionSettingsId>,
    /// Object version: 0 until the settings are first set, then counted from 1.
    pub version: i64,
    /// What the tenant chose.
    #[serde(flatten)]
    pub chosen: Retention,
    /// When the settings were first set.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub created_at: Option<Timestamp>,
    /// When the settings were last set.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub updated_at: Option<Timestamp>,
}

/// `updateRetentionSettings`: the complete new settings.
#[derive(Debug, Clone)]
pub struct Update {
    /// Object id, used if the settings are set for the first time.
    pub id: RetentionSettingsId,
    /// What the tenant chooses.
    pub chosen: Retention,
}

/// A retention in words.
struct Longest(Option<u32>);

impl fmt::Display for Longest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            Some(longest) => write!(f, "at most {longest}"),
            None => f.write_str("of any length above that"),
        }
    }
}

/// Decides `updateRetentionSettings`; `settings` are the current ones.
///
/// # Errors
/// `retention_out_of_range` for each member beyond the limits.
pub fn update(
    settings: RetentionSettings,
    command: Update,
    limits: &RetentionLimits,
    now: Timestamp,
) -> Result<Change<RetentionSettings>, Rejected> {
    let (shortest, longest) = (limits.shortest().members(), limits.longest.members());
    let bounds = shortest.into_iter().zip(longest).map(|((_, shortest), (_, longest))| (shortest, longest));
    let mut broken = Vec::new();
    for ((name, asked), (shortest, longest)) in command.chosen.members().into_iter().zip(bounds) {
        let shortest = shortest.unwrap_or(1);
        if let Some(asked) = asked
            && (asked < shortest || longest.is_some_and(|longest| asked > longest))
        {
            let message = format!("{name} is {asked}; in this installation it must be at least {shortest}, and {}.", Longest(longest));
            broken.push(Violation::new(format!("/{name}"), Code::RetentionOutOfRange, message));
        }
    }
    if let Some(rejected) = Rejected::from_violations(broken) {
        return Err(rejected);
    }
    let after = RetentionSettings {
        id: Some(settings.id.unwrap_or(command.id)),
        version: settings.version + 1,
        chosen: command.chosen,
        created_at: Some(settings.created_at.unwrap_or(now)),
        updated_at: Some(now),
    };
    Ok(Change::of_settings(settings, after))
}

impl Entity for RetentionSettings {
    const TYPE: &'static str = "retentionSettings";
    const EVENT_OBJECT: Option<&'static str> = None;

    settings_members!();
}

#[cfg(test)]
mod tests {
    use billwire_schemas::ids::fresh;

    use super::*;

    fn asked(chosen: Retention, limits: &RetentionLimits) -> Result<Change<RetentionSettings>, Rejected> {
        update(RetentionSettings::default(), Update { id: RetentionSettingsId(fresh()), chosen }, limits, Timestamp::UNIX_EPOCH)
    }

    #[test]
    fn a_tenant_chooses_within_the_limits_of_the_installation() {
        let limits = RetentionLimits::default();
        let chosen = Retention { events_days: Some(31), attempts_days: Some(30), ..Retention::default() };
        assert_eq!(asked(chosen, &limits).expect("allowed").after.chosen, chosen);
        let beyond = Retention { events_days: Some(30), deliveries_days: Some(91), idempotency_hours: Some(23), ..Retention::default() };
        let refused = asked(beyond, &limits).expect_err("refused");
        let pointers: Vec<&str> = refused.violations.iter().map(|one| one.pointer.as_ref()).collect();
        assert_eq!(pointers, ["/eventsDays", "/deliveriesDays", "/idempotencyHours"]);
        assert!(refused.violations.iter().all(|one| one.code == Code::RetentionOutOfRange));
        let for_ever = RetentionLimits { longest: Retention::default(), stream_days: 7, audit_days: None };
        assert!(asked(Retention { events_days: Some(8), ..Retention::default() }, &for_ever).is_ok());
    }

    #[test]
    fn the_shorter_one_applies() {
        let limits = RetentionLimits::default();
        assert_eq!(limits.of(&Retention::default()), limits.longest);
        // The installation has lowered its limit since.
        let own = Retention { events_days: Some(700), deliveries_days: Some(40), ..Retention::default() };
        let applies = limits.of(&own);
        assert_eq!((applies.events_days, applies.deliveries_days), (Some(400), Some(40)));
        let for_ever = RetentionLimits { longest: Retention::default(), ..limits };
        assert_eq!(for_ever.of(&own).events_days, Some(700));
        assert_eq!(for_ever.of(&own).attempts_days, None);
    }
}
