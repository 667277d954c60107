//! One type per kind of id, so that an account's id cannot be passed as a queue's.

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
    /// A tenant's retention settings.
    RetentionSettingsId,
    /// A tenant's stream settings.
    StreamSettingsId,
    /// A person to contact about an account.
    ContactId,
    /// A service an account uses.
    ServiceId,
    /// A package that accounts can subscribe to.
    PackageId,
    /// An account's subscription to a package.
    PackageSubscriptionId,
    /// An identifier of usage, such as a SIM or a phone number.
    UsageIdentifierId,
    /// A usage bucket.
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
    /// A stream subscription: a durable consumer that a subscriber reads over NATS.
    StreamSubscriptionId,
    /// A webhook endpoint.
    WebhookEndpointId,
    /// An SMTP account.
    SmtpAccountId,
    /// A notification template.
    NotificationTemplateId,
    /// A system user: a member of the tenant's staff who receives notifications.
    SystemUserId,
    /// A delivery: one event for one subscription.
    DeliveryId,
    /// A replay of past events.
    ReplayId,
    /// A custom event type.
    EventTypeId,
    /// An event of a custom type.
    CustomEventId,
    /// A data source.
    DataSourceId,
    /// An API key.
    ApiKeyId,
    /// A role.
    RoleId,
    /// An identity provider.
    IdentityProviderId,
    /// A tenant, as an object of the operator's own tenant; everything else names it by its [`TenantId`].
    TenantObjectId,
}

/// Creates a new id: a UUIDv7 (RFC 9562 section 5.7), which sorts by creation time.
#[expect(clippy::disallowed_methods, reason = "the one place that makes ids")]
pub fn fresh() -> Uuid {
    Uuid::now_v7()
}

/// Namespace of derived ids (RFC 9562 section 5.5).
const DERIVED: Uuid = Uuid::from_u128(0x6f0d_7a5e_31c4_4d0b_9c57_0f4f_2f6a_b111);

impl DeliveryId {
    /// The id of the delivery of `event` to `subscription`. It is deterministic, so recording a delivery twice is harmless. It starts with
    /// the first half of the event's id, so that databases store deliveries of the same time and event next to each other (UUIDv8, RFC 9562
    /// section 5.8).
    pub fn of(event: EventId, subscription: SubscriptionId) -> Self {
        let mut pair = [0u8; 32];
        pair[..16].copy_from_slice(event.0.as_bytes());
        pair[16..].copy_from_slice(subscription.0.as_bytes());
        let mut bytes = *Uuid::new_v5(&DERIVED, &pair).as_bytes();
        bytes[..8].copy_from_slice(&event.0.as_bytes()[..8]);
        Self(uuid::Builder::from_custom_bytes(bytes).into_uuid())
    }

    /// The id of the delivery of `event` in a replay.
    pub fn of_replay(event: EventId, replay: ReplayId) -> Self {
        Self::of(event, SubscriptionId(replay.0))
    }

    /// The lowest and highest possible id of deliveries of `event`.
    pub fn all_of(event: EventId) -> (Self, Self) {
        let bound = |fill: u8| {
            let mut bytes = [fill; 16];
            bytes[..8].copy_from_slice(&event.0.as_bytes()[..8]);
            Self(uuid::Builder::from_custom_bytes(bytes).into_uuid())
        };
        (bound(0), bound(u8::MAX))
    }
}

/// A tenant's name, used as the first token of its subjects: 1 to 32 characters of `[A-Za-z0-9_-]`.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(transparent)]
pub struct TenantId(String);

impl TenantId {
    /// The tenant of a new installation.
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

/// A text that is not valid as a token of a subject.
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

/// The unit within which order is preserved: an event's account, the object itself if it has no account, or a custom key.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(transparent)]
pub struct OrderingKey(Cow<'static, str>);

impl OrderingKey {
    /// The key of all configuration of a tenant. It is not an object's id, so no event has it.
    pub const CONFIGURATION: Self = Self(Cow::Borrowed("configuration"));

    /// The key as text; also a token of the subject.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The part of this key, out of `parts`: the same for each process and version.
    pub fn part(&self, parts: u32) -> u32 {
        fnv1a([self.0.as_bytes()]) % parts.max(1)
    }
}

/// FNV-1a, 32 bits, of these bytes one after the other.
fn fnv1a<const N: usize>(texts: [&[u8]; N]) -> u32 {
    texts.into_iter().flatten().fold(0x811c_9dc5_u32, |hash, byte| (hash ^ u32::from(*byte)).wrapping_mul(0x0100_0193))
}

/// The slot of an ordering key: one of sixteen shares of all events, over all tenants. It is part of an event's subject, so that sixteen
/// consumers with one filter each receive every event once. A subscriber of NATS uses a wildcard in its place.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Slot(u8);

impl Slot {
    /// How many slots there are. The number is part of every subject and never changes.
    pub const COUNT: u8 = 16;

    /// The slot of a tenant's ordering key: FNV-1a (32 bits) over `<tenant>.<key>`, modulo 16.
    pub fn of(tenant: &TenantId, key: &OrderingKey) -> Self {
        let hash = fnv1a([tenant.as_str().as_bytes(), b".", key.0.as_bytes()]);
        Self(u8::try_from(hash % u32::from(Self::COUNT)).unwrap_or(0))
    }

    /// All slots.
    pub fn all() -> impl Iterator<Item = Self> {
        (0..Self::COUNT).map(Self)
    }

    /// Its number, from 0.
    pub fn number(self) -> u8 {
        self.0
    }
}

impl fmt::Display for Slot {
    /// Two digits, as in subjects.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:02}", self.0)
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
    fn slots_are_as_published_and_shared_out_evenly() {
        for (tenant, key, slot) in [
            ("default", "configuration", "02"),
            ("default", "k", "01"),
            ("acme", "k", "08"),
            ("default", "01a221f2-a01c-735a-b4da-aa5d511dff50", "08"),
        ] {
            let key = OrderingKey(Cow::Owned(key.to_owned()));
            assert_eq!(Slot::of(&tenant.parse().expect("a tenant"), &key).to_string(), slot, "{tenant} {key:?}");
        }
        let mut counts = [0u32; Slot::COUNT as usize];
        for _ in 0..16_000 {
            counts[usize::from(Slot::of(&TenantId::default_tenant(), &fresh().into()).number())] += 1;
        }
        assert!(counts.iter().all(|count| (700..1300).contains(count)), "{counts:?}");
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
