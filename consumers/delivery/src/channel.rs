//! Channels: what makes one attempt at a delivery and reports the outcome. The engine has no list of them; the binary registers each.

use std::{
    any::Any,
    collections::HashMap,
    fmt::{self, Debug},
    sync::Arc,
    time::Duration,
};

use async_trait::async_trait;
pub use billwire_schemas::delivery::{Recipient, RecipientState, Report};
use billwire_schemas::ids::DeliveryId;
use uuid::Uuid;

use crate::event::{Event, Subscription};

/// One attempt to make.
#[derive(Debug, Clone)]
pub struct Attempt {
    /// The delivery.
    pub delivery: DeliveryId,
    /// The number of this attempt, from 1.
    pub number: u32,
    /// Earlier attempts that no longer count: a person had the delivery redriven after them.
    pub forgiven: u32,
    /// The event.
    pub event: Arc<Event>,
    /// The subscription.
    pub subscription: Arc<Subscription>,
}

/// What a failed attempt says about the target.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FailureScope {
    /// Only this delivery failed; the target is healthy.
    Delivery,
    /// The target failed: it gave no answer, or reported an error of its own.
    Target,
    /// The target is overloaded and asks for a pause: nothing more is sent to it for a while.
    Overload,
}

/// The outcome of an attempt. A receiver that refuses is an outcome, not an error.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Outcome {
    /// The receiver accepted it.
    Delivered(Report),
    /// The receiver did not accept it; another attempt may succeed.
    Retry {
        /// How it went.
        report: Report,
        /// The receiver asked to wait at least this long (Retry-After).
        after: Option<Duration>,
        /// What failed.
        failure_scope: FailureScope,
    },
    /// No further attempt can succeed (the endpoint was deleted, the template fails).
    GiveUp(Report),
    /// The receiver wants no more calls. Its target is disabled, and the delivery waits with all others until a person enables it again.
    Gone(Report),
    /// The gateway could not make the attempt (its database was away): the attempt does not count and is made again soon.
    NotAttempted(String),
}

impl Outcome {
    /// How the attempt went, if one was made.
    pub fn report_mut(&mut self) -> Option<&mut Report> {
        match self {
            Self::Delivered(report) | Self::Retry { report, .. } | Self::GiveUp(report) | Self::Gone(report) => Some(report),
            Self::NotAttempted(_) => None,
        }
    }

    /// Its name in metrics.
    pub fn name(&self) -> &'static str {
        match self {
            Self::Delivered(_) => "delivered",
            Self::Retry { .. } => "retry",
            Self::GiveUp(_) => "give_up",
            Self::Gone(_) => "gone",
            Self::NotAttempted(_) => "not_attempted",
        }
    }
}

/// What a subscription asks a channel to do. Each channel has its own type; only the channel reads it.
pub trait ChannelAction: Any + Debug + Send + Sync {
    /// The name of the channel.
    const CHANNEL: &'static str;

    /// The target whose calls are limited, if the action calls one.
    fn target(&self) -> Option<Uuid> {
        None
    }
}

/// A way to reach a receiver. Implementations bound their own time per attempt.
#[async_trait]
pub trait Channel: Send + Sync + 'static {
    /// What subscriptions ask this channel to do.
    type Action: ChannelAction;

    /// Makes one attempt.
    async fn attempt(&self, attempt: &Attempt, action: &Self::Action) -> Outcome;
}

/// The action of a subscription, as the engine holds it: it knows the channel's name and the target, nothing else.
pub struct Action {
    /// The name of the channel.
    pub channel: &'static str,
    /// The target whose calls are limited, if there is one.
    pub target: Option<Uuid>,
    payload: Box<dyn Any + Send + Sync>,
}

impl<A: ChannelAction> From<A> for Action {
    fn from(action: A) -> Self {
        Self { channel: A::CHANNEL, target: action.target(), payload: Box::new(action) }
    }
}

impl Debug for Action {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Action").field("channel", &self.channel).field("target", &self.target).finish_non_exhaustive()
    }
}

/// The registered channels, by name.
#[derive(Default)]
pub struct Channels(HashMap<&'static str, Arc<dyn Registered>>);

/// A channel without the type of its action.
#[async_trait]
trait Registered: Send + Sync {
    async fn attempt_registered(&self, attempt: &Attempt) -> Outcome;
}

#[async_trait]
impl<C: Channel> Registered for C {
    async fn attempt_registered(&self, attempt: &Attempt) -> Outcome {
        match attempt.subscription.action.payload.downcast_ref() {
            Some(action) => self.attempt(attempt, action).await,
            None => Outcome::GiveUp(Report::new(None, "two channels have the same name")),
        }
    }
}

impl Channels {
    /// The channels with `channel` registered among them.
    pub fn with<C: Channel>(mut self, channel: Arc<C>) -> Self {
        self.0.insert(C::Action::CHANNEL, channel);
        self
    }

    /// Makes one attempt through the channel that the subscription names.
    pub async fn attempt(&self, attempt: &Attempt) -> Outcome {
        let name = attempt.subscription.action.channel;
        match self.0.get(name) {
            Some(channel) => channel.attempt_registered(attempt).await,
            None => Outcome::GiveUp(Report::new(None, format!("there is no channel '{name}'"))),
        }
    }
}

/// Loads many events at once, exactly once each: the warehouse.
#[async_trait]
pub trait BulkSink: Send + Sync + 'static {
    /// Loads `events`; when it returns `Ok`, the sink holds each of them exactly once, whatever was loaded before.
    ///
    /// # Errors
    /// Text for the log; the same events are loaded again later.
    async fn load(&self, events: &[Event]) -> Result<(), String>;
}
