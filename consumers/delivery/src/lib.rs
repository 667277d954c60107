//! The delivery engine that all channels share: pulling, matching, lanes, limits, retries, attempts and dead letters.
//!
//! `server` starts it, once per process. It pulls from `bus`, stores deliveries through the [`store::DeliveryStore`] trait, which `server`
//! implements over `store`, and hands each attempt to a registered [`channel::Channel`]. It has no list of channels, and knows no SQL
//! and no HTTP. It exists so that retries, order and limits are decided in one place for all channels.
//!
//! The actors: the [`supervisor`] runs this process's share of the sixteen slots, each as a [`partition`] task under a [`lease`]. A partition
//! receives every message of its slot from one durable consumer, for all tenants and queues ([`partition::intake`]), finds the
//! subscriptions it matches ([`matching`], by the [`routing`] of all tenants), keeps in-order lanes ([`partition::lanes`]), starts attempts
//! within [`limits`], and records every result in the delivery store. A message is acknowledged when each of its deliveries has ended *or
//! is recorded as waiting*: a failing receiver therefore blocks no message. A queue is configuration and order, nothing runs for it. [`bulk`]
//! is the loop of the warehouse.

pub mod authenticity;
pub mod bulk;
pub mod channel;
pub mod engine;
pub mod event;
pub mod lease;
pub mod limits;
pub mod matching;
mod partition;
pub mod payload;
pub mod routing;
pub mod shared_store;
pub mod store;
pub mod stream_records;
pub mod supervisor;

pub use partition::consumer_name;
