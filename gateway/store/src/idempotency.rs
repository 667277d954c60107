//! Idempotency keys: the stored reply of a changing operation, written in the operation's own transaction
//! (IETF draft-ietf-httpapi-idempotency-key-header). Refusals are not stored: the caller may correct and use the key again.

use sea_orm::{ColumnTrait, Condition, ConnectionTrait, EntityTrait, QueryFilter, sea_query::ExprTrait};

use billwire_schemas::ids::TenantId;

use crate::{Error, entity::idempotency};

/// The claim of a request with an `Idempotency-Key`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Claim {
    /// The key as the client sent it.
    pub key: String,
    /// Hash of operation, address and body: the same key with another hash is an error of the client.
    pub fingerprint: String,
}

/// The answer of a changing operation.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reply {
    /// HTTP status.
    pub status: u16,
    /// JSON text; a repeat answers the same bytes.
    pub body: String,
    /// Id of the first entity of the business transaction that the body shows.
    pub entity: Option<String>,
    /// Whether the body shows a secret, so that its stored copy must be sealed.
    pub secret: bool,
    /// Whether this was stored by an earlier request.
    pub replayed: bool,
}

/// The stored rows of these tenants' claims.
pub(crate) async fn find<'c, C: ConnectionTrait>(
    conn: &C,
    claims: impl Iterator<Item = (&'c TenantId, &'c Claim)>,
) -> Result<Vec<idempotency::Model>, Error> {
    let one = |(tenant, claim): (&TenantId, &Claim)| {
        idempotency::Column::Tenant.eq(tenant.as_str()).and(idempotency::Column::Key.eq(claim.key.as_str()))
    };
    let any = claims.map(one).fold(Condition::any(), Condition::add);
    if any.is_empty() {
        return Ok(Vec::new());
    }
    Ok(idempotency::Entity::find().filter(any).all(conn).await?)
}
