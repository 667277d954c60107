//! Notification templates.

use std::collections::{BTreeMap, HashMap};

use billwire_schemas::refusal::Code;

use billwire_app::{
    CreateNotificationTemplate, UpdateNotificationTemplate,
    domain::email::notification_template::{self, Parts, Settings},
};
use billwire_schemas::ids::{NotificationTemplateId, fresh};
use poem_openapi::{Object, OpenApi, Tags, param::Path, types::Example};
use uuid::Uuid;

use crate::{
    http::{
        problem::Problem,
        request_context::Context,
        responses::{Created, Done, Found, IfNoneMatch, Listed, Shown},
        validated_body::{Validate, Validated},
    },
    openapi::operation::{Operation, PLAIN, change, create, created, delete, get, list, updated},
    types::example::{example_id, example_moment},
    types::nullable::Nullable,
    types::scalars::{EventTypeName, Language, Moment, Name, Reference, Subject, TemplateText, TemplateTextOrNothing},
};

#[derive(Tags)]
pub(crate) enum Tag {
    /// Templates of e-mails.
    #[oai(rename = "Notification templates")]
    NotificationTemplates,
}

pub(crate) struct NotificationTemplates;

/// Registry entries of the operations below.
pub(crate) const OPERATIONS: &[Operation] = &[
    create(
        "createNotificationTemplate",
        "notification_templates:write",
        &[
            Code::NameTaken,
            Code::EventTypeUnknown,
            Code::LanguageUnknown,
            Code::TranslationsTooMany,
            Code::TemplateSyntax,
            Code::TemplateUnknownParameter,
            Code::TemplateForbidden,
            Code::TemplateTooComplex,
        ],
        created("notificationTemplate", "NotificationTemplate", &[]),
    ),
    list("listNotificationTemplates", "notification_templates:read"),
    Operation { takes: PLAIN, ..get("listPredefinedTemplates", "notification_templates:read", &[]) },
    get("getNotificationTemplate", "notification_templates:read", &[Code::NotificationTemplateNotFound]),
    change(
        "updateNotificationTemplate",
        "notification_templates:write",
        &[
            Code::NotificationTemplateNotFound,
            Code::TemplatePredefined,
            Code::NameTaken,
            Code::EventTypeUnknown,
            Code::LanguageUnknown,
            Code::TranslationsTooMany,
            Code::TemplateSyntax,
            Code::TemplateUnknownParameter,
            Code::TemplateForbidden,
            Code::TemplateTooComplex,
            Code::SubscriptionUnfit,
        ],
        updated("notificationTemplate", "NotificationTemplate", &[]),
    ),
    delete(
        "deleteNotificationTemplate",
        "notification_templates:write",
        &[Code::NotificationTemplateNotFound, Code::TemplatePredefined, Code::StillInUse],
        "notificationTemplate",
        "NotificationTemplate",
    ),
];

const SUBJECT: &str = "Your billing day changes, {{ account.name }}";
const TEXT: &str = "Dear {{ account.name }},\n\nyour billing period now ends on {{ account.periodEnd|date }}.\n";
const SUBJECT_DE: &str = "Ihr Abrechnungstag, {{ account.name }}";
const TEXT_DE: &str = "Guten Tag {{ account.name }},\n\nIhre Abrechnungsperiode endet nun am {{ account.periodEnd|date }}.\n";

/// The notification template to create.
#[derive(Debug, Object)]
#[oai(rename_all = "camelCase", skip_serializing_if_is_none, example)]
pub(crate) struct NotificationTemplateInput {
    /// Display name; unique among notification templates.
    name: Name,
    /// The event types the template is for; it may use the parameters that all of them offer. Empty: any type; the template is then checked
    /// when a subscription uses it.
    #[oai(default, validator(max_items = 200, unique_items))]
    event_types: Vec<EventTypeName>,
    /// The subject line, a single-line template.
    subject: Subject,
    /// The plain text part, a template.
    text: TemplateText,
    /// The HTML part, a template; values are escaped.
    html: Option<TemplateText>,
    /// Language of these parts, a BCP 47 tag.
    #[oai(default = "english")]
    language: Language,
    /// Translations by language tag. A reader of `de-CH` gets `de-CH`, else `de`, else the parts above.
    translations: Option<HashMap<String, TemplatePartsInput>>,
}

fn english() -> Language {
    "en".into()
}

/// The parts of a template in one language.
#[derive(Debug, Object)]
#[oai(rename_all = "camelCase", skip_serializing_if_is_none)]
pub(crate) struct TemplatePartsInput {
    /// The subject line.
    subject: Subject,
    /// The plain text part.
    text: TemplateText,
    /// The HTML part.
    html: Option<TemplateText>,
}

fn translations(given: HashMap<String, TemplatePartsInput>) -> BTreeMap<String, Parts> {
    let parts = |parts: TemplatePartsInput| Parts { subject: parts.subject.0, text: parts.text.0, html: parts.html.map(|html| html.0) };
    given.into_iter().map(|(tag, given)| (tag, parts(given))).collect()
}

impl Validate for NotificationTemplateInput {}

/// Changes to a notification template. Absent members keep their values.
#[derive(Debug, Object)]
#[oai(rename_all = "camelCase", skip_serializing_if_is_none, example)]
pub(crate) struct NotificationTemplateUpdate {
    /// Display name; unique among notification templates.
    name: Option<Name>,
    /// The complete list of event types the template is for.
    #[oai(validator(max_items = 200, unique_items))]
    event_types: Nullable<Vec<EventTypeName>>,
    /// The subject line.
    subject: Option<Subject>,
    /// The plain text part.
    text: Option<TemplateText>,
    /// The HTML part; null or an empty string removes it.
    html: Nullable<TemplateTextOrNothing>,
    /// Language of these parts.
    language: Option<Language>,
    /// The complete set of translations, by language tag.
    translations: Nullable<HashMap<String, TemplatePartsInput>>,
}

impl Validate for NotificationTemplateUpdate {}

impl Example for NotificationTemplateUpdate {
    fn example() -> Self {
        Self {
            name: None,
            event_types: Nullable::default(),
            subject: Some("Your billing day changes".into()),
            text: None,
            html: Nullable::default(),
            language: None,
            translations: Nullable::default(),
        }
    }
}

impl Example for NotificationTemplateInput {
    fn example() -> Self {
        Self {
            name: "billing-period-news".into(),
            event_types: vec!["account.bill_cycle_changed".into()],
            subject: SUBJECT.into(),
            text: TEXT.into(),
            html: Some("<p>Dear {{ account.name }},</p><p>your billing period now ends on {{ account.periodEnd|date }}.</p>".into()),
            language: english(),
            translations: Some(HashMap::from([(
                "de".to_owned(),
                TemplatePartsInput { subject: SUBJECT_DE.into(), text: TEXT_DE.into(), html: None },
            )])),
        }
    }
}

/// The parts of a template in one language.
#[derive(Debug, Object)]
#[oai(rename_all = "camelCase", skip_serializing_if_is_none)]
pub(crate) struct TemplateParts {
    /// The subject line.
    subject: String,
    /// The plain text part.
    text: String,
    /// The HTML part, if any.
    html: Option<String>,
}

/// A template of an e-mail. Parameters are written in double braces (Jinja); the filters `money`, `number`, `date` and `datetime` format
/// them for the recipient's locale, such as `{{ invoice.total|money(invoice.currency) }}`.
#[derive(Debug, Object)]
#[oai(rename_all = "camelCase", skip_serializing_if_is_none, example)]
pub(crate) struct NotificationTemplate {
    /// Unique id.
    id: Uuid,
    /// Version, starting at 1.
    version: i64,
    /// Display name.
    name: String,
    /// The event types the template is for; empty: any.
    event_types: Vec<String>,
    /// The subject line.
    subject: String,
    /// The plain text part.
    text: String,
    /// The HTML part, if any.
    html: Option<String>,
    /// Language of these parts.
    language: String,
    /// Translations, by language tag.
    translations: Option<HashMap<String, TemplateParts>>,
    /// Whether the template is predefined; it then cannot be changed or deleted.
    predefined: bool,
    /// Creation time.
    created_at: Moment,
}

impl Example for NotificationTemplate {
    fn example() -> Self {
        Self {
            id: example_id(7),
            version: 1,
            name: "billing-day-changed".to_owned(),
            event_types: vec!["account.bill_cycle_changed".to_owned()],
            subject: SUBJECT.to_owned(),
            text: TEXT.to_owned(),
            html: None,
            language: "en".to_owned(),
            translations: None,
            predefined: false,
            created_at: example_moment(),
        }
    }
}

impl From<notification_template::NotificationTemplate> for NotificationTemplate {
    fn from(template: notification_template::NotificationTemplate) -> Self {
        let parts = |parts: Parts| TemplateParts { subject: parts.subject, text: parts.text, html: parts.html };
        let translations: HashMap<String, TemplateParts> =
            template.translations.into_iter().map(|(tag, given)| (tag, parts(given))).collect();
        Self {
            id: template.id.0,
            version: template.version,
            name: template.name,
            event_types: template.event_types,
            subject: template.subject,
            text: template.text,
            html: template.html,
            language: template.language,
            translations: (!translations.is_empty()).then_some(translations),
            predefined: template.predefined,
            created_at: template.created_at.into(),
        }
    }
}

/// The predefined templates.
#[derive(Debug, Object)]
#[oai(rename_all = "camelCase", skip_serializing_if_is_none, example)]
pub(crate) struct PredefinedTemplates {
    /// One template per lifecycle event.
    items: Vec<NotificationTemplate>,
}

impl Example for PredefinedTemplates {
    fn example() -> Self {
        Self { items: vec![NotificationTemplate { predefined: true, ..NotificationTemplate::example() }] }
    }
}

#[OpenApi(prefix_path = "/v1", tag = "Tag::NotificationTemplates")]
impl NotificationTemplates {
    /// Create a notification template
    ///
    /// Each part must parse and use only parameters that its event types offer; a refusal suggests the nearest names.
    #[oai(path = "/notification-templates", method = "post", operation_id = "createNotificationTemplate")]
    async fn create(&self, context: Context, input: Validated<NotificationTemplateInput>) -> Result<Created, Problem> {
        let new = input.body;
        let settings = Settings {
            name: Some(new.name.0),
            event_types: Some(new.event_types.into_iter().map(|name| name.0).collect()),
            subject: Some(new.subject.0),
            text: Some(new.text.0),
            html: new.html.map(|html| html.0),
            language: Some(new.language.0),
            translations: new.translations.map(translations),
        };
        let use_case = CreateNotificationTemplate { id: NotificationTemplateId(fresh()), settings };
        let reply = context.execute(input.canonical.as_deref(), use_case).await?;
        Ok(Created::under("/v1/notification-templates", reply))
    }

    /// List notification templates
    ///
    /// Oldest first.
    #[oai(path = "/notification-templates", method = "get", operation_id = "listNotificationTemplates")]
    async fn list(&self, context: Context) -> Result<Listed<NotificationTemplate>, Problem> {
        Listed::configurations::<notification_template::NotificationTemplate>(&context).await
    }

    /// List predefined templates
    ///
    /// Returns the templates that come with the product: one per lifecycle event, named after the event. Subscriptions can use them
    /// directly. To change the text, create your own template from their parts.
    #[oai(path = "/notification-templates/predefined", method = "get", operation_id = "listPredefinedTemplates")]
    async fn predefined(&self, context: Context) -> Result<Shown<PredefinedTemplates>, Problem> {
        let _ = context;
        Ok(Shown(PredefinedTemplates { items: notification_template::predefined().map(Into::into).collect() }))
    }

    /// Change a notification template
    ///
    /// Every e-mail sent from now on uses the changed parts, retries included. Each part must parse and use only parameters offered by the
    /// template's event types and by the events of every subscription that uses the template.
    #[oai(path = "/notification-templates/:notificationTemplate", method = "patch", operation_id = "updateNotificationTemplate")]
    async fn update(
        &self,
        context: Context,
        /// Id or name of the notification template.
        #[oai(name = "notificationTemplate")]
        template: Path<Reference>,
        input: Validated<NotificationTemplateUpdate>,
    ) -> Result<Done, Problem> {
        let new = input.body;
        let settings = Settings {
            name: new.name.map(|name| name.0),
            event_types: new.event_types.map(|names| names.into_iter().map(|name| name.0).collect()).or(Vec::new()),
            subject: new.subject.map(|subject| subject.0),
            text: new.text.map(|text| text.0),
            html: new.html.map(|html| html.0).or(String::new()),
            language: new.language.map(|language| language.0),
            translations: new.translations.map(translations).or(BTreeMap::new()),
        };
        Ok(Done(context.execute_on_configuration(&template.0, input.canonical.as_deref(), UpdateNotificationTemplate(settings)).await?))
    }

    /// Get a notification template
    ///
    /// Returns the template with this id; predefined templates included.
    #[oai(path = "/notification-templates/:notificationTemplate", method = "get", operation_id = "getNotificationTemplate")]
    async fn get(
        &self,
        context: Context,
        known: IfNoneMatch,
        /// Id or name of the notification template.
        #[oai(name = "notificationTemplate")]
        template: Path<Reference>,
    ) -> Result<Found<NotificationTemplate>, Problem> {
        let found = context.app().notification_template(context.tenant(), &template.0.0).await?;
        Found::of(&found, &known)
    }

    /// Delete a notification template
    ///
    /// Allowed only when no subscription uses it.
    #[oai(path = "/notification-templates/:notificationTemplate", method = "delete", operation_id = "deleteNotificationTemplate")]
    async fn delete(
        &self,
        context: Context,
        /// Id or name of the notification template.
        #[oai(name = "notificationTemplate")]
        template: Path<Reference>,
    ) -> Result<Done, Problem> {
        Ok(Done(context.delete::<notification_template::NotificationTemplate>(template.0).await?))
    }
}
