//! W3C Trace Context (level 1): the trace that a caller's request belongs to.

use serde::Deserialize;

use crate::ids::EventId;

/// The header's name, and that of the CloudEvents extension (distributed tracing).
pub const TRACEPARENT: &str = "traceparent";

/// A caller's `traceparent`, version 00: which trace a request belongs to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TraceParent {
    trace: String,
    flags: String,
}

impl TraceParent {
    /// Reads `00-<trace id>-<parent id>-<flags>`, in lower-case hexadecimal digits.
    pub fn parse(text: &str) -> Option<Self> {
        let parts: Vec<&str> = text.split('-').collect();
        let ["00", trace, parent, flags] = parts[..] else { return None };
        let is_hex = |part: &str, digits: usize| part.len() == digits && part.bytes().all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f'));
        let is_id = |part: &str, digits: usize| is_hex(part, digits) && part.bytes().any(|b| b != b'0');
        let valid = is_id(trace, 32) && is_id(parent, 16) && is_hex(flags, 2);
        valid.then(|| Self { trace: trace.to_owned(), flags: flags.to_owned() })
    }

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

/// The `traceparent` of a message: its own member, not one in `data`. Most messages have none and are not parsed.
pub fn of_message(body: &str) -> Option<String> {
    #[derive(Deserialize)]
    struct Traced {
        traceparent: Option<String>,
    }
    body.contains(r#""traceparent":"#).then(|| serde_json::from_str::<Traced>(body).ok()?.traceparent)?
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ids::fresh;

    const CALLER: &str = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";

    #[test]
    fn an_event_stays_in_the_callers_trace_as_a_span_of_its_own() {
        let event = EventId(fresh());
        let text = TraceParent::parse(CALLER).expect("valid").of_event(event);
        let span = &event.0.simple().to_string()[16..];
        assert_eq!(text, format!("00-4bf92f3577b34da6a3ce929d0e0e4736-{span}-01"));
        assert!(TraceParent::parse(&text).is_some());
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
            assert_eq!(TraceParent::parse(text), None, "{text}");
        }
    }

    #[test]
    fn it_is_the_member_of_the_message_itself_wherever_that_stands() {
        let own = format!(r#"{{"id":"1","actor":"a","traceparent":"{CALLER}","data":{{"object":{{}}}}}}"#);
        assert_eq!(of_message(&own).as_deref(), Some(CALLER));
        let sorted = format!(r#"{{"actor":"a","data":{{"traceparent":"00-x"}},"traceparent":"{CALLER}"}}"#);
        assert_eq!(of_message(&sorted).as_deref(), Some(CALLER));
        let in_data = r#"{"id":"1","actor":"a","data":{"object":{},"after":{"a":1,"traceparent":"00-x"}}}"#;
        assert_eq!(of_message(in_data), None);
        let in_name = r#"{"id":"1","actor":"a\",\"traceparent\":\"00-x","data":{"object":{}}}"#;
        assert_eq!(of_message(in_name), None);
    }
}
