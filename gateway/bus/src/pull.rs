//! Pulling from a durable consumer.

use std::{collections::HashMap, sync::Arc, time::Duration};

use async_nats::{
    Subject,
    jetstream::{
        self,
        consumer::{AckPolicy, DeliverPolicy, PullConsumer, pull},
    },
};
use bytes::Bytes;
use futures::StreamExt;
use uuid::Uuid;

use crate::{
    Bus, Error, PREVIOUS,
    publish::found,
    seal::{Authenticity, SealKeys},
    topology::{STREAM, SUBJECTS},
};

/// The configuration of a durable consumer.
#[derive(Debug, Clone)]
pub struct ConsumerConfig {
    /// Its name.
    pub name: String,
    /// The fence of the lease it is pulled under, which becomes part of the name: the next holder of the lease has a consumer of its own,
    /// which continues where this one was acknowledged to. A puller that slept through its lease then gets no messages any more: with
    /// a shared consumer each of the two would get some of them, unseen by the other. Absent: all pull from the same consumer.
    pub fence: Option<i64>,
    /// The subjects it receives.
    pub filter: String,
    /// How long a message may stay unacknowledged before it is delivered again.
    pub ack_wait: Duration,
    /// How many messages may be unacknowledged at a time.
    pub ack_pending_max: i64,
    /// The stream sequence up to which everything is settled, as SQL knows it: whatever an operator does to a consumer changes nothing
    /// about that.
    pub settled: u64,
}

/// A received message. Unless it is acknowledged, it is delivered again.
#[derive(Debug)]
pub struct Received {
    /// Its subject.
    pub subject: String,
    /// Whether the gateway published it. The other members can be trusted only if it is [`Authenticity::Genuine`].
    pub authenticity: Authenticity,
    /// The event's id as the publisher named it.
    pub id: String,
    /// Position in the outbox.
    pub position: i64,
    /// Sequence within the ordering key.
    pub sequence: i64,
    /// The message.
    pub body: Bytes,
    /// Its sequence on the stream; 0 if it was sent past the stream.
    pub stream_sequence: u64,
    /// The stream sequence of the message before it in its slot; 0 if unknown.
    pub previous: u64,
    /// How many messages of the consumer were behind it on the stream; absent if it did not come from the stream.
    pub pending: Option<u64>,
    /// The subject of its acknowledgement; absent likewise.
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
/// Bytes of one pull request, unless a single message may be larger.
const BATCH_BYTES: usize = 1024 * 1024;
/// How long a pull request waits at the server. A quarter of it is the heartbeat: two missed heartbeats end the pull, so a
/// nats-server that was replaced under an open connection is noticed after about four seconds.
const EXPIRES: Duration = Duration::from_secs(8);

impl Bus {
    /// Acknowledges a message: all that follows from it is done or recorded in SQL. Fire and forget: after a lost acknowledgement the
    /// message is only delivered again.
    pub async fn ack(&self, received: &Received) {
        let Some(reply) = received.reply.clone() else { return };
        if let Err(error) = self.client.publish(reply, Bytes::from_static(b"+ACK")).await {
            tracing::debug!(%error, "an acknowledgement was not sent");
        }
    }

    /// Rejects a message that the gateway did not publish: it is counted, logged, and acknowledged, so that it is not delivered again.
    pub async fn reject(&self, received: &Received) {
        let reason = if received.authenticity == Authenticity::Unsealed { "no seal, and SQL has no such event" } else { "a wrong seal" };
        self.rejections.add(&received.subject, &received.id, reason);
        self.ack(received).await;
    }

    /// Starts pulling from a durable consumer, which is created anew. What is not settled is delivered first, in stream order.
    ///
    /// # Errors
    /// When NATS is away, the stream is missing, or a consumer with a higher fence exists.
    pub async fn pull(&self, durable: &ConsumerConfig) -> Result<Pull, Error> {
        let unavailable = |text: String| Error::Unavailable(text);
        let stream = self.stream().await?;
        let before = self.before(&durable.name, durable.fence).await?;
        let name = match durable.fence {
            None => durable.name.clone(),
            Some(fence) => format!("{}-{fence}", durable.name),
        };
        let config = pull::Config {
            durable_name: Some(name.clone()),
            filter_subject: durable.filter.clone(),
            deliver_policy: DeliverPolicy::ByStartSequence { start_sequence: durable.settled + 1 },
            ack_policy: AckPolicy::Explicit,
            ack_wait: durable.ack_wait,
            // Giving up is decided in SQL; a consumer that skipped a message by itself would break order silently.
            max_deliver: -1,
            max_ack_pending: durable.ack_pending_max,
            num_replicas: self.replicas,
            ..pull::Config::default()
        };
        self.delete_one_consumer(&name).await?;
        let consumer: PullConsumer = stream.get_or_create_consumer(&name, config).await.map_err(|e| unavailable(e.to_string()))?;
        let info = consumer.get_info().await.map_err(|e| unavailable(e.to_string()))?;
        let waiting = info.num_pending + u64::try_from(info.num_ack_pending).unwrap_or(0);
        for old in before {
            self.delete_one_consumer(&old).await?;
        }
        let stream = consumer
            .stream()
            .max_messages_per_batch(BATCH)
            .max_bytes_per_batch(BATCH_BYTES.max(self.client.max_payload() * 2))
            .expires(EXPIRES)
            .heartbeat(EXPIRES / 4)
            .messages()
            .await
            .map_err(|e| unavailable(e.to_string()))?;
        Ok(Pull { stream, waiting, seal: self.seal.clone() })
    }

    /// The consumers of `name` with lower fences.
    async fn before(&self, name: &str, fence: Option<i64>) -> Result<Vec<String>, Error> {
        let Some(fence) = fence else { return Ok(Vec::new()) };
        let mut before = Vec::new();
        for (found, other) in self.fenced(name).await? {
            if other > fence {
                return Err(Error::Unavailable("another process has taken over".to_owned()));
            }
            if other < fence {
                before.push(found);
            }
        }
        Ok(before)
    }

    /// The highest acknowledgement floor among the consumers of `name`, whatever their fence; 0 without one.
    ///
    /// # Errors
    /// When NATS is away.
    pub async fn acknowledged(&self, name: &str) -> Result<u64, Error> {
        let stream = self.stream().await?;
        let fenced = self.fenced(name).await?.into_iter().map(|(found, _)| found);
        let mut acknowledged = 0;
        for found in fenced.chain([name.to_owned()]) {
            match stream.consumer_info(&found).await {
                Ok(info) => acknowledged = acknowledged.max(info.ack_floor.stream_sequence),
                Err(error) if error.to_string().contains("not found") => {}
                Err(error) => return Err(Error::Unavailable(error.to_string())),
            }
        }
        Ok(acknowledged)
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

/// A consumer of version 0.2, which had one for each partition of a queue.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct QueueConsumer {
    /// Its name.
    pub name: String,
    /// The queue.
    pub queue: Uuid,
    /// The outbox position of the first message that it has not acknowledged; `None`: it has acknowledged all.
    pub first_unacknowledged: Option<i64>,
}

impl Bus {
    /// The consumers of version 0.2.
    ///
    /// # Errors
    /// When NATS is away.
    pub async fn queue_consumers(&self) -> Result<Vec<QueueConsumer>, Error> {
        let unavailable = |text: String| Error::Unavailable(text);
        let stream = self.stream().await?;
        let names: Vec<_> = stream.consumer_names().collect().await;
        let mut found = Vec::new();
        for name in names {
            let name = name.map_err(|e| unavailable(e.to_string()))?;
            let queue = name.strip_prefix("queue-").and_then(|rest| rest.get(..UUID_LENGTH)?.parse().ok());
            let Some(queue) = queue else { continue };
            let info = stream.consumer_info(&name).await.map_err(|e| unavailable(e.to_string()))?;
            let first_unacknowledged = self.position_from(SUBJECTS, info.ack_floor.stream_sequence + 1).await?;
            found.push(QueueConsumer { name, queue, first_unacknowledged });
        }
        Ok(found)
    }

    /// The outbox position of the first message of the gateway on these subjects with this stream sequence or a later one.
    async fn position_from(&self, filter: &str, mut sequence: u64) -> Result<Option<i64>, Error> {
        let stream = self.stream().await?;
        loop {
            let next = stream.get_first_raw_message_by_subject(filter, sequence).await;
            let Some(message) = found(next)? else { return Ok(None) };
            let claim = self.seal.read(&message.subject, Some(&message.headers), &message.payload);
            if claim.authenticity != Authenticity::Forged && claim.position > 0 {
                return Ok(Some(claim.position));
            }
            sequence = message.sequence + 1;
        }
    }
}

const UUID_LENGTH: usize = 36;

impl Bus {
    /// Deletes the consumers with these names, or with these and a fence. Their pullers create them again, from where SQL says: after the
    /// stream was rolled back, one that is ahead of it would skip what is published next.
    ///
    /// # Errors
    /// When NATS is away.
    pub async fn delete_consumers(&self, of: &[String]) -> Result<(), Error> {
        let names: Vec<_> = self.stream().await?.consumer_names().collect().await;
        for name in names {
            let name = name.map_err(|e| Error::Unavailable(e.to_string()))?;
            let bare = name.rsplit_once('-').filter(|(_, fence)| fence.parse::<i64>().is_ok()).map_or(name.as_str(), |(bare, _)| bare);
            if of.iter().any(|own| *own == name || own == bare) {
                self.delete_one_consumer(&name).await?;
            }
        }
        Ok(())
    }
}

impl Bus {
    /// Deletes consumers of these names that another one with a higher fence has replaced: somebody else has made them again, and nobody
    /// reads from them.
    ///
    /// # Errors
    /// When NATS is away.
    pub async fn delete_replaced_consumers(&self, of: &[String]) -> Result<(), Error> {
        let mut fences: HashMap<String, Vec<i64>> = HashMap::new();
        let mut names = self.stream().await?.consumer_names();
        while let Some(name) = names.next().await {
            let name = name.map_err(|e| Error::Unavailable(e.to_string()))?;
            if let Some((bare, fence)) = name.rsplit_once('-')
                && let Ok(fence) = fence.parse()
                && of.iter().any(|own| own == bare)
            {
                fences.entry(bare.to_owned()).or_default().push(fence);
            }
        }
        for (bare, mut fences) in fences {
            fences.sort_unstable();
            fences.pop();
            for fence in fences {
                self.delete_one_consumer(&format!("{bare}-{fence}")).await?;
            }
        }
        Ok(())
    }
}

impl Pull {
    /// The number of messages that were not acknowledged when the pull began.
    pub fn waiting(&self) -> u64 {
        self.waiting
    }

    /// The next message, with all others that have arrived already, up to `max`.
    ///
    /// # Errors
    /// When the pull broke off; the caller starts a new one.
    pub async fn next(&mut self, max: usize) -> Result<Vec<Received>, Error> {
        let first = self.stream.next().await.ok_or_else(|| Error::Unavailable("the pull ended".into()))?;
        let mut received = vec![first.map_err(|e| Error::Unavailable(e.to_string()))?];
        while received.len() < max {
            match futures::poll!(self.stream.next()) {
                std::task::Poll::Ready(Some(Ok(message))) => received.push(message),
                std::task::Poll::Ready(Some(Err(error))) => {
                    tracing::debug!(%error, "an error within a pull");
                    break;
                }
                std::task::Poll::Ready(None) | std::task::Poll::Pending => break,
            }
        }
        Ok(received.into_iter().map(|message| Received::open(message, &self.seal)).collect())
    }
}

impl Received {
    /// A message that SQL has and that the stream, at this sequence, has no longer, or that the consumer has skipped; with 0, one that is
    /// not published yet. It needs no
    /// acknowledgement.
    pub fn from_sql(stream_sequence: u64, subject: String, id: String, (position, sequence): (i64, i64), body: Bytes) -> Self {
        let authenticity = Authenticity::Genuine;
        Self { subject, authenticity, id, position, sequence, body, stream_sequence, previous: 0, pending: None, reply: None }
    }

    /// Reads a message and verifies its seal.
    pub(crate) fn open(message: jetstream::Message, seal: &SealKeys) -> Self {
        // A message sent straight to the pull's inbox, past the stream, has no position on it and is not acknowledged: its sender chose the
        // reply subject.
        let info = message.info().ok().map(|info| (info.stream_sequence, info.pending));
        let (stream_sequence, pending) = (info.map_or(0, |info| info.0), info.map(|info| info.1));
        let message = message.message;
        let previous = message.headers.as_ref().and_then(|headers| headers.get(PREVIOUS)?.as_str().parse().ok()).unwrap_or(0);
        let claim = seal.read(&message.subject, message.headers.as_ref(), &message.payload);
        Self {
            subject: message.subject.to_string(),
            authenticity: claim.authenticity,
            id: claim.id,
            position: claim.position,
            sequence: claim.sequence,
            body: message.payload,
            stream_sequence,
            previous,
            pending,
            reply: message.reply.filter(|_| pending.is_some()),
        }
    }
}
