//! The vocabulary shared by all crates of Billwire: ids, clock, money, event types, envelope, templates, expressions, refusals.
//!
//! Every other crate uses it. It does no I/O, has no async code, and reads the wall clock only in [`clock::SystemClock`]. Producer,
//! stream and consumers agree on names and formats because they share these types.

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
pub mod trace;
