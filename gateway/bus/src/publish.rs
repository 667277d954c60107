//! Publishing: plain and pipelined for transactions of one message, atomic batches for transactions of several.

use std::time::Duration;

use async_nats::{
    HeaderMap, Request,
    header::{NATS_BATCH_COMMIT, NATS_BATCH_COMMIT_FINAL, NATS_BATCH_ID, NATS_BATCH_SEQUENCE, NATS_MESSAGE_ID},
    jetstream::{
        context::PublishAckFuture,
        message::{PublishMessage, StreamMessage},
        publish::PublishAck,
    },
};
use billwire_schemas::ids::fresh;
use bytes::Bytes;
use futures::future::join_all;
use serde::Deserialize;

use crate::{
    Bus, Error, POSITION, SEAL, SEQUENCE,
    seal::{Authenticity, Claim, Content, MARK},
};

/// JetStream's limit of one atomic batch (ADR-50).
pub const BATCH_MAX: usize = 1000;

/// Error code: the stream has an id of the batch already (ADR-50); the whole batch was refused.
const DUPLICATE_IN_BATCH: u64 = 10201;

/// One message to publish.
#[derive(Debug, Clone)]
pub struct Message {
    /// The subject.
    pub subject: String,
    /// The event's id, `Nats-Msg-Id`.
    pub id: String,
    /// Position in the outbox.
    pub position: i64,
    /// Sequence within the ordering key.
    pub sequence: i64,
    /// W3C `traceparent`.
    pub traceparent: String,
    /// The CloudEvents JSON object.
    pub body: Bytes,
}

/// The outcome of a publish.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PublishOutcome {
    /// Stored, or stored before; the stream's last sequence is at least this.
    Stored(u64),
    /// No answer, or an unclear one: read back before publishing again.
    Unknown,
}

#[derive(Deserialize)]
struct BatchReply {
    #[serde(default)]
    seq: u64,
    error: Option<ApiError>,
}

#[derive(Deserialize)]
struct ApiError {
    #[serde(default)]
    err_code: u64,
    #[serde(default)]
    description: String,
}

/// The outcome of a batch.
enum Batch {
    Stored(u64),
    Unknown,
    /// The stream has an id of the batch already; the whole batch was refused.
    Duplicate,
}

/// Concurrent look-ups in the stream.
const LOOKUPS_MAX: usize = 64;

impl Message {
    fn content(&self) -> Content<'_> {
        Content { subject: &self.subject, id: &self.id, position: self.position, sequence: self.sequence, body: &self.body }
    }

    /// Whether a stored message of the same subject, with this claim and body, is this message. Without a seal it is if every byte is equal:
    /// it was published before seals existed, and its readers confirm it with SQL.
    fn is(&self, claim: &Claim, body: &[u8]) -> bool {
        let same = claim.id == self.id && claim.sequence == self.sequence && claim.position == self.position && *body == *self.body;
        same && claim.authenticity != Authenticity::Forged
    }
}

impl Bus {
    /// `mark` makes the message id differ from the bare event id, so that the server does not take it for a duplicate.
    fn headers(&self, message: &Message, mark: Option<&str>) -> HeaderMap {
        let mut headers = HeaderMap::new();
        match mark {
            None => headers.insert(NATS_MESSAGE_ID, message.id.as_str()),
            Some(mark) => headers.insert(NATS_MESSAGE_ID, format!("{}{MARK}{mark}", message.id).as_str()),
        }
        headers.insert("Content-Type", "application/cloudevents+json");
        headers.insert("traceparent", message.traceparent.as_str());
        headers.insert(POSITION, message.position.to_string().as_str());
        headers.insert(SEQUENCE, message.sequence.to_string().as_str());
        headers.insert(SEAL, self.seal.seal(&message.content()).as_str());
        headers
    }

    /// Publishes messages of *different* ordering keys concurrently; gives the outcome of each.
    pub async fn publish_each(&self, messages: &[Message]) -> Vec<PublishOutcome> {
        let mut sent = Vec::with_capacity(messages.len());
        for message in messages {
            sent.push(self.send(message, None).await);
        }
        join_all(messages.iter().zip(sent).map(|(message, sent)| self.outcome(message, sent))).await
    }

    /// Sends one message; `None`: it was certainly not sent.
    async fn send(&self, message: &Message, mark: Option<&str>) -> Option<PublishAckFuture> {
        let publish = PublishMessage::build().headers(self.headers(message, mark)).payload(message.body.clone());
        match self.jetstream.send_publish(message.subject.clone(), publish).await {
            Ok(sent) => Some(sent),
            Err(error) => {
                tracing::debug!(%error, "not sent");
                None
            }
        }
    }

    async fn outcome(&self, message: &Message, sent: Option<PublishAckFuture>) -> PublishOutcome {
        match acknowledged(sent).await {
            None => PublishOutcome::Unknown,
            Some(ack) if ack.duplicate => self.duplicate(message, ack.sequence).await,
            Some(ack) => PublishOutcome::Stored(ack.sequence),
        }
    }

    /// The server has the message's id already, at `sequence`: usually from an earlier attempt of the relay. Otherwise somebody forged a
    /// message with the id, or that message is gone; then the message is published with another message id. A subscriber that gets it twice
    /// recognises it by the event's id.
    async fn duplicate(&self, message: &Message, sequence: u64) -> PublishOutcome {
        match self.holds(message, sequence).await {
            Ok(true) => return PublishOutcome::Stored(sequence),
            Ok(false) => {
                tracing::warn!(event.id = message.id, sequence, "the event's id was taken by another message; it is published all the same")
            }
            Err(error) => {
                tracing::debug!(%error, "a duplicate could not be read");
                return PublishOutcome::Unknown;
            }
        }
        let sent = self.send(message, Some(&mark())).await;
        acknowledged(sent).await.map_or(PublishOutcome::Unknown, |ack| PublishOutcome::Stored(ack.sequence))
    }

    /// Publishes up to [`BATCH_MAX`] messages so that all become visible together, in order, or none.
    ///
    /// # Errors
    /// When NATS is away or refuses the batch for a reason other than a repeat; the text is for the log.
    pub async fn publish_batch(&self, messages: &[Message]) -> Result<PublishOutcome, Error> {
        match self.batch(messages, None).await? {
            Batch::Stored(last) => return Ok(PublishOutcome::Stored(last)),
            Batch::Unknown => return Ok(PublishOutcome::Unknown),
            Batch::Duplicate => {}
        }
        // The server does not say which id it was. If the stream has some of the messages, the caller reads back which, and leaves them out
        // the next time. If it has none, somebody forged a message with one of the ids, which must not block the batch.
        for some in messages.chunks(LOOKUPS_MAX) {
            for stored in join_all(some.iter().map(|message| self.stored(message))).await {
                if stored?.is_some() {
                    return Ok(PublishOutcome::Unknown);
                }
            }
        }
        tracing::warn!(messages = messages.len(), "an event's id was taken by another message; the batch is published all the same");
        match self.batch(messages, Some(&mark())).await? {
            Batch::Stored(last) => Ok(PublishOutcome::Stored(last)),
            Batch::Unknown | Batch::Duplicate => Ok(PublishOutcome::Unknown),
        }
    }

    async fn batch(&self, messages: &[Message], mark: Option<&str>) -> Result<Batch, Error> {
        let Some((last, before)) = messages.split_last() else { return Ok(Batch::Stored(0)) };
        let batch = fresh().simple().to_string();
        let mut number = 0usize;
        let mut numbered = |message: &Message| {
            number += 1;
            let mut headers = self.headers(message, mark);
            headers.insert(NATS_BATCH_ID, batch.as_str());
            headers.insert(NATS_BATCH_SEQUENCE, number.to_string().as_str());
            headers
        };
        for message in before {
            let sent = self.client.publish_with_headers(message.subject.clone(), numbered(message), message.body.clone()).await;
            sent.map_err(|e| Error::Unavailable(e.to_string()))?;
        }
        let mut commit = numbered(last);
        commit.insert(NATS_BATCH_COMMIT, NATS_BATCH_COMMIT_FINAL);
        let request = Request::new().headers(commit).payload(last.body.clone()).timeout(Some(self.timeout + Duration::from_secs(5)));
        let answer = match self.client.send_request(last.subject.clone(), request).await {
            Ok(answer) => answer,
            Err(error) => {
                tracing::debug!(%error, "no acknowledgement of a batch");
                return Ok(Batch::Unknown);
            }
        };
        let reply: BatchReply =
            serde_json::from_slice(&answer.payload).map_err(|e| Error::Unavailable(format!("not a batch reply: {e}")))?;
        match reply.error {
            None => Ok(Batch::Stored(reply.seq)),
            Some(error) if error.err_code == DUPLICATE_IN_BATCH => Ok(Batch::Duplicate),
            Some(error) => Err(Error::Unavailable(format!("batch refused: {} ({})", error.description, error.err_code))),
        }
    }

    /// Whether the stream holds this message. Its subject names type and ordering key, and within those the sequences only grow, so the last
    /// message of the subject decides. Gives the stream sequence of that last message. If the last message is forged, this message counts
    /// as not stored: publishing it once more does no harm.
    ///
    /// # Errors
    /// When NATS is away.
    pub async fn stored(&self, message: &Message) -> Result<Option<u64>, Error> {
        let last = self.stream().await?.get_last_raw_message_by_subject(&message.subject).await;
        let Some(last) = found(last)? else { return Ok(None) };
        let claim = self.seal.read(&last.subject, Some(&last.headers), &last.payload);
        let later = claim.authenticity == Authenticity::Genuine && claim.sequence >= message.sequence;
        Ok((later || message.is(&claim, &last.payload)).then_some(last.sequence))
    }

    /// Whether the stream holds this message at `sequence`.
    async fn holds(&self, message: &Message, sequence: u64) -> Result<bool, Error> {
        let Some(there) = found(self.stream().await?.get_raw_message(sequence).await)? else { return Ok(false) };
        let claim = self.seal.read(&there.subject, Some(&there.headers), &there.payload);
        Ok(*there.subject == *message.subject && message.is(&claim, &there.payload))
    }
}

async fn acknowledged(sent: Option<PublishAckFuture>) -> Option<PublishAck> {
    match sent?.await {
        Ok(ack) => Some(ack),
        Err(error) => {
            tracing::debug!(%error, "no clear acknowledgement");
            None
        }
    }
}

pub(crate) fn found<E: std::fmt::Display>(message: Result<StreamMessage, E>) -> Result<Option<StreamMessage>, Error> {
    match message {
        Ok(message) => Ok(Some(message)),
        Err(error) => {
            let text = error.to_string();
            if text.contains("no message found") || text.contains("not found") { Ok(None) } else { Err(Error::Unavailable(text)) }
        }
    }
}

/// A mark that nobody can guess, so that no forged message has it first.
fn mark() -> String {
    fresh().simple().to_string()
}
