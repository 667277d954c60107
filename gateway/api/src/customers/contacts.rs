//! Contacts.

use billwire_app::{
    CreateContact, DeleteContact, Filter, UpdateContact,
    domain::customers::{account::Account, contact},
};
use billwire_schemas::ids::{ContactId, fresh};
use billwire_schemas::refusal::Code;
use poem_openapi::{Object, OpenApi, Tags, param::Path, types::Example};
use uuid::Uuid;

use crate::{
    http::{
        problem::Problem,
        request_context::{Context, Query},
        responses::{Created, Done, Found, IfNoneMatch, Listed},
        validated_body::{Validate, Validated},
    },
    openapi::operation::{Operation, change, create, created, delete, get, list, updated},
    types::example::{example_id, example_moment},
    types::nullable::Nullable,
    types::scalars::{ContactRole, EmailAddress, ExternalId, Language, Moment, Name, Phone, Reference},
};

#[derive(Tags)]
pub(crate) enum Tag {
    /// Contact persons of accounts.
    #[oai(rename = "Contacts")]
    Contacts,
}

pub(crate) struct Contacts;

/// Registry entries of the operations below.
pub(crate) const OPERATIONS: &[Operation] = &[
    create(
        "createContact",
        "contacts:write",
        &[Code::ExternalIdTaken, Code::AccountUnknown, Code::AccountDeactivated],
        created("contact", "Contact", &["contact.created"]),
    ),
    list("listContacts", "contacts:read"),
    get("getContact", "contacts:read", &[Code::ContactNotFound]),
    change(
        "updateContact",
        "contacts:write",
        &[Code::ContactNotFound, Code::ExternalIdTaken, Code::AccountDeactivated],
        updated("contact", "Contact", &["contact.updated"]),
    ),
    delete("deleteContact", "contacts:write", &[Code::ContactNotFound, Code::AccountDeactivated, Code::StillInUse], "contact", "Contact"),
];

/// The contact to create.
#[derive(Debug, Object)]
#[oai(rename_all = "camelCase", skip_serializing_if_is_none, example)]
pub(crate) struct ContactInput {
    /// External id: the id in your system; unique among contacts. Operations accept it in place of the id.
    external_id: Option<ExternalId>,
    /// Id or external id of the account.
    account: Reference,
    /// Role of the contact.
    #[oai(default = "other")]
    role: ContactRole,
    /// The person's name.
    name: Name,
    /// The person's e-mail address.
    email: EmailAddress,
    /// The person's telephone number.
    phone: Option<Phone>,
    /// Preferred language, BCP 47.
    language: Option<Language>,
}

fn other() -> ContactRole {
    ContactRole::Other
}

impl Validate for ContactInput {}

impl Example for ContactInput {
    fn example() -> Self {
        Self {
            external_id: Some("PERSON-13".into()),
            account: "CRM-4711".into(),
            role: ContactRole::Technical,
            name: "Grace Example".into(),
            email: "grace@example.com".into(),
            phone: Some("+49 30 1234567".into()),
            language: Some("de".into()),
        }
    }
}

/// Changes to a contact. Absent members keep their values.
#[derive(Debug, Object)]
#[oai(rename_all = "camelCase", skip_serializing_if_is_none, example)]
pub(crate) struct ContactUpdate {
    /// External id: the id in your system; unique. The old one is free afterwards.
    external_id: Nullable<ExternalId>,
    /// Role of the contact.
    role: Option<ContactRole>,
    /// The person's name.
    name: Option<Name>,
    /// The person's e-mail address.
    email: Option<EmailAddress>,
    /// The person's telephone number.
    phone: Nullable<Phone>,
    /// Preferred language, BCP 47.
    language: Nullable<Language>,
}

impl Validate for ContactUpdate {}

impl Example for ContactUpdate {
    fn example() -> Self {
        Self {
            external_id: Nullable::default(),
            role: None,
            name: None,
            email: Some("bills@example.com".into()),
            phone: Nullable::default(),
            language: Nullable::default(),
        }
    }
}

/// A contact person of an account.
#[derive(Debug, Object)]
#[oai(rename_all = "camelCase", skip_serializing_if_is_none, example)]
pub(crate) struct Contact {
    /// Unique id.
    id: Uuid,
    /// Version, starting at 1.
    version: i64,
    /// External id: the id in your system.
    external_id: Option<String>,
    /// Id of the account.
    account_id: Uuid,
    /// Role: `billing`, `technical` or `other`. More values may be added.
    role: String,
    /// The person's name.
    name: String,
    /// The person's e-mail address.
    email: String,
    /// The person's telephone number.
    phone: Option<String>,
    /// Preferred language, BCP 47.
    language: Option<String>,
    /// Creation time.
    created_at: Moment,
    /// Time of the last change.
    updated_at: Moment,
}

impl Example for Contact {
    fn example() -> Self {
        Self {
            id: example_id(10),
            version: 1,
            external_id: Some("PERSON-12".to_owned()),
            account_id: example_id(1),
            role: "billing".to_owned(),
            name: "Ada Example".to_owned(),
            email: "ada@example.com".to_owned(),
            phone: Some("+49 30 1234567".to_owned()),
            language: Some("de".to_owned()),
            created_at: example_moment(),
            updated_at: example_moment(),
        }
    }
}

impl From<ContactRole> for contact::Role {
    fn from(role: ContactRole) -> Self {
        match role {
            ContactRole::Billing => Self::Billing,
            ContactRole::Technical => Self::Technical,
            ContactRole::Other => Self::Other,
        }
    }
}

#[OpenApi(prefix_path = "/v1", tag = "Tag::Contacts")]
impl Contacts {
    /// Create a contact
    ///
    /// A contact is a contact person of an account. To send an account's invoices to a contact, set the account's `billingContact`.
    /// Contact parameters are available in e-mails only. The events `contact.created`, `contact.updated` and `contact.deleted` contain
    /// the contact's personal data: subscribe only receivers that may have it.
    #[oai(path = "/contacts", method = "post", operation_id = "createContact")]
    async fn create(&self, context: Context, input: Validated<ContactInput>) -> Result<Created, Problem> {
        let new = input.body;
        let command = contact::Create {
            id: ContactId(fresh()),
            external_id: new.external_id.map(|id| id.0),
            role: new.role.into(),
            name: new.name.0,
            email: new.email.0,
            phone: new.phone.map(|phone| phone.0),
            language: new.language.map(|language| language.0),
        };
        let reply = context.execute_on(&new.account, input.canonical.as_deref(), CreateContact { command }).await?;
        Ok(Created::under("/v1/contacts", reply))
    }

    /// List contacts
    ///
    /// Oldest first.
    #[oai(path = "/contacts", method = "get", operation_id = "listContacts")]
    async fn list(
        &self,
        context: Context,
        /// Only contacts of this account, by its id or external id.
        account: Query<Reference>,
    ) -> Result<Listed<Contact>, Problem> {
        let filter = Filter::new().is_id("account_id", context.filtered::<Account>(&account).await?);
        Listed::objects::<contact::Contact>(&context, filter).await
    }

    /// Get a contact
    ///
    /// Returns the object with this id or external id.
    #[oai(path = "/contacts/:contact", method = "get", operation_id = "getContact")]
    async fn get(
        &self,
        context: Context,
        known: IfNoneMatch,
        /// Id or external id of the contact.
        contact: Path<Reference>,
    ) -> Result<Found<Contact>, Problem> {
        Found::of(&context.app().get::<contact::Contact>(context.tenant(), &contact.0.0).await?, &known)
    }

    /// Change a contact
    ///
    /// Absent members keep their values; null unsets a member.
    #[oai(path = "/contacts/:contact", method = "patch", operation_id = "updateContact")]
    async fn update(
        &self,
        context: Context,
        /// Id or external id of the contact.
        contact: Path<Reference>,
        input: Validated<ContactUpdate>,
    ) -> Result<Done, Problem> {
        let wanted = input.body;
        let command = contact::Update {
            external_id: wanted.external_id.map(|id| id.0),
            role: wanted.role.map(Into::into),
            name: wanted.name.map(|name| name.0),
            email: wanted.email.map(|email| email.0),
            phone: wanted.phone.map(|phone| phone.0),
            language: wanted.language.map(|language| language.0),
        };
        Ok(Done(context.execute_on(&contact.0, input.canonical.as_deref(), UpdateContact { command }).await?))
    }

    /// Delete a contact
    ///
    /// The account's billing contact cannot be deleted; set another one first.
    #[oai(path = "/contacts/:contact", method = "delete", operation_id = "deleteContact")]
    async fn delete(
        &self,
        context: Context,
        /// Id or external id of the contact.
        contact: Path<Reference>,
    ) -> Result<Done, Problem> {
        Ok(Done(context.execute_on(&contact.0, None, DeleteContact).await?))
    }
}
