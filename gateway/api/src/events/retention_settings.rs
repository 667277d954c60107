//! Retention settings.

use billwire_app::{
    UpdateRetentionSettings,
    domain::events::retention::{Retention, RetentionLimits, RetentionSettings as Settings, Update},
};
use billwire_schemas::ids::{RetentionSettingsId, fresh};
use billwire_schemas::refusal::Code;
use poem_openapi::{Object, OpenApi, Tags, types::Example};
use uuid::Uuid;

use crate::{
    http::{
        problem::Problem,
        request_context::Context,
        responses::{Done, Found, IfNoneMatch},
        validated_body::{Validate, Validated},
    },
    openapi::operation::{Operation, change, get, updated},
    types::example::{example_id, example_moment},
    types::scalars::{Moment, RetentionLength},
};

#[derive(Tags)]
pub(crate) enum Tag {
    /// For how long the tenant's history is kept.
    #[oai(rename = "Retention settings")]
    RetentionSettings,
}

pub(crate) struct RetentionSettings;

/// Registry entries of the operations below.
pub(crate) const OPERATIONS: &[Operation] = &[
    get("getRetentionSettings", "retention_settings:read", &[]),
    change(
        "updateRetentionSettings",
        "retention_settings:write",
        &[Code::RetentionOutOfRange],
        updated("retentionSettings", "RetentionSettings", &[]),
    ),
];

/// The complete retention settings. Absent members are kept for as long as the installation keeps them.
#[derive(Debug, Object)]
#[oai(rename_all = "camelCase", skip_serializing_if_is_none, example)]
pub(crate) struct RetentionSettingsUpdate {
    /// Days for which events are kept, and can be replayed.
    events_days: Option<RetentionLength>,
    /// Days for which business transactions are kept; at least as long as their events.
    business_transactions_days: Option<RetentionLength>,
    /// Days for which deliveries are kept once they are finished.
    deliveries_days: Option<RetentionLength>,
    /// Days for which failed attempts are kept.
    attempts_days: Option<RetentionLength>,
    /// Days for which the texts of receivers' and mail servers' answers are kept.
    answers_days: Option<RetentionLength>,
    /// Hours for which replies to idempotency keys are kept.
    idempotency_hours: Option<RetentionLength>,
}

impl Validate for RetentionSettingsUpdate {}

impl Example for RetentionSettingsUpdate {
    fn example() -> Self {
        Self {
            events_days: Some(RetentionLength(100)),
            business_transactions_days: None,
            deliveries_days: Some(RetentionLength(60)),
            attempts_days: Some(RetentionLength(14)),
            answers_days: Some(RetentionLength(7)),
            idempotency_hours: None,
        }
    }
}

/// The limits of the installation. An absent member is kept for ever.
#[derive(Debug, Object)]
#[oai(rename_all = "camelCase", skip_serializing_if_is_none)]
pub(crate) struct RetentionLengths {
    /// Days for which events are kept.
    events_days: Option<u32>,
    /// Days for which business transactions are kept.
    business_transactions_days: Option<u32>,
    /// Days for which finished deliveries are kept.
    deliveries_days: Option<u32>,
    /// Days for which failed attempts are kept.
    attempts_days: Option<u32>,
    /// Days for which the texts of answers are kept.
    answers_days: Option<u32>,
    /// Hours for which replies to idempotency keys are kept.
    idempotency_hours: Option<u32>,
}

impl From<Retention> for RetentionLengths {
    fn from(of: Retention) -> Self {
        Self {
            events_days: of.events_days,
            business_transactions_days: of.business_transactions_days,
            deliveries_days: of.deliveries_days,
            attempts_days: of.attempts_days,
            answers_days: of.answers_days,
            idempotency_hours: of.idempotency_hours,
        }
    }
}

/// For how long the tenant's history is kept. An absent member is kept for as long as the installation keeps it.
#[derive(Debug, Object)]
#[oai(rename = "RetentionSettings", rename_all = "camelCase", skip_serializing_if_is_none, example)]
pub(crate) struct ShownRetentionSettings {
    /// Unique id; absent until the settings are first set.
    id: Option<Uuid>,
    /// Version: 0 until the settings are first set, starting at 1 once set.
    version: i64,
    /// Days for which events are kept, and can be replayed.
    events_days: Option<u32>,
    /// Days for which business transactions are kept; at least as long as their events.
    business_transactions_days: Option<u32>,
    /// Days for which deliveries are kept once they are finished.
    deliveries_days: Option<u32>,
    /// Days for which failed attempts are kept.
    attempts_days: Option<u32>,
    /// Days for which the texts of receivers' and mail servers' answers are kept.
    answers_days: Option<u32>,
    /// Hours for which replies to idempotency keys are kept.
    idempotency_hours: Option<u32>,
    /// The shortest retention that the tenant may choose. Present only when the settings are requested.
    shortest: Option<RetentionLengths>,
    /// The longest retention, which applies where the tenant chose none. Present only when the settings are requested.
    longest: Option<RetentionLengths>,
    /// Time at which the settings were first set.
    created_at: Option<Moment>,
    /// Time at which the settings were last set.
    updated_at: Option<Moment>,
}

impl ShownRetentionSettings {
    fn of(settings: Settings, limits: &RetentionLimits) -> Self {
        let chosen = settings.chosen;
        Self {
            id: settings.id.map(|id| id.0),
            version: settings.version,
            events_days: chosen.events_days,
            business_transactions_days: chosen.business_transactions_days,
            deliveries_days: chosen.deliveries_days,
            attempts_days: chosen.attempts_days,
            answers_days: chosen.answers_days,
            idempotency_hours: chosen.idempotency_hours,
            shortest: Some(limits.shortest().into()),
            longest: Some(limits.longest.into()),
            created_at: settings.created_at.map(Into::into),
            updated_at: settings.updated_at.map(Into::into),
        }
    }
}

impl Example for ShownRetentionSettings {
    fn example() -> Self {
        let chosen = Retention { events_days: Some(100), deliveries_days: Some(60), ..Retention::default() };
        let set = Some(example_moment());
        Self {
            id: Some(example_id(15)),
            version: 1,
            created_at: set,
            updated_at: set,
            ..Self::of(Settings { chosen, ..Settings::default() }, &RetentionLimits::default())
        }
    }
}

impl From<RetentionSettingsUpdate> for Retention {
    fn from(of: RetentionSettingsUpdate) -> Self {
        let length = |length: Option<RetentionLength>| length.map(|length| length.0);
        Self {
            events_days: length(of.events_days),
            business_transactions_days: length(of.business_transactions_days),
            deliveries_days: length(of.deliveries_days),
            attempts_days: length(of.attempts_days),
            answers_days: length(of.answers_days),
            idempotency_hours: length(of.idempotency_hours),
        }
    }
}

#[OpenApi(prefix_path = "/v1", tag = "Tag::RetentionSettings")]
impl RetentionSettings {
    /// Get the retention settings
    ///
    /// With the shortest and the longest retention that the installation allows.
    #[oai(path = "/retention-settings", method = "get", operation_id = "getRetentionSettings")]
    async fn get(&self, context: Context, known: IfNoneMatch) -> Result<Found<ShownRetentionSettings>, Problem> {
        let settings = context.app().retention_settings(context.tenant()).await?;
        let version = settings.version;
        Ok(Found::shown(&ShownRetentionSettings::of(settings, &context.app().retention_limits()), version, &known))
    }

    /// Set the retention settings
    ///
    /// Replaces all settings; absent members are kept for as long as the installation keeps them. A retention can be shortened and prolonged
    /// within the installation's limits; what is already deleted does not come back. What is still owed is kept longer: events that are not
    /// delivered, waiting deliveries, dead letters.
    #[oai(path = "/retention-settings", method = "put", operation_id = "updateRetentionSettings")]
    async fn update(&self, context: Context, input: Validated<RetentionSettingsUpdate>) -> Result<Done, Problem> {
        let command = Update { id: RetentionSettingsId(fresh()), chosen: input.body.into() };
        let use_case = UpdateRetentionSettings { command, limits: context.app().retention_limits(), if_match: context.if_match() };
        Ok(Done(context.execute(input.canonical.as_deref(), use_case).await?))
    }
}
