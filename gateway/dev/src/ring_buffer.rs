//! The newest arrivals, limited in number and in bytes, so that a `billwire dev` that runs for long does not use up the memory.

use std::{
    collections::VecDeque,
    sync::{Arc, Mutex, PoisonError},
};

/// Most arrivals of each kind.
const COUNT_MAX: usize = 500;
/// Most bytes of each kind.
const BYTES_MAX: usize = 64 << 20;

/// The newest arrivals of one kind. Clones share the same buffer.
#[derive(Debug)]
pub struct RingBuffer<T>(Arc<Mutex<Ring<T>>>);

#[derive(Debug)]
struct Ring<T> {
    items: VecDeque<(usize, Arc<T>)>,
    bytes: usize,
    total: u64,
}

impl<T> Clone for RingBuffer<T> {
    fn clone(&self) -> Self {
        Self(self.0.clone())
    }
}

impl<T> Default for RingBuffer<T> {
    fn default() -> Self {
        Self(Arc::new(Mutex::new(Ring { items: VecDeque::new(), bytes: 0, total: 0 })))
    }
}

impl<T> RingBuffer<T> {
    fn with<R>(&self, of: impl FnOnce(&mut Ring<T>) -> R) -> R {
        of(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// Adds `item`, whose size is about `bytes`, and drops the oldest arrivals beyond the limits.
    pub fn push(&self, item: T, bytes: usize) {
        self.with(|ring| {
            ring.items.push_back((bytes, Arc::new(item)));
            ring.bytes += bytes;
            ring.total += 1;
            while ring.items.len() > COUNT_MAX || (ring.bytes > BYTES_MAX && ring.items.len() > 1) {
                let dropped = ring.items.pop_front().map_or(0, |(bytes, _)| bytes);
                ring.bytes = ring.bytes.saturating_sub(dropped);
            }
        });
    }

    /// The arrivals, oldest first.
    pub fn all(&self) -> Vec<Arc<T>> {
        self.with(|ring| ring.items.iter().map(|(_, item)| item.clone()).collect())
    }

    /// How many have arrived since the start, including the dropped ones.
    pub fn total(&self) -> u64 {
        self.with(|ring| ring.total)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_oldest_are_dropped_by_number_and_by_bytes() {
        let ring_buffer = RingBuffer::default();
        (0..COUNT_MAX + 2).for_each(|n| ring_buffer.push(n, 1));
        assert_eq!((ring_buffer.all().len(), *ring_buffer.all()[0], ring_buffer.total()), (COUNT_MAX, 2, 502));
        ring_buffer.push(7, BYTES_MAX);
        assert_eq!(ring_buffer.all().iter().map(|n| **n).collect::<Vec<_>>(), [7]);
    }
}
