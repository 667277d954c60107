//! The channel and its client against a real TLS receiver on this machine.

mod channel;
mod client;
mod connections;
mod credentials;
mod forbidden;
mod http2;
mod receiver;
