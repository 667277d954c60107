//! Destinations that must never be dialled, counted where they are dialled: what the resolver refuses is no dial, everything else is.

use std::{
    io,
    net::{IpAddr, SocketAddr},
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
};

use async_trait::async_trait;
use billwire_delivery::channel::Outcome;
use billwire_schemas::{
    clock::SystemClock,
    ids::{EventId, fresh},
};
use bytes::Bytes;
use http::HeaderMap;
use url::{Host, Url};

use super::channel::{Known, endpoint};
use crate::{Auth, Client, Config, Endpoint, WebhookChannel, client::Resolver, reply::Failure};

/// A resolver that says what a test wants, another thing at each question.
struct Answers(Vec<Vec<SocketAddr>>, AtomicUsize);

#[async_trait]
impl Resolver for Answers {
    async fn addresses(&self, _: &str) -> io::Result<Vec<SocketAddr>> {
        let asked = self.1.fetch_add(1, Ordering::SeqCst);
        Ok(self.0[asked % self.0.len()].clone())
    }
}

fn client(answers: Vec<Vec<SocketAddr>>) -> Client {
    let config = Config { connect_timeout: std::time::Duration::from_millis(300), ..Config::default() };
    Client::with_resolver(config, Arc::new(Answers(answers, AtomicUsize::new(0)))).unwrap()
}

fn vectors() -> Vec<Url> {
    let lines = include_str!("../../../../tests/vectors/forbidden-urls.tsv").lines().filter(|line| !line.starts_with('#'));
    lines.filter_map(|line| Url::parse(line.split_once('\t')?.0).ok()).collect()
}

/// The addresses among the vectors.
fn addresses() -> Vec<IpAddr> {
    let address = |url: Url| match url.host()? {
        Host::Ipv4(ip) => Some(ip.into()),
        Host::Ipv6(ip) => Some(ip.into()),
        Host::Domain(_) => None,
    };
    let mut found: Vec<IpAddr> = vectors().into_iter().filter_map(address).collect();
    found.sort();
    found.dedup();
    found
}

async fn call(client: &Client, url: Url) -> Result<u16, Failure> {
    client.call(url, HeaderMap::new(), Bytes::from_static(b"{}")).await.map(|answer| answer.status.as_u16())
}

#[tokio::test]
async fn the_counter_counts_what_is_dialled() {
    let here: SocketAddr = "127.0.0.1:9".parse().unwrap();
    let config = Config { connect_to: [("hooks.example.com".to_owned(), here)].into(), ..Config::default() };
    let client = Client::new(config).unwrap();
    assert_eq!(call(&client, Url::parse("https://hooks.example.com/").unwrap()).await, Err(Failure::ConnectFailed));
    assert_eq!(client.dialled(), 1, "though nothing listens there");
}

#[tokio::test]
async fn no_forbidden_url_is_dialled_at_an_attempt_or_a_test() {
    let client = client(vec![vec!["93.184.215.14:443".parse().unwrap()]]);
    let channel = WebhookChannel::new(Arc::new(Known(Ok(None))), client.clone(), Arc::new(SystemClock));
    let mut tried = 0;
    for url in vectors() {
        assert_eq!(call(&client, url.clone()).await, Err(Failure::NotAllowed), "{url}");
        let sent = channel.send(&Endpoint { url: url.clone(), ..endpoint() }, None, EventId(fresh()), Bytes::new()).await;
        assert!(matches!(sent, Outcome::Retry { report, .. } if report.detail == "host has no public address"), "{url}");
        let (client_id, client_secret) = ("c".to_owned(), "s".to_owned());
        let auth = Auth::OAuth2 { token_url: url.clone(), client_id, client_secret, scope: None };
        let sent = channel.send(&Endpoint { auth: Some(auth), ..endpoint() }, None, EventId(fresh()), Bytes::new()).await;
        assert!(matches!(sent, Outcome::Retry { report, .. } if report.detail.ends_with("host has no public address")), "{url}");
        tried += 1;
    }
    assert!(tried >= 130, "{tried} of the vectors are URLs at all");
    assert_eq!(client.dialled(), 0);
}

#[tokio::test]
async fn no_name_that_leads_to_a_forbidden_address_is_dialled_alone_or_among_public_ones() {
    let url = || Url::parse("https://hooks.example.com/").unwrap();
    let public: SocketAddr = "93.184.215.14:443".parse().unwrap();
    let forbidden = addresses();
    assert!(forbidden.len() >= 60, "{}", forbidden.len());
    for ip in forbidden {
        for answer in [vec![SocketAddr::new(ip, 0)], vec![public, SocketAddr::new(ip, 0)]] {
            let client = client(vec![answer]);
            assert_eq!(call(&client, url()).await, Err(Failure::NotAllowed), "{ip}");
            assert_eq!(client.dialled(), 0, "{ip}");
        }
    }
}

#[tokio::test]
async fn a_name_that_changes_its_mind_is_judged_by_each_answer() {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let inside = listener.local_addr().unwrap();
    let public: SocketAddr = "93.184.215.14:443".parse().unwrap();
    let client = client(vec![vec![public, inside], vec![inside], vec![inside, public]]);
    for _ in 0..3 {
        assert_eq!(call(&client, Url::parse("https://hooks.example.com/").unwrap()).await, Err(Failure::NotAllowed));
    }
    assert_eq!(client.dialled(), 0);
    let accepted = tokio::time::timeout(std::time::Duration::from_millis(50), listener.accept()).await;
    assert!(accepted.is_err(), "nobody came");
}
