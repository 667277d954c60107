//! The maximum size of a stream message. NATS counts headers and payload against its `max_payload` and never accepts a larger message.

/// The limit in bytes until the server has reported its own: nats-server's default.
pub const MAX_PAYLOAD_DEFAULT: u64 = 1 << 20;

/// Bytes reserved for a message's headers, including batch headers and seal; the rest is available to the event.
pub const HEADERS_RESERVE: u64 = 1024;

/// Maximum number of JSON values in a request. In memory a value takes up to 830 bytes, as an object of one member in another one does, and so a
/// request up to 48 MiB: `[[0],[0]]` are five.
pub const VALUES_MAX: usize = 60_000;

/// Maximum size of an event, in bytes of JSON, in a message of at most `max_payload` bytes.
pub fn event_max(max_payload: u64) -> u64 {
    max_payload.saturating_sub(HEADERS_RESERVE)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_event_has_what_the_headers_leave() {
        assert_eq!(event_max(MAX_PAYLOAD_DEFAULT), 1_047_552);
        assert_eq!(event_max(100), 0, "a limit below the reserve leaves nothing");
    }
}
