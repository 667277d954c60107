//! The memory of all pages of lists that are being read or sent, so that many calls at once cannot exhaust the process. A call waits until there is
//! room for its page, and is refused with 503 `busy` if there is none in time.

use std::{
    collections::HashMap,
    io,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use billwire_schemas::{ids::TenantId, refusal::Code};
use futures::stream;
use poem::{
    Body, Response,
    http::{HeaderValue, header},
};
use tokio::{
    sync::{AcquireError, OwnedSemaphorePermit, Semaphore},
    time::timeout,
};

use crate::http::problem::Problem;

/// Bytes that one permit stands for.
const UNIT: usize = 1024;
/// A page is in memory up to three times while it is read: as rows, as items and as the response's text.
const COPIES: usize = 3;
/// A response up to this size needs no permit while it is sent; a longer one is sent in parts of it.
const PART: usize = 64 * 1024;

/// The memory of all pages.
pub(crate) struct PageMemory {
    all: Arc<Semaphore>,
    /// Half of it for each tenant, so that none has all.
    shares: Mutex<HashMap<TenantId, Arc<Semaphore>>>,
    share: usize,
    wait: Duration,
    page: u32,
}

/// The memory reserved for one page.
pub(crate) struct Reservation([OwnedSemaphorePermit; 2]);

impl PageMemory {
    /// `pages_bytes` for pages of `page_bytes` each, but enough for one; a call waits `wait` at most.
    pub fn new(page_bytes: usize, pages_bytes: usize, wait: Duration) -> Self {
        let page = u32::try_from(page_bytes.saturating_mul(COPIES).div_ceil(UNIT)).unwrap_or(u32::MAX).max(1);
        let all = (pages_bytes / UNIT).max(page as usize).min(Semaphore::MAX_PERMITS);
        let share = (all / 2).max(page as usize);
        Self { all: Arc::new(Semaphore::new(all)), shares: Mutex::default(), share, wait, page }
    }

    /// Waits for the memory of one page.
    ///
    /// # Errors
    /// `busy` if there is none in time.
    pub async fn reserve(&self, tenant: &TenantId) -> Result<Reservation, Problem> {
        let share = {
            let mut shares = self.shares.lock().unwrap_or_else(PoisonError::into_inner);
            // Kept for as long as someone waits for it or holds a part of it.
            shares.retain(|known, share| known == tenant || Arc::strong_count(share) > 1);
            shares.entry(tenant.clone()).or_insert_with(|| Arc::new(Semaphore::new(self.share))).clone()
        };
        let both = async {
            let share = share.acquire_many_owned(self.page).await?;
            Ok::<_, AcquireError>(Reservation([share, self.all.clone().acquire_many_owned(self.page).await?]))
        };
        let busy = || {
            let detail = "Too many pages of lists are being read. Retry after a moment, or request fewer items at once.";
            Problem::later(Code::Busy, detail, Some("no memory for a page was free in time".to_owned()))
        };
        timeout(self.wait, both).await.map_err(|_| busy())?.map_err(Problem::internal)
    }
}

impl Reservation {
    /// Releases what exceeds `bytes`.
    fn shrink(&mut self, bytes: usize) {
        for permit in &mut self.0 {
            let surplus = permit.num_permits().saturating_sub(bytes.div_ceil(UNIT));
            drop(permit.split(surplus));
        }
    }

    /// The response, which keeps as much of the reservation as it needs until it is sent.
    ///
    /// # Errors
    /// Never for a response that is in memory.
    pub async fn sent_with(mut self, response: Response) -> Result<Response, Problem> {
        let (mut parts, body) = response.into_parts();
        let text = body.into_vec().await.map_err(Problem::internal)?;
        if text.len() <= PART {
            return Ok(Response::from_parts(parts, text.into()));
        }
        self.shrink(text.len());
        parts.headers.insert(header::CONTENT_LENGTH, HeaderValue::from(text.len()));
        let body = stream::unfold((text, 0, self), |(text, sent, reservation)| async move {
            let end = text.len().min(sent + PART);
            // A copy: a slice would keep the whole page in memory for as long as the connection has it.
            let part = text.get(sent..end).filter(|part| !part.is_empty())?.to_vec();
            Some((Ok::<_, io::Error>(part), (text, end, reservation)))
        });
        Ok(Response::from_parts(parts, Body::from_bytes_stream(body)))
    }
}

#[cfg(test)]
mod tests {
    use futures::StreamExt;

    use super::*;

    fn memory(pages_bytes: usize) -> PageMemory {
        PageMemory::new(100 * UNIT, pages_bytes, Duration::from_millis(50))
    }

    fn tenant(name: &str) -> TenantId {
        name.parse().expect("a tenant")
    }

    #[tokio::test]
    async fn a_page_waits_for_its_memory_until_others_are_sent_and_is_refused_in_the_end() {
        let memory = memory(1200 * UNIT);
        let (a, b) = (tenant("a"), tenant("b"));
        let held = [memory.reserve(&a).await.expect("the first"), memory.reserve(&a).await.expect("the second")];
        let refused = memory.reserve(&a).await.err().expect("half of it is for others").to_string();
        assert!(refused.starts_with("busy"), "{refused}");
        let others = [memory.reserve(&b).await.expect("another tenant"), memory.reserve(&b).await.expect("another tenant")];
        let [first, second] = held;
        let sent = first.sent_with(Response::builder().body(vec![b'x'; 90 * UNIT])).await.expect("a response");
        assert_eq!(sent.headers()[header::CONTENT_LENGTH], "92160");
        assert!(memory.reserve(&a).await.is_err(), "90 of 300 units are kept while the response is sent");
        let mut parts = sent.into_body().into_bytes_stream();
        while let Some(part) = parts.next().await {
            assert!(part.expect("a part").len() <= PART);
        }
        drop(parts);
        memory.reserve(&a).await.expect("the first was sent");
        let small = second.sent_with(Response::builder().body("[]")).await.expect("a response");
        let _both = [memory.reserve(&a).await.expect("a short response keeps nothing"), memory.reserve(&a).await.expect("both")];
        drop((small, others));
    }

    #[tokio::test]
    async fn there_is_room_for_one_page_however_little_memory_is_given() {
        memory(1).reserve(&tenant("a")).await.expect("one page");
    }
}
