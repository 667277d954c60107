//! What notification templates were.

use billwire_schemas::refusal::Code;
use poem_openapi::{Object, OpenApi, param::Path, types::Example};
use uuid::Uuid;

use crate::{
    email::notification_templates::NotificationTemplate,
    email::notification_templates::Tag,
    http::{
        problem::Problem,
        request_context::{Context, Query},
        responses::Listed,
    },
    openapi::operation::{Operation, list},
    types::example::{example_id, example_moment},
    types::scalars::{Cursor, Limit, Moment, Reference},
};

pub(crate) struct TemplateVersions;

/// Registry entries of the operations below.
pub(crate) const OPERATIONS: &[Operation] = &[Operation {
    own_codes: &[Code::NotificationTemplateNotFound],
    ..list("listNotificationTemplateVersions", "notification_templates:read")
}];

/// A notification template as it was from one change to the next.
#[derive(Debug, Object)]
#[oai(rename_all = "camelCase", example)]
pub(crate) struct NotificationTemplateVersion {
    /// From when on; until then `version - 1` was in use.
    changed_at: Moment,
    /// Who made it so: the name of the API key.
    actor: String,
    /// The business transaction that made it so.
    business_transaction: Uuid,
    /// The template then.
    template: NotificationTemplate,
}

impl Example for NotificationTemplateVersion {
    fn example() -> Self {
        let template = NotificationTemplate::example();
        Self { changed_at: example_moment(), actor: "crm".to_owned(), business_transaction: example_id(0x100), template }
    }
}

#[OpenApi(prefix_path = "/v1", tag = "Tag::NotificationTemplates")]
impl TemplateVersions {
    /// List a notification template's versions
    ///
    /// Newest first; those of a deleted template stay. To go back to one, update the template with its parts. A try of a delivery used the
    /// version that was newest at the time of the try.
    #[oai(
        path = "/notification-templates/:notificationTemplate/versions",
        method = "get",
        operation_id = "listNotificationTemplateVersions"
    )]
    async fn versions(
        &self,
        context: Context,
        /// Id of the notification template.
        #[oai(name = "notificationTemplate")]
        template: Path<Reference>,
        /// Maximum number of items to return.
        limit: Query<Limit>,
        /// `nextCursor` of the previous page. Absent: the first page.
        cursor: Query<Cursor>,
    ) -> Result<Listed<NotificationTemplateVersion>, Problem> {
        let page_request = context.page_request(limit.0, cursor.0.as_ref())?;
        let page = context.app().notification_template_versions(context.tenant(), &template.0.0, page_request).await?;
        Listed::page(&context, &page)
    }
}
