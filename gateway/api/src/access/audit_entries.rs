//! The audit.

use billwire_app::{AuditEntries as Wanted, domain::access::audit};
use poem_openapi::{Object, OpenApi, Tags, types::Example};
use uuid::Uuid;

use crate::{
    http::{
        problem::Problem,
        request_context::{Context, Query},
        responses::Listed,
    },
    openapi::operation::{Operation, list},
    types::example::{example_id, example_moment},
    types::scalars::{AuditKind, Moment},
};

#[derive(Tags)]
pub(crate) enum Tag {
    /// Who changed what and who was refused what, in a chain that shows whether somebody has altered it.
    #[oai(rename = "Audit")]
    Audit,
}

pub(crate) struct AuditEntries;

/// Registry entries of the operations below.
pub(crate) const OPERATIONS: &[Operation] = &[list("listAuditEntries", "audit:read")];

/// A person, without name or subject.
#[derive(Debug, Object)]
#[oai(rename_all = "camelCase")]
pub(crate) struct AuditedPerson {
    /// Id of the identity provider.
    identity_provider_id: Uuid,
    /// A keyed hash of the person's subject: the same for the same person.
    pseudonym: String,
}

/// Who did something. Without members: nobody who is known.
#[derive(Debug, Object)]
#[oai(rename_all = "camelCase", skip_serializing_if_is_none)]
pub(crate) struct AuditActor {
    /// Id of the API key.
    api_key_id: Option<Uuid>,
    /// The person, if the caller signed in through an identity provider.
    person: Option<AuditedPerson>,
    /// A part of the gateway, such as `clock`, or a command on its machine, such as `billwire keys`.
    part: Option<String>,
}

/// A committed business transaction.
#[derive(Debug, Object)]
#[oai(rename_all = "camelCase", skip_serializing_if_is_none)]
pub(crate) struct AuditedChange {
    /// Id of the business transaction.
    business_transaction_id: Uuid,
    /// The operation, by its operationId.
    operation: String,
    /// Who called the operation.
    by: AuditActor,
    /// Whether the response showed a secret. Absent: it did not.
    secret_shown: Option<bool>,
    /// SHA-256 of the business transaction as it is stored, in hexadecimal digits.
    digest: String,
}

/// Requests of one caller that were refused for one reason.
#[derive(Debug, Object)]
#[oai(rename_all = "camelCase", skip_serializing_if_is_none)]
pub(crate) struct AuditedRefusal {
    /// The operation, by its operationId; `connectToNats` for a connection of a subscriber.
    operation: Option<String>,
    /// Who called.
    by: AuditActor,
    /// Code of the problem.
    code: String,
    /// The number of requests.
    count: u64,
}

/// Connections to NATS with one API key.
#[derive(Debug, Object)]
#[oai(rename_all = "camelCase", skip_serializing_if_is_none)]
pub(crate) struct AuditedConnections {
    /// Whose key it was.
    by: AuditActor,
    /// The number of connections.
    count: u64,
}

/// An entry of the audit.
#[derive(Debug, Object)]
#[oai(rename_all = "camelCase", skip_serializing_if_is_none, example)]
pub(crate) struct AuditEntry {
    /// Number of the entry in the tenant's chain, from 1.
    number: i64,
    /// Time at which the entry was made, by the machine's clock.
    at: Moment,
    /// `changes`, `refusals`, `firstUse` of a text of an API key, `signIn`: the first call of a person since a process of the gateway started, or
    /// `connections` of subscribers to NATS. More values may be added.
    kind: String,
    /// Business transactions that were committed together.
    changes: Option<Vec<AuditedChange>>,
    /// Requests that were not allowed.
    refusals: Option<Vec<AuditedRefusal>>,
    /// Subscribers that connected to NATS.
    connections: Option<Vec<AuditedConnections>>,
    /// Id of the API key that was used for the first time.
    api_key_id: Option<Uuid>,
    /// The person who signed in.
    person: Option<AuditedPerson>,
}

impl Example for AuditEntry {
    fn example() -> Self {
        let by = AuditActor { api_key_id: Some(example_id(0x50)), person: None, part: None };
        let change = AuditedChange {
            business_transaction_id: example_id(5),
            operation: "updateAccountBillCycle".to_owned(),
            by,
            secret_shown: None,
            digest: "9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08".to_owned(),
        };
        Self {
            number: 7,
            at: example_moment(),
            kind: "changes".to_owned(),
            changes: Some(vec![change]),
            refusals: None,
            connections: None,
            api_key_id: None,
            person: None,
        }
    }
}

#[OpenApi(prefix_path = "/v1", tag = "Tag::Audit")]
impl AuditEntries {
    /// List audit entries
    ///
    /// Newest first. An entry appears a moment after what it tells of. Entries name API keys and objects by their ids alone, and people by a pseudonym.
    #[oai(path = "/audit-entries", method = "get", operation_id = "listAuditEntries")]
    async fn list(
        &self,
        context: Context,
        /// Only entries of this kind.
        kind: Query<AuditKind>,
        /// Only entries at or after this time.
        from: Query<Moment>,
        /// Only entries before this time.
        to: Query<Moment>,
    ) -> Result<Listed<AuditEntry>, Problem> {
        let kind = kind.0.map(|kind| match kind {
            AuditKind::Changes => audit::Kind::Changes,
            AuditKind::Refusals => audit::Kind::Refusals,
            AuditKind::FirstUse => audit::Kind::FirstUse,
            AuditKind::SignIn => audit::Kind::SignIn,
            AuditKind::Connections => audit::Kind::Connections,
        });
        let wanted = Wanted { kind, from: from.0.map(|from| from.0), to: to.0.map(|to| to.0) };
        let page_request = context.page().await?;
        Listed::stored(&context, context.app().list_audit_entries(context.tenant(), wanted, page_request).await?)
    }
}
