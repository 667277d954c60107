//! How calls say who they are: tokens by client credentials, client certificates.

use std::{collections::HashMap, sync::Arc};

use billwire_delivery::channel::Outcome;
use billwire_schemas::{
    clock::SystemClock,
    ids::{EventId, fresh},
};
use bytes::Bytes;
use rustls::pki_types::CertificateDer;
use url::Url;

use super::{
    channel::{Known, endpoint},
    receiver::{Receiver, Script},
};
use crate::{Auth, Client, Config, Endpoint, Identity, WebhookChannel};

const HOST: &str = "hooks.example.com";
const TOKENS: &str = "tokens.example.com";

/// A channel that reaches each receiver under its name and trusts all of them.
fn channel(receivers: &[(&str, &Receiver)]) -> WebhookChannel {
    let roots: Vec<String> = receivers.iter().map(|(_, receiver)| std::fs::read_to_string(&receiver.ca_file).unwrap()).collect();
    let ca_file = std::env::temp_dir().join(format!("billwire-webhook-{}.pem", fresh()));
    std::fs::write(&ca_file, roots.concat()).unwrap();
    let connect_to: HashMap<_, _> = receivers.iter().map(|(name, receiver)| ((*name).to_owned(), receiver.address)).collect();
    let client = Client::new(Config { connect_to, ca_file: Some(ca_file.clone()), ..Config::default() }).unwrap();
    let _ = std::fs::remove_file(ca_file);
    WebhookChannel::new(Arc::new(Known(Ok(None))), client, Arc::new(SystemClock))
}

async fn send(channel: &WebhookChannel, endpoint: &Endpoint) -> Outcome {
    channel.send(endpoint, None, EventId(fresh()), Bytes::from_static(b"{}")).await
}

fn by_token() -> Endpoint {
    let auth = Auth::OAuth2 {
        token_url: Url::parse("https://tokens.example.com/token").unwrap(),
        client_id: "billwire".to_owned(),
        client_secret: "s3cret/+".to_owned(),
        scope: Some("hooks".to_owned()),
    };
    Endpoint { auth: Some(auth), ..endpoint() }
}

const GRANTED: &str = r#"{"access_token":"tok-4711","token_type":"bearer","expires_in":3600}"#;

#[tokio::test]
async fn a_token_is_got_once_for_many_calls_and_anew_for_changed_settings() {
    let tokens = Receiver::start(TOKENS, Script::answer("200 OK", "", GRANTED)).await;
    let hooks = Receiver::start(HOST, Script::answer("200 OK", "", "")).await;
    let channel = channel(&[(HOST, &hooks), (TOKENS, &tokens)]);
    let mut endpoint = by_token();
    let both = tokio::join!(send(&channel, &endpoint), send(&channel, &endpoint));
    assert!(matches!(both, (Outcome::Delivered(_), Outcome::Delivered(_))), "{both:?}");
    assert_eq!((hooks.requests().len(), tokens.requests().len()), (2, 1), "who asks at once waits for one call");
    assert!(hooks.requests()[0].head.contains("\r\nauthorization: bearer tok-4711\r\n"));
    let asked = &tokens.requests()[0];
    assert_eq!(asked.body, b"grant_type=client_credentials&scope=hooks");
    // billwire:s3cret%2F%2B in base64, in small letters as the receiver keeps heads.
    assert!(asked.head.contains("\r\nauthorization: basic ymlsbhdpcmu6cznjcmv0jtjgjtjc\r\n"));
    endpoint.version = 2;
    send(&channel, &endpoint).await;
    assert_eq!(tokens.requests().len(), 2);
}

#[tokio::test]
async fn a_token_that_the_receiver_does_not_take_is_not_used_again() {
    let tokens = Receiver::start(TOKENS, Script::answer("200 OK", "", GRANTED)).await;
    let hooks = Receiver::start(HOST, Script::answer("401 Unauthorized", "", "tok-4711 has expired")).await;
    let channel = channel(&[(HOST, &hooks), (TOKENS, &tokens)]);
    let endpoint = by_token();
    let Outcome::Retry { report, .. } = send(&channel, &endpoint).await else { panic!("a retry") };
    assert_eq!((report.status, report.detail.as_str()), (Some(401), "[redacted] has expired"));
    send(&channel, &endpoint).await;
    assert_eq!(tokens.requests().len(), 2);
}

#[tokio::test]
async fn a_token_whose_end_is_told_as_text_is_used() {
    let tokens = Receiver::start(TOKENS, Script::answer("200 OK", "", r#"{"access_token":"tok-4711","expires_in":"3600"}"#)).await;
    let hooks = Receiver::start(HOST, Script::answer("200 OK", "", "")).await;
    let channel = channel(&[(HOST, &hooks), (TOKENS, &tokens)]);
    for _ in 0..2 {
        assert!(matches!(send(&channel, &by_token()).await, Outcome::Delivered(_)));
    }
    assert!(hooks.requests()[0].head.contains("\r\nauthorization: bearer tok-4711\r\n"));
}

#[tokio::test]
async fn without_a_token_there_is_no_call_and_it_is_said_why() {
    let hooks = Receiver::start(HOST, Script::answer("200 OK", "", "")).await;
    for (status, body, told) in [
        ("400 Bad Request", r#"{"error":"invalid_client"}"#, "400: {\"error\":\"invalid_client\"}"),
        ("200 OK", r#"{"token":"x"}"#, "holds none"),
        ("200 OK", r#"{"access_token":"a\nb"}"#, "cannot be sent in a header"),
        ("302 Found", "", "302"),
    ] {
        let tokens = Receiver::start(TOKENS, Script::answer(status, "", body)).await;
        let channel = channel(&[(HOST, &hooks), (TOKENS, &tokens)]);
        let Outcome::Retry { report, .. } = send(&channel, &by_token()).await else { panic!("a retry") };
        assert!(report.detail.contains(told), "{}", report.detail);
    }
    assert_eq!(hooks.requests().len(), 0);
}

#[tokio::test]
async fn a_receiver_that_asks_for_a_certificate_is_shown_the_endpoint_s_own() {
    let ours = rcgen::generate_simple_self_signed(vec!["billwire.example.com".to_owned()]).unwrap();
    let asked = CertificateDer::from(ours.cert.der().to_vec());
    let hooks = Receiver::asking(HOST, Script::answer("200 OK", "", ""), Some(asked)).await;
    let channel = channel(&[(HOST, &hooks)]);
    assert!(matches!(send(&channel, &endpoint()).await, Outcome::Retry { .. }), "without one it does not get in");
    let identity = Identity { certificate: ours.cert.pem(), key: ours.signing_key.serialize_pem() };
    assert_eq!(channel.unusable(&identity), None);
    let shown = Endpoint { identity: Some(identity.clone()), ..endpoint() };
    for _ in 0..2 {
        let outcome = send(&channel, &shown).await;
        assert!(matches!(outcome, Outcome::Delivered(_)), "{outcome:?}");
    }
    assert_eq!(hooks.requests().len(), 2);
    assert_eq!(hooks.connections(), 2, "one that was refused, and one that was kept");
    let strange = rcgen::generate_simple_self_signed(vec!["x.example.com".to_owned()]).unwrap();
    let mixed = Identity { key: strange.signing_key.serialize_pem(), ..identity };
    assert!(channel.unusable(&mixed).is_some(), "certificate and key do not belong together");
}
