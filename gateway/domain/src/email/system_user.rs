//! System users: members of the tenant's staff who receive notifications.

use billwire_schemas::{clock::Timestamp, ids::SystemUserId, refusal::Code, template::is_language};
use chrono_tz::Tz;
use serde::{Deserialize, Serialize};

use crate::{
    change::{Change, Entity, entity_members},
    rejected::{Rejected, Violation},
};

/// A system user.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct SystemUser {
    /// Object id.
    pub id: SystemUserId,
    /// Object version, starting at 1.
    pub version: i64,
    /// Name, unique within the tenant.
    pub name: String,
    /// E-mail address.
    pub email: String,
    /// Preferred language, as a BCP 47 tag; absent: the template's own.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub language: Option<String>,
    /// Time zone for displayed times; absent: the tenant's.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub time_zone: Option<Tz>,
    /// Whether the user receives notifications.
    pub active: bool,
    /// Creation time.
    pub created_at: Timestamp,
}

/// The settable members of a system user; absent members stay unchanged, an empty string removes a language or time zone.
#[derive(Debug, Clone, Default)]
pub struct Settings {
    /// See [`SystemUser::name`].
    pub name: Option<String>,
    /// See [`SystemUser::email`].
    pub email: Option<String>,
    /// See [`SystemUser::language`].
    pub language: Option<String>,
    /// See [`SystemUser::time_zone`], as written in the request.
    pub time_zone: Option<String>,
    /// See [`SystemUser::active`].
    pub active: Option<bool>,
}

impl Settings {
    fn apply(self, user: &mut SystemUser) -> Result<(), Rejected> {
        let mut broken = Vec::new();
        user.name = self.name.unwrap_or_else(|| user.name.clone());
        user.email = self.email.unwrap_or_else(|| user.email.clone());
        user.active = self.active.unwrap_or(user.active);
        if let Some(language) = self.language {
            if !language.is_empty() && !is_language(&language) {
                let message = format!("'{language}' is not a BCP 47 language tag, such as de or en-GB.");
                broken.push(Violation::new("/language", Code::LanguageUnknown, message));
            }
            user.language = (!language.is_empty()).then_some(language);
        }
        if let Some(zone) = self.time_zone {
            user.time_zone = if zone.is_empty() { None } else { zone.parse().ok() };
            if user.time_zone.is_none() && !zone.is_empty() {
                let message = format!("'{zone}' is not an IANA time zone, such as Europe/Berlin.");
                broken.push(Violation::new("/timeZone", Code::TimeZoneUnknown, message));
            }
        }
        Rejected::from_violations(broken).map_or(Ok(()), Err)
    }
}

/// Decides `createSystemUser`.
///
/// # Errors
/// `language_unknown`, `time_zone_unknown`.
pub fn create(id: SystemUserId, settings: Settings, now: Timestamp) -> Result<Change<SystemUser>, Rejected> {
    let (name, email) = (String::new(), String::new());
    let mut user = SystemUser { id, version: 1, name, email, language: None, time_zone: None, active: true, created_at: now };
    settings.apply(&mut user)?;
    Ok(Change::created(user))
}

/// Decides `updateSystemUser`.
///
/// # Errors
/// See [`create`].
pub fn update(user: SystemUser, settings: Settings) -> Result<Change<SystemUser>, Rejected> {
    let mut after = SystemUser { version: user.version + 1, ..user.clone() };
    settings.apply(&mut after)?;
    Ok(Change::updated(user, after, Vec::<&'static str>::new()))
}

impl Entity for SystemUser {
    const TYPE: &'static str = "systemUser";
    const EVENT_OBJECT: Option<&'static str> = None;

    entity_members!(only_version, configuration);
}

#[cfg(test)]
mod tests {
    use billwire_schemas::ids::fresh;

    use super::*;

    #[test]
    fn what_is_not_named_stays_and_what_is_unknown_is_refused() {
        let text = |text: &str| Some(text.to_owned());
        let given = Settings {
            name: text("Ann"),
            email: text("ann@example.org"),
            language: text("de-CH"),
            time_zone: text("Europe/Zurich"),
            active: None,
        };
        let made = create(SystemUserId(fresh()), given, Timestamp::UNIX_EPOCH).expect("made").after;
        assert!(made.active);
        let away =
            update(made.clone(), Settings { active: Some(false), language: text(""), ..Settings::default() }).expect("updated").after;
        assert_eq!((away.version, away.language, away.time_zone, away.active), (2, None, Some(Tz::Europe__Zurich), false));
        let wrong = Settings { language: text("??"), time_zone: text("Mars/Olympus"), ..Settings::default() };
        let refused = update(made, wrong).unwrap_err();
        let codes: Vec<_> = refused.violations.iter().map(|broken| broken.code.as_str()).collect();
        assert_eq!(codes, ["language_unknown", "time_zone_unknown"]);
    }
}
