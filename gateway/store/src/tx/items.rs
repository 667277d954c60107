//! Items of a bulk: each is written whole or not at all.

use uuid::Uuid;

use super::Tx;
use crate::{
    objects::{Erased, Persisted},
    writes::Writes,
};

/// What an item has done so far, so that it can be undone.
pub(super) struct Item {
    /// The writes of the items before it.
    pub before: Writes,
    /// The objects it has saved, as the unit had them before.
    pub saved: Vec<(&'static str, Uuid, Option<Option<Erased>>)>,
}

impl Tx<'_> {
    /// Begins an item: what is saved and recorded from now on belongs to it.
    pub fn begin_item(&mut self) {
        self.item = Some(Item { before: std::mem::take(&mut self.writes), saved: Vec::new() });
    }

    /// Ends the item; its writes are written with the unit.
    pub fn keep_item(&mut self) {
        let Some(item) = self.item.take() else { return };
        let own = std::mem::replace(&mut self.writes, item.before);
        self.writes.merge(own);
    }

    /// Ends the item and drops its writes.
    pub fn drop_item(&mut self) {
        let Some(item) = self.item.take() else { return };
        self.writes = item.before;
        for (table, id, before) in item.saved.into_iter().rev() {
            self.identity_map.restore(table, id, before);
        }
    }

    /// Remembers a saved object.
    pub(super) fn shelve<T: Persisted>(&mut self, id: Uuid, object: Option<T>) {
        let before = self.identity_map.put(id, object);
        if let Some(item) = &mut self.item {
            item.saved.push((T::TABLE, id, before));
        }
    }
}
