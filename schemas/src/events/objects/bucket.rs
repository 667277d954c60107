//! Buckets: their events and parameters.

use crate::events::{
    catalogue::{EventType, Key, Source},
    parameters::{Group, Parameter, n, p},
};

/// What a bucket's events offer of it.
pub const PARAMETERS: &[Parameter] = &[
    p("bucket.id", "The bucket's id", "0198c0de-0000-7000-8000-000000000017"),
    p("bucket.name", "The bucket's name", "Data 10 GB"),
    p("bucket.unit", "The unit it counts", "MB"),
    p("bucket.size", "Where its last tier ends", "10000"),
    p("bucket.used", "How much has been used", "8000"),
    p("bucket.remaining", "How much is left", "2000"),
];

const TIER: &[Parameter] = &[
    p("bucket.tier", "Name of the tier that was used up, or its number", "80 percent"),
    n("bucket.tierNumber", "Number of the tier that was used up, from 1", "1"),
    p("bucket.tierSize", "Where that tier ends", "8000"),
];

const BUCKET: Source = Source {
    kind: "bucket",
    key: Key::Account,
    groups: &[Group::Core, Group::Account, Group::Company, Group::Contact, Group::Package, Group::Service, Group::Bucket],
};

/// The events of buckets.
pub const EVENTS: &[EventType] = &[
    BUCKET.object("bucket.created", "Bucket Created", "createBucket"),
    BUCKET.object("bucket.updated", "Bucket Updated", "updateBucket, resetBucket, and each charge it counts"),
    BUCKET.object("bucket.deleted", "Bucket Deleted", "deleteBucket"),
    BUCKET
        .lifecycle("usage_threshold.exceeded", "Usage Threshold Exceeded", "recordChargeableEvents, for each tier that is used up, once")
        .with(TIER),
];
