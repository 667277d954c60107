//! Deliveries and what is recorded about them: the records that the delivery engine, the store and the API share.

use std::time::Duration;

use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::{
    clock::Timestamp,
    ids::{DeliveryId, EventId, OrderingKey, QueueId, ReplayId, Slot, SubscriptionId, TenantId},
};

/// A lane: one ordering key of one owner. The owner is a subscription, or a replay to a subscription.
pub type LaneKey = (Uuid, OrderingKey);
/// Where a step through all lanes ended: the owner and the key of the last lane visited, or an owner and an empty key before its first.
pub type LaneCursor = (Uuid, String);

/// The state of a delivery.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum DeliveryState {
    /// It will be attempted, now or later, or after the deliveries before it in its lane.
    Waiting,
    /// The receiver accepted it.
    Succeeded,
    /// It was given up; a person may redrive or discard it.
    Dead,
    /// It was given up, and the deliveries behind it in its lane wait for a person.
    Blocking,
    /// A person discarded it, or its replay was cancelled.
    Discarded,
}

impl DeliveryState {
    /// The name in the API and in SQL.
    pub fn name(self) -> &'static str {
        match self {
            Self::Waiting => "waiting",
            Self::Succeeded => "succeeded",
            Self::Dead => "dead",
            Self::Blocking => "blocking",
            Self::Discarded => "discarded",
        }
    }

    /// The state of that name.
    pub fn of(name: &str) -> Option<Self> {
        [Self::Waiting, Self::Succeeded, Self::Dead, Self::Blocking, Self::Discarded].into_iter().find(|state| state.name() == name)
    }
}

/// One event for one subscription.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Delivery {
    /// Derived from the event and the subscription or replay.
    pub id: DeliveryId,
    /// The tenant.
    pub tenant: TenantId,
    /// The event.
    pub event: EventId,
    /// The type of the event.
    pub event_type: String,
    /// The queue.
    pub queue: QueueId,
    /// The slot of its ordering key.
    pub slot: Slot,
    /// The subscription.
    pub subscription: SubscriptionId,
    /// The replay that delivers the event again, if one does.
    pub replay: Option<ReplayId>,
    /// The ordering key.
    pub key: OrderingKey,
    /// The event's sequence within the ordering key.
    pub sequence: i64,
    /// The event's position in the outbox.
    pub position: i64,
    /// The current state.
    pub state: DeliveryState,
    /// How many attempts were made.
    pub attempts: u32,
    /// How many of them no longer count: a person had the delivery redriven after them, and the retry plan started again.
    pub forgiven: u32,
    /// When the next attempt is due; absent behind another delivery of the lane, and in a final state.
    pub next_attempt_at: Option<Timestamp>,
    /// The latest attempt.
    pub last: Option<AttemptRecord>,
    /// When the delivery was created.
    pub created_at: Timestamp,
}

impl Delivery {
    /// The owner of its lane: the replay, or else the subscription.
    pub fn owner(&self) -> Uuid {
        self.replay.map_or(self.subscription.0, |replay| replay.0)
    }

    /// Its lane.
    pub fn lane(&self) -> LaneKey {
        (self.owner(), self.key.clone())
    }
}

/// One attempt at a delivery.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AttemptRecord {
    /// The number of the attempt, from 1.
    pub number: u32,
    /// When it began.
    pub at: Timestamp,
    /// How long it took.
    pub latency: Duration,
    /// How it went. An attempt read from SQL has no recipients: they are a table of their own.
    pub report: Report,
}

/// How an attempt went, for people: never holds a secret, or the details of a network error.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Report {
    /// The status code of the receiver's answer (HTTP or SMTP), if there was an answer.
    pub status: Option<u16>,
    /// A short, cleaned excerpt of the answer, or why there was none; at most [`EXCERPT_BYTES_MAX`] bytes.
    pub detail: String,
    /// The result for each recipient, if the delivery has several.
    pub recipients: Vec<Recipient>,
    /// What was sent and what came back, of an attempt over HTTP.
    pub exchange: Option<Box<Exchange>>,
}

/// A call over HTTP, as people see it: bounded, and with secrets replaced. Its body is that of the event's message.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Exchange {
    /// The URL, without its query.
    pub url: String,
    /// The headers that were sent.
    pub sent: Vec<HeaderField>,
    /// What came back, if anything did.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub received: Option<Received>,
}

/// A header.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct HeaderField {
    /// Its name, in lower case.
    pub name: String,
    /// Its value, or what stands in its place.
    pub value: String,
}

/// An answer over HTTP.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Received {
    /// Its headers.
    pub headers: Vec<HeaderField>,
    /// The beginning of its body.
    pub body: String,
    /// Whether headers, or the rest of the body, were left out.
    pub cut: bool,
}

/// The upper bound of [`Report::detail`].
pub const EXCERPT_BYTES_MAX: usize = 1024;

impl Report {
    /// A report whose detail is cut to its bound and freed of control characters.
    pub fn new(status: Option<u16>, detail: impl AsRef<str>) -> Self {
        let mut clean: String = detail.as_ref().chars().map(|c| if c.is_control() { ' ' } else { c }).collect();
        clean.truncate(clean.floor_char_boundary(EXCERPT_BYTES_MAX));
        Self { status, detail: clean, recipients: Vec::new(), exchange: None }
    }
}

/// The result for one recipient of a delivery by e-mail.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Recipient {
    /// The address.
    pub address: String,
    /// The result.
    pub state: RecipientState,
    /// The status code of the server's answer about the recipient, if there was one.
    pub status: Option<u16>,
    /// As [`Report::detail`].
    pub detail: String,
}

impl Recipient {
    /// A recipient whose message was sent.
    pub fn sent(address: String) -> Self {
        Self { address, state: RecipientState::Sent, status: None, detail: String::new() }
    }
}

/// The result for a recipient.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RecipientState {
    /// The server accepted the message for the recipient; it is not sent to them again.
    Sent,
    /// The server refused for now; the next attempt is for this recipient.
    Deferred,
    /// The server refused permanently.
    Refused,
    /// Nothing was sent: the address is on the suppression list.
    Suppressed,
}

impl RecipientState {
    /// The name in the API and in SQL.
    pub fn name(self) -> &'static str {
        match self {
            Self::Sent => "sent",
            Self::Deferred => "deferred",
            Self::Refused => "refused",
            Self::Suppressed => "suppressed",
        }
    }

    /// The state of that name.
    pub fn of(name: &str) -> Option<Self> {
        [Self::Sent, Self::Deferred, Self::Refused, Self::Suppressed].into_iter().find(|state| state.name() == name)
    }
}

/// The health of a target that fails. It is stored, so that a restart does not forget it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Health {
    /// The target: a webhook endpoint or an SMTP account.
    pub target: Uuid,
    /// The tenant.
    pub tenant: TenantId,
    /// The first failure since the last success.
    pub failing_since: Timestamp,
    /// The number of failures since then.
    pub failures: u64,
    /// While the circuit breaker is open: until when, and for how long it was opened.
    pub open: Option<(Timestamp, Duration)>,
}

/// The progress of a queue in one slot.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Progress {
    /// The queue.
    pub queue: QueueId,
    /// The slot.
    pub slot: Slot,
    /// Messages on the stream, for whatever queue, that have not been pulled yet.
    pub pending: u64,
    /// Deliveries that succeeded in the latest minute.
    pub delivered: u64,
    /// Attempts that failed in the latest minute.
    pub failed: u64,
    /// When this was reported.
    pub at: Timestamp,
}

/// An event on the stream.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Published {
    /// Its sequence on the stream.
    pub sequence: u64,
    /// Its position in the outbox.
    pub position: i64,
    /// The slot of its ordering key.
    pub slot: Slot,
}

/// Who reads the stream and settles it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Reader {
    /// A slot, which delivers.
    Slot(Slot),
    /// The warehouse.
    Warehouse,
}

/// Up to where a reader has settled the stream.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Settled {
    /// Of every event up to this stream sequence, all deliveries have ended or are stored.
    pub sequence: u64,
    /// Grows whenever the stream was rolled back: what was settled before may then have been lowered.
    pub generation: i64,
}
