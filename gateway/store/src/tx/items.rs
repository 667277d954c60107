//! Items of a bulk: each keeps what it has saved, or leaves nothing.

use uuid::Uuid;

use super::Tx;
use crate::{
    objects::{Erased, Persisted},
    writes::Writes,
};

/// What an item has done so far, so that it can be undone.
pub(super) struct Item {
    /// What the items before it want written.
    pub before: Writes,
    /// The objects it has saved, as the unit had them before.
    pub saved: Vec<(&'static str, Uuid, Option<Option<Erased>>)>,
}

impl Tx<'_> {
    /// Begins an item: until it is kept or dropped, what is saved and recorded is its own.
    pub fn begin_item(&mut self) {
        self.item = Some(Item { before: std::mem::take(&mut self.writes), saved: Vec::new() });
    }

    /// Ends the item; what it wants written is written with the unit.
    pub fn keep_item(&mut self) {
        let Some(item) = self.item.take() else { return };
        let own = std::mem::replace(&mut self.writes, item.before);
        self.writes.merge(own);
    }

    /// Ends the item as if it had not been.
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
