//! Stream settings.

use billwire_app::{
    UpdateStreamSettings,
    domain::events::stream_settings::{StreamSettings as Settings, Update},
};
use billwire_schemas::ids::{StreamSettingsId, fresh};
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
    types::scalars::Moment,
};

#[derive(Tags)]
pub(crate) enum Tag {
    /// What the tenant has on the stream besides its events.
    #[oai(rename = "Stream settings")]
    StreamSettings,
}

pub(crate) struct StreamSettings;

/// Registry entries of the operations below.
pub(crate) const OPERATIONS: &[Operation] = &[
    get("getStreamSettings", "stream_settings:read", &[]),
    change("updateStreamSettings", "stream_settings:write", &[], updated("streamSettings", "StreamSettings", &[])),
];

/// The complete stream settings.
#[derive(Debug, Object)]
#[oai(rename_all = "camelCase", skip_serializing_if_is_none, example)]
pub(crate) struct StreamSettingsUpdate {
    /// Whether each business transaction that has events is published as a whole too, behind its events.
    business_transactions: bool,
}

impl Validate for StreamSettingsUpdate {}

impl Example for StreamSettingsUpdate {
    fn example() -> Self {
        Self { business_transactions: true }
    }
}

/// What the tenant has on the stream besides its events.
#[derive(Debug, Object)]
#[oai(rename = "StreamSettings", rename_all = "camelCase", skip_serializing_if_is_none, example)]
pub(crate) struct ShownStreamSettings {
    /// Unique id; absent until the settings are first set.
    id: Option<Uuid>,
    /// Version: 0 until the settings are first set, starting at 1 once set.
    version: i64,
    /// Whether each business transaction that has events is published as a whole too, behind its events.
    business_transactions: bool,
    /// Time at which the settings were first set.
    created_at: Option<Moment>,
    /// Time at which the settings were last set.
    updated_at: Option<Moment>,
}

impl From<Settings> for ShownStreamSettings {
    fn from(settings: Settings) -> Self {
        Self {
            id: settings.id.map(|id| id.0),
            version: settings.version,
            business_transactions: settings.business_transactions,
            created_at: settings.created_at.map(Into::into),
            updated_at: settings.updated_at.map(Into::into),
        }
    }
}

impl Example for ShownStreamSettings {
    fn example() -> Self {
        let set = Some(example_moment());
        Self { id: Some(example_id(16)), version: 1, business_transactions: true, created_at: set, updated_at: set }
    }
}

#[OpenApi(prefix_path = "/v1", tag = "Tag::StreamSettings")]
impl StreamSettings {
    /// Get the stream settings
    ///
    /// Until they are first set, only events are published.
    #[oai(path = "/stream-settings", method = "get", operation_id = "getStreamSettings")]
    async fn get(&self, context: Context, known: IfNoneMatch) -> Result<Found<ShownStreamSettings>, Problem> {
        let settings = context.app().stream_settings(context.tenant()).await?;
        let version = settings.version;
        Ok(Found::shown(&ShownStreamSettings::from(settings), version, &known))
    }

    /// Set the stream settings
    ///
    /// Replaces all settings, for what is recorded from now on. With `businessTransactions`, the last message of each business transaction that
    /// has events is the transaction as a whole, on `billing.<tenant>.business_transaction.<operation>.<slot>.<ordering key>` and of the type
    /// `business_transaction.<operation>`. Its `data.after` is what the operation returned, without secrets; where that would be larger than a
    /// message may be, it has an `href` instead of `entities` and `events`. It has a `sequence` of its ordering key. Stream subscriptions to
    /// all events get it, and those that choose `business_transaction.*`; queues and the subscriptions on them never do.
    #[oai(path = "/stream-settings", method = "put", operation_id = "updateStreamSettings")]
    async fn update(&self, context: Context, input: Validated<StreamSettingsUpdate>) -> Result<Done, Problem> {
        let command = Update { id: StreamSettingsId(fresh()), business_transactions: input.body.business_transactions };
        let use_case = UpdateStreamSettings { command, if_match: context.if_match() };
        Ok(Done(context.execute(input.canonical.as_deref(), use_case).await?))
    }
}
