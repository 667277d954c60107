//! Events: which exist ([`catalogue`]), what they carry ([`envelope`], [`parameters`]).
//!
//! Law of names: an event type is `<object>.<what happened>`, both in snake case, what happened in the past tense.
//! Law of versions: `schemas/events/<type>/v1.json` only ever gains optional members; anything else is a `v2`.

pub mod catalogue;
pub mod envelope;
pub mod example;
pub mod json_schema;
pub mod objects;
pub mod parameters;
pub mod relations;
pub mod selection;
pub mod size;
