//! Pulling from a durable consumer.

use std::time::Duration;

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

use crate::{Bus, Error, POSITION, SEQUENCE, topology::STREAM};

/// A durable consumer to be.
#[derive(Debug, Clone)]
pub struct Durable {
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
    pub in_hand_max: i64,
}

/// A message in hand. Unless acknowledged it comes again.
#[derive(Debug)]
pub struct Received {
    /// Its subject.
    pub subject: String,
    /// The event's id as the publisher named it.
    pub id: String,
    /// Position in the outbox.
    pub position: i64,
    /// Sequence within the ordering key.
    pub sequence: i64,
    /// The message.
    pub body: Bytes,
    /// Messages of the consumer's that stood behind it on the stream.
    pub pending: u64,
    /// Where its acknowledgement goes.
    reply: Subject,
}

/// A running pull.
pub struct Pull {
    stream: pull::Stream,
    waiting: u64,
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
        if let Err(error) = self.client.publish(received.reply.clone(), Bytes::from_static(b"+ACK")).await {
            tracing::debug!(%error, "an acknowledgement was not sent");
        }
    }

    /// Starts pulling from a durable consumer, making it if it is missing. Everything not acknowledged to an earlier puller
    /// comes again first, in stream order.
    ///
    /// # Errors
    /// When NATS is away or the stream is missing; or one with a higher fence pulls already.
    pub async fn pull(&self, durable: &Durable) -> Result<Pull, Error> {
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
            max_ack_pending: durable.in_hand_max,
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
            self.forget_one(&old).await?;
        }
        let stream = consumer
            .stream()
            .max_messages_per_batch(BATCH)
            .expires(EXPIRES)
            .heartbeat(EXPIRES / 4)
            .messages()
            .await
            .map_err(|e| unavailable(e.to_string()))?;
        Ok(Pull { stream, waiting })
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
    pub async fn forget(&self, name: &str) -> Result<(), Error> {
        for (fenced, _) in self.fenced(name).await? {
            self.forget_one(&fenced).await?;
        }
        self.forget_one(name).await
    }

    async fn forget_one(&self, name: &str) -> Result<(), Error> {
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
    pub async fn forget_all(&self) -> Result<(), Error> {
        let names: Vec<_> = self.stream().await?.consumer_names().collect().await;
        for name in names {
            self.forget_one(&name.map_err(|e| Error::Unavailable(e.to_string()))?).await?;
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
        Ok(received.into_iter().filter_map(open).collect())
    }
}

fn open(message: jetstream::Message) -> Option<Received> {
    let pending = message.info().map_or(0, |info| info.pending);
    let (message, context) = (message.message, message.context);
    let headers = message.headers.as_ref();
    let number = |name: &str| headers.and_then(|h| h.get(name)).and_then(|v| v.as_str().parse::<i64>().ok());
    let id = headers.and_then(|h| h.get(async_nats::header::NATS_MESSAGE_ID)).map(|v| v.as_str().to_owned());
    let reply = message.reply?;
    let (Some(position), Some(sequence), Some(id)) = (number(POSITION), number(SEQUENCE), id) else {
        tracing::error!(subject = %message.subject, "a message that the relay did not publish stands on our stream; it is passed over");
        // Never ours: acknowledged so that it does not come for ever.
        tokio::spawn(async move { drop(context.client().publish(reply, Bytes::from_static(b"+ACK")).await) });
        return None;
    };
    Some(Received { subject: message.subject.to_string(), id, position, sequence, body: message.payload, pending, reply })
}
