//! Usage identifiers, buckets, chargeable events, adjustments, contracts.

pub(crate) mod adjustments;
pub(crate) mod buckets;
pub(crate) mod chargeable_events;
pub(crate) mod contracts;
pub(crate) mod reversals;
pub(crate) mod usage_identifiers;
