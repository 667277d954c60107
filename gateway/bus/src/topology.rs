//! The stream's configuration, as data, and applying it.

use std::{collections::HashMap, time::Duration};

use async_nats::jetstream::stream::{Config, DiscardPolicy, RetentionPolicy, StorageType};

use crate::{Bus, Error};

/// The stream's name.
pub const STREAM: &str = "BILLING";
/// Its subjects.
pub const SUBJECTS: &str = "billing.>";
/// How long the server recognises a repeated event id. The relay repeats a publish within seconds; consumers drop later
/// repeats by event id, so this only saves work.
const DUPLICATE_WINDOW: Duration = Duration::from_secs(120);
/// How long messages stay. SQL keeps the events; the stream only carries them.
const MAX_AGE: Duration = Duration::from_secs(30 * 24 * 3600);
/// The metadata key of the epoch.
const EPOCH: &str = "billwire-epoch";

/// Which stream this is, and its last sequence.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct State {
    /// A random mark, set when the stream is created: a stream that was lost and created again has another.
    pub epoch: String,
    /// The last sequence stored.
    pub last_sequence: u64,
    /// Whether this call created it.
    pub created: bool,
}

fn config(replicas: usize, epoch: &str) -> Config {
    Config {
        name: STREAM.to_owned(),
        subjects: vec![SUBJECTS.to_owned()],
        storage: StorageType::File,
        // Limits, not interest or work queue: those forget consumed ids and drop messages without a consumer.
        retention: RetentionPolicy::Limits,
        discard: DiscardPolicy::Old,
        max_age: MAX_AGE,
        duplicate_window: DUPLICATE_WINDOW,
        num_replicas: replicas,
        allow_direct: true,
        allow_atomic_publish: true,
        deny_delete: false,
        description: Some("Billing events. Made and kept in shape by Billwire.".to_owned()),
        metadata: HashMap::from([(EPOCH.to_owned(), epoch.to_owned())]),
        ..Config::default()
    }
}

impl Bus {
    /// Creates the stream if it is missing, with `fresh_epoch` as its mark; otherwise updates its configuration.
    ///
    /// # Errors
    /// When NATS is away, or the configuration cannot be updated.
    pub async fn ensure_stream(&self, fresh_epoch: &str) -> Result<State, Error> {
        // Looked up before it is created: a repeated create has made clusters take a stream for a new one (reliability notes, 1.1).
        let mut stream = match self.stream().await {
            Ok(stream) => stream,
            Err(Error::Missing(_)) => {
                let config = config(self.replicas, fresh_epoch);
                self.jetstream.create_stream(config).await.map_err(|e| Error::Unavailable(e.to_string()))?;
                return Ok(State { epoch: fresh_epoch.to_owned(), last_sequence: 0, created: true });
            }
            Err(error) => return Err(error),
        };
        let info = stream.info().await.map_err(|e| Error::Unavailable(e.to_string()))?.clone();
        let epoch = info.config.metadata.get(EPOCH).cloned().unwrap_or_else(|| fresh_epoch.to_owned());
        let want = config(self.replicas, &epoch);
        let have = &info.config;
        let up_to_date = have.subjects == want.subjects
            && have.num_replicas == want.num_replicas
            && have.duplicate_window == want.duplicate_window
            && have.max_age == want.max_age
            && have.allow_atomic_publish
            && have.allow_direct
            && have.metadata.get(EPOCH) == Some(&epoch);
        if have.retention != want.retention || have.storage != want.storage {
            return Err(Error::Unsuitable(format!("stream {STREAM} exists with other storage or retention; rename or remove it")));
        }
        if !up_to_date {
            // Keeps other metadata, such as the server's own, and updates the rest.
            let mut update = Config { metadata: have.metadata.clone(), ..want };
            update.metadata.insert(EPOCH.to_owned(), epoch.clone());
            self.jetstream.update_stream(update).await.map_err(|e| Error::Unsuitable(format!("stream {STREAM}: {e}")))?;
        }
        Ok(State { epoch, last_sequence: info.state.last_sequence, created: false })
    }
}
