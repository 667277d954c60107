//! Who a notification goes to, in which language and time zone. Pure.

use std::collections::{HashMap, HashSet};

use billwire_schemas::{
    events::{envelope::Parameters, parameters::value_of},
    ids::SystemUserId,
    recipient::{Recipient, is_address},
};
use chrono_tz::Tz;

use crate::{EmailAction, SystemUser};

/// The header that names a recipient.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Role {
    /// To.
    To,
    /// Cc.
    Cc,
    /// No header: the other recipients do not see this one.
    Bcc,
}

/// The language and time zone of a message.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Default)]
pub struct Reading {
    /// The recipient's language; `None`: the template's own.
    pub language: Option<String>,
    /// The recipient's time zone; `None`: the tenant's.
    pub zone: Option<Tz>,
}

/// One recipient of a message.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Addressee {
    /// The address.
    pub address: String,
    /// The name, if known.
    pub name: Option<String>,
    /// The header that names the recipient.
    pub role: Role,
    /// The language and time zone of the recipient's message.
    pub reading: Reading,
}

/// The parameter with the language of the contact whose address is [`CONTACT_EMAIL`].
const CONTACT_LANGUAGE: &str = "contact.language";
const CONTACT_EMAIL: &str = "contact.email";
const CONTACT_NAME: &str = "contact.name";

/// The recipients of an e-mail action, each address once, and why mail cannot be sent to the others. Inactive users are omitted.
pub fn addressees(
    action: &EmailAction,
    users: &HashMap<SystemUserId, SystemUser>,
    parameters: &Parameters,
) -> (Vec<Addressee>, Vec<String>) {
    let (mut found, mut missing, mut seen) = (Vec::new(), Vec::new(), HashSet::new());
    let text = |name: &str| {
        value_of(name, |name| parameters.get(name)).and_then(|value| value.as_str()).filter(|text| !text.is_empty()).map(str::to_owned)
    };
    for (role, recipients) in [(Role::To, &action.to), (Role::Cc, &action.cc), (Role::Bcc, &action.bcc)] {
        for recipient in recipients {
            let (address, name, reading) = match recipient {
                Recipient::Address(address) => (address.clone(), None, Reading::default()),
                Recipient::User(id) => match users.get(id) {
                    Some(user) if user.active => {
                        (user.email.clone(), Some(user.name.clone()), Reading { language: user.language.clone(), zone: user.time_zone })
                    }
                    Some(_) => continue,
                    None => {
                        missing.push(format!("the system user '{id}' does not exist any more"));
                        continue;
                    }
                },
                Recipient::Parameter(name) => match text(name) {
                    Some(address) if name == CONTACT_EMAIL => {
                        (address, text(CONTACT_NAME), Reading { language: text(CONTACT_LANGUAGE), zone: None })
                    }
                    Some(address) => (address, None, Reading::default()),
                    None => {
                        missing.push(format!("'{name}' is absent"));
                        continue;
                    }
                },
            };
            if !is_address(&address) {
                missing.push(format!("'{recipient}' is not an e-mail address"));
                continue;
            }
            if seen.insert(address.to_lowercase()) {
                found.push(Addressee { address, name, role, reading });
            }
        }
    }
    (found, missing)
}

#[cfg(test)]
mod tests {
    use billwire_schemas::ids::{NotificationTemplateId, SmtpAccountId, fresh};
    use serde_json::json;

    use super::*;

    #[test]
    fn everyone_is_found_once_and_what_is_missing_is_told() {
        let (ann, away, gone) = (SystemUserId(fresh()), SystemUserId(fresh()), SystemUserId(fresh()));
        let user = |email: &str, active| SystemUser {
            name: "Ann".into(),
            email: email.into(),
            language: Some("de".into()),
            time_zone: Some(Tz::Europe__Zurich),
            active,
        };
        let users = HashMap::from([(ann, user("ann@example.org", true)), (away, user("away@example.org", false))]);
        let parameter = |name: &str| Recipient::Parameter(name.into());
        let action = EmailAction {
            smtp_account: SmtpAccountId(fresh()),
            template: NotificationTemplateId(fresh()),
            attach_event: false,
            to: vec![Recipient::User(ann), Recipient::User(away), Recipient::User(gone), parameter("contact.email")],
            cc: vec![Recipient::Address("ANN@example.org".into()), parameter("sales.email")],
            bcc: vec![Recipient::Address("archive@example.org".into()), parameter("bad.email")],
        };
        let parameters = [("contact.email", "cy@example.org"), ("contact.language", "fr"), ("bad.email", "a@b, c@d")];
        let parameters: Parameters = parameters.into_iter().map(|(name, value)| (name.to_owned(), json!(value))).collect();
        let (found, missing) = addressees(&action, &users, &parameters);
        let told: Vec<(&str, Role, Option<&str>)> =
            found.iter().map(|one| (one.address.as_str(), one.role, one.reading.language.as_deref())).collect();
        assert_eq!(
            told,
            [("ann@example.org", Role::To, Some("de")), ("cy@example.org", Role::To, Some("fr")), ("archive@example.org", Role::Bcc, None)]
        );
        assert_eq!(missing.len(), 3, "{missing:?}");
    }
}
