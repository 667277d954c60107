//! Stream settings: what a tenant has on the stream besides its events. One object per tenant; defaults apply until it is first set.

use billwire_schemas::{clock::Timestamp, ids::StreamSettingsId};
use serde::{Deserialize, Serialize};

use crate::change::{Change, Entity, settings_members};

/// A tenant's stream settings.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct StreamSettings {
    /// Object id; absent until the settings are first set.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub id: Option<StreamSettingsId>,
    /// Object version: 0 until the settings are first set, then counted from 1.
    pub version: i64,
    /// Whether each business transaction that has events is on the stream as a whole too, behind its events.
    pub business_transactions: bool,
    /// When the settings were first set.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub created_at: Option<Timestamp>,
    /// When the settings were last set.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub updated_at: Option<Timestamp>,
}

/// `updateStreamSettings`: the complete new settings.
#[derive(Debug, Clone)]
pub struct Update {
    /// Object id, used if the settings are set for the first time.
    pub id: StreamSettingsId,
    /// See [`StreamSettings::business_transactions`].
    pub business_transactions: bool,
}

/// Decides `updateStreamSettings`; `settings` are the current ones.
pub fn update(settings: StreamSettings, command: &Update, now: Timestamp) -> Change<StreamSettings> {
    let after = StreamSettings {
        id: Some(settings.id.unwrap_or(command.id)),
        version: settings.version + 1,
        business_transactions: command.business_transactions,
        created_at: Some(settings.created_at.unwrap_or(now)),
        updated_at: Some(now),
    };
    Change::of_settings(settings, after)
}

impl Entity for StreamSettings {
    const TYPE: &'static str = "streamSettings";
    const EVENT_OBJECT: Option<&'static str> = None;

    settings_members!();
}

#[cfg(test)]
mod tests {
    use billwire_schemas::{events::envelope::Action, ids::fresh};

    use super::*;

    #[test]
    fn settings_are_created_then_changed_and_the_same_again_changes_nothing() {
        let set = |settings, on| {
            let command = Update { id: StreamSettingsId(fresh()), business_transactions: on };
            update(settings, &command, Timestamp::UNIX_EPOCH)
        };
        let first = set(StreamSettings::default(), true);
        assert_eq!((first.action, first.after.version, first.after.business_transactions), (Action::Created, 1, true));
        let same = set(first.after.clone(), true);
        assert_eq!((same.action, same.after.version), (Action::Unchanged, 1));
        let off = set(first.after.clone(), false);
        assert_eq!((off.action, off.after.version, off.after.id), (Action::Updated, 2, first.after.id));
    }
}
