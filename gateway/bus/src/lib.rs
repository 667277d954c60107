//! The only crate that speaks NATS: connecting, the stream's topology, publishing, pulling, and letting subscribers in.
//!
//! Called by `server` (the relay) and `delivery` (the pull loops). Never sees SQL, HTTP or a billing rule. It exists so that
//! the real guarantees and answers of JetStream are known in one crate.

mod callout;
mod connect;
mod publish;
mod pull;
mod rejections;
mod seal;
mod subscribers;
mod system;
mod tail;
pub mod topology;

pub use callout::{CalloutKeys, CalloutRequest, Permissions, SealedRequest, User};
pub use connect::{Bus, Error, Options};
pub use publish::{BATCH_MAX, Message, PublishOutcome};
pub use pull::{ConsumerConfig, Pull, QueueConsumer, Received};
pub use seal::{Authenticity, SEAL_KEY_BYTES, SealKeys};
pub use subscribers::{Begin, FoundConsumer, FoundConsumers, SubscriberConsumer};
pub use system::{Connection, Connections, System, SystemOptions, Token};

/// Header with the event's position in the outbox.
pub(crate) const POSITION: &str = "Billwire-Position";
/// Header with the event's sequence within its ordering key.
pub(crate) const SEQUENCE: &str = "Billwire-Sequence";
/// Header with the stream sequence of the slot's message before, so that a reader notices at once that it is missing.
pub(crate) const PREVIOUS: &str = "Billwire-Previous";
/// Header with the proof that the gateway published the message ([`seal`]).
pub(crate) const SEAL: &str = "Billwire-Seal";
