//! Previews of notification templates.

use std::collections::BTreeSet;

use billwire_app::{
    Failure, StoreError,
    domain::{
        Rejected,
        email::notification_template::{NotificationTemplate as ConfigurationObject, Settings},
    },
};
use billwire_schemas::{
    events::{catalogue, envelope::Parameters},
    ids::{EventId, fresh},
    refusal::Code,
    template::Rendering,
};
use poem_openapi::{
    Object, OpenApi,
    param::Path,
    types::{Any, Example},
};
use serde_json::Value;

use crate::{
    email::notification_templates::Tag,
    events::event_type::EventType,
    http::{
        authorization::ensure_scope,
        problem::{Problem, Violation},
        request_context::Context,
        responses::Shown,
        validated_body::{Validate, Validated},
    },
    openapi::operation::{Operation, PLAIN, Takes, get},
    types::scalars::{EventTypeName, Language, Reference, Subject, TemplateText, TemplateTextOrNothing, TimeZoneName},
};

pub(crate) struct TemplatePreviews;

/// Registry entries of the operations below.
pub(crate) const OPERATIONS: &[Operation] = &[Operation {
    takes: Takes { body: true, ..PLAIN },
    ..get(
        "previewNotificationTemplate",
        "notification_templates:read",
        &[
            Code::NotificationTemplateNotFound,
            Code::EventTypeUnknown,
            Code::EventNotFound,
            Code::Purged,
            Code::TimeZoneUnknown,
            Code::TemplateNotRendered,
            Code::TemplateSyntax,
            Code::TemplateUnknownParameter,
            Code::TemplateForbidden,
            Code::TemplateTooComplex,
        ],
    )
}];

/// The event and reader of a template preview.
#[derive(Debug, Object)]
#[oai(rename_all = "camelCase", skip_serializing_if_is_none, example)]
pub(crate) struct TemplatePreviewing {
    /// Event type whose example is used. Without `eventType` and `eventId`: the template's first event type.
    event_type: Option<EventTypeName>,
    /// Id of a past event to use; not allowed with `eventType`. Needs the scope `events:read` too.
    event_id: Option<Reference>,
    /// The reader's language, a BCP 47 tag. Absent: the template's own.
    language: Option<Language>,
    /// The reader's time zone. Absent: the tenant's.
    time_zone: Option<TimeZoneName>,
    /// A subject line that is not saved, in place of the one in the template's own language.
    subject: Option<Subject>,
    /// A plain text part that is not saved, likewise.
    text: Option<TemplateText>,
    /// An HTML part that is not saved, likewise; an empty one: none.
    html: Option<TemplateTextOrNothing>,
}

impl Validate for TemplatePreviewing {
    fn further(body: &Value, found: &mut Vec<Violation>) {
        if body.get("eventType").is_some() && body.get("eventId").is_some() {
            found.push(Violation::at("/eventId", "not_allowed", "'/eventId' is not allowed with '/eventType'."));
        }
    }
}

impl Example for TemplatePreviewing {
    fn example() -> Self {
        Self {
            event_type: Some("account.bill_cycle_changed".into()),
            event_id: None,
            language: Some("de-CH".into()),
            time_zone: Some("Europe/Zurich".into()),
            subject: None,
            text: None,
            html: None,
        }
    }
}

/// The value of a parameter in a preview.
#[derive(Debug, Object)]
#[oai(rename_all = "camelCase", skip_serializing_if_is_none)]
pub(crate) struct PreviewParameter {
    /// Name of the parameter.
    name: String,
    /// Value; absent if the event does not have it.
    value: Option<Any<Value>>,
}

/// The rendered template.
#[derive(Debug, Object)]
#[oai(rename_all = "camelCase", skip_serializing_if_is_none, example)]
pub(crate) struct TemplatePreview {
    /// Type of the event.
    event_type: String,
    /// Language of amounts and dates.
    language: String,
    /// The subject line.
    subject: String,
    /// The plain text part.
    text: String,
    /// The HTML part, if the template has one.
    html: Option<String>,
    /// The parameters that the template uses, with their values.
    parameters: Vec<PreviewParameter>,
}

impl Example for TemplatePreview {
    fn example() -> Self {
        Self {
            event_type: "account.bill_cycle_changed".to_owned(),
            language: "de-CH".to_owned(),
            subject: "Ihr Abrechnungstag, Acme Telecom".to_owned(),
            text: "Guten Tag Acme Telecom,\n\nIhre Abrechnungsperiode endet nun am 31. Januar 2027.\n".to_owned(),
            html: None,
            parameters: vec![PreviewParameter { name: "account.name".to_owned(), value: Some(Any("Acme Telecom".into())) }],
        }
    }
}

/// The parameters of an event type's example, including those available in e-mails only.
async fn example_of(context: &Context, name: &str) -> Result<Parameters, Problem> {
    let message = EventType::example_message(context, name, EventId(fresh())).await?;
    let parameters = message.get("data").and_then(|data| data.get("parameters"));
    let own = parameters.and_then(Value::as_object).into_iter().flatten().map(|(name, value)| (name.clone(), value.clone()));
    let private = catalogue::find(name).into_iter().flat_map(|event| event.offers()).filter(|(_, email_only)| *email_only);
    Ok(own.chain(private.map(|(parameter, _)| (parameter.name.to_owned(), parameter.value()))).collect())
}

#[OpenApi(prefix_path = "/v1", tag = "Tag::NotificationTemplates")]
impl TemplatePreviews {
    /// Preview a notification template
    ///
    /// Renders the template for the example of an event type or for a past event; nothing is sent or saved. Parts in the body are rendered in
    /// place of the saved ones, and refused as they would be when saved. The response has the rendered parts and the value of each parameter that the template uses.
    #[oai(path = "/notification-templates/:notificationTemplate/preview", method = "post", operation_id = "previewNotificationTemplate")]
    async fn preview(
        &self,
        context: Context,
        /// Id or name of the notification template.
        #[oai(name = "notificationTemplate")]
        template: Path<Reference>,
        input: Validated<TemplatePreviewing>,
    ) -> Result<Shown<TemplatePreview>, Problem> {
        let wanted = input.body;
        let mut found: ConfigurationObject = context.app().notification_template(context.tenant(), &template.0.0).await?;
        let unsaved = Settings {
            subject: wanted.subject.map(|subject| subject.0),
            text: wanted.text.map(|text| text.0),
            html: wanted.html.map(|html| html.0),
            ..Settings::default()
        };
        if unsaved.subject.is_some() || unsaved.text.is_some() || unsaved.html.is_some() {
            found = context.app().with_unsaved_parts(context.tenant(), found, unsaved).await?;
        }
        let (event_type, parameters) = match (wanted.event_id, wanted.event_type) {
            (Some(id), _) => {
                // The preview shows what the event says.
                ensure_scope(context.caller(), "events:read")?;
                context.app().parameters_of_event(context.tenant(), &id.0).await?
            }
            (None, Some(name)) => {
                let parameters = example_of(&context, &name.0).await?;
                (name.0, parameters)
            }
            (None, None) => {
                let Some(name) = found.event_types.first() else {
                    let message = "The template is for any event type; give an event type or an event id.";
                    return Err(Rejected::violation("/eventType", Code::EventTypeUnknown, message).into());
                };
                (name.clone(), example_of(&context, name).await?)
            }
        };
        let zone = match wanted.time_zone {
            None => context.app().billing_settings(context.tenant()).await?.time_zone,
            Some(zone) => zone.0.parse().map_err(|_| {
                let message = format!("'{}' is not an IANA time zone name, such as Europe/Berlin.", zone.0);
                Rejected::violation("/timeZone", Code::TimeZoneUnknown, message)
            })?,
        };
        let translated = found.translated();
        let language = wanted.language.map(|language| language.0);
        let (language, parts) = translated.lookup(language.as_deref());
        let rendering = Rendering { parts: parts.clone(), parameters, language: language.to_owned(), zone };
        let rendered = context.app().render(context.tenant(), rendering.clone()).await;
        let rendered = rendered
            .map_err(|why| Failure::from(StoreError::Unavailable(why)))?
            .map_err(|error| Rejected::violation(format!("/{}", error.part), Code::TemplateNotRendered, format!("{error}.")))?;
        let Rendering { parts, parameters, language, .. } = rendering;
        let names: BTreeSet<String> = tokio::task::spawn_blocking(move || parts.names()).await.map_err(Problem::internal)?;
        let parameter = |name: String| PreviewParameter { value: parameters.get(&name).cloned().map(Any), name };
        Ok(Shown(TemplatePreview {
            event_type,
            language,
            subject: rendered.subject,
            text: rendered.text,
            html: rendered.html,
            parameters: names.into_iter().map(parameter).collect(),
        }))
    }
}
