//! Usage identifiers, buckets, chargeable events, adjustments, contracts.

pub(crate) mod adjust_chargeable_event;
pub(crate) mod buckets;
pub(crate) mod contracts;
pub(crate) mod record_chargeable_events;
pub(crate) mod reverse_chargeable_event;
pub(crate) mod usage_identifiers;
