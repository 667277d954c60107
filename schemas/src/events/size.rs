//! How large a message of the stream may be. NATS counts headers and payload against its `max_payload`; a message beyond it is never
//! taken, however often it is sent.

/// What counts before a server has told its own limit, in bytes: nats-server's default.
pub const MAX_PAYLOAD_DEFAULT: u64 = 1 << 20;

/// Bytes of a message that its headers may take, and with them the batch's and the seal: an event has the rest.
pub const HEADERS_RESERVE: u64 = 1024;

/// The largest event, in bytes of its JSON, that fits a message of `max_payload` bytes.
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
