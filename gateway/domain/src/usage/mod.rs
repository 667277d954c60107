//! Usage identifiers, buckets, chargeable events, adjustments, contracts.

pub mod adjustment;
pub mod bucket;
pub mod chargeable_event;
pub mod contract;
pub mod usage_identifier;
