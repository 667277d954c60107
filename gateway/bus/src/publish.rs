//! Publishing: a transaction's messages in one atomic batch, and each publish only where the stream is expected to end.

use std::time::Duration;

use async_nats::{
    HeaderMap, Request,
    header::{
        NATS_BATCH_COMMIT, NATS_BATCH_COMMIT_FINAL, NATS_BATCH_ID, NATS_BATCH_SEQUENCE, NATS_EXPECTED_LAST_SEQUENCE, NATS_MESSAGE_ID,
    },
    jetstream::message::StreamMessage,
};
use billwire_schemas::{ids::fresh, trace::TRACEPARENT};
use bytes::Bytes;
use serde::Deserialize;

use crate::{
    Bus, Error, POSITION, PREVIOUS, SEAL, SEQUENCE,
    seal::{Content, MARK},
};

/// JetStream's limit of one atomic batch (ADR-50).
pub const BATCH_MAX: usize = 1000;

/// Error code: the stream has an id of the batch already (ADR-50); the whole batch was refused.
const DUPLICATE_IN_BATCH: u64 = 10201;

/// Error codes: the stream does not end at the expected sequence.
const WRONG_LAST_SEQUENCE: [u64; 2] = [10071, 10164];

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
    /// The stream sequence of the message before it in its slot, if known.
    pub previous: Option<u64>,
    /// W3C `traceparent`.
    pub traceparent: String,
    /// The CloudEvents JSON object.
    pub body: Bytes,
}

/// The outcome of a publish.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PublishOutcome {
    /// All are stored, without a gap: the first at this stream sequence.
    Stored(u64),
    /// Nothing is known to be stored: the stream does not end where it was expected to, or there was no answer. What the stream holds
    /// behind the expected end must be read before anything is published again.
    Unknown,
}

#[derive(Deserialize)]
struct Reply {
    #[serde(default)]
    seq: u64,
    #[serde(default)]
    duplicate: bool,
    error: Option<ApiError>,
}

#[derive(Deserialize)]
struct ApiError {
    #[serde(default)]
    err_code: u64,
    #[serde(default)]
    description: String,
}

/// The outcome of one attempt to publish.
enum Attempt {
    /// Stored, the last at this stream sequence.
    Stored(u64),
    Unknown,
    /// The stream has seen one of the message ids before; nothing was stored.
    Duplicate,
}

impl Message {
    fn content(&self) -> Content<'_> {
        Content { subject: &self.subject, id: &self.id, position: self.position, sequence: self.sequence, body: &self.body }
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
        headers.insert(TRACEPARENT, message.traceparent.as_str());
        headers.insert(POSITION, message.position.to_string().as_str());
        headers.insert(SEQUENCE, message.sequence.to_string().as_str());
        if let Some(previous) = message.previous {
            headers.insert(PREVIOUS, previous.to_string().as_str());
        }
        headers.insert(SEAL, self.seal.seal(&message.content()).as_str());
        headers
    }

    /// Publishes up to [`BATCH_MAX`] messages right behind the stream sequence `after`, so that all become visible together, in order, or
    /// none. If the stream does not end at `after`, nothing is stored: a publisher that was paused, or does not know that the stream was
    /// rolled back, changes nothing.
    ///
    /// # Errors
    /// When NATS is away or refuses the messages for another reason; the text is for the log.
    pub async fn publish(&self, messages: &[Message], after: u64) -> Result<PublishOutcome, Error> {
        let mut attempt = self.attempt(messages, after, None).await?;
        if let Attempt::Duplicate = attempt {
            // The caller knows that the messages do not stand behind `after`. Either an earlier copy was deleted, or somebody forged a
            // message with one of the ids. A subscriber that gets an event twice recognises it by the event's id.
            attempt = self.attempt(messages, after, Some(&mark())).await?;
        }
        Ok(match attempt {
            Attempt::Stored(last) => PublishOutcome::Stored((last + 1).saturating_sub(messages.len() as u64)),
            Attempt::Unknown | Attempt::Duplicate => PublishOutcome::Unknown,
        })
    }

    async fn attempt(&self, messages: &[Message], after: u64, mark: Option<&str>) -> Result<Attempt, Error> {
        let Some((last, before)) = messages.split_last() else { return Ok(Attempt::Unknown) };
        let batch = (!before.is_empty()).then(|| fresh().simple().to_string());
        let mut number = 0usize;
        let mut headers = |message: &Message| {
            number += 1;
            let mut headers = self.headers(message, mark);
            if number == 1 {
                headers.insert(NATS_EXPECTED_LAST_SEQUENCE, after.to_string().as_str());
            }
            if let Some(batch) = &batch {
                headers.insert(NATS_BATCH_ID, batch.as_str());
                headers.insert(NATS_BATCH_SEQUENCE, number.to_string().as_str());
            }
            headers
        };
        for message in before {
            let sent = self.client.publish_with_headers(message.subject.clone(), headers(message), message.body.clone()).await;
            sent.map_err(|e| Error::Unavailable(e.to_string()))?;
        }
        let mut last_headers = headers(last);
        if !before.is_empty() {
            last_headers.insert(NATS_BATCH_COMMIT, NATS_BATCH_COMMIT_FINAL);
        }
        let request = Request::new().headers(last_headers).payload(last.body.clone()).timeout(Some(self.timeout + Duration::from_secs(5)));
        let answer = match self.client.send_request(last.subject.clone(), request).await {
            Ok(answer) => answer,
            Err(error) => {
                tracing::debug!(%error, "no acknowledgement of a publish");
                return Ok(Attempt::Unknown);
            }
        };
        let reply: Reply = serde_json::from_slice(&answer.payload).map_err(|e| Error::Unavailable(format!("not a publish reply: {e}")))?;
        match reply.error {
            None if reply.duplicate => Ok(Attempt::Duplicate),
            None => Ok(Attempt::Stored(reply.seq)),
            Some(error) if error.err_code == DUPLICATE_IN_BATCH => Ok(Attempt::Duplicate),
            Some(error) if WRONG_LAST_SEQUENCE.contains(&error.err_code) => Ok(Attempt::Unknown),
            Some(error) => Err(Error::Unavailable(format!("publish refused: {} ({})", error.description, error.err_code))),
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
