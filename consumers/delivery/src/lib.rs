//! The delivery engine every channel shares: pull loop, lanes, permits, retry policy, attempts and dead letters.
//!
//! Started by `server`, once per process; it pulls from `bus`, keeps its delivery store through the [`store::DeliveryStore`] trait that
//! `server` implements over `store`, and hands each attempt to a [`channel::Channel`]. It knows no channel by name, no SQL
//! and no HTTP. It exists so that retries, order and accounting are decided in one place for all channels.
//!
//! The actors: a [`supervisor`] runs one [`partition`] per queue and partition, under a lease. A partition takes messages from its
//! durable consumer ([`partition::intake`]), finds who wants them ([`matching`]), keeps in-order lanes ([`partition::lanes`]), lets
//! channels try within [`limits`], and writes every result to the delivery store. A message is acknowledged when each delivery it causes is
//! done *or stands in the delivery store*: a sick receiver therefore holds no message back. The warehouse's loop is [`bulk`].

pub mod authenticity;
pub mod bulk;
pub mod channel;
pub mod event;
pub mod lease;
pub mod limits;
pub mod matching;
mod partition;
pub mod payload;
pub mod store;
pub mod supervisor;
