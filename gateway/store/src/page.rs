//! Keyset pages: never offsets, so a growing table neither repeats nor skips.

use uuid::Uuid;

/// The requested part of a list; the list decides whether the newest or the oldest item is first.
#[derive(Debug, Clone, Copy)]
pub struct PageRequest {
    /// The largest number of items.
    pub limit: u64,
    /// Continue after this item.
    pub after: Option<After>,
}

/// The last item of the page before.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct After {
    /// What the list is sorted by first (0 where it is sorted by id alone).
    pub sort: i64,
    /// The item's id.
    pub id: Uuid,
}

/// A part of a list.
#[derive(Debug, Clone)]
pub struct Page<T> {
    /// The items.
    pub items: Vec<T>,
    /// Where the next page continues; absent on the last.
    pub next: Option<After>,
}

impl<T> Page<T> {
    /// Makes a page of up to `limit` items from `limit + 1` rows.
    pub(crate) fn cut<R>(
        mut rows: Vec<R>,
        limit: u64,
        after: impl Fn(&R) -> After,
        item: impl Fn(R) -> Result<T, crate::Error>,
    ) -> Result<Self, crate::Error> {
        let more = rows.len() as u64 > limit;
        rows.truncate(usize::try_from(limit).unwrap_or(usize::MAX));
        let next = if more { rows.last().map(after) } else { None };
        Ok(Self { items: rows.into_iter().map(item).collect::<Result<_, _>>()?, next })
    }
}
