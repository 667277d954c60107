//! The vocabulary every room of Billwire shares: ids, clock, event types, the envelope and its subjects.
//!
//! Called by every other crate. Never does IO, never awaits, never reads the wall clock except through [`clock::SystemClock`].
//! It exists so that producer, stream and every consumer agree on names and shapes by sharing the types themselves.

pub mod clock;
pub mod delivery;
pub mod destination;
pub mod events;
pub mod expression;
pub mod ids;
pub mod lease;
pub mod money;
pub mod recipient;
pub mod refusal;
pub mod signing_secret;
pub mod template;
