//! The channel and its client against a real TLS receiver on this machine.

mod channel;
mod client;
mod credentials;
mod forbidden;
mod receiver;

pub(crate) use forbidden::Dialled;
