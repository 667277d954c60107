//! Publishing: plain and pipelined for transactions of one message, atomic batches for transactions of several.

use std::time::Duration;

use async_nats::{
    HeaderMap, Request,
    header::{NATS_BATCH_COMMIT, NATS_BATCH_COMMIT_FINAL, NATS_BATCH_ID, NATS_BATCH_SEQUENCE, NATS_MESSAGE_ID},
    jetstream::message::PublishMessage,
};
use billwire_schemas::ids::fresh;
use bytes::Bytes;
use futures::future::join_all;
use serde::Deserialize;

use crate::{Bus, Error, POSITION, SEQUENCE};

/// JetStream's limit of one atomic batch (ADR-50).
pub const BATCH_MAX: usize = 1000;

/// Error code: the batch holds an id the stream has already (ADR-50); all of it was refused.
const DUPLICATE_IN_BATCH: u64 = 10201;

/// One message to publish.
#[derive(Debug, Clone)]
pub struct Message {
    /// Where to.
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

/// What the server said of a publish.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict {
    /// Stored, or stored before; the stream's last sequence is at least this.
    Stored(u64),
    /// No answer, or one that does not settle it: read back before judging.
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

fn headers(message: &Message) -> HeaderMap {
    let mut headers = HeaderMap::new();
    headers.insert(NATS_MESSAGE_ID, message.id.as_str());
    headers.insert("Content-Type", "application/cloudevents+json");
    headers.insert("traceparent", message.traceparent.as_str());
    headers.insert(POSITION, message.position.to_string().as_str());
    headers.insert(SEQUENCE, message.sequence.to_string().as_str());
    headers
}

impl Bus {
    /// Publishes messages of *different* ordering keys at once and gives a verdict for each.
    pub async fn publish_each(&self, messages: &[Message]) -> Vec<Verdict> {
        let mut acks = Vec::with_capacity(messages.len());
        for message in messages {
            let publish = PublishMessage::build().headers(headers(message)).payload(message.body.clone());
            acks.push(self.jetstream.send_publish(message.subject.clone(), publish).await);
        }
        let verdicts = acks.into_iter().map(|ack| async move {
            match ack {
                Ok(ack) => match ack.await {
                    Ok(ack) => Verdict::Stored(ack.sequence),
                    Err(error) => {
                        tracing::debug!(%error, "no clear acknowledgement");
                        Verdict::Unknown
                    }
                },
                Err(error) => {
                    tracing::debug!(%error, "not sent");
                    Verdict::Unknown
                }
            }
        });
        join_all(verdicts).await
    }

    /// Publishes up to [`BATCH_MAX`] messages so that all become visible together, in order, or none.
    ///
    /// # Errors
    /// When NATS is away or refuses the batch for a reason other than a repeat; the text is for the log.
    pub async fn publish_together(&self, messages: &[Message]) -> Result<Verdict, Error> {
        let Some((last, before)) = messages.split_last() else { return Ok(Verdict::Stored(0)) };
        let batch = fresh().simple().to_string();
        let mut number = 0usize;
        let mut numbered = |message: &Message| {
            number += 1;
            let mut headers = headers(message);
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
                return Ok(Verdict::Unknown);
            }
        };
        let reply: BatchReply =
            serde_json::from_slice(&answer.payload).map_err(|e| Error::Unavailable(format!("not a batch reply: {e}")))?;
        match reply.error {
            None => Ok(Verdict::Stored(reply.seq)),
            Some(error) if error.err_code == DUPLICATE_IN_BATCH => Ok(Verdict::Unknown),
            Some(error) => Err(Error::Unavailable(format!("batch refused: {} ({})", error.description, error.err_code))),
        }
    }

    /// Whether the stream holds this message: its subject names type and key, and within those the sequences only grow, so
    /// the subject's last message settles it. Gives the stream's sequence of that last message.
    ///
    /// # Errors
    /// When NATS is away.
    pub async fn stored(&self, message: &Message) -> Result<Option<u64>, Error> {
        let stream = self.stream().await?;
        match stream.get_last_raw_message_by_subject(&message.subject).await {
            Ok(last) => {
                let id = last.headers.get(NATS_MESSAGE_ID).map(|v| v.as_str() == message.id).unwrap_or(false);
                let sequence = last.headers.get(SEQUENCE).and_then(|v| v.as_str().parse::<i64>().ok()).unwrap_or(0);
                Ok((id || sequence >= message.sequence).then_some(last.sequence))
            }
            Err(error) => {
                let text = error.to_string();
                if text.contains("no message found") || text.contains("not found") { Ok(None) } else { Err(Error::Unavailable(text)) }
            }
        }
    }
}
