//! One type per id, so that an account's id cannot be passed where a queue's is meant.

use std::{borrow::Cow, fmt, str::FromStr};

use serde::{Deserialize, Serialize};
use uuid::Uuid;

macro_rules! ids {
    ($($(#[$doc:meta])* $name:ident),+ $(,)?) => {$(
        $(#[$doc])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
        #[serde(transparent)]
        pub struct $name(pub Uuid);

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result { self.0.fmt(f) }
        }
        impl FromStr for $name {
            type Err = uuid::Error;
            fn from_str(s: &str) -> Result<Self, Self::Err> { s.parse().map(Self) }
        }
    )+};
}

ids! {
    /// An account.
    AccountId,
    /// A bill cycle.
    BillCycleId,
    /// A tenant's billing settings.
    BillingSettingsId,
    /// A person to be reached about an account.
    ContactId,
    /// A service an account uses.
    ServiceId,
    /// A package that can be subscribed.
    PackageId,
    /// An account's subscription of a package.
    PackageSubscriptionId,
    /// What usage is reported under: a SIM, a number.
    UsageIdentifierId,
    /// A bucket of usage.
    BucketId,
    /// A contract with commit tiers.
    ContractId,
    /// A chargeable event.
    ChargeableEventId,
    /// An adjustment of a chargeable event.
    AdjustmentId,
    /// A bill run.
    BillRunId,
    /// An invoice.
    InvoiceId,
    /// A payment.
    PaymentId,
    /// A refund.
    RefundId,
    /// A credit.
    CreditId,
    /// A business transaction.
    TransactionId,
    /// An event; also `Nats-Msg-Id` and `webhook-id`.
    EventId,
    /// A queue.
    QueueId,
    /// A subscription on a queue.
    SubscriptionId,
    /// A webhook endpoint.
    WebhookEndpointId,
    /// An SMTP account.
    SmtpAccountId,
    /// A notification template.
    NotificationTemplateId,
    /// A system user: someone of the tenant's staff who gets notifications.
    SystemUserId,
    /// A delivery: one event owed to one subscription.
    DeliveryId,
    /// A replay of past events.
    ReplayId,
    /// A custom event type.
    EventTypeId,
    /// What an event of a custom type tells of.
    CustomEventId,
    /// A data source.
    DataSourceId,
}

/// Makes fresh ids. UUIDv7 (RFC 9562 section 5.7): they sort by the time they were made.
#[expect(clippy::disallowed_methods, reason = "the one place that makes ids")]
pub fn fresh() -> Uuid {
    Uuid::now_v7()
}

/// Namespace of ids that are derived rather than drawn (RFC 9562 section 5.5).
const DERIVED: Uuid = Uuid::from_u128(0x6f0d_7a5e_31c4_4d0b_9c57_0f4f_2f6a_b111);

impl DeliveryId {
    /// The id of the delivery of `event` to `subscription`: the same pair always gives the same id, which is
    /// what makes recording a delivery twice harmless. It begins as the event's, so that a database keeps the deliveries of a time, and
    /// of an event, side by side (UUIDv8, RFC 9562 section 5.8).
    pub fn of(event: EventId, subscription: SubscriptionId) -> Self {
        let mut pair = [0u8; 32];
        pair[..16].copy_from_slice(event.0.as_bytes());
        pair[16..].copy_from_slice(subscription.0.as_bytes());
        let mut bytes = *Uuid::new_v5(&DERIVED, &pair).as_bytes();
        bytes[..8].copy_from_slice(&event.0.as_bytes()[..8]);
        Self(uuid::Builder::from_custom_bytes(bytes).into_uuid())
    }

    /// The id of the delivery of `event` by a replay.
    pub fn of_replay(event: EventId, replay: ReplayId) -> Self {
        Self::of(event, SubscriptionId(replay.0))
    }

    /// The first and the last id that deliveries of `event` can have.
    pub fn all_of(event: EventId) -> (Self, Self) {
        let bound = |fill: u8| {
            let mut bytes = [fill; 16];
            bytes[..8].copy_from_slice(&event.0.as_bytes()[..8]);
            Self(uuid::Builder::from_custom_bytes(bytes).into_uuid())
        };
        (bound(0), bound(u8::MAX))
    }
}

/// A tenant's name: the first token of its subjects, so only `[A-Za-z0-9_-]`, 1 to 32 characters.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(transparent)]
pub struct TenantId(String);

impl TenantId {
    /// The tenant of a fresh installation.
    pub fn default_tenant() -> Self {
        Self("default".to_owned())
    }

    /// The name as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for TenantId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// A text that cannot stand as a token of a subject.
#[derive(Debug, thiserror::Error)]
#[error("must be 1 to {max} characters of A-Z, a-z, 0-9, '_' and '-'")]
pub struct NotAToken {
    max: usize,
}

fn token(text: &str, max: usize) -> Result<(), NotAToken> {
    let fits = !text.is_empty() && text.len() <= max && text.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_' || b == b'-');
    if fits { Ok(()) } else { Err(NotAToken { max }) }
}

impl FromStr for TenantId {
    type Err = NotAToken;
    fn from_str(s: &str) -> Result<Self, Self::Err> {
        token(s, 32)?;
        Ok(Self(s.to_owned()))
    }
}

/// What order is kept within: the account of an event, or the object itself where it has no account.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(transparent)]
pub struct OrderingKey(Cow<'static, str>);

impl OrderingKey {
    /// The key of everything that configures a tenant. Not an object's id, so no event carries it.
    pub const CONFIGURATION: Self = Self(Cow::Borrowed("configuration"));

    /// The key as text; a token of the subject.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Which of `partitions` parts this key belongs to (FNV-1a 32, as the NATS server's `partition()` uses).
    pub fn partition(&self, partitions: u32) -> u32 {
        let hash = self.0.bytes().fold(0x811c_9dc5_u32, |h, b| (h ^ u32::from(b)).wrapping_mul(0x0100_0193));
        hash % partitions.max(1)
    }
}

impl From<Uuid> for OrderingKey {
    fn from(id: Uuid) -> Self {
        Self(Cow::Owned(id.to_string()))
    }
}

impl From<AccountId> for OrderingKey {
    fn from(id: AccountId) -> Self {
        id.0.into()
    }
}

impl FromStr for OrderingKey {
    type Err = NotAToken;
    fn from_str(s: &str) -> Result<Self, Self::Err> {
        token(s, 64)?;
        Ok(Self(Cow::Owned(s.to_owned())))
    }
}

impl fmt::Display for OrderingKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_tenant_name_that_would_break_a_subject_is_refused() {
        for bad in ["", "a.b", "a b", "*", ">", "ä", &"x".repeat(33)] {
            assert!(bad.parse::<TenantId>().is_err(), "{bad:?}");
        }
        assert!("acme-telecom_1".parse::<TenantId>().is_ok());
    }

    #[test]
    fn the_same_pair_always_gives_the_same_delivery_id() {
        let (event, subscription) = (EventId(fresh()), SubscriptionId(fresh()));
        assert_eq!(DeliveryId::of(event, subscription), DeliveryId::of(event, subscription));
        assert_ne!(DeliveryId::of(event, subscription), DeliveryId::of(EventId(fresh()), subscription));
        let (first, last) = DeliveryId::all_of(event);
        let all: Vec<_> = (0..100).map(|_| DeliveryId::of(event, SubscriptionId(fresh()))).collect();
        assert!(all.iter().all(|id| first <= *id && *id <= last));
    }
}
