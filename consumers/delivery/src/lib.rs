//! The delivery engine every channel shares: pull loop, lanes, permits, retry policy, attempts and dead letters.
//!
//! Started by `server`, once per process; it pulls from `bus`, keeps its ledger through the [`ledger::Ledger`] trait that
//! `server` implements over `store`, and hands each attempt to a [`channel::Channel`]. It knows no channel by name, no SQL
//! and no HTTP. It exists so that retries, order and accounting are decided in one place for all channels.

pub mod channel;
pub mod event;
