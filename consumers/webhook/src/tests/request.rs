//! What a call's URL and headers hold.

use super::*;
use crate::endpoint::{Auth, Endpoint, Secret};

#[test]
fn a_paths_parameters_are_percent_encoded_and_must_be_there() {
    let body = br#"{"data":{"parameters":{"account.id":"a1","account.name":"A/B ?x=1#y&z","bucket.tier":2,"x.dots":".."}}}"#;
    let filled = |path: &str| filled_in(path, body);
    assert_eq!(filled("/plain?x=1"), Ok("/plain?x=1".to_owned()));
    assert_eq!(filled("/a/{account.id}/t{bucket.tier}"), Ok("/a/a1/t2".to_owned()));
    assert_eq!(filled("/a/{account.name}?n={account.name}"), Ok("/a/A%2FB%20%3Fx%3D1%23y%26z?n=A%2FB%20%3Fx%3D1%23y%26z".to_owned()));
    assert!(filled("/a/{account.currency}").is_err_and(|fault| fault.contains("account.currency")));
    assert!(filled("/a/{x.dots}/b").is_err(), "it would lead elsewhere");
}

const SPEC_SECRET: &str = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";
const SPEC_SIGNATURE: &str = "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=";

fn endpoint() -> Endpoint {
    Endpoint {
        id: billwire_schemas::ids::WebhookEndpointId(billwire_schemas::ids::fresh()),
        url: Url::parse("https://hooks.example.com/in?key=k").unwrap(),
        path: None,
        secrets: vec![Secret::parse(SPEC_SECRET, None).unwrap()],
        enabled: true,
        version: 1,
        identity: None,
        auth: None,
        headers: Vec::new(),
    }
}

fn at(seconds: i64) -> Timestamp {
    Timestamp::from_timestamp(seconds, 0).unwrap()
}

#[test]
fn the_signature_of_the_specification_comes_out() {
    let sign = |secrets: &[Secret]| signature(secrets, "msg_p5jXN8AQM9LWM0D4loKWxJek", 1_614_265_330, br#"{"test": 2432232314}"#);
    let spec = Secret::parse(SPEC_SECRET, None).unwrap();
    assert_eq!(sign(std::slice::from_ref(&spec)), SPEC_SIGNATURE);
    let other = Secret::parse("whsec_C2FVsBQIhrscChlQIMV+b5sSYspob7oD", None).unwrap();
    let both = sign(&[other, spec]);
    assert_eq!(both.split(' ').count(), 2);
    assert!(both.ends_with(&format!(" {SPEC_SIGNATURE}")), "{both}");
}

#[test]
fn an_ed25519_signature_is_checked_with_the_public_key_alone() {
    // RFC 8032 section 7.1, test 1.
    let hex = |text: &str| -> Vec<u8> { (0..text.len()).step_by(2).map(|at| u8::from_str_radix(&text[at..at + 2], 16).unwrap()).collect() };
    let seed = hex("9d61b19deffd5a60ba844af492ec2cc44449c5697b326919703bac031cae7f60");
    let public = hex("d75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a");
    let written = format!("whsk_{}", STANDARD.encode([seed.clone(), public.clone()].concat()));
    let signed = signature(&[Secret::parse(&written, None).unwrap()], "msg_1", 7, b"{}");
    let signature = STANDARD.decode(signed.strip_prefix("v1a,").unwrap()).unwrap();
    let key = aws_lc_rs::signature::UnparsedPublicKey::new(&aws_lc_rs::signature::ED25519, &public);
    key.verify(b"msg_1.7.{}", &signature).unwrap();
    assert!(key.verify(b"msg_1.8.{}", &signature).is_err());
    let strange = format!("whsk_{}", STANDARD.encode([seed, vec![1; 32]].concat()));
    assert!(Secret::parse(&strange, None).is_err(), "the halves do not belong together");
}

#[test]
fn calls_are_signed_with_the_secrets_that_hold_at_the_moment() {
    let old = Secret::parse("whsec_C2FVsBQIhrscChlQIMV+b5sSYspob7oD", Some(at(100))).unwrap();
    let mut endpoint = endpoint();
    endpoint.secrets.push(old);
    let count = |now: i64| {
        let headers = headers(&endpoint, None, EventId(billwire_schemas::ids::fresh()), b"", at(now)).unwrap();
        headers["webhook-signature"].to_str().unwrap().split(' ').count()
    };
    assert_eq!((count(99), count(100)), (2, 1));
}

#[test]
fn the_headers_carry_what_is_signed() {
    let (endpoint, event) = (endpoint(), EventId(billwire_schemas::ids::fresh()));
    let headers = headers(&endpoint, None, event, b"{}", at(1_614_265_330)).unwrap();
    assert_eq!(headers["webhook-id"], event.to_string());
    assert_eq!(headers["webhook-timestamp"], "1614265330");
    assert_eq!(headers["webhook-signature"], signature(&endpoint.secrets, &event.to_string(), 1_614_265_330, b"{}"));
    assert_eq!(headers["content-type"], "application/cloudevents+json");
    assert!(headers["user-agent"].to_str().unwrap().starts_with("Billwire/"));
}

#[test]
fn the_callers_trace_goes_to_the_receiver() {
    let trace = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";
    let sent = |body: &str| headers(&endpoint(), None, EventId(billwire_schemas::ids::fresh()), body.as_bytes(), at(0)).unwrap();
    let message = |text: &str| format!(r#"{{"id":"1","traceparent":"{text}","data":{{"object":{{}}}}}}"#);
    assert_eq!(sent(&message(trace))["traceparent"], trace);
    // As a body is that has a subscription's own parameters.
    let merged = format!(r#"{{"data":{{"object":{{}}}},"id":"1","traceparent":"{trace}"}}"#);
    assert_eq!(sent(&merged)["traceparent"], trace);
    for without in ["{}", &message("anything"), r#"{"id":"1","data":{"a":1,"traceparent":"00-x"}}"#] {
        assert!(!sent(without).contains_key("traceparent"), "{without}");
    }
}

#[test]
fn a_tenants_headers_are_added_but_replace_nothing_of_ours() {
    let mut endpoint = endpoint();
    for (name, value) in [("x-api-key", "k1"), ("host", "evil"), ("webhook-id", "forged"), ("content-type", "text/plain")] {
        endpoint.headers.push((HeaderName::from_static(name), HeaderValue::from_static(value)));
    }
    endpoint.headers.push((header::AUTHORIZATION, HeaderValue::from_static("Custom x")));
    endpoint.auth = Some(Auth::Basic { user: "u".into(), password: "p".into() });
    let headers = headers(&endpoint, None, EventId(billwire_schemas::ids::fresh()), b"{}", at(0)).unwrap();
    assert_eq!(headers["x-api-key"], "k1");
    assert!(headers["x-api-key"].is_sensitive());
    assert!(!headers.contains_key("host"));
    assert_eq!(headers.get_all("authorization").iter().collect::<Vec<_>>(), ["Basic dTpw"]);
    assert_eq!(headers.get_all("content-type").iter().count(), 1);
    assert_ne!(headers["webhook-id"], "forged");
}

#[test]
fn settings_that_allow_no_call_are_told_apart() {
    let event = EventId(billwire_schemas::ids::fresh());
    let unsigned = Endpoint { secrets: Vec::new(), ..endpoint() };
    assert_eq!(headers(&unsigned, None, event, b"", at(0)), Err(Unsendable::NoSecret));
    let injecting = Endpoint { auth: Some(Auth::Bearer { token: "a\r\nhost: b".into() }), ..endpoint() };
    assert_eq!(headers(&injecting, None, event, b"", at(0)), Err(Unsendable::Credentials));
}

#[test]
fn nothing_secret_is_printed() {
    let auth = Some(Auth::Bearer { token: "tok-4711".into() });
    let headers = vec![(HeaderName::from_static("x-key"), HeaderValue::from_static("val-4711"))];
    let printed = format!("{:?} {:?}", Endpoint { auth, headers, ..endpoint() }, Secret::parse(SPEC_SECRET, None));
    for hidden in ["4711", "MfKQ", "key=k"] {
        assert!(!printed.contains(hidden), "{printed}");
    }
}

#[test]
fn a_path_stays_on_the_host() {
    for (base, path, expected) in [
        ("https://a.example/", None, "https://a.example/"),
        ("https://a.example/in/", Some("events"), "https://a.example/in/events"),
        ("https://a.example/in", Some("/events/"), "https://a.example/in/events/"),
        ("https://a.example/in?k=1", Some("x"), "https://a.example/in/x?k=1"),
        ("https://a.example/in?k=1", Some("x?l=2"), "https://a.example/in/x?l=2"),
        ("https://a.example/in", Some("?l=2"), "https://a.example/in?l=2"),
        ("https://a.example", Some("//evil.example/x"), "https://a.example/evil.example/x"),
        ("https://a.example", Some("https://evil.example/"), "https://a.example/https://evil.example/"),
        ("https://a.example", Some("@evil.example#x"), "https://a.example/@evil.example%23x"),
    ] {
        assert_eq!(url(&Url::parse(base).unwrap(), path).unwrap().as_str(), expected);
    }
}

#[test]
fn no_path_leads_out_of_the_base_path_however_it_is_filled_in() {
    let base = Url::parse("https://a.example/in/here").unwrap();
    for inside in ["/x/../y", "/./x", "/...", "/a..b", "/%252e%252e/x", "?a=../.."] {
        let found = url(&base, Some(inside)).unwrap();
        assert!(found.path().starts_with("/in/here"), "{found}");
    }
    for outside in ["/..", "/../x", "/../../x", "/%2e%2e/x", "/.%2E/x", "x/../../y", "..\\x", "/../hereabouts"] {
        assert!(url(&base, Some(outside)).is_err(), "{outside}");
    }
    let event = br#"{"data":{"parameters":{"a":".","b":"./..","e":"e"}}}"#;
    assert!(filled_in("/{a}/x", event).is_err());
    for split in ["/.{e}", "/{b}/x", "/%2{e}%2{e}/x", "/{e}/../../x"] {
        let filled = filled_in(split, event).unwrap();
        assert!(url(&base, Some(&filled)).is_err() || url(&base, Some(&filled)).unwrap().path().starts_with("/in/here/"), "{split}");
    }
    let dots = br#"{"data":{"parameters":{"a":"%2e","e":"e"}}}"#;
    assert!(url(&base, Some(&filled_in("/%2{e}%2{e}/x", dots).unwrap())).is_err());
}
