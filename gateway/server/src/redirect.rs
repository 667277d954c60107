//! The browser's way back to this machine after a sign-in (RFC 8252 section 7.3): a listener that takes one authorization response, the one
//! with the right state, and ignores everybody else.

use std::time::Duration;

use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
    task::JoinSet,
    time::timeout,
};
use url::Url;

/// Where the browser comes back to.
pub const PATH: &str = "/callback";
/// Largest head of a request, in bytes: a code has a few hundred.
const HEAD_BYTES_MAX: usize = 16 * 1024;
/// How long a request may take. Browsers open connections in advance that carry none.
const REQUEST_MAX: Duration = Duration::from_secs(10);
/// Connections at the same time.
const CONNECTIONS_MAX: usize = 16;

/// What the authorization response must have.
#[derive(Clone, Copy)]
pub struct Expected<'e> {
    /// The state of the request.
    pub state: &'e str,
    /// The issuer that it is from, if it names one (RFC 9207).
    pub issuer: &'e str,
    /// Whether it has to name the issuer.
    pub names_issuer: bool,
}

/// Waits for the authorization response; gives its code.
///
/// # Errors
/// Why there is none, by the provider's word.
pub async fn code(listener: &TcpListener, expected: &Expected<'_>) -> Result<String, String> {
    let (state, issuer, names_issuer) = (expected.state.to_owned(), expected.issuer.to_owned(), expected.names_issuer);
    let mut connections = JoinSet::new();
    loop {
        tokio::select! {
            accepted = listener.accept(), if connections.len() < CONNECTIONS_MAX => {
                let (stream, _) = accepted.map_err(|error| format!("127.0.0.1: {error}"))?;
                let (state, issuer) = (state.clone(), issuer.clone());
                connections.spawn(async move {
                    let expected = Expected { state: &state, issuer: &issuer, names_issuer };
                    timeout(REQUEST_MAX, answer(stream, &expected)).await.ok().flatten()
                });
            }
            Some(ended) = connections.join_next() => {
                if let Ok(Some(outcome)) = ended {
                    return outcome;
                }
            }
        }
    }
}

/// Answers one request; gives what it brought, if it is the one that is waited for.
async fn answer(mut stream: TcpStream, expected: &Expected<'_>) -> Option<Result<String, String>> {
    let mut head = Vec::new();
    while !head.windows(4).any(|four| four == b"\r\n\r\n") {
        if head.len() > HEAD_BYTES_MAX || stream.read_buf(&mut head).await.ok()? == 0 {
            return None;
        }
    }
    let line = head.split(|byte| *byte == b'\r').next().and_then(|line| std::str::from_utf8(line).ok()).unwrap_or_default();
    let outcome = outcome(line, expected);
    let (status, text) = match &outcome {
        None => ("400 Bad Request", "This is not the page that the sign-in leads to."),
        Some(Ok(_)) => ("200 OK", "You can close this window and go back to the terminal."),
        Some(Err(_)) => ("200 OK", "The sign-in failed. The terminal says why."),
    };
    let page = format!("<!DOCTYPE html><html lang=\"en\"><meta charset=\"utf-8\"><title>Billwire</title><p>{text}</p></html>");
    let response = format!(
        "HTTP/1.1 {status}\r\nContent-Type: text/html; charset=utf-8\r\nContent-Length: {}\r\nConnection: close\r\n\
         Content-Security-Policy: default-src 'none'\r\nReferrer-Policy: no-referrer\r\nCache-Control: no-store\r\n\r\n{page}",
        page.len()
    );
    // The code counts even if the browser does not wait for the page.
    let _ = stream.write_all(response.as_bytes()).await;
    let _ = stream.shutdown().await;
    outcome
}

/// What a request line brings: a code, or a refusal of the provider. `None`: it is not the authorization response.
fn outcome(line: &str, expected: &Expected<'_>) -> Option<Result<String, String>> {
    let target = line.strip_prefix("GET ")?.split(' ').next()?;
    let url = Url::parse("http://127.0.0.1").ok()?.join(target).ok()?;
    let parameter = |name: &str| url.query_pairs().find(|(known, _)| known == name).map(|(_, value)| value.into_owned());
    if url.path() != PATH || parameter("state")? != expected.state {
        return None;
    }
    let from_another = parameter("iss").map_or(expected.names_issuer, |issuer| issuer != expected.issuer);
    if from_another {
        return Some(Err("the answer is not from the issuer that was asked; sign in again".to_owned()));
    }
    match (parameter("code").filter(|code| !code.is_empty()), parameter("error")) {
        (Some(code), None) => Some(Ok(code)),
        (_, Some(error)) => {
            let said = parameter("error_description").unwrap_or(error);
            let visible: String = said.chars().map(|c| if c.is_control() { ' ' } else { c }).take(500).collect();
            Some(Err(format!("the identity provider refused the sign-in: {visible}")))
        }
        (None, None) => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const EXPECTED: Expected<'static> = Expected { state: "s+1", issuer: "https://login.example.com", names_issuer: false };

    #[test]
    fn only_the_answer_with_the_right_state_is_taken() {
        let brings = |line: &str| outcome(line, &EXPECTED);
        assert_eq!(brings("GET /callback?state=s%2B1&code=a%2Fb HTTP/1.1"), Some(Ok("a/b".to_owned())));
        let issuer = "iss=https%3A%2F%2Flogin.example.com";
        assert_eq!(brings(&format!("GET /callback?state=s%2B1&code=c&{issuer} HTTP/1.1")), Some(Ok("c".to_owned())));
        for other in [
            "GET /callback?state=s&code=c HTTP/1.1",
            "GET /callback?code=c HTTP/1.1",
            "GET /callback?state=s%2B1 HTTP/1.1",
            "GET /callback?state=s%2B1&code= HTTP/1.1",
            "GET /favicon.ico HTTP/1.1",
            "GET /?state=s%2B1&code=c HTTP/1.1",
            "POST /callback?state=s%2B1&code=c HTTP/1.1",
            "",
        ] {
            assert_eq!(brings(other), None, "{other}");
        }
        let refused = brings("GET /callback?state=s%2B1&error=access_denied&error_description=no%0Away HTTP/1.1");
        assert!(refused.is_some_and(|refused| refused.is_err_and(|why| why.ends_with("no way"))));
        assert!(brings("GET /callback?state=s%2B1&code=c&error=x HTTP/1.1").is_some_and(|refused| refused.is_err()));
    }

    #[test]
    fn an_answer_of_another_issuer_is_refused() {
        let line = "GET /callback?state=s%2B1&code=c HTTP/1.1";
        let named = Expected { names_issuer: true, ..EXPECTED };
        assert!(outcome(line, &named).is_some_and(|refused| refused.is_err()));
        let other = "GET /callback?state=s%2B1&code=c&iss=https%3A%2F%2Fevil.example HTTP/1.1";
        assert!(outcome(other, &EXPECTED).is_some_and(|refused| refused.is_err()));
    }
}
