//! Buckets: their events and parameters.

use crate::events::{
    catalogue::{EventType, Key, Source},
    parameters::{Group, Parameter, n, p},
};

/// The bucket parameters of a bucket's events.
pub const PARAMETERS: &[Parameter] = &[
    p("bucket.id", "The bucket's id", "0198c0de-0000-7000-8000-000000000017"),
    p("bucket.name", "The bucket's name", "Data 10 GB"),
    p("bucket.unit", "The unit of the usage", "MB"),
    p("bucket.size", "The bucket's size, where the last tier ends", "10000"),
    p("bucket.used", "Usage so far", "8000"),
    p("bucket.remaining", "Remaining allowance", "2000"),
];

const TIER: &[Parameter] = &[
    p("bucket.tier", "Name of the used-up tier, or its number", "80 percent"),
    n("bucket.tierNumber", "Number of the used-up tier, from 1", "1"),
    p("bucket.tierSize", "Usage at which the tier ends", "8000"),
];

const BUCKET: Source = Source {
    kind: "bucket",
    key: Key::Account,
    groups: &[Group::Core, Group::Account, Group::Company, Group::Contact, Group::Package, Group::Service, Group::Bucket],
};

const BUCKET_UPDATED: &str = "updateBucket, resetBucket, each charge that counts against the bucket, and the clock when a bucket that resets enters a billing period";
const TIER_USED_UP: &str = "recordChargeableEvents, once for each tier that is used up, in each billing period if the bucket resets";

/// The events of buckets.
pub const EVENTS: &[EventType] = &[
    BUCKET.object("bucket.created", "Bucket Created", "createBucket"),
    BUCKET.object("bucket.updated", "Bucket Updated", BUCKET_UPDATED),
    BUCKET.object("bucket.deleted", "Bucket Deleted", "deleteBucket"),
    BUCKET.lifecycle("usage_threshold.exceeded", "Usage Threshold Exceeded", TIER_USED_UP).with(TIER),
];
