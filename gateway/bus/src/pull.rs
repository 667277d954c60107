//! Pulling from a durable consumer.

use std::{sync::Arc, time::Duration};

use async_nats::{
    Subject,
    jetstream::{
        self,
        consumer::{AckPolicy, DeliverPolicy, PullConsumer, pull},
    },
};
use billwire_schemas::clock::Timestamp;
use bytes::Bytes;
use futures::StreamExt;

use crate::{
    Bus, Error,
    seal::{Authenticity, SealKeys},
    topology::STREAM,
};

/// A durable consumer to be.
#[derive(Debug, Clone)]
pub struct ConsumerConfig {
    /// Its name.
    pub name: String,
    /// The fence of the lease it is pulled under, which becomes part of the name: who holds the lease next has a consumer of its own, that
    /// goes on where this one was acknowledged to. A puller that slept through its lease then has no part in the messages any more: had
    /// both the same consumer, each would get some of them, and neither could see that the other has the rest. Absent: whoever pulls,
    /// pulls from the same.
    pub fence: Option<i64>,
    /// What it sees of the stream.
    pub filter: String,
    /// Messages stored before this moment are not for it; absent: all are.
    pub from: Option<Timestamp>,
    /// How long a message may be worked on before it comes again.
    pub ack_wait: Duration,
    /// How many may be worked on at once.
    pub ack_pending_max: i64,
}

/// A message in hand. Unless acknowledged it comes again.
#[derive(Debug)]
pub struct Received {
    /// Its subject.
    pub subject: String,
    /// Who made it. What the other members say counts only where it is [`Authenticity::Genuine`].
    pub authenticity: Authenticity,
    /// The event's id as the publisher named it.
    pub id: String,
    /// Position in the outbox.
    pub position: i64,
    /// Sequence within the ordering key.
    pub sequence: i64,
    /// The message.
    pub body: Bytes,
    /// Messages of the consumer's that stood behind it on the stream; absent where it did not come from there.
    pub pending: Option<u64>,
    /// Where its acknowledgement goes; absent likewise.
    reply: Option<Subject>,
}

/// A running pull.
pub struct Pull {
    stream: pull::Stream,
    waiting: u64,
    seal: Arc<SealKeys>,
}

/// Messages of one pull request.
const BATCH: usize = 500;
/// How long a pull request waits at the server. A quarter of it is the heartbeat: two missed ones end the pull, so a
/// nats-server that was replaced under a standing connection is noticed after some four seconds.
const EXPIRES: Duration = Duration::from_secs(8);

impl Bus {
    /// Says that everything owed for this message is done or stands in SQL. Fire and forget: a lost acknowledgement only
    /// brings the message again.
    pub async fn ack(&self, received: &Received) {
        let Some(reply) = received.reply.clone() else { return };
        if let Err(error) = self.client.publish(reply, Bytes::from_static(b"+ACK")).await {
            tracing::debug!(%error, "an acknowledgement was not sent");
        }
    }

    /// Takes a message that the gateway did not make out of the way: it is counted, told of in the log, and acknowledged, so that
    /// it does not come for ever.
    pub async fn reject(&self, received: &Received) {
        let reason = if received.authenticity == Authenticity::Unsealed { "no seal, and SQL has no such event" } else { "a wrong seal" };
        self.rejections.add(&received.subject, &received.id, reason);
        self.ack(received).await;
    }

    /// Starts pulling from a durable consumer, making it if it is missing. Everything not acknowledged to an earlier puller
    /// comes again first, in stream order.
    ///
    /// # Errors
    /// When NATS is away or the stream is missing; or one with a higher fence pulls already.
    pub async fn pull(&self, durable: &ConsumerConfig) -> Result<Pull, Error> {
        let unavailable = |text: String| Error::Unavailable(text);
        let stream = self.stream().await?;
        let start = durable.from.map_or(DeliverPolicy::All, |start_time| DeliverPolicy::ByStartTime { start_time });
        let (name, start, before) = match durable.fence {
            None => (durable.name.clone(), start, Vec::new()),
            Some(fence) => {
                let (floor, before) = self.before(&durable.name, fence).await?;
                let start = floor.map_or(start, |floor| DeliverPolicy::ByStartSequence { start_sequence: floor + 1 });
                (format!("{}-{fence}", durable.name), start, before)
            }
        };
        let config = pull::Config {
            durable_name: Some(name.clone()),
            filter_subject: durable.filter.clone(),
            deliver_policy: start,
            ack_policy: AckPolicy::Explicit,
            ack_wait: durable.ack_wait,
            // Giving up is decided in SQL; a consumer that moved on by itself would break order silently.
            max_deliver: -1,
            max_ack_pending: durable.ack_pending_max,
            num_replicas: self.replicas,
            ..pull::Config::default()
        };
        let consumer: PullConsumer = stream.get_or_create_consumer(&name, config).await.map_err(|e| unavailable(e.to_string()))?;
        if durable.fence.is_none() {
            // Set back to its acknowledgement floor.
            stream.reset_consumer(&name, None).await.map_err(|e| unavailable(format!("consumer reset: {e}")))?;
        }
        let info = consumer.get_info().await.map_err(|e| unavailable(e.to_string()))?;
        let waiting = info.num_pending + u64::try_from(info.num_ack_pending).unwrap_or(0);
        // Only now: until the new one stands, the old ones hold the place.
        for old in before {
            self.delete_one_consumer(&old).await?;
        }
        let stream = consumer
            .stream()
            .max_messages_per_batch(BATCH)
            .expires(EXPIRES)
            .heartbeat(EXPIRES / 4)
            .messages()
            .await
            .map_err(|e| unavailable(e.to_string()))?;
        Ok(Pull { stream, waiting, seal: self.seal.clone() })
    }

    /// The consumers of `name` with lower fences, and up to where the furthest of them was acknowledged.
    async fn before(&self, name: &str, fence: i64) -> Result<(Option<u64>, Vec<String>), Error> {
        let unavailable = |text: String| Error::Unavailable(text);
        let stream = self.stream().await?;
        let (mut floor, mut before) = (None, Vec::new());
        for (found, other) in self.fenced(name).await? {
            if other > fence {
                return Err(Error::Unavailable("another has taken over".to_owned()));
            }
            if other < fence {
                let info = stream.consumer_info(&found).await.map_err(|e| unavailable(e.to_string()))?;
                floor = floor.max(Some(info.ack_floor.stream_sequence));
                before.push(found);
            }
        }
        Ok((floor, before))
    }

    /// The consumers of `name`, each with its fence.
    async fn fenced(&self, name: &str) -> Result<Vec<(String, i64)>, Error> {
        let mut found = Vec::new();
        let mut names = self.stream().await?.consumer_names();
        while let Some(one) = names.next().await {
            let one = one.map_err(|e| Error::Unavailable(e.to_string()))?;
            let fence = one.strip_prefix(name).and_then(|rest| rest.strip_prefix('-')).and_then(|fence| fence.parse().ok());
            found.extend(fence.map(|fence| (one, fence)));
        }
        Ok(found)
    }

    /// Deletes a durable consumer, whatever its fence; one that is missing is fine.
    ///
    /// # Errors
    /// When NATS is away.
    pub async fn delete_consumer(&self, name: &str) -> Result<(), Error> {
        for (fenced, _) in self.fenced(name).await? {
            self.delete_one_consumer(&fenced).await?;
        }
        self.delete_one_consumer(name).await
    }

    async fn delete_one_consumer(&self, name: &str) -> Result<(), Error> {
        match self.jetstream.delete_consumer_from_stream(name, STREAM).await {
            Ok(_) => Ok(()),
            Err(error) if error.to_string().contains("not found") => Ok(()),
            Err(error) => Err(Error::Unavailable(error.to_string())),
        }
    }
}

impl Bus {
    /// Deletes every consumer of the stream. Whoever pulls makes its own anew, from the beginning: after the stream was rolled
    /// back, an acknowledgement floor ahead of it would pass over what is published again.
    ///
    /// # Errors
    /// When NATS is away.
    pub async fn delete_all_consumers(&self) -> Result<(), Error> {
        let names: Vec<_> = self.stream().await?.consumer_names().collect().await;
        for name in names {
            self.delete_one_consumer(&name.map_err(|e| Error::Unavailable(e.to_string()))?).await?;
        }
        Ok(())
    }
}

impl Pull {
    /// Messages that were not acknowledged yet when it began.
    pub fn waiting(&self) -> u64 {
        self.waiting
    }

    /// The next message, and whatever else has arrived already, up to `max`.
    ///
    /// # Errors
    /// When the pull broke off: start a new one.
    pub async fn next(&mut self, max: usize) -> Result<Vec<Received>, Error> {
        let first = self.stream.next().await.ok_or_else(|| Error::Unavailable("the pull ended".into()))?;
        let mut received = vec![first.map_err(|e| Error::Unavailable(e.to_string()))?];
        while received.len() < max {
            match futures::poll!(self.stream.next()) {
                std::task::Poll::Ready(Some(Ok(message))) => received.push(message),
                std::task::Poll::Ready(Some(Err(error))) => {
                    tracing::debug!(%error, "a pull stumbled");
                    break;
                }
                std::task::Poll::Ready(None) | std::task::Poll::Pending => break,
            }
        }
        Ok(received.into_iter().map(|message| Received::open(message, &self.seal)).collect())
    }
}

impl Received {
    /// Reads a message and judges who made it.
    pub(crate) fn open(message: jetstream::Message, seal: &SealKeys) -> Self {
        // A message that was sent to the pull's inbox past the stream has no place on it, and is acknowledged nowhere: its reply
        // subject is whatever its sender liked.
        let pending = message.info().ok().map(|info| info.pending);
        let message = message.message;
        let claim = seal.read(&message.subject, message.headers.as_ref(), &message.payload);
        Self {
            subject: message.subject.to_string(),
            authenticity: claim.authenticity,
            id: claim.id,
            position: claim.position,
            sequence: claim.sequence,
            body: message.payload,
            pending,
            reply: message.reply.filter(|_| pending.is_some()),
        }
    }
}
