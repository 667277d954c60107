//! Buckets: usage allowances in tiers. Charges count against a bucket; an event reports each tier once when it is used up, for ever or in each
//! billing period of the account.

mod counting_period;

use billwire_schemas::{
    clock::Timestamp,
    events::envelope::Parameters,
    ids::{AccountId, BucketId, ServiceId},
    money::Decimal,
    refusal::Code,
};
use serde::{Deserialize, Serialize};

use crate::{
    calendar::Period,
    change::{Change, Entity, Lifecycle, entity_members},
    customers::{
        account::{Account, ensure_not_deactivated},
        service::Service,
    },
    patch::Patch,
    rejected::{Rejected, Violation},
    usage::chargeable_event::ChargeableEvent,
};

pub use counting_period::{CountingPeriod, Resets, next_period};

/// A tier of a bucket.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Tier {
    /// Display name.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub name: Option<String>,
    /// The total usage at which the tier is used up.
    pub up_to: Decimal,
}

/// A bucket.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Bucket {
    /// Object id.
    pub id: BucketId,
    /// Object version, starting at 1.
    pub version: i64,
    /// The object's id in the external system.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub external_id: Option<String>,
    /// The owning account.
    pub account_id: AccountId,
    /// The service whose charges count.
    pub service_id: ServiceId,
    /// Display name.
    pub name: String,
    /// The unit of the charges that count.
    pub unit: String,
    /// Tiers in ascending order; the last one ends at the bucket's size.
    pub tiers: Vec<Tier>,
    /// When the usage returns to zero by itself; absent: never.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub resets: Option<Resets>,
    /// The billing period that the usage is of, if it returns to zero by itself.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub period: Option<Period>,
    /// When that period ends, in the tenant's time zone at the time this was computed.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub resets_at: Option<Timestamp>,
    /// Total usage; exceeds the size if usage continued.
    pub used: Decimal,
    /// Number of tiers used up.
    pub tiers_used_up: u32,
    /// When the usage was last reset by `resetBucket`.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub reset_at: Option<Timestamp>,
    /// Creation time.
    pub created_at: Timestamp,
    /// Time of the last change.
    pub updated_at: Timestamp,
}

/// `createBucket`.
#[derive(Debug, Clone)]
pub struct Create {
    /// The new bucket's id.
    pub id: BucketId,
    /// See [`Bucket::external_id`].
    pub external_id: Option<String>,
    /// See [`Bucket::name`].
    pub name: String,
    /// See [`Bucket::unit`].
    pub unit: String,
    /// See [`Bucket::tiers`].
    pub tiers: Vec<Tier>,
    /// See [`Bucket::resets`].
    pub resets: Option<Resets>,
}

/// `updateBucket`; absent members stay unchanged.
#[derive(Debug, Clone, Default)]
pub struct Update {
    /// See [`Bucket::external_id`].
    pub external_id: Patch<String>,
    /// See [`Bucket::name`].
    pub name: Option<String>,
    /// See [`Bucket::tiers`].
    pub tiers: Option<Vec<Tier>>,
    /// See [`Bucket::resets`]. What was used before counts in the running period.
    pub resets: Patch<Resets>,
}

/// Checks tiers: each must end above zero and above the previous tier.
fn check(tiers: &[Tier]) -> Vec<Violation> {
    let mut broken = Vec::new();
    let mut before = Decimal::ZERO;
    for (index, tier) in tiers.iter().enumerate() {
        if tier.up_to <= before {
            let message = format!("Tier {} ends at {}; it must end above {before}.", index + 1, tier.up_to);
            broken.push(Violation::new(format!("/tiers/{index}/upTo"), Code::TiersNotAscending, message));
        }
        before = before.max(tier.up_to);
    }
    broken
}

/// Decides `createBucket`; `of` is the account's running billing period.
///
/// # Errors
/// `account_deactivated`, `tiers_not_ascending`.
pub fn create(
    command: Create,
    service: &Service,
    account: &Account,
    of: Option<CountingPeriod>,
    now: Timestamp,
) -> Result<Change<Bucket>, Rejected> {
    ensure_not_deactivated(account)?;
    if let Some(rejected) = Rejected::from_violations(check(&command.tiers)) {
        return Err(rejected);
    }
    let mut bucket = Bucket {
        id: command.id,
        version: 1,
        external_id: command.external_id,
        account_id: service.account_id,
        service_id: service.id,
        name: command.name,
        unit: command.unit,
        tiers: command.tiers,
        resets: command.resets,
        period: None,
        resets_at: None,
        used: Decimal::ZERO,
        tiers_used_up: 0,
        reset_at: None,
        created_at: now,
        updated_at: now,
    };
    bucket.enter(of);
    Ok(Change::created(bucket))
}

/// Decides `updateBucket`; `of` is the account's running billing period. Used-up tiers must not change, and the others must end above the
/// current usage; otherwise a tier would be used up without any usage.
///
/// # Errors
/// `account_deactivated`, `tiers_not_ascending`, `tiers_not_extendable`.
pub fn update(
    bucket: Bucket,
    account: &Account,
    command: Update,
    of: Option<CountingPeriod>,
    now: Timestamp,
) -> Result<Change<Bucket>, Rejected> {
    ensure_not_deactivated(account)?;
    let mut after = bucket.next_version(now);
    after.external_id = command.external_id.apply(after.external_id);
    after.name = command.name.unwrap_or(after.name);
    after.resets = command.resets.apply(after.resets);
    if after.resets != bucket.resets {
        (after.period, after.resets_at) = (None, None);
        after.enter(of);
    }
    if let Some(tiers) = command.tiers {
        let mut broken = check(&tiers);
        for index in 0..tiers.len().max(bucket.tiers_used_up as usize) {
            let used_up = index < bucket.tiers_used_up as usize;
            let fits = match tiers.get(index) {
                Some(tier) if used_up => bucket.tiers.get(index).is_some_and(|before| before == tier),
                Some(tier) => tier.up_to > bucket.used,
                None => false,
            };
            if !fits {
                let message = format!("Current usage is {}: used-up tiers must not change, and all others must end above it.", bucket.used);
                broken.push(Violation::new(format!("/tiers/{index}"), Code::TiersNotExtendable, message));
            }
        }
        if let Some(rejected) = Rejected::from_violations(broken) {
            return Err(rejected);
        }
        after.tiers = tiers;
    }
    Ok(Change::updated(bucket, after, Vec::<&'static str>::new()))
}

/// Decides `resetBucket`: usage and used-up tiers return to zero. `of` is the account's running billing period.
///
/// # Errors
/// `account_deactivated`.
pub fn reset(bucket: Bucket, account: &Account, of: Option<CountingPeriod>, now: Timestamp) -> Result<Change<Bucket>, Rejected> {
    ensure_not_deactivated(account)?;
    let mut after = bucket.next_version(now);
    after.enter(of);
    (after.used, after.tiers_used_up, after.reset_at) = (Decimal::ZERO, 0, Some(now));
    Ok(Change::updated(bucket, after, Vec::<&'static str>::new()))
}

/// Whether the bucket counts `charge`: one of its service and unit, recorded since it began to count. `of` is the billing period of the charge.
pub fn counts(bucket: &Bucket, charge: &ChargeableEvent, of: Option<CountingPeriod>) -> bool {
    Some(bucket.service_id) == charge.service_id
        && Some(&bucket.unit) == charge.unit.as_ref()
        && charge.created_at >= bucket.reset_at.unwrap_or(bucket.created_at)
        && bucket.has_counted(of)
}

/// Decides `deleteBucket`.
///
/// # Errors
/// `account_deactivated`.
pub fn delete(bucket: Bucket, account: &Account) -> Result<Change<Bucket>, Rejected> {
    ensure_not_deactivated(account)?;
    Ok(Change::deleted(bucket))
}

/// Counts a charge of the bucket's service and unit, in the billing period `of` that the bucket takes; each tier it uses up gets an event. `None`
/// if the total exceeds the decimal range.
pub fn count(bucket: Bucket, of: Option<CountingPeriod>, quantity: Decimal, now: Timestamp) -> Option<Change<Bucket>> {
    let mut after = bucket.next_version(now);
    after.enter(of);
    used(bucket, after, Decimal::ZERO, quantity)
}

/// Takes back what a reversed charge counted, and counts what replaces it. A tier that is no longer used up is reported again when it is.
/// `None` if the total exceeds the decimal range.
pub fn recount(bucket: Bucket, taken_back: Decimal, counted: Decimal, now: Timestamp) -> Option<Change<Bucket>> {
    let after = bucket.next_version(now);
    used(bucket, after, taken_back, counted)
}

fn used(before: Bucket, mut after: Bucket, taken_back: Decimal, counted: Decimal) -> Option<Change<Bucket>> {
    after.used = after.used.minus(taken_back)?.max(Decimal::ZERO).plus(counted)?;
    let used_up = after.tiers.iter().take_while(|tier| after.used >= tier.up_to).count();
    after.tiers_used_up = after.tiers_used_up.min(u32::try_from(used_up).ok()?);
    let mut exceeded = Vec::new();
    while let Some(tier) = after.tiers.get(after.tiers_used_up as usize)
        && after.used >= tier.up_to
    {
        after.tiers_used_up += 1;
        let number = after.tiers_used_up;
        let parameters = Parameters::from([
            ("bucket.tier".to_owned(), tier.name.clone().unwrap_or_else(|| number.to_string()).into()),
            ("bucket.tierNumber".to_owned(), number.into()),
            ("bucket.tierSize".to_owned(), tier.up_to.to_string().into()),
        ]);
        exceeded.push(Lifecycle { kind: "usage_threshold.exceeded", parameters });
    }
    Some(Change::updated(before, after, exceeded))
}

impl Entity for Bucket {
    const TYPE: &'static str = "bucket";
    const EVENT_OBJECT: Option<&'static str> = Some("bucket");

    entity_members!(updated_at, external_id, account_id);
    fn due_at(&self) -> Option<Timestamp> {
        // Where nothing is used, nothing returns to zero.
        self.resets_at.filter(|_| self.used.is_positive())
    }
    fn parameters(&self) -> Parameters {
        let size = self.tiers.last().map_or(Decimal::ZERO, |tier| tier.up_to);
        let remaining = size.minus(self.used).unwrap_or(Decimal::ZERO).max(Decimal::ZERO);
        Parameters::from([
            ("bucket.id".to_owned(), self.id.to_string().into()),
            ("bucket.name".to_owned(), self.name.clone().into()),
            ("bucket.unit".to_owned(), self.unit.clone().into()),
            ("bucket.size".to_owned(), size.to_string().into()),
            ("bucket.used".to_owned(), self.used.to_string().into()),
            ("bucket.remaining".to_owned(), remaining.to_string().into()),
        ])
    }
}

#[cfg(test)]
mod tests;
