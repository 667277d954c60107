//! The version history of notification templates.

use billwire_schemas::refusal::Code;
use poem_openapi::{Object, OpenApi, param::Path, types::Example};
use uuid::Uuid;

use crate::{
    email::notification_templates::NotificationTemplate,
    email::notification_templates::Tag,
    http::{problem::Problem, request_context::Context, responses::Listed},
    openapi::operation::{Operation, list},
    types::example::{example_id, example_moment},
    types::scalars::{Moment, Reference},
};

pub(crate) struct TemplateVersions;

/// Registry entries of the operations below.
pub(crate) const OPERATIONS: &[Operation] = &[Operation {
    own_codes: &[Code::NotificationTemplateNotFound],
    ..list("listNotificationTemplateVersions", "notification_templates:read")
}];

/// A version of a notification template.
#[derive(Debug, Object)]
#[oai(rename_all = "camelCase", example)]
pub(crate) struct NotificationTemplateVersion {
    /// Time since which this version was used; `version - 1` was used before.
    changed_at: Moment,
    /// Name of the API key that created the version.
    actor: String,
    /// Id of the business transaction that created the version.
    business_transaction: Uuid,
    /// The template at this version.
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
    /// Newest first. Versions of a deleted template stay readable. To restore a version, update the template with its parts. A delivery
    /// attempt uses the newest version at the time of the attempt.
    #[oai(
        path = "/notification-templates/:notificationTemplate/versions",
        method = "get",
        operation_id = "listNotificationTemplateVersions"
    )]
    async fn versions(
        &self,
        context: Context,
        /// Id or name of the notification template.
        #[oai(name = "notificationTemplate")]
        template: Path<Reference>,
    ) -> Result<Listed<NotificationTemplateVersion>, Problem> {
        let page = context.app().notification_template_versions(context.tenant(), &template.0.0, context.page().await?).await?;
        Listed::page(&context, &page)
    }
}
