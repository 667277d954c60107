//! W3C Trace Context (level 1): the trace that a caller's request belongs to.

use std::{fmt, str::FromStr};

use crate::ids::EventId;

/// The header's name, and that of the CloudEvents extension (distributed tracing).
pub const TRACEPARENT: &str = "traceparent";

/// A caller's `traceparent`, version 00: which trace a request belongs to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TraceParent {
    trace: String,
    flags: String,
}

impl FromStr for TraceParent {
    type Err = NoTraceParent;

    /// Reads `00-<trace id>-<parent id>-<flags>`, in lower-case hexadecimal digits.
    fn from_str(text: &str) -> Result<Self, NoTraceParent> {
        let parts: Vec<&str> = text.split('-').collect();
        let [version, trace, parent, flags] = parts[..] else { return Err(NoTraceParent) };
        let is_hex = |part: &str, digits: usize| part.len() == digits && part.bytes().all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f'));
        let is_id = |part: &str, digits: usize| is_hex(part, digits) && part.bytes().any(|b| b != b'0');
        if version != "00" || !is_id(trace, 32) || !is_id(parent, 16) || !is_hex(flags, 2) {
            return Err(NoTraceParent);
        }
        Ok(Self { trace: trace.to_owned(), flags: flags.to_owned() })
    }
}

/// A text that is no `traceparent` of version 00.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct NoTraceParent;

impl fmt::Display for NoTraceParent {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("not a traceparent of version 00")
    }
}

impl TraceParent {
    /// The `traceparent` of an event that the request caused: in the caller's trace, the event is the parent of what receivers do.
    pub fn of_event(&self, event: EventId) -> String {
        traceparent(&self.trace, event, &self.flags)
    }
}

/// `traceparent` of an event in this trace.
pub fn traceparent(trace: &str, event: EventId, flags: &str) -> String {
    let span: String = event.0.simple().to_string().chars().skip(16).collect();
    format!("00-{trace}-{span}-{flags}")
}

/// The `traceparent` in a message, read without parsing it. It stands before `data`, which tenants write; in the texts before it, quotes are
/// escaped.
pub fn of_message(body: &str) -> Option<&str> {
    let (head, _) = body.split_once(r#","data":{"#)?;
    let (_, rest) = head.split_once(r#","traceparent":""#)?;
    rest.split_once('"').map(|(text, _)| text)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ids::fresh;

    const CALLER: &str = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";

    #[test]
    fn an_event_stays_in_the_callers_trace_as_a_span_of_its_own() {
        let event = EventId(fresh());
        let text = CALLER.parse::<TraceParent>().expect("valid").of_event(event);
        let span = &event.0.simple().to_string()[16..];
        assert_eq!(text, format!("00-4bf92f3577b34da6a3ce929d0e0e4736-{span}-01"));
        assert!(text.parse::<TraceParent>().is_ok());
    }

    #[test]
    fn what_is_no_traceparent_is_none() {
        for text in [
            "",
            "00",
            "01-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01",
            "00-4BF92F3577B34DA6A3CE929D0E0E4736-00f067aa0ba902b7-01",
            "00-00000000000000000000000000000000-00f067aa0ba902b7-01",
            "00-4bf92f3577b34da6a3ce929d0e0e4736-0000000000000000-01",
            "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-1",
            "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01-more",
            "00-é",
        ] {
            assert_eq!(text.parse::<TraceParent>(), Err(NoTraceParent), "{text}");
        }
    }

    #[test]
    fn it_is_found_before_the_data_alone() {
        let own = format!(r#"{{"id":"1","actor":"a","traceparent":"{CALLER}","data":{{"object":{{}}}}}}"#);
        assert_eq!(of_message(&own), Some(CALLER));
        let in_data = r#"{"id":"1","actor":"a","data":{"object":{},"after":{"a":1,"traceparent":"00-x"}}}"#;
        assert_eq!(of_message(in_data), None);
        let in_name = r#"{"id":"1","actor":"a\",\"traceparent\":\"00-x","data":{"object":{}}}"#;
        assert_eq!(of_message(in_name), None);
    }
}
