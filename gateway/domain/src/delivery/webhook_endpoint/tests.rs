use super::*;
use billwire_schemas::{
    ids::fresh,
    signing_secret::{Key, encode},
};

fn secret(byte: u8) -> NewSecret {
    NewSecret { id: format!("k{byte}"), text: encode(&Key::Shared(vec![byte; 32])).expect("a secret") }
}

fn settings(url: &str) -> Settings {
    Settings { name: Some("crm".into()), url: Some(url.into()), ..Settings::default() }
}

fn made(settings: Settings) -> Result<(Change<WebhookEndpoint>, Secrets), Rejected> {
    create(Create { id: WebhookEndpointId(fresh()), secret: secret(1), settings }, at(0))
}

fn endpoint() -> (WebhookEndpoint, Secrets) {
    let (change, secrets) = made(settings("https://crm.example.com/hooks")).expect("an endpoint");
    (change.after, secrets)
}

fn at(seconds: i64) -> Timestamp {
    Timestamp::from_timestamp(seconds, 0).expect("a moment")
}

fn codes(rejected: Rejected) -> Vec<(String, &'static str)> {
    rejected.violations.into_iter().map(|broken| (broken.pointer.into_owned(), broken.code.as_str())).collect()
}

#[test]
fn every_broken_rule_is_named_at_once() {
    let auth = Auth::OAuth2 { token_url: "https://10.0.0.1/token".into(), client_id: "c".into(), scope: None };
    let headers = ["X-Api-Key", "Host", "bad name", "authorization", "x-api-key"].map(|name| (name.to_owned(), "v".to_owned()));
    let wrong = Settings {
        auth: Some(Credentials::Of(auth, "s".into())),
        headers: Some(headers.into()),
        client_certificate: Some(Some(ClientCertificate { certificate: "none".into(), key: String::new() })),
        ..settings("http://crm.example.com:8443/")
    };
    let create = Create { id: WebhookEndpointId(fresh()), secret: NewSecret { id: "k".into(), text: "pw".into() }, settings: wrong };
    let Err(refused) = super::create(create, at(0)) else { panic!("it was taken") };
    let expected = [
        ("/secret", "secret_invalid"),
        ("/url", "url_not_https"),
        ("/url", "url_has_port"),
        ("/auth/tokenUrl", "url_host_forbidden"),
        ("/headers/Host", "header_not_allowed"),
        ("/headers/authorization", "header_not_allowed"),
        ("/headers/bad name", "header_not_allowed"),
        ("/headers/x-api-key", "header_not_allowed"),
        ("/clientCertificate/certificate", "client_certificate_invalid"),
        ("/clientCertificate/key", "client_certificate_invalid"),
    ];
    assert_eq!(codes(refused), expected.map(|(pointer, code)| (pointer.to_owned(), code)));
}

#[test]
fn what_is_secret_stands_beside_the_endpoint_and_not_in_it() {
    let certificate = "-----BEGIN CERTIFICATE-----\nMIIB\n-----END CERTIFICATE-----\n".to_owned();
    let key = "-----BEGIN PRIVATE KEY-----\nS0VZ\n-----END PRIVATE KEY-----\n".to_owned();
    let all = Settings {
        auth: Some(Credentials::Of(Auth::Basic { username: "billing".into() }, "hunter2".into())),
        headers: Some(BTreeMap::from([("X-Api-Key".to_owned(), "value-7".to_owned())])),
        client_certificate: Some(Some(ClientCertificate { certificate, key })),
        ..settings("https://crm.example.com/")
    };
    let (change, secrets) = made(all).expect("an endpoint");
    let shown = serde_json::to_string(&change.after).expect("JSON");
    for hidden in ["hunter2", "value-7", "S0VZ", "whsec_"] {
        assert!(!shown.contains(hidden), "{hidden} in {shown}");
        assert!(serde_json::to_string(&secrets).expect("JSON").contains(hidden), "{hidden}");
    }
    assert!(shown.contains("billing") && shown.contains("X-Api-Key") && shown.contains("MIIB"));
    let none =
        Settings { auth: Some(Credentials::None), headers: Some(BTreeMap::new()), client_certificate: Some(None), ..Settings::default() };
    let (change, secrets) = update(change.after, secrets, none).expect("updated");
    assert_eq!((change.after.auth, change.after.header_names.len(), change.after.client_certificate), (None, 0, None));
    assert!(secrets.credential.is_none() && secrets.headers.is_empty() && secrets.client_key.is_none());
    assert_eq!(secrets.signing.len(), 1);
}

#[test]
fn a_rotation_overlaps_as_long_as_asked_and_prolongs_nothing() {
    let (first, secrets) = endpoint();
    let (change, secrets) = rotate(first, secrets, Rotate { secret: secret(2), overlap: 3600 }, at(100)).expect("rotated");
    let keys = &change.after.signing;
    assert_eq!((keys[0].id.as_str(), keys[0].expires_at), ("k2", None));
    assert_eq!((keys[1].id.as_str(), keys[1].expires_at), ("k1", Some(at(3700))));
    assert!(keys[1].active(at(3699)) && !keys[1].active(at(3700)));
    let (change, secrets) = rotate(change.after, secrets, Rotate { secret: secret(3), overlap: 86_400 }, at(200)).expect("rotated");
    assert_eq!(change.after.signing[2].expires_at, Some(at(3700)), "its end is set");
    let (change, secrets) = rotate(change.after, secrets, Rotate { secret: secret(4), overlap: 0 }, at(300)).expect("rotated");
    assert_eq!((change.after.signing.len(), secrets.signing.len()), (1, 1), "without overlap only the new one is left");
}

#[test]
fn a_rotation_is_refused_for_a_secret_in_use_and_for_too_many() {
    let (mut last, mut secrets) = endpoint();
    let Err(refused) = rotate(last.clone(), secrets.clone(), Rotate { secret: secret(1), overlap: 60 }, at(1)) else { panic!("taken") };
    assert_eq!(refused.code.as_str(), "secret_in_use");
    for number in 2..=10 {
        let (change, next) = rotate(last, secrets, Rotate { secret: secret(number), overlap: 60 }, at(1)).expect("rotated");
        (last, secrets) = (change.after, next);
    }
    let Err(refused) = rotate(last.clone(), secrets.clone(), Rotate { secret: secret(11), overlap: 60 }, at(1)) else { panic!("taken") };
    assert_eq!(refused.code.as_str(), "secrets_too_many");
    assert!(rotate(last, secrets, Rotate { secret: secret(11), overlap: 60 }, at(100)).is_ok(), "the old ones have expired");
}

#[test]
fn an_endpoint_is_disabled_with_an_event_that_tells_why_and_enabled_without_one() {
    let (mut last, _) = endpoint();
    last.url = "https://crm.example.com/hooks?key=k".into();
    assert_eq!(enable(last.clone()).unwrap_err().code.as_str(), "webhook_endpoint_enabled");
    let disabled = disable(last, "the receiver answered 410 Gone").expect("disabled");
    assert_eq!(disabled.lifecycle[0].kind, "webhook_endpoint.disabled");
    let to_json = &disabled.lifecycle[0].parameters;
    assert_eq!(to_json["webhookEndpoint.disabledBecause"], "the receiver answered 410 Gone");
    assert_eq!(to_json["webhookEndpoint.url"], "https://crm.example.com/hooks", "a query may hold a key");
    assert_eq!(disable(disabled.after.clone(), "again").unwrap_err().code, "webhook_endpoint_disabled");
    let enabled = enable(disabled.after).expect("enabled");
    assert_eq!((enabled.after.enabled, enabled.after.disabled_because, enabled.lifecycle.len()), (true, None, 0));
}
