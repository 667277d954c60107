//! Buckets.

use billwire_app::{
    CreateBucket, DeleteBucket, Filter, ResetBucket, UpdateBucket,
    domain::{
        Rejected, Violation, amounts,
        customers::{account::Account, service::Service},
        usage::bucket,
    },
};
use billwire_schemas::ids::{BucketId, fresh};
use billwire_schemas::refusal::Code;
use poem_openapi::{Object, OpenApi, Tags, param::Path, types::Example};
use uuid::Uuid;

use crate::{
    customers::{account_bill_cycle::NoMembers, accounts::Period},
    http::{
        problem::Problem,
        request_context::{Context, Query},
        responses::{Created, Done, Found, IfNoneMatch, Listed},
        validated_body::{Validate, Validated},
    },
    openapi::operation::{Operation, change, create, created, delete, get, list, updated},
    types::example::{example_id, example_moment},
    types::nullable::Nullable,
    types::scalars::{Amount, BucketResets, ExternalId, Moment, Name, Reference, UnitName},
};

#[derive(Tags)]
pub(crate) enum Tag {
    /// Usage allowances that charges consume.
    #[oai(rename = "Buckets")]
    Buckets,
}

pub(crate) struct Buckets;

/// Registry entries of the operations below.
pub(crate) const OPERATIONS: &[Operation] = &[
    create(
        "createBucket",
        "buckets:write",
        &[
            Code::ExternalIdTaken,
            Code::ServiceUnknown,
            Code::AccountDeactivated,
            Code::TiersNotAscending,
            Code::AmountInvalid,
            Code::AmountTooFine,
            Code::AmountOutOfRange,
        ],
        created("bucket", "Bucket", &["bucket.created"]),
    ),
    list("listBuckets", "buckets:read"),
    get("getBucket", "buckets:read", &[Code::BucketNotFound]),
    change(
        "updateBucket",
        "buckets:write",
        &[
            Code::BucketNotFound,
            Code::ExternalIdTaken,
            Code::AccountDeactivated,
            Code::TiersNotAscending,
            Code::TiersNotExtendable,
            Code::AmountInvalid,
            Code::AmountTooFine,
            Code::AmountOutOfRange,
        ],
        updated("bucket", "Bucket", &["bucket.updated"]),
    ),
    change(
        "resetBucket",
        "buckets:write",
        &[Code::BucketNotFound, Code::AccountDeactivated],
        updated("bucket", "Bucket", &["bucket.updated"]),
    ),
    delete("deleteBucket", "buckets:write", &[Code::BucketNotFound, Code::AccountDeactivated], "bucket", "Bucket"),
];

/// The tier to create.
#[derive(Debug, Object)]
#[oai(rename_all = "camelCase", skip_serializing_if_is_none)]
pub(crate) struct TierInput {
    /// Display name.
    name: Option<Name>,
    /// Usage at which the tier is used up; greater than that of the previous tier.
    up_to: Amount,
}

/// The bucket to create.
#[derive(Debug, Object)]
#[oai(rename_all = "camelCase", skip_serializing_if_is_none, example)]
pub(crate) struct BucketInput {
    /// External id: the id in your system; unique among buckets.
    external_id: Option<ExternalId>,
    /// Id or external id of the service whose charges the bucket counts.
    service: Reference,
    /// Display name.
    name: Name,
    /// Unit of the counted charges; charges with another unit do not count.
    unit: UnitName,
    /// The tiers, in ascending order; the last one is the bucket's size.
    #[oai(validator(min_items = 1, max_items = 20))]
    tiers: Vec<TierInput>,
    /// When the usage returns to zero by itself. `billingPeriod`: when the account's next billing period begins, in the tenant's time zone. A charge
    /// then counts in the period that it occurred in: one of a later period begins it, one of an earlier period than the bucket's no longer counts.
    /// Absent: never.
    resets: Option<BucketResets>,
}

impl Validate for BucketInput {}

impl Example for BucketInput {
    fn example() -> Self {
        Self {
            external_id: Some("DATA-0043".into()),
            service: "LINE-0042".into(),
            name: "Data 10 GB".into(),
            unit: "MB".into(),
            tiers: vec![
                TierInput { name: Some("80 percent".into()), up_to: "8000".into() },
                TierInput { name: Some("all".into()), up_to: "10000".into() },
            ],
            resets: None,
        }
    }
}

/// Changes to a bucket. Absent members keep their values.
#[derive(Debug, Object)]
#[oai(rename_all = "camelCase", skip_serializing_if_is_none, example)]
pub(crate) struct BucketUpdate {
    /// External id: the id in your system; unique. The old one is free afterwards.
    external_id: Nullable<ExternalId>,
    /// Display name.
    name: Option<Name>,
    /// The tiers. Tiers already used up must be unchanged; the others must be above the current usage.
    #[oai(validator(min_items = 1, max_items = 20))]
    tiers: Option<Vec<TierInput>>,
    /// When the usage returns to zero by itself; null: never. What was used so far counts in the running billing period.
    resets: Nullable<BucketResets>,
}

impl Validate for BucketUpdate {}

impl Example for BucketUpdate {
    fn example() -> Self {
        Self {
            external_id: Nullable::default(),
            name: Some("Data 20 GB".into()),
            tiers: Some(vec![TierInput { name: None, up_to: "20000".into() }]),
            resets: Nullable::default(),
        }
    }
}

impl BucketResets {
    fn domain(self) -> bucket::Resets {
        match self {
            Self::BillingPeriod => bucket::Resets::BillingPeriod,
        }
    }
}

/// Converts the tiers, or refuses invalid sizes.
fn tiers(new: Vec<TierInput>) -> Result<Vec<bucket::Tier>, Problem> {
    let mut broken: Vec<Violation> = Vec::new();
    let mut tiers = Vec::with_capacity(new.len());
    for (index, tier) in new.into_iter().enumerate() {
        if let Some(up_to) = amounts::decimal(format!("/tiers/{index}/upTo"), &tier.up_to.0, &mut broken) {
            tiers.push(bucket::Tier { name: tier.name.map(|name| name.0), up_to });
        }
    }
    Rejected::from_violations(broken).map_or(Ok(tiers), |rejected| Err(rejected.into()))
}

/// A tier of a bucket.
#[derive(Debug, Object)]
#[oai(rename_all = "camelCase", skip_serializing_if_is_none)]
pub(crate) struct Tier {
    /// Display name.
    name: Option<String>,
    /// Usage at which the tier is used up.
    up_to: String,
}

/// A usage allowance, in tiers, that charges consume.
#[derive(Debug, Object)]
#[oai(rename_all = "camelCase", skip_serializing_if_is_none, example)]
pub(crate) struct Bucket {
    /// Unique id.
    id: Uuid,
    /// Version, starting at 1.
    version: i64,
    /// External id: the id in your system.
    external_id: Option<String>,
    /// The owning account.
    account_id: Uuid,
    /// Id of the service whose charges the bucket counts.
    service_id: Uuid,
    /// Display name.
    name: String,
    /// Unit of the counted charges.
    unit: String,
    /// The tiers, in ascending order; the last one is the bucket's size.
    tiers: Vec<Tier>,
    /// When the usage returns to zero by itself. `billingPeriod`: when the account's next billing period begins. Absent: never.
    resets: Option<String>,
    /// The billing period that the usage is of, if the bucket resets. Where nothing is used, the first charge of a later period moves it on.
    period: Option<Period>,
    /// Time at which that period ends, and usage returns to zero. If the bill cycle changes at once, the first charge of the new period does it.
    resets_at: Option<Moment>,
    /// Usage so far, in `period` if the bucket resets; may exceed the bucket's size.
    used: String,
    /// Number of tiers used up.
    tiers_used_up: u32,
    /// When its usage was last reset by `resetBucket`, if it was.
    reset_at: Option<Moment>,
    /// Creation time.
    created_at: Moment,
    /// Time of the last change.
    updated_at: Moment,
}

impl Example for Bucket {
    fn example() -> Self {
        let tier = |name: &str, up_to: &str| Tier { name: Some(name.to_owned()), up_to: up_to.to_owned() };
        Self {
            id: example_id(17),
            version: 1,
            external_id: Some("DATA-0042".to_owned()),
            account_id: example_id(1),
            service_id: example_id(13),
            name: "Data 10 GB".to_owned(),
            unit: "MB".to_owned(),
            tiers: vec![tier("80 percent", "8000"), tier("all", "10000")],
            resets: None,
            period: None,
            resets_at: None,
            used: "0".to_owned(),
            tiers_used_up: 0,
            reset_at: None,
            created_at: example_moment(),
            updated_at: example_moment(),
        }
    }
}

#[OpenApi(prefix_path = "/v1", tag = "Tag::Buckets")]
impl Buckets {
    /// Create a bucket
    ///
    /// From now on, each charge for its service and unit counts. Each tier used up publishes `usage_threshold.exceeded` once, or once in each
    /// billing period if the bucket resets. The bucket
    /// does not affect the price of a charge: charges arrive already rated.
    #[oai(path = "/buckets", method = "post", operation_id = "createBucket")]
    async fn create(&self, context: Context, input: Validated<BucketInput>) -> Result<Created, Problem> {
        let new = input.body;
        let command = bucket::Create {
            id: BucketId(fresh()),
            external_id: new.external_id.map(|id| id.0),
            name: new.name.0,
            unit: new.unit.0,
            tiers: tiers(new.tiers)?,
            resets: new.resets.map(BucketResets::domain),
        };
        let reply = context.execute_on(&new.service, input.canonical.as_deref(), CreateBucket { command }).await?;
        Ok(Created::under("/v1/buckets", reply))
    }

    /// List buckets
    ///
    /// Oldest first.
    #[oai(path = "/buckets", method = "get", operation_id = "listBuckets")]
    async fn list(
        &self,
        context: Context,
        /// Only buckets of this account, by its id or external id.
        account: Query<Reference>,
        /// Only buckets of this service, by its id or external id.
        service: Query<Reference>,
    ) -> Result<Listed<Bucket>, Problem> {
        let filter = Filter::new()
            .is_id("account_id", context.filtered::<Account>(&account).await?)
            .is_id("service_id", context.filtered::<Service>(&service).await?);
        Listed::objects::<bucket::Bucket>(&context, filter).await
    }

    /// Get a bucket
    ///
    /// Returns the object with this id or external id.
    #[oai(path = "/buckets/:bucket", method = "get", operation_id = "getBucket")]
    async fn get(
        &self,
        context: Context,
        known: IfNoneMatch,
        /// Id or external id of the bucket.
        bucket: Path<Reference>,
    ) -> Result<Found<Bucket>, Problem> {
        Found::of(&context.app().get::<bucket::Bucket>(context.tenant(), &bucket.0.0).await?, &known)
    }

    /// Change a bucket
    ///
    /// Absent members keep their values. Tiers already used up cannot change, and no other tier may be below the current usage: otherwise a
    /// tier would become used up without any usage.
    #[oai(path = "/buckets/:bucket", method = "patch", operation_id = "updateBucket")]
    async fn update(
        &self,
        context: Context,
        /// Id or external id of the bucket.
        bucket: Path<Reference>,
        input: Validated<BucketUpdate>,
    ) -> Result<Done, Problem> {
        let wanted = input.body;
        let command = bucket::Update {
            external_id: wanted.external_id.map(|id| id.0),
            name: wanted.name.map(|name| name.0),
            tiers: wanted.tiers.map(tiers).transpose()?,
            resets: wanted.resets.map(BucketResets::domain),
        };
        Ok(Done(context.execute_on(&bucket.0, input.canonical.as_deref(), UpdateBucket { command }).await?))
    }

    /// Reset a bucket
    ///
    /// Sets the usage to zero; each tier used up afterwards publishes its event again. The body is optional.
    #[oai(path = "/buckets/:bucket/reset", method = "post", operation_id = "resetBucket")]
    async fn reset(
        &self,
        context: Context,
        /// Id or external id of the bucket.
        bucket: Path<Reference>,
        input: Validated<Option<NoMembers>>,
    ) -> Result<Done, Problem> {
        Ok(Done(context.execute_on(&bucket.0, input.canonical.as_deref(), ResetBucket).await?))
    }

    /// Delete a bucket
    ///
    /// Charges are no longer counted.
    #[oai(path = "/buckets/:bucket", method = "delete", operation_id = "deleteBucket")]
    async fn delete(
        &self,
        context: Context,
        /// Id or external id of the bucket.
        bucket: Path<Reference>,
    ) -> Result<Done, Problem> {
        Ok(Done(context.execute_on(&bucket.0, None, DeleteBucket).await?))
    }
}
