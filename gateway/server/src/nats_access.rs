//! How to reach NATS: a configured one, or the private one that this process starts; and how subscribers are let in.

use std::sync::Arc;

use billwire_bus::CalloutKeys;

use crate::{config::Settings, nats_child::NatsChild};

/// How to reach NATS.
#[derive(Clone, Default)]
pub struct NatsAccess {
    /// The URL, with the login. Secret. Empty: this process does not use NATS.
    pub url: String,
    /// How subscribers are let in; `None`: they cannot connect.
    pub callout: Option<CalloutAccess>,
}

/// How subscribers are let in.
#[derive(Clone)]
pub struct CalloutAccess {
    /// The URL, with the login of a user of the system account. Secret.
    pub system_url: String,
    /// The keys of the auth callout.
    pub keys: Arc<CalloutKeys>,
    /// Where subscribers connect.
    pub subscribers_url: String,
}

/// The configured NATS, or a private server, which this starts.
///
/// # Errors
/// One line that says what to do.
pub async fn configured_or_private(settings: &Settings) -> Result<(NatsAccess, Option<NatsChild>), String> {
    match &settings.nats_url {
        Some(url) => {
            let subscribers_url = settings.stream_url.clone().unwrap_or_else(|| without_login(url));
            let callout = settings.callout()?.map(|(system_url, keys)| CalloutAccess { system_url, keys, subscribers_url });
            Ok((NatsAccess { url: url.clone(), callout }, None))
        }
        None => {
            let child = NatsChild::start(settings.nats_server.as_deref(), &settings.data_dir).await?;
            let mut callout = child.callout.clone();
            if let Some(url) = &settings.stream_url {
                callout.subscribers_url.clone_from(url);
            }
            Ok((NatsAccess { url: child.url.clone(), callout: Some(callout) }, Some(child)))
        }
    }
}

/// The URL without name and password.
fn without_login(url: &str) -> String {
    match (url.split_once("://"), url.rsplit_once('@')) {
        (Some((scheme, _)), Some((_, host))) => format!("{scheme}://{host}"),
        _ => url.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::without_login;

    #[test]
    fn subscribers_are_not_told_the_gateways_login() {
        assert_eq!(without_login("tls://gateway:s3cret@nats.example.com:4222"), "tls://nats.example.com:4222");
        assert_eq!(without_login("nats://127.0.0.1:4222"), "nats://127.0.0.1:4222");
    }
}
