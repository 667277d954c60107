//! Keyset pages: never offsets, so a growing table neither repeats nor skips. A page is bounded in rows and in bytes, and what does not fit
//! is not read.

use std::collections::HashMap;

use sea_orm::{
    ConnectionTrait, DbErr, EntityTrait, FromQueryResult, IdenStatic, Iterable, QueryFilter, QueryResult, QuerySelect, Select,
    sea_query::{Expr, ExprTrait, SimpleExpr},
};
use uuid::Uuid;

use crate::{Error, batching::filled, filter::column};

/// The requested part of a list; the list decides whether the newest or the oldest item is first.
#[derive(Debug, Clone, Copy)]
pub struct PageRequest {
    /// The largest number of items.
    pub limit: u64,
    /// The most bytes of stored JSON. The first item is there whatever its size.
    pub bytes: u64,
    /// Continue after this item.
    pub after: Option<After>,
}

impl PageRequest {
    /// Bodies up to this size are read along with their rows: as many as a page has rows do not exceed its bytes.
    pub(crate) fn small(self) -> u64 {
        self.bytes / (self.limit + 1)
    }

    /// Cuts up to `limit + 1` rows to those of the page, and tells whether there are more.
    pub(crate) fn cut<R>(self, rows: &mut Vec<R>, bytes: impl Fn(&R) -> u64) -> bool {
        let mut left = self.bytes;
        let fits = |row: &R| {
            let bytes = bytes(row);
            let fits = bytes <= left;
            left = left.saturating_sub(bytes);
            fits
        };
        let fitting = rows.iter().map(fits).take_while(|fits| *fits).count();
        let kept = fitting.max(1).min(usize::try_from(self.limit).unwrap_or(usize::MAX));
        let more = rows.len() > kept;
        rows.truncate(kept);
        more
    }
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
    /// Makes a page from up to `limit + 1` rows that are small.
    pub(crate) fn cut<R>(
        mut rows: Vec<R>,
        page_request: PageRequest,
        after: impl Fn(&R) -> After,
        item: impl Fn(R) -> Result<T, Error>,
    ) -> Result<Self, Error> {
        let more = page_request.cut(&mut rows, |_| 0);
        let next = if more { rows.last().map(after) } else { None };
        Ok(Self { items: rows.into_iter().map(item).collect::<Result<_, _>>()?, next })
    }
}

/// A row of a list, without its body if that is large.
pub(crate) struct Listed<R> {
    pub row: R,
    pub after: After,
    /// Size of its body.
    pub bytes: u64,
}

impl<R> Listed<R> {
    /// Reads the columns `id`, `sort` and `bytes`.
    pub fn read(result: &QueryResult, prefix: &str, row: R) -> Result<Self, DbErr> {
        let after = After { sort: result.try_get(prefix, "sort")?, id: result.try_get(prefix, "id")? };
        Ok(Self { row, after, bytes: u64::try_from(result.try_get::<i64>(prefix, "bytes")?).unwrap_or(0) })
    }
}

impl<M: FromQueryResult> FromQueryResult for Listed<M> {
    fn from_query_result(result: &QueryResult, prefix: &str) -> Result<Self, DbErr> {
        Self::read(result, prefix, M::from_query_result(result, prefix)?)
    }
}

/// The page of the rows that `find` selects and orders, and where the next page continues. `sort` is what `find` orders by before the id.
pub(crate) async fn rows_of_page<E>(
    conn: &impl ConnectionTrait,
    find: Select<E>,
    sort: Option<SimpleExpr>,
    page_request: PageRequest,
) -> Result<(Vec<E::Model>, Option<After>), Error>
where
    E: EntityTrait,
    E::Model: Send + Sync,
{
    let small = i64::try_from(page_request.small()).unwrap_or(i64::MAX);
    let body = Expr::case(Expr::cust("octet_length(body)").lte(small), column("body")).finally("");
    let find = find
        .select_only()
        .columns(E::Column::iter().filter(|column| column.as_str() != "body"))
        .expr_as(body, "body")
        .expr_as(Expr::cust("CAST(octet_length(body) AS BIGINT)"), "bytes")
        .expr_as(sort.unwrap_or_else(|| Expr::cust("CAST(0 AS BIGINT)")), "sort")
        .limit(page_request.limit + 1);
    let mut rows = find.into_model::<Listed<E::Model>>().all(conn).await?;
    let more = page_request.cut(&mut rows, |row| row.bytes);
    let next = if more { rows.last().map(|row| row.after) } else { None };
    let is_large = |row: &Listed<E::Model>| row.bytes > page_request.small();
    let ids: Vec<Uuid> = rows.iter().filter(|row| is_large(row)).map(|row| row.after.id).collect();
    let mut large = HashMap::new();
    if !ids.is_empty() {
        let find = E::find().filter(column("id").is_in(filled(&ids))).expr_as(Expr::cust("CAST(0 AS BIGINT)"), "bytes");
        let whole = find.expr_as(Expr::cust("CAST(0 AS BIGINT)"), "sort").into_model::<Listed<E::Model>>().all(conn).await?;
        large.extend(whole.into_iter().map(|row| (row.after.id, row.row)));
    }
    // One that was deleted meanwhile is left out.
    let whole = |row: Listed<E::Model>| if is_large(&row) { large.remove(&row.after.id) } else { Some(row.row) };
    Ok((rows.into_iter().filter_map(whole).collect(), next))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn kept(limit: u64, bytes: u64, sizes: &[u64]) -> (usize, bool) {
        let mut rows = sizes.to_vec();
        let more = PageRequest { limit, bytes, after: None }.cut(&mut rows, |size| *size);
        (rows.len(), more)
    }

    #[test]
    fn a_page_ends_before_the_row_that_does_not_fit_and_has_one_at_least() {
        assert_eq!(kept(3, 100, &[10, 10, 10, 10]), (3, true), "limited in rows");
        assert_eq!(kept(3, 100, &[10, 10, 10]), (3, false));
        assert_eq!(kept(3, 100, &[50, 50, 1]), (2, true), "limited in bytes");
        assert_eq!(kept(3, 100, &[50, 51, 1]), (1, true), "a later row that would fit does not overtake");
        assert_eq!(kept(3, 100, &[101, 1]), (1, true), "the first row, whatever its size");
        assert_eq!(kept(3, 100, &[101]), (1, false));
        assert_eq!(kept(3, 100, &[]), (0, false));
    }
}
