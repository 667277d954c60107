//! The durable consumers that subscribers read over NATS.
//!
//! Each is made to deliver everything and then moved to where it must begin, because nats-server moves a consumer back only as far as its
//! own start. Moving it keeps live readers: their waiting pulls get messages from there on. Until it is moved, it is paused.

use std::time::Duration;

use async_nats::jetstream::{
    consumer::{AckPolicy, Config, DeliverPolicy, Info, PullConsumer, ReplayPolicy, pull},
    context::ConsumerInfoErrorKind,
    stream::Stream,
};
use billwire_schemas::clock::{Clock, SystemClock, Timestamp};
use chrono::TimeDelta;
use futures::TryStreamExt;

use crate::{Bus, Error, topology::epoch_of};

/// How long a subscriber may take for a message before it is delivered again.
const ACK_WAIT: Duration = Duration::from_secs(30);
/// How many messages a subscriber may have read and not acknowledged.
const ACK_PENDING_MAX: i64 = 1_000;
/// How many pulls of all its readers may wait.
const WAITING_MAX: i64 = 128;
/// How many messages one pull may ask for.
const BATCH_MAX: i64 = 1_000;
/// How long one pull may wait.
const EXPIRES_MAX: Duration = Duration::from_secs(300);
/// How long a new consumer is paused if nothing ends the pause.
const PAUSE_MAX: TimeDelta = TimeDelta::seconds(60);
/// How long the server keeps the consumer that finds a moment's place on the stream.
const FINDER_KEPT: Duration = Duration::from_secs(5);
/// The metadata key of how often the subscription had been reset when the consumer was last moved.
const RESETS: &str = "billwire-resets";

/// Where a consumer begins if nothing is known to be settled.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Begin {
    /// With the first message.
    Everything,
    /// With the first message published at this moment or later.
    Time(Timestamp),
}

/// A consumer that must be on the stream.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SubscriberConsumer {
    /// Its name.
    pub name: String,
    /// Its filters, of which no two overlap.
    pub subjects: Vec<String>,
    /// How often it was to be moved: with another number than the last, it is moved again.
    pub resets: u32,
    /// Where it begins.
    pub begin: Begin,
    /// The stream sequence up to which nothing is left to deliver, on the stream with this epoch; on another it begins anew.
    pub settled: Option<(String, u64)>,
}

/// A consumer on the stream.
#[derive(Debug, Clone)]
pub struct FoundConsumer {
    /// Its name.
    pub name: String,
    /// How often its subscription had been reset when it was last moved; `None`: it was not moved yet.
    pub resets: Option<u32>,
    /// The stream sequence up to which everything is acknowledged.
    pub settled: u64,
    /// The last stream sequence that was delivered.
    pub delivered: u64,
    /// Messages that wait to be delivered.
    pub pending: u64,
    /// Messages that are delivered and not acknowledged.
    pub outstanding: u64,
    /// When a message was last acknowledged.
    pub acknowledged_at: Option<Timestamp>,
    paused: bool,
    config: Config,
}

/// The consumers of subscribers, and the stream that they were found on.
#[derive(Debug, Clone)]
pub struct FoundConsumers {
    /// The stream's epoch.
    pub epoch: String,
    /// The stream's last sequence.
    pub last_sequence: u64,
    /// The consumers.
    pub consumers: Vec<FoundConsumer>,
}

impl FoundConsumer {
    fn of(info: Info) -> Self {
        Self {
            name: info.name,
            resets: info.config.metadata.get(RESETS).and_then(|resets| resets.parse().ok()),
            settled: info.ack_floor.stream_sequence,
            delivered: info.delivered.stream_sequence,
            pending: info.num_pending,
            outstanding: info.num_ack_pending as u64,
            acknowledged_at: info.ack_floor.last_active,
            paused: info.paused,
            config: info.config,
        }
    }
}

impl SubscriberConsumer {
    fn config(&self, replicas: usize, resets: Option<u32>) -> pull::Config {
        let one = if let [subject] = self.subjects.as_slice() { subject.clone() } else { String::new() };
        pull::Config {
            durable_name: Some(self.name.clone()),
            description: Some("A stream subscription. Made and kept in shape by Billwire.".to_owned()),
            deliver_policy: DeliverPolicy::All,
            ack_policy: AckPolicy::Explicit,
            replay_policy: ReplayPolicy::Instant,
            ack_wait: ACK_WAIT,
            max_deliver: -1,
            filter_subjects: if one.is_empty() { self.subjects.clone() } else { Vec::new() },
            filter_subject: one,
            max_ack_pending: ACK_PENDING_MAX,
            max_waiting: WAITING_MAX,
            max_batch: BATCH_MAX,
            max_expires: EXPIRES_MAX,
            num_replicas: replicas,
            metadata: resets.map(|resets| (RESETS.to_owned(), resets.to_string())).into_iter().collect(),
            pause_until: resets.is_none().then(|| SystemClock.now() + PAUSE_MAX),
            ..pull::Config::default()
        }
    }

    /// Whether a consumer with this configuration is as it must be.
    fn is(&self, have: &Config, replicas: usize) -> bool {
        let mut subjects: Vec<&String> =
            have.filter_subjects.iter().chain(Some(&have.filter_subject)).filter(|one| !one.is_empty()).collect();
        let mut own: Vec<&String> = self.subjects.iter().collect();
        subjects.sort();
        own.sort();
        let limits = (have.ack_wait, have.max_ack_pending, have.max_waiting, have.max_batch, have.max_expires, have.num_replicas);
        subjects == own && limits == (ACK_WAIT, ACK_PENDING_MAX, WAITING_MAX, BATCH_MAX, EXPIRES_MAX, replicas)
    }
}

fn unavailable(error: impl std::fmt::Display) -> Error {
    Error::Unavailable(error.to_string())
}

impl Bus {
    /// The stream's epoch and last sequence.
    ///
    /// # Errors
    /// When NATS is away, or the stream is missing.
    pub async fn stream_end(&self) -> Result<(String, u64), Error> {
        let stream = self.stream().await?;
        let info = stream.cached_info();
        Ok((epoch_of(&info.config), info.state.last_sequence))
    }

    /// The consumers whose names begin with `prefix`.
    ///
    /// # Errors
    /// When NATS is away, or the stream is missing.
    pub async fn subscriber_consumers(&self, prefix: &str) -> Result<FoundConsumers, Error> {
        let stream = self.stream().await?;
        let mut infos = stream.consumers();
        let mut consumers = Vec::new();
        while let Some(info) = infos.try_next().await.map_err(unavailable)? {
            if info.name.starts_with(prefix) {
                consumers.push(FoundConsumer::of(info));
            }
        }
        let info = stream.cached_info();
        Ok(FoundConsumers { epoch: epoch_of(&info.config), last_sequence: info.state.last_sequence, consumers })
    }

    /// Makes the consumer if it is missing, moves it if its subscription was reset, and puts back what differs from what it must be like.
    ///
    /// # Errors
    /// When NATS is away, or the stream is missing; the next call goes on.
    pub async fn provide_consumer(&self, wanted: &SubscriberConsumer) -> Result<(), Error> {
        let stream = self.stream().await?;
        if let Some(found) = find(&stream, &wanted.name).await? {
            return self.mend_consumer(wanted, &found).await;
        }
        let made: Result<PullConsumer, _> = stream.create_consumer_strict(wanted.config(self.replicas, None)).await;
        // Another process may have made it meanwhile.
        match (find(&stream, &wanted.name).await?, made) {
            (Some(found), _) => self.mend_consumer(wanted, &found).await,
            (None, Err(error)) => Err(unavailable(error)),
            (None, Ok(_)) => Err(unavailable("the consumer was deleted at once")),
        }
    }

    /// The same, of a consumer that was found.
    ///
    /// # Errors
    /// See [`Bus::provide_consumer`].
    pub async fn mend_consumer(&self, wanted: &SubscriberConsumer, found: &FoundConsumer) -> Result<(), Error> {
        let moved = found.resets == Some(wanted.resets);
        if moved && !found.paused && wanted.is(&found.config, self.replicas) {
            return Ok(());
        }
        let stream = self.stream().await?;
        if !moved {
            let next = self.first_of(&stream, wanted).await?;
            stream.reset_consumer(&wanted.name, Some(next)).await.map_err(unavailable)?;
        }
        let config = wanted.config(self.replicas, Some(wanted.resets));
        let _: PullConsumer = stream.update_consumer(config).await.map_err(unavailable)?;
        if found.paused {
            // Without a moment in the update, the server keeps the one that it has.
            stream.resume_consumer(&wanted.name).await.map_err(unavailable)?;
        }
        Ok(())
    }

    /// The stream sequence that a consumer delivers first.
    async fn first_of(&self, stream: &Stream, wanted: &SubscriberConsumer) -> Result<u64, Error> {
        let info = stream.cached_info();
        match (&wanted.settled, wanted.begin) {
            (Some((epoch, settled)), _) if *epoch == epoch_of(&info.config) => Ok(settled.min(&info.state.last_sequence) + 1),
            (_, Begin::Everything) => Ok(1),
            (_, Begin::Time(at)) => first_at(stream, at).await,
        }
    }

    /// Moves the consumers that are ahead of the stream, whose last sequence is `last`, back to its end: they would pass over what is published
    /// next.
    ///
    /// # Errors
    /// When NATS is away, or the stream is missing.
    pub async fn move_back_consumers(&self, prefix: &str, last: u64) -> Result<(), Error> {
        let stream = self.stream().await?;
        for found in self.subscriber_consumers(prefix).await?.consumers {
            if found.delivered > last {
                stream.reset_consumer(&found.name, Some(found.settled.min(last) + 1)).await.map_err(unavailable)?;
            }
        }
        Ok(())
    }
}

async fn find(stream: &Stream, name: &str) -> Result<Option<FoundConsumer>, Error> {
    match stream.consumer_info(name).await {
        Ok(info) => Ok(Some(FoundConsumer::of(info))),
        Err(error) if error.kind() == ConsumerInfoErrorKind::NotFound => Ok(None),
        Err(error) => Err(unavailable(error)),
    }
}

/// The sequence of the first message that was published at a moment or later. A consumer of the moment's own finds it.
async fn first_at(stream: &Stream, at: Timestamp) -> Result<u64, Error> {
    let config = pull::Config {
        deliver_policy: DeliverPolicy::ByStartTime { start_time: at },
        ack_policy: AckPolicy::None,
        inactive_threshold: FINDER_KEPT,
        memory_storage: true,
        num_replicas: 1,
        ..pull::Config::default()
    };
    let mut finder: PullConsumer = stream.create_consumer(config).await.map_err(unavailable)?;
    let info = finder.info().await.map_err(unavailable)?;
    let (name, before) = (info.name.clone(), info.delivered.stream_sequence);
    if let Err(error) = stream.delete_consumer(&name).await {
        tracing::debug!(%error, "a consumer that found a moment's place goes by itself");
    }
    Ok(before + 1)
}
