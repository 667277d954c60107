//! The registry entry of an operation: scope, headers, refusals and change, for authorization, documented responses and tests. Entries
//! are beside their handlers; an operation without one is refused with 403.

use billwire_schemas::{events::catalogue, refusal::Code};

/// One operation.
#[derive(Debug)]
pub struct Operation {
    /// The operationId.
    pub id: &'static str,
    /// The required scope.
    pub scope: &'static str,
    /// The operation's own refusals; [`Operation::codes`] has all.
    pub own_codes: &'static [Code],
    /// The body, headers and common parameters it takes.
    pub takes: Takes,
    /// The change in its business transaction, if it creates one.
    pub makes: Option<Makes>,
}

/// The body, headers and common parameters an operation takes.
#[derive(Debug, Clone, Copy, Default)]
pub struct Takes {
    /// A JSON body.
    pub body: bool,
    /// `Idempotency-Key`.
    pub idempotency_key: bool,
    /// `If-Match`.
    pub if_match: bool,
    /// `cursor` and `limit`.
    pub cursor: bool,
    /// `If-None-Match`.
    pub if_none_match: bool,
}

/// The change an operation makes.
#[derive(Debug, Clone, Copy)]
pub struct Makes {
    /// The entity's type in business transactions.
    pub entity: &'static str,
    /// The entity's schema in the document.
    pub schema: &'static str,
    /// `created`, `updated` or `deleted`.
    pub action: &'static str,
    /// The events it always publishes.
    pub events: &'static [&'static str],
    /// The types of other entities that it may change too.
    pub also: &'static [&'static str],
}

impl Makes {
    /// That it may change entities of these types too.
    pub(crate) const fn and(self, also: &'static [&'static str]) -> Self {
        Self { also, ..self }
    }

    /// The types of entities in its business transaction.
    pub fn kinds(&self) -> impl Iterator<Item = &'static str> {
        std::iter::once(self.entity).chain(self.also.iter().copied())
    }
}

/// Only path and query.
pub(crate) const PLAIN: Takes = Takes { body: false, idempotency_key: false, if_match: false, cursor: false, if_none_match: false };
const READ: Takes = Takes { if_none_match: true, ..PLAIN };
const LIST: Takes = Takes { cursor: true, ..PLAIN };
const CREATE: Takes = Takes { body: true, idempotency_key: true, ..PLAIN };
const CHANGE: Takes = Takes { if_match: true, ..CREATE };
const DELETE: Takes = Takes { body: false, ..CHANGE };

/// An operation that reads one entity.
pub(crate) const fn get(id: &'static str, scope: &'static str, own_codes: &'static [Code]) -> Operation {
    Operation { id, scope, own_codes, takes: READ, makes: None }
}

/// An operation that reads a page.
pub(crate) const fn list(id: &'static str, scope: &'static str) -> Operation {
    Operation { id, scope, own_codes: &[], takes: LIST, makes: None }
}

/// An operation that creates an entity.
pub(crate) const fn create(id: &'static str, scope: &'static str, own_codes: &'static [Code], makes: Makes) -> Operation {
    Operation { id, scope, own_codes, takes: CREATE, makes: Some(makes) }
}

/// A bulk operation; `own_codes` are those of its items.
pub(crate) const fn in_bulk(id: &'static str, scope: &'static str, own_codes: &'static [Code]) -> Operation {
    Operation { id, scope, own_codes, takes: CREATE, makes: None }
}

/// An operation that changes the entity in its path.
pub(crate) const fn change(id: &'static str, scope: &'static str, own_codes: &'static [Code], makes: Makes) -> Operation {
    Operation { id, scope, own_codes, takes: CHANGE, makes: Some(makes) }
}

/// An operation that deletes the entity in its path.
pub(crate) const fn delete(
    id: &'static str,
    scope: &'static str,
    own_codes: &'static [Code],
    entity: &'static str,
    schema: &'static str,
) -> Operation {
    let makes = Makes { entity, schema, action: "deleted", events: &[], also: &[] };
    Operation { id, scope, own_codes, takes: DELETE, makes: Some(makes) }
}

/// A changed entity and the events always published.
pub(crate) const fn updated(entity: &'static str, schema: &'static str, events: &'static [&'static str]) -> Makes {
    Makes { entity, schema, action: "updated", events, also: &[] }
}

/// A created entity and its events.
pub(crate) const fn created(entity: &'static str, schema: &'static str, events: &'static [&'static str]) -> Makes {
    Makes { entity, schema, action: "created", events, also: &[] }
}

/// Refusals common to all operations.
const ANY: &[Code] = &[
    Code::BadRequest,
    Code::InvalidParameter,
    Code::UnknownParameter,
    Code::Unauthenticated,
    Code::InsufficientScope,
    Code::NetworkNotAllowed,
    Code::NoRole,
    Code::TenantSuspended,
    Code::TooManyRequests,
    Code::InternalError,
    Code::Unavailable,
    Code::IdentityProviderUnavailable,
    Code::Busy,
];

impl Operation {
    /// Every code its problems can have.
    pub fn codes(&self) -> Vec<Code> {
        let mut codes = ANY.to_vec();
        let takes = self.takes;
        for (taken, more) in [
            (
                takes.body,
                &[
                    Code::MalformedJson,
                    Code::DuplicateKey,
                    Code::SchemaViolation,
                    Code::RequestTimeout,
                    Code::BodyTooLarge,
                    Code::UnsupportedMediaType,
                ][..],
            ),
            (takes.cursor, &[Code::BadCursor]),
            (
                takes.idempotency_key,
                &[Code::BadIdempotencyKey, Code::IdempotencyKeyReused, Code::StorageFull, Code::RestoredDatabase, Code::Overloaded],
            ),
            (takes.if_match, &[Code::BadIfMatch, Code::StaleVersion]),
        ] {
            if taken {
                codes.extend(more);
            }
        }
        // An entity with events must fit into a message of the stream.
        if self.makes.is_some_and(|makes| catalogue::all().any(|event| event.source == makes.entity)) {
            codes.push(Code::EventTooLarge);
        }
        codes.extend(self.own_codes);
        codes
    }
}
