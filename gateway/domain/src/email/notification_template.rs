//! Notification templates: the contents of e-mails.

use std::collections::{BTreeMap, BTreeSet};

use billwire_schemas::{
    clock::Timestamp,
    ids::NotificationTemplateId,
    refusal::Code,
    template::{FAULTS_MAX, LANGUAGE_DEFAULT, Reading, Template, Translated, is_language, predefined},
};
use serde::{Deserialize, Serialize};

use crate::{
    change::{Change, Entity, entity_members},
    events::catalogue::Catalogue,
    rejected::{Rejected, Violation},
};

/// A notification template.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct NotificationTemplate {
    /// Object id.
    pub id: NotificationTemplateId,
    /// Object version, starting at 1.
    pub version: i64,
    /// Name, unique within the tenant.
    pub name: String,
    /// The event types the template is for; its parameters are checked against each of them.
    pub event_types: Vec<String>,
    /// The subject line.
    pub subject: String,
    /// The plain text part.
    pub text: String,
    /// The HTML part.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub html: Option<String>,
    /// The language of these parts, as a BCP 47 tag.
    pub language: String,
    /// Parts in other languages, by tag.
    #[serde(skip_serializing_if = "BTreeMap::is_empty", default)]
    pub translations: BTreeMap<String, Parts>,
    /// Whether the template is part of the product and cannot be changed.
    #[serde(default)]
    pub predefined: bool,
    /// Creation time.
    pub created_at: Timestamp,
}

/// Subject, text and HTML in one language.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Parts {
    /// The subject line.
    pub subject: String,
    /// The plain text part.
    pub text: String,
    /// The HTML part.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub html: Option<String>,
}

impl Parts {
    fn template(&self) -> Template {
        Template { subject: self.subject.clone(), text: self.text.clone(), html: self.html.clone() }
    }
}

/// Maximum number of translations per template.
pub const TRANSLATIONS_MAX: usize = 50;

impl NotificationTemplate {
    /// Whether `catalogue` offers all parameters that the template uses.
    pub fn suits(&self, catalogue: &Catalogue) -> bool {
        self.faults(catalogue).is_empty()
    }

    /// The parts in the template's own language, for the template engine.
    pub fn parts(&self) -> Template {
        Template { subject: self.subject.clone(), text: self.text.clone(), html: self.html.clone() }
    }

    /// All languages, for the template engine.
    pub fn translated(&self) -> Translated {
        let translations = self.translations.iter().map(|(tag, parts)| (tag.clone(), parts.template())).collect();
        Translated { language: self.language.clone(), parts: self.parts(), translations }
    }

    /// The parts of every language, each with its JSON pointer in the request.
    pub fn all_parts(&self) -> impl Iterator<Item = (String, Template)> + '_ {
        let others = self.translations.iter().map(|(tag, parts)| (format!("/translations/{tag}"), parts.template()));
        std::iter::once((String::new(), self.parts())).chain(others)
    }

    /// All violations of the template, given the parameters of its event types.
    fn faults(&self, catalogue: &Catalogue) -> Vec<Violation> {
        let mut broken = Vec::new();
        for (tag, pointer) in std::iter::once((&self.language, "/language".to_owned()))
            .chain(self.translations.keys().map(|tag| (tag, format!("/translations/{tag}"))))
        {
            if !is_language(tag) {
                broken.push(Violation::new(
                    pointer,
                    Code::LanguageUnknown,
                    format!("'{tag}' is not a BCP 47 language tag, such as de or en-GB."),
                ));
            }
        }
        if self.translations.len() > TRANSLATIONS_MAX {
            let message = format!("At most {TRANSLATIONS_MAX} translations are allowed.");
            broken.push(Violation::new("/translations", Code::TranslationsTooMany, message));
        }
        let offered = offered_sets(catalogue, &self.event_types);
        for (place, parts) in self.all_parts() {
            if broken.len() >= FAULTS_MAX {
                break;
            }
            broken.extend(faults(&place, &parts, &offered));
        }
        broken.truncate(FAULTS_MAX);
        broken
    }
}

/// The constant id of the predefined template for an event type.
fn predefined_id(event_type: &str) -> NotificationTemplateId {
    NotificationTemplateId(uuid::Uuid::new_v5(&uuid::Uuid::NAMESPACE_URL, format!("urn:billwire:template:{event_type}").as_bytes()))
}

/// The predefined templates, in the order of the built-in list.
pub fn predefined() -> impl Iterator<Item = NotificationTemplate> {
    predefined::all().iter().map(|one| NotificationTemplate {
        id: predefined_id(one.event_type),
        version: 1,
        name: one.event_type.to_owned(),
        event_types: vec![one.event_type.to_owned()],
        subject: one.template.subject.clone(),
        text: one.template.text.clone(),
        html: one.template.html.clone(),
        language: LANGUAGE_DEFAULT.to_owned(),
        translations: BTreeMap::new(),
        predefined: true,
        created_at: Timestamp::UNIX_EPOCH,
    })
}

/// The settable members of a template; absent members stay unchanged.
#[derive(Debug, Clone, Default)]
pub struct Settings {
    /// See [`NotificationTemplate::name`].
    pub name: Option<String>,
    /// See [`NotificationTemplate::event_types`]; empty: any type of the catalogue.
    pub event_types: Option<Vec<String>>,
    /// See [`NotificationTemplate::subject`].
    pub subject: Option<String>,
    /// See [`NotificationTemplate::text`].
    pub text: Option<String>,
    /// See [`NotificationTemplate::html`]; an empty string removes it.
    pub html: Option<String>,
    /// See [`NotificationTemplate::language`].
    pub language: Option<String>,
    /// See [`NotificationTemplate::translations`]; replaces all of them.
    pub translations: Option<BTreeMap<String, Parts>>,
}

impl Settings {
    fn apply(self, template: &mut NotificationTemplate, catalogue: &Catalogue) -> Result<(), Rejected> {
        template.name = self.name.unwrap_or_else(|| template.name.clone());
        template.event_types = self.event_types.unwrap_or_else(|| template.event_types.clone());
        template.subject = self.subject.unwrap_or_else(|| template.subject.clone());
        template.text = self.text.unwrap_or_else(|| template.text.clone());
        if let Some(html) = self.html {
            template.html = (!html.is_empty()).then_some(html);
        }
        template.language = self.language.unwrap_or_else(|| template.language.clone());
        template.translations = self.translations.unwrap_or_else(|| template.translations.clone());
        let mut broken = catalogue.unknown_types(&template.event_types);
        broken.extend(template.faults(catalogue));
        Rejected::from_violations(broken).map_or(Ok(()), Err)
    }
}

/// Decides `createNotificationTemplate`. Every part must parse and use only parameters that *each* of its event types offers; without
/// event types, parameters that any type offers.
///
/// # Errors
/// `event_type_unknown`, `language_unknown`, `translations_too_many`, `template_syntax`, `template_unknown_parameter`,
/// `template_forbidden`, `template_too_complex`; no more than [`FAULTS_MAX`] violations.
pub fn create(
    id: NotificationTemplateId,
    settings: Settings,
    catalogue: &Catalogue,
    now: Timestamp,
) -> Result<Change<NotificationTemplate>, Rejected> {
    let mut made = NotificationTemplate {
        id,
        version: 1,
        name: String::new(),
        event_types: Vec::new(),
        subject: String::new(),
        text: String::new(),
        html: None,
        language: LANGUAGE_DEFAULT.to_owned(),
        translations: BTreeMap::new(),
        predefined: false,
        created_at: now,
    };
    settings.apply(&mut made, catalogue)?;
    Ok(Change::created(made))
}

/// Decides `updateNotificationTemplate`. [`crate::delivery::subscription::faults`] checks the subscriptions that use the template.
///
/// # Errors
/// See [`create`].
pub fn update(template: NotificationTemplate, settings: Settings, catalogue: &Catalogue) -> Result<Change<NotificationTemplate>, Rejected> {
    let mut after = NotificationTemplate { version: template.version + 1, ..template.clone() };
    settings.apply(&mut after, catalogue)?;
    Ok(Change::updated(template, after, Vec::<&'static str>::new()))
}

/// Violations of the parts at `place`, given the parameters of each event type.
fn faults(place: &str, parts: &Template, offered_sets: &[Vec<String>]) -> Vec<Violation> {
    let mut broken = Vec::new();
    let read = Reading::of(parts);
    for offered in offered_sets {
        let offered: Vec<&str> = offered.iter().map(String::as_str).collect();
        for fault in read.faults(&offered) {
            let column = fault.column.map_or_else(String::new, |column| format!(", column {column}"));
            let at = fault.line.map_or_else(String::new, |line| format!(" (line {line}{column})"));
            let violation = Violation::new(format!("{place}/{}", fault.part), fault.code, format!("{}{at}", fault.message));
            if !broken.contains(&violation) {
                broken.push(violation);
            }
        }
    }
    broken
}

/// The parameters of each event type. Without event types, those of all types; the subscription checks again.
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

    entity_members!(only_version, configuration);
}

#[cfg(test)]
mod tests {
    use super::*;
    use billwire_schemas::ids::fresh;

    fn given(event_types: &[&str], text: &str) -> Settings {
        Settings {
            name: Some("t".into()),
            event_types: Some(event_types.iter().map(|s| (*s).to_owned()).collect()),
            subject: Some("News".into()),
            text: Some(text.into()),
            ..Settings::default()
        }
    }

    fn made(settings: Settings) -> Result<NotificationTemplate, Rejected> {
        let change = create(NotificationTemplateId(fresh()), settings, &Catalogue::default(), Timestamp::UNIX_EPOCH);
        change.map(|change| change.after)
    }

    #[test]
    fn a_parameter_that_one_of_the_event_types_does_not_offer_is_refused() {
        let both = &["account.created", "bill_cycle.created"];
        let refused = made(given(both, "Dear {{ account.name }}")).unwrap_err();
        assert_eq!((refused.code.as_str(), refused.violations[0].pointer.as_ref()), ("template_unknown_parameter", "/text"));
        assert!(made(given(&["account.created"], "Dear {{ account.name }}")).is_ok());
    }

    #[test]
    fn every_translation_is_held_against_the_events_too() {
        let parts = |text: &str| Parts { subject: "Neues".into(), text: text.into(), html: None };
        let translations = BTreeMap::from([("de".to_owned(), parts("{{ account.nmae }}")), ("?".to_owned(), parts(""))]);
        let refused = made(Settings { translations: Some(translations), ..given(&["account.created"], "x") }).unwrap_err();
        let to_json: Vec<_> = refused.violations.iter().map(|broken| (broken.code.as_str(), broken.pointer.as_ref())).collect();
        assert_eq!(to_json, [("language_unknown", "/translations/?"), ("template_unknown_parameter", "/translations/de/text")]);
    }

    #[test]
    fn an_update_changes_what_it_names_and_is_held_against_the_events() {
        let before = made(given(&["account.created"], "Dear {{ account.name }}")).expect("made");
        let settings = Settings { html: Some("<p>{{ account.name }}</p>".into()), ..Settings::default() };
        let after = update(before.clone(), settings, &Catalogue::default()).expect("updated").after;
        assert_eq!((after.version, &after.text, after.html.is_some()), (2, &before.text, true));
        let emptied = Settings { html: Some(String::new()), ..Settings::default() };
        assert_eq!(update(after, emptied, &Catalogue::default()).expect("updated").after.html, None);
        assert!(update(before, given(&["bill_run.started"], "{{ account.name }}"), &Catalogue::default()).is_err());
    }

    #[test]
    fn the_predefined_ones_have_ids_that_stay_and_suit_their_events() {
        let all: Vec<NotificationTemplate> = predefined().collect();
        assert!(all.len() > 20 && all.iter().all(|one| one.suits(&Catalogue::default())));
        let posted = all.iter().find(|one| one.name == "invoice.posted").expect("one");
        assert_eq!(posted.id, predefined_id("invoice.posted"));
    }
}
