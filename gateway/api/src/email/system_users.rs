//! System users.

use billwire_app::{CreateSystemUser, UpdateSystemUser, domain::email::system_user};
use billwire_schemas::ids::{SystemUserId, fresh};
use billwire_schemas::refusal::Code;
use poem_openapi::{Object, OpenApi, Tags, param::Path, types::Example};
use uuid::Uuid;

use crate::{
    http::{
        problem::Problem,
        request_context::Context,
        responses::{Created, Done, Found, IfNoneMatch, Listed},
        validated_body::{Validate, Validated},
    },
    openapi::operation::{Operation, change, create, created, delete, get, list, updated},
    types::example::{example_id, example_moment},
    types::nullable::Nullable,
    types::scalars::{EmailAddress, Language, LanguageOrNothing, Moment, Name, Reference, TimeZoneName, TimeZoneOrNothing},
};

#[derive(Tags)]
pub(crate) enum Tag {
    /// Staff members of the tenant who receive notifications.
    #[oai(rename = "System users")]
    SystemUsers,
}

pub(crate) struct SystemUsers;

/// Registry entries of the operations below.
pub(crate) const OPERATIONS: &[Operation] = &[
    create(
        "createSystemUser",
        "system_users:write",
        &[Code::NameTaken, Code::LanguageUnknown, Code::TimeZoneUnknown],
        created("systemUser", "SystemUser", &[]),
    ),
    list("listSystemUsers", "system_users:read"),
    get("getSystemUser", "system_users:read", &[Code::SystemUserNotFound]),
    change(
        "updateSystemUser",
        "system_users:write",
        &[Code::SystemUserNotFound, Code::NameTaken, Code::LanguageUnknown, Code::TimeZoneUnknown],
        updated("systemUser", "SystemUser", &[]),
    ),
    delete("deleteSystemUser", "system_users:write", &[Code::SystemUserNotFound, Code::StillInUse], "systemUser", "SystemUser"),
];

/// The system user to create.
#[derive(Debug, Object)]
#[oai(rename_all = "camelCase", skip_serializing_if_is_none, example)]
pub(crate) struct SystemUserInput {
    /// The name; unique among system users.
    name: Name,
    /// The e-mail address.
    email: EmailAddress,
    /// Preferred language, a BCP 47 tag. Absent: the template's language.
    language: Option<Language>,
    /// Time zone in which times are shown, such as Europe/Berlin. Absent: the tenant's time zone.
    time_zone: Option<TimeZoneName>,
    /// Whether the user receives notifications.
    #[oai(default = "yes")]
    active: bool,
}

fn yes() -> bool {
    true
}

impl Validate for SystemUserInput {}

impl Example for SystemUserInput {
    fn example() -> Self {
        Self {
            name: "Grace Example".into(),
            email: "grace@example.com".into(),
            language: Some("de-CH".into()),
            time_zone: Some("Europe/Zurich".into()),
            active: true,
        }
    }
}

/// Changes to a system user. Absent members keep their values.
#[derive(Debug, Object)]
#[oai(rename_all = "camelCase", skip_serializing_if_is_none, example)]
pub(crate) struct SystemUserUpdate {
    /// The name; unique among system users.
    name: Option<Name>,
    /// The e-mail address.
    email: Option<EmailAddress>,
    /// Preferred language; null or an empty string means the template's language.
    language: Nullable<LanguageOrNothing>,
    /// Time zone in which times are shown; null or an empty string means the tenant's time zone.
    time_zone: Nullable<TimeZoneOrNothing>,
    /// Whether the user receives notifications.
    active: Option<bool>,
}

impl Validate for SystemUserUpdate {}

impl Example for SystemUserUpdate {
    fn example() -> Self {
        Self { name: None, email: None, language: Nullable::default(), time_zone: Nullable::default(), active: Some(false) }
    }
}

/// A system user: a staff member of the tenant who receives notifications.
#[derive(Debug, Object)]
#[oai(rename_all = "camelCase", skip_serializing_if_is_none, example)]
pub(crate) struct SystemUser {
    /// Unique id.
    id: Uuid,
    /// Version, starting at 1.
    version: i64,
    /// The name.
    name: String,
    /// The e-mail address.
    email: String,
    /// Preferred language.
    language: Option<String>,
    /// Time zone in which times are shown.
    time_zone: Option<String>,
    /// Whether the user receives notifications.
    active: bool,
    /// Creation time.
    created_at: Moment,
}

impl Example for SystemUser {
    fn example() -> Self {
        Self {
            id: example_id(0x30),
            version: 1,
            name: "Ada Example".to_owned(),
            email: "ada@example.com".to_owned(),
            language: Some("de-CH".to_owned()),
            time_zone: Some("Europe/Zurich".to_owned()),
            active: true,
            created_at: example_moment(),
        }
    }
}

#[OpenApi(prefix_path = "/v1", tag = "Tag::SystemUsers")]
impl SystemUsers {
    /// Create a system user
    ///
    /// Subscriptions with the action `email` can name the user as a recipient.
    #[oai(path = "/system-users", method = "post", operation_id = "createSystemUser")]
    async fn create(&self, context: Context, input: Validated<SystemUserInput>) -> Result<Created, Problem> {
        let new = input.body;
        let settings = system_user::Settings {
            name: Some(new.name.0),
            email: Some(new.email.0),
            language: new.language.map(|language| language.0),
            time_zone: new.time_zone.map(|zone| zone.0),
            active: Some(new.active),
        };
        let use_case = CreateSystemUser { id: SystemUserId(fresh()), settings };
        let reply = context.execute(input.canonical.as_deref(), use_case).await?;
        Ok(Created::under("/v1/system-users", reply))
    }

    /// List system users
    ///
    /// Oldest first.
    #[oai(path = "/system-users", method = "get", operation_id = "listSystemUsers")]
    async fn list(&self, context: Context) -> Result<Listed<SystemUser>, Problem> {
        Listed::configurations::<system_user::SystemUser>(&context).await
    }

    /// Get a system user
    ///
    /// Returns the object with this id.
    #[oai(path = "/system-users/:systemUser", method = "get", operation_id = "getSystemUser")]
    async fn get(
        &self,
        context: Context,
        known: IfNoneMatch,
        /// Id or name of the system user.
        #[oai(name = "systemUser")]
        user: Path<Reference>,
    ) -> Result<Found<SystemUser>, Problem> {
        Found::of(&context.app().configuration::<system_user::SystemUser>(context.tenant(), &user.0.0).await?, &known)
    }

    /// Change a system user
    ///
    /// An inactive user receives no notifications.
    #[oai(path = "/system-users/:systemUser", method = "patch", operation_id = "updateSystemUser")]
    async fn update(
        &self,
        context: Context,
        /// Id or name of the system user.
        #[oai(name = "systemUser")]
        user: Path<Reference>,
        input: Validated<SystemUserUpdate>,
    ) -> Result<Done, Problem> {
        let new = input.body;
        let settings = system_user::Settings {
            name: new.name.map(|name| name.0),
            email: new.email.map(|address| address.0),
            language: new.language.map(|language| language.0).or(String::new()),
            time_zone: new.time_zone.map(|zone| zone.0).or(String::new()),
            active: new.active,
        };
        Ok(Done(context.execute_on_configuration(&user.0, input.canonical.as_deref(), UpdateSystemUser(settings)).await?))
    }

    /// Delete a system user
    ///
    /// Allowed only when no subscription names the user.
    #[oai(path = "/system-users/:systemUser", method = "delete", operation_id = "deleteSystemUser")]
    async fn delete(
        &self,
        context: Context,
        /// Id or name of the system user.
        #[oai(name = "systemUser")]
        user: Path<Reference>,
    ) -> Result<Done, Problem> {
        Ok(Done(context.delete::<system_user::SystemUser>(user.0).await?))
    }
}
