//! Contacts: their events and parameters.
//!
//! The parameters are for e-mail only. Every event of an account offers its billing contact to e-mails; no event carries these
//! parameters on the stream or to a webhook. (A contact's own object events do carry its state, which is the object itself.)

use crate::events::{
    catalogue::{EventType, Key, Source},
    parameters::{Group, Parameter, p},
};

/// The contact parameters offered to e-mails.
pub const PARAMETERS: &[Parameter] = &[
    p("contact.id", "The contact's id; for e-mail only", "0198c0de-0000-7000-8000-000000000007"),
    p("contact.externalId", "The contact's id in the external system, if any; for e-mail only", "PERSON-12"),
    p("contact.role", "Purpose of the contact; for e-mail only", "billing"),
    p("contact.name", "The person's name; for e-mail only", "Ada Example"),
    p("contact.email", "The person's e-mail address; for e-mail only", "ada@example.com"),
    p("contact.phone", "The person's telephone number, if known; for e-mail only", "+49 30 1234567"),
    p("contact.language", "Preferred language, if known; for e-mail only", "de"),
];

const CONTACT: Source =
    Source { kind: "contact", key: Key::Account, groups: &[Group::Core, Group::Account, Group::Company, Group::Contact] };

/// The events of contacts.
pub const EVENTS: &[EventType] = &[
    CONTACT.object("contact.created", "Contact Created", "createContact"),
    CONTACT.object("contact.updated", "Contact Updated", "updateContact"),
    CONTACT.object("contact.deleted", "Contact Deleted", "deleteContact"),
];
