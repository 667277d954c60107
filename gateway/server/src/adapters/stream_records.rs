//! The records of the stream over SQL.

use std::collections::HashSet;

use async_trait::async_trait;
use billwire_delivery::{event::Event, stream_records::StreamRecords};
use billwire_schemas::{
    delivery::{Published, Reader, Settled},
    ids::Slot,
};

use crate::adapters::delivery_store::{SqlDeliveryStore, event_of, text};

#[async_trait]
impl StreamRecords for SqlDeliveryStore {
    async fn events_at(&self, positions: &[i64]) -> Result<Vec<Event>, String> {
        Ok(self.store().events_at(positions).await.map_err(text)?.into_iter().map(event_of).collect())
    }

    async fn settled(&self, reader: Reader) -> Result<Option<Settled>, String> {
        self.store().settled(reader).await.map_err(text)
    }

    async fn save_settled(&self, reader: Reader, settled: Settled) -> Result<bool, String> {
        self.store().save_settled(reader, settled).await.map_err(text)
    }

    async fn unsettled_slots(&self) -> Result<HashSet<Slot>, String> {
        self.store().unsettled_slots().await.map_err(text)
    }

    async fn published_after(&self, slot: Slot, after: u64, limit: u64) -> Result<Vec<Published>, String> {
        self.store().published_after(slot, after, limit).await.map_err(text)
    }

    async fn unsettled_between(
        &self,
        slot: Slot,
        settled: u64,
        positions: (i64, i64),
        limit: u64,
    ) -> Result<(Vec<Published>, Option<i64>), String> {
        self.store().unsettled_between(slot, settled, positions, limit).await.map_err(text)
    }

    async fn last_published(&self) -> Result<u64, String> {
        self.store().last_published().await.map_err(text)
    }

    async fn unloaded(&self, after: u64, to: u64, limit: u64) -> Result<(Vec<Event>, Option<u64>), String> {
        let (events, last) = self.store().unloaded(after, to, limit).await.map_err(text)?;
        Ok((events.into_iter().map(event_of).collect(), last))
    }
}
