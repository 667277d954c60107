//! The audit: who changed what and was refused what, by the ids of keys and objects alone. Entries have no personal data.

use billwire_schemas::{
    clock::Timestamp,
    ids::{ApiKeyId, IdentityProviderId, TransactionId},
};
use serde::{Deserialize, Serialize};

/// Stands for the operation where a connection to NATS was refused.
pub const CONNECT: &str = "connectToNats";

/// What an entry tells of.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Kind {
    /// Business transactions that were committed together.
    Changes,
    /// Requests that were not allowed.
    Refusals,
    /// The first use of a text of an API key.
    FirstUse,
    /// The first call of a person that a process has seen.
    SignIn,
    /// Subscribers that connected to NATS.
    Connections,
}

impl Kind {
    /// All of them.
    pub const ALL: [Self; 5] = [Self::Changes, Self::Refusals, Self::FirstUse, Self::SignIn, Self::Connections];

    /// The name on the wire.
    pub fn name(self) -> &'static str {
        match self {
            Self::Changes => "changes",
            Self::Refusals => "refusals",
            Self::FirstUse => "firstUse",
            Self::SignIn => "signIn",
            Self::Connections => "connections",
        }
    }
}

/// Somebody whom an identity provider knows, without their name or subject.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Person {
    /// The identity provider.
    pub identity_provider_id: IdentityProviderId,
    /// A keyed hash of their subject, in hexadecimal digits: the same for the same person.
    pub pseudonym: String,
}

/// Who did something: an API key, a person, a part of the gateway, or nobody who is known.
#[derive(Debug, Clone, Default, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct By {
    /// The id of the API key.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub api_key_id: Option<ApiKeyId>,
    /// The person.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub person: Option<Person>,
    /// The part of the gateway, such as `clock`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub part: Option<String>,
}

impl By {
    /// The key with this id.
    pub fn key(key: ApiKeyId) -> Self {
        Self { api_key_id: Some(key), ..Self::default() }
    }

    /// This person.
    pub fn person(person: Person) -> Self {
        Self { person: Some(person), ..Self::default() }
    }

    /// The part of the gateway with this name.
    pub fn part(name: &str) -> Self {
        Self { part: Some(name.to_owned()), ..Self::default() }
    }
}

/// A committed business transaction.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ChangeMade {
    /// Its id.
    pub business_transaction_id: TransactionId,
    /// The operationId.
    pub operation: String,
    /// Who called the operation.
    pub by: By,
    /// Whether the reply showed a secret.
    #[serde(skip_serializing_if = "std::ops::Not::not", default)]
    pub secret_shown: bool,
    /// SHA-256 of the business transaction as it is stored, in hexadecimal digits.
    pub digest: String,
}

/// Requests of one caller that were refused for one reason.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Refusal {
    /// The operationId, or [`CONNECT`]; absent: there is no such operation.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub operation: Option<String>,
    /// Who called.
    pub by: By,
    /// The code of the refusal.
    pub code: String,
    /// How many there were.
    pub count: u64,
}

/// Connections to NATS with one API key.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ConnectionsMade {
    /// Whose key it was.
    pub by: By,
    /// How many there were.
    pub count: u64,
}

/// An entry.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Entry {
    /// When it was made, by the machine's clock.
    pub at: Timestamp,
    /// What it tells of.
    pub kind: Kind,
    /// Of [`Kind::Changes`].
    #[serde(skip_serializing_if = "Vec::is_empty", default)]
    pub changes: Vec<ChangeMade>,
    /// Of [`Kind::Refusals`].
    #[serde(skip_serializing_if = "Vec::is_empty", default)]
    pub refusals: Vec<Refusal>,
    /// Of [`Kind::Connections`].
    #[serde(skip_serializing_if = "Vec::is_empty", default)]
    pub connections: Vec<ConnectionsMade>,
    /// Of [`Kind::FirstUse`]: the key.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub api_key_id: Option<ApiKeyId>,
    /// Of [`Kind::SignIn`]: the person.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub person: Option<Person>,
}

impl Entry {
    fn new(at: Timestamp, kind: Kind) -> Self {
        Self { at, kind, changes: Vec::new(), refusals: Vec::new(), connections: Vec::new(), api_key_id: None, person: None }
    }

    /// An entry of changes.
    pub fn changes(at: Timestamp, changes: Vec<ChangeMade>) -> Self {
        Self { changes, ..Self::new(at, Kind::Changes) }
    }

    /// An entry of refusals.
    pub fn refusals(at: Timestamp, refusals: Vec<Refusal>) -> Self {
        Self { refusals, ..Self::new(at, Kind::Refusals) }
    }

    /// An entry of connections.
    pub fn connections(at: Timestamp, connections: Vec<ConnectionsMade>) -> Self {
        Self { connections, ..Self::new(at, Kind::Connections) }
    }

    /// An entry of a first use.
    pub fn first_use(at: Timestamp, key: ApiKeyId) -> Self {
        Self { api_key_id: Some(key), ..Self::new(at, Kind::FirstUse) }
    }

    /// An entry of a person's first call.
    pub fn sign_in(at: Timestamp, person: Person) -> Self {
        Self { person: Some(person), ..Self::new(at, Kind::SignIn) }
    }
}
