//! Notification templates.

use billwire_app::{CreateNotificationTemplate, DeleteConfiguration, domain::notification_template};
use billwire_schemas::ids::{NotificationTemplateId, fresh};
use poem_openapi::{Object, OpenApi, param::Path, types::Example};
use uuid::Uuid;

use crate::{
    Tag,
    answers::{Created, Done, Found, IfNoneMatch, Listed},
    checked::{Checkable, Checked},
    context::{Context, Query},
    example_id, example_moment,
    fields::{Cursor, EventTypeName, Limit, Moment, Name, Reference, Subject, TemplateText},
    operations::{Operation, create, created, delete, get, list},
    problem::Problem,
};

pub(crate) struct NotificationTemplates;

/// What they ask for and answer.
pub(crate) const OPERATIONS: &[Operation] = &[
    create(
        "createNotificationTemplate",
        "notification_templates:write",
        &["name_taken", "event_type_unknown", "template_syntax", "template_unknown_parameter", "template_forbidden"],
        created("notificationTemplate", "NotificationTemplate", &[]),
    ),
    list("listNotificationTemplates", "notification_templates:read"),
    get("getNotificationTemplate", "notification_templates:read", &["notification_template_not_found"]),
    delete(
        "deleteNotificationTemplate",
        "notification_templates:write",
        &["notification_template_not_found", "still_in_use"],
        "notificationTemplate",
        "NotificationTemplate",
    ),
];

const SUBJECT: &str = "Your billing day changes, {{ account.name }}";
const TEXT: &str = "Dear {{ account.name }},\n\nyour billing period now ends on {{ account.periodEnd }}.\n";

/// A notification template to be made.
#[derive(Debug, Object)]
#[oai(rename_all = "camelCase", skip_serializing_if_is_none, example)]
pub(crate) struct NewNotificationTemplate {
    /// Its name; unique among notification templates.
    name: Name,
    /// The event types it is written for; it may name the parameters that each of them offers. None named: any type, and a
    /// subscription is checked when it is made.
    #[oai(default, validator(max_items = 200, unique_items))]
    event_types: Vec<EventTypeName>,
    /// The subject line, a template of one line.
    subject: Subject,
    /// The plain text part, a template.
    text: TemplateText,
    /// The HTML part, a template; values are escaped in it.
    html: Option<TemplateText>,
}

impl Checkable for NewNotificationTemplate {}

impl Example for NewNotificationTemplate {
    fn example() -> Self {
        Self {
            name: "billing-day-changed".into(),
            event_types: vec!["account.bill_cycle_changed".into()],
            subject: SUBJECT.into(),
            text: TEXT.into(),
            html: Some("<p>Dear {{ account.name }},</p><p>your billing period now ends on {{ account.periodEnd }}.</p>".into()),
        }
    }
}

/// A notification template: what an e-mail says. Parameters stand in double braces (Jinja).
#[derive(Debug, Object)]
#[oai(rename_all = "camelCase", skip_serializing_if_is_none, example)]
pub(crate) struct NotificationTemplate {
    /// Its id.
    id: Uuid,
    /// Its version, from 1.
    version: i64,
    /// Its name.
    name: String,
    /// The event types it is written for; empty: any.
    event_types: Vec<String>,
    /// The subject line.
    subject: String,
    /// The plain text part.
    text: String,
    /// The HTML part, where there is one.
    html: Option<String>,
    /// When it was made.
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
            created_at: example_moment(),
        }
    }
}

#[OpenApi(prefix_path = "/v1", tag = "Tag::NotificationTemplates")]
impl NotificationTemplates {
    /// Create a notification template
    ///
    /// Each part must parse and name only parameters its event types offer; a refusal proposes the nearest names.
    #[oai(path = "/notification-templates", method = "post", operation_id = "createNotificationTemplate")]
    async fn create(&self, context: Context, input: Checked<NewNotificationTemplate>) -> Result<Created, Problem> {
        let new = input.body;
        let create = notification_template::Create {
            id: NotificationTemplateId(fresh()),
            name: new.name.0,
            event_types: new.event_types.into_iter().map(|name| name.0).collect(),
            subject: new.subject.0,
            text: new.text.0,
            html: new.html.map(|html| html.0),
        };
        let reply = context.app().once(context.demand(input.canonical.as_deref()), CreateNotificationTemplate(create)).await?;
        Ok(Created::under("/v1/notification-templates", reply))
    }

    /// List notification templates
    ///
    /// Oldest first.
    #[oai(path = "/notification-templates", method = "get", operation_id = "listNotificationTemplates")]
    async fn list(
        &self,
        context: Context,
        /// How many items at the most.
        limit: Query<Limit>,
        /// Where to go on: `nextCursor` of the part before.
        cursor: Query<Cursor>,
    ) -> Result<Listed<NotificationTemplate>, Problem> {
        let ask = context.ask(limit.0, cursor.0.as_ref())?;
        let page = context.app().list_configurations::<notification_template::NotificationTemplate>(context.tenant(), ask).await?;
        Listed::page(&context, &page)
    }

    /// Get a notification template
    ///
    /// By its id.
    #[oai(path = "/notification-templates/:notificationTemplate", method = "get", operation_id = "getNotificationTemplate")]
    async fn get(
        &self,
        context: Context,
        known: IfNoneMatch,
        /// Id of the notification template.
        #[oai(name = "notificationTemplate")]
        template: Path<Reference>,
    ) -> Result<Found<NotificationTemplate>, Problem> {
        let found = context.app().configuration::<notification_template::NotificationTemplate>(context.tenant(), &template.0.0).await?;
        Found::of(&found, &known)
    }

    /// Delete a notification template
    ///
    /// Only when no subscription stands on it any more.
    #[oai(path = "/notification-templates/:notificationTemplate", method = "delete", operation_id = "deleteNotificationTemplate")]
    async fn delete(
        &self,
        context: Context,
        /// Id of the notification template.
        #[oai(name = "notificationTemplate")]
        template: Path<Reference>,
    ) -> Result<Done, Problem> {
        let use_case = DeleteConfiguration::<notification_template::NotificationTemplate>::new(template.0.0, context.if_match());
        Ok(Done(context.app().once(context.demand(None), use_case).await?))
    }
}
