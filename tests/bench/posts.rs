//! Baselines: HTTPS POSTs alone.

use std::time::Instant;

use billwire_tests::receiver::Receiver;
use bytes::Bytes;

/// A client that keeps every connection, and the URL at which it reaches one of the receiver's hosts.
pub fn client(receiver: &Receiver, host: usize) -> (reqwest::Client, String) {
    let ca = reqwest::Certificate::from_pem(receiver.ca().as_bytes()).unwrap();
    let host = &receiver.hosts[host % receiver.hosts.len()];
    let mut builder = reqwest::Client::builder().no_proxy().tls_certs_only([ca]).resolve(host, receiver.address);
    if !receiver.http2 {
        builder = builder.http1_only();
    }
    (builder.build().unwrap(), format!("https://{host}:{}/hooks", receiver.address.port()))
}

/// HTTPS POSTs per second to `receiver`, with `at_once` in flight and bodies of `bytes`, over persistent connections: over HTTP/1.1 as
/// many as are in flight, over HTTP/2 `clients`. Clients take turns among the receiver's hosts.
pub async fn per_second(receiver: &Receiver, clients: usize, at_once: usize, bytes: usize, posts: usize) -> f64 {
    let clients: Vec<_> = (0..clients).map(|number| client(receiver, number)).collect();
    for (client, url) in &clients {
        client.post(url).send().await.unwrap();
    }
    let body = Bytes::from(vec![b'x'; bytes]);
    let began = Instant::now();
    let workers: Vec<_> = (0..at_once)
        .map(|worker| {
            let ((client, url), body) = (clients[worker % clients.len()].clone(), body.clone());
            tokio::spawn(async move {
                for _ in 0..posts / at_once {
                    client.post(&url).body(body.clone()).send().await.unwrap().error_for_status().unwrap();
                }
            })
        })
        .collect();
    for worker in workers {
        worker.await.unwrap();
    }
    (posts / at_once * at_once) as f64 / began.elapsed().as_secs_f64()
}
