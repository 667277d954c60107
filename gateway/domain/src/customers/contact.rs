//! Contacts: the people to reach about an account. Events of other objects make contact data available to e-mails only; a
//! contact's own object events carry its state, like those of any object.

use billwire_schemas::{
    clock::Timestamp,
    events::envelope::Parameters,
    ids::{AccountId, ContactId},
    refusal::Code,
};
use serde::{Deserialize, Serialize};

use crate::{
    change::{Change, Entity, entity_members},
    customers::account::{Account, ensure_not_deactivated},
    patch::Patch,
    rejected::Rejected,
};

/// The purpose of a contact.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Role {
    /// Bills and payments.
    Billing,
    /// Any other purpose.
    Technical,
    /// Anything else.
    Other,
}

impl Role {
    /// The name on the wire.
    pub fn name(self) -> &'static str {
        match self {
            Self::Billing => "billing",
            Self::Technical => "technical",
            Self::Other => "other",
        }
    }
}

/// A contact.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Contact {
    /// Object id.
    pub id: ContactId,
    /// Object version, starting at 1.
    pub version: i64,
    /// The object's id in the external system.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub external_id: Option<String>,
    /// The owning account.
    pub account_id: AccountId,
    /// Purpose of the contact.
    pub role: Role,
    /// The person's name.
    pub name: String,
    /// The person's e-mail address.
    pub email: String,
    /// The person's telephone number.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub phone: Option<String>,
    /// Preferred language, as a BCP 47 tag.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub language: Option<String>,
    /// Creation time.
    pub created_at: Timestamp,
    /// Time of the last change.
    pub updated_at: Timestamp,
}

/// `createContact`.
#[derive(Debug, Clone)]
pub struct Create {
    /// The new contact's id.
    pub id: ContactId,
    /// See [`Contact::external_id`].
    pub external_id: Option<String>,
    /// See [`Contact::role`].
    pub role: Role,
    /// See [`Contact::name`].
    pub name: String,
    /// See [`Contact::email`].
    pub email: String,
    /// See [`Contact::phone`].
    pub phone: Option<String>,
    /// See [`Contact::language`].
    pub language: Option<String>,
}

/// Decides `createContact`.
///
/// # Errors
/// `account_deactivated`.
pub fn create(command: Create, account: &Account, now: Timestamp) -> Result<Change<Contact>, Rejected> {
    ensure_not_deactivated(account)?;
    Ok(Change::created(Contact {
        id: command.id,
        version: 1,
        external_id: command.external_id,
        account_id: account.id,
        role: command.role,
        name: command.name,
        email: command.email,
        phone: command.phone,
        language: command.language,
        created_at: now,
        updated_at: now,
    }))
}

/// `updateContact`; absent members stay unchanged.
#[derive(Debug, Clone, Default)]
pub struct Update {
    /// See [`Contact::external_id`].
    pub external_id: Patch<String>,
    /// See [`Contact::role`].
    pub role: Option<Role>,
    /// See [`Contact::name`].
    pub name: Option<String>,
    /// See [`Contact::email`].
    pub email: Option<String>,
    /// See [`Contact::phone`].
    pub phone: Patch<String>,
    /// See [`Contact::language`].
    pub language: Patch<String>,
}

/// Decides `updateContact`.
///
/// # Errors
/// `account_deactivated`.
pub fn update(contact: Contact, account: &Account, command: Update, now: Timestamp) -> Result<Change<Contact>, Rejected> {
    ensure_not_deactivated(account)?;
    let mut after = contact.next_version(now);
    after.external_id = command.external_id.apply(after.external_id);
    after.role = command.role.unwrap_or(after.role);
    after.name = command.name.unwrap_or(after.name);
    after.email = command.email.unwrap_or(after.email);
    after.phone = command.phone.apply(after.phone);
    after.language = command.language.apply(after.language);
    Ok(Change::updated(contact, after, Vec::<&'static str>::new()))
}

/// Decides `deleteContact`.
///
/// # Errors
/// `account_deactivated`; `still_in_use` for the account's billing contact.
pub fn delete(contact: Contact, account: &Account) -> Result<Change<Contact>, Rejected> {
    ensure_not_deactivated(account)?;
    if account.bills_to(contact.id) {
        return Err(Rejected::conflict(
            Code::StillInUse,
            "The contact is its account's billing contact; set another billing contact first.",
        ));
    }
    Ok(Change::deleted(contact))
}

impl Entity for Contact {
    const TYPE: &'static str = "contact";
    const EVENT_OBJECT: Option<&'static str> = Some("contact");

    entity_members!(updated_at, external_id, account_id);
    fn parameters(&self) -> Parameters {
        let id = self.id.to_string();
        let members = [
            ("contact.id", Some(id.as_str())),
            ("contact.externalId", self.external_id.as_deref()),
            ("contact.role", Some(self.role.name())),
            ("contact.name", Some(self.name.as_str())),
            ("contact.email", Some(self.email.as_str())),
            ("contact.phone", self.phone.as_deref()),
            ("contact.language", self.language.as_deref()),
        ];
        members.into_iter().filter_map(|(name, value)| Some((name.to_owned(), value?.into()))).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::customers::account::{Status, tests::with_status};
    use billwire_schemas::{events::objects, ids::fresh};

    fn made(account: &Account) -> Result<Change<Contact>, Rejected> {
        let command = Create {
            id: ContactId(fresh()),
            external_id: Some("P-1".into()),
            role: Role::Billing,
            name: "Ada".into(),
            email: "ada@example.com".into(),
            phone: Some("+44 113 496 0000".into()),
            language: Some("en-GB".into()),
        };
        create(command, account, Timestamp::UNIX_EPOCH)
    }

    #[test]
    fn an_update_keeps_what_it_does_not_name() {
        let account = with_status(Status::Active);
        let contact = made(&account).expect("a contact").after;
        let command = Update { email: Some("bills@example.com".into()), ..Update::default() };
        let after = update(contact.clone(), &account, command, Timestamp::UNIX_EPOCH).expect("updated").after;
        assert_eq!(after, Contact { version: 2, email: "bills@example.com".into(), ..contact });
    }

    #[test]
    fn a_deactivated_accounts_contacts_stay_as_they_are() {
        let dead = with_status(Status::Deactivated);
        let contact = made(&with_status(Status::Active)).expect("a contact").after;
        assert_eq!(made(&dead).unwrap_err().code.as_str(), "account_deactivated");
        let refused = update(contact.clone(), &dead, Update::default(), Timestamp::UNIX_EPOCH).unwrap_err();
        assert_eq!(refused.code.as_str(), "account_deactivated");
        assert_eq!(delete(contact, &dead).unwrap_err().code.as_str(), "account_deactivated");
    }

    #[test]
    fn the_billing_contact_cannot_be_deleted() {
        let mut account = with_status(Status::Active);
        let contact = made(&account).expect("a contact").after;
        account.billing_contact_id = Some(contact.id);
        assert_eq!(delete(contact.clone(), &account).unwrap_err().code.as_str(), "still_in_use");
        account.billing_contact_id = None;
        assert!(delete(contact, &account).is_ok());
    }

    #[test]
    fn its_parameters_are_those_of_the_catalogue_and_all_of_the_private_group() {
        let given = made(&with_status(Status::Active)).expect("a contact").after.parameters();
        let mut offered: Vec<_> = objects::contact::PARAMETERS.iter().map(|p| p.name).collect();
        offered.sort_unstable();
        assert!(offered.iter().all(|name| name.starts_with("contact.")));
        assert_eq!(given.into_keys().collect::<Vec<_>>(), offered);
    }
}
