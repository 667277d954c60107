//! Events: the types ([`catalogue`]) and their contents ([`envelope`], [`parameters`]).
//!
//! Naming: an event type is `<object>.<what happened>`, both parts in snake case, the second in the past tense.
//! Versioning: `schemas/events/<type>/v1.json` only ever gains optional members; any other change needs a `v2`.

pub mod catalogue;
pub mod envelope;
pub mod example;
pub mod json_schema;
pub mod objects;
pub mod parameters;
pub mod relations;
pub mod selection;
pub mod size;
