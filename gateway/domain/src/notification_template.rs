//! Notification templates: what an e-mail says.

use std::collections::BTreeSet;

use billwire_schemas::{
    clock::Timestamp,
    ids::{NotificationTemplateId, OrderingKey},
    template,
};
use serde::{Deserialize, Serialize};

use crate::{
    catalogue::Catalogue,
    change::{Change, Entity},
    rejected::{Rejected, Violation},
};

/// A notification template.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct NotificationTemplate {
    /// Its id.
    pub id: NotificationTemplateId,
    /// Its version, from 1.
    pub version: i64,
    /// Its name, unique in the tenant.
    pub name: String,
    /// The event types it is written for; its parameters are checked against each of them.
    pub event_types: Vec<String>,
    /// The subject line.
    pub subject: String,
    /// The plain text part.
    pub text: String,
    /// The HTML part.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub html: Option<String>,
    /// When it was made.
    pub created_at: Timestamp,
}

impl NotificationTemplate {
    /// Whether it is content with what its event types offer according to `catalogue`.
    pub fn suits(&self, catalogue: &Catalogue) -> bool {
        faults(&self.parts(), &self.event_types, catalogue).is_empty()
    }

    /// The parts as the template engine takes them.
    pub fn parts(&self) -> template::Template {
        template::Template { subject: self.subject.clone(), text: self.text.clone(), html: self.html.clone() }
    }
}

/// `createNotificationTemplate`.
#[derive(Debug, Clone)]
pub struct Create {
    /// The new template's id.
    pub id: NotificationTemplateId,
    /// See [`NotificationTemplate::name`].
    pub name: String,
    /// See [`NotificationTemplate::event_types`]; empty: every type of the catalogue.
    pub event_types: Vec<String>,
    /// See [`NotificationTemplate::subject`].
    pub subject: String,
    /// See [`NotificationTemplate::text`].
    pub text: String,
    /// See [`NotificationTemplate::html`].
    pub html: Option<String>,
}

/// Decides `createNotificationTemplate`: every part must parse, and name only parameters that *each* of its event types
/// offers (with none named: that at least the core group offers).
///
/// # Errors
/// `event_type_unknown`, `template_syntax`, `template_unknown_parameter`, `template_forbidden`.
pub fn create(command: Create, catalogue: &Catalogue, now: Timestamp) -> Result<Change<NotificationTemplate>, Rejected> {
    let mut broken = catalogue.unknown_types(&command.event_types);
    let parts = template::Template { subject: command.subject.clone(), text: command.text.clone(), html: command.html.clone() };
    broken.extend(faults(&parts, &command.event_types, catalogue));
    if let Some(rejected) = Rejected::from_violations(broken) {
        return Err(rejected);
    }
    Ok(Change::created(NotificationTemplate {
        id: command.id,
        version: 1,
        name: command.name,
        event_types: command.event_types,
        subject: command.subject,
        text: command.text,
        html: command.html,
        created_at: now,
    }))
}

/// What is wrong with a template's parts, given what the events they are written for offer.
fn faults(parts: &template::Template, event_types: &[String], catalogue: &Catalogue) -> Vec<Violation> {
    let mut broken = Vec::new();
    for offered in offered_sets(catalogue, event_types) {
        let offered: Vec<&str> = offered.iter().map(String::as_str).collect();
        for fault in template::check(parts, &offered).err().unwrap_or_default() {
            let line = fault.line.map_or_else(String::new, |line| format!(" (line {line})"));
            let violation = Violation::new(format!("/{}", fault.part), fault.code, format!("{}{line}", fault.message));
            if !broken.contains(&violation) {
                broken.push(violation);
            }
        }
    }
    broken
}

/// What each of `event_types` offers; for none, what any event type might: a subscription checks again.
fn offered_sets(catalogue: &Catalogue, event_types: &[String]) -> Vec<Vec<String>> {
    if event_types.is_empty() {
        let all: BTreeSet<String> = catalogue.all().flat_map(|event| catalogue.offers(event)).map(|offer| offer.name).collect();
        return vec![all.into_iter().collect()];
    }
    event_types.iter().filter_map(|name| catalogue.offered(name)).collect()
}

impl Entity for NotificationTemplate {
    const TYPE: &'static str = "notificationTemplate";
    const EVENT_OBJECT: Option<&'static str> = None;

    fn id(&self) -> uuid::Uuid {
        self.id.0
    }
    fn ordering_key(&self) -> OrderingKey {
        OrderingKey::CONFIGURATION
    }
    fn version(&self) -> i64 {
        self.version
    }
    fn created_at(&self) -> Timestamp {
        self.created_at
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use billwire_schemas::ids::fresh;

    fn command(event_types: &[&str], text: &str) -> Create {
        Create {
            id: NotificationTemplateId(fresh()),
            name: "t".into(),
            event_types: event_types.iter().map(|s| (*s).to_owned()).collect(),
            subject: "News".into(),
            text: text.into(),
            html: None,
        }
    }

    #[test]
    fn a_parameter_that_one_of_the_event_types_does_not_offer_is_refused() {
        let both = &["account.created", "bill_cycle.created"];
        let refused = create(command(both, "Dear {{ account.name }}"), &Catalogue::default(), Timestamp::UNIX_EPOCH).unwrap_err();
        assert_eq!((refused.code, refused.violations[0].pointer.as_ref()), ("template_unknown_parameter", "/text"));
        assert!(create(command(&["account.created"], "Dear {{ account.name }}"), &Catalogue::default(), Timestamp::UNIX_EPOCH).is_ok());
    }
}
