//! A conversation with an SMTP server: commands, and their replies.
//!
//! It is written here and not taken from the SMTP library, whose client fails on replies that RFC 5321 section 4.2 has clients accept:
//! codes without text, lines ended by LF alone, texts in other encodings. Its reading buffer also outlives the change to TLS, so that what
//! an attacker on the way adds after the server's consent to STARTTLS, in clear, would be taken for the server's replies afterwards
//! (CVE-2011-0411). Here, nothing may follow a reply before the next command.

use std::time::Duration;

use base64::{Engine, engine::general_purpose::STANDARD};
use tokio::{
    io::{AsyncBufRead, AsyncBufReadExt, AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, BufReader},
    time::timeout,
};

use crate::reply::{Cause, enhanced};

/// Longest line of a reply. (RFC 5321 section 4.5.3.1.5 allows 512; servers write more.)
const LINE_BYTES_MAX: u64 = 2048;
/// Most lines of a reply.
const LINES_MAX: usize = 100;
/// Longest command with an initial response, without CRLF; a longer response waits for the server's challenge (RFC 4954 section 4).
const COMMAND_BYTES_MAX: usize = 510;
/// How long a server may take to answer QUIT.
const QUIT: Duration = Duration::from_secs(5);

/// A reply of the server: 2yz or 3yz.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Reply {
    /// Its code. Only the first digit decides (RFC 5321 section 4.2.1).
    pub code: u16,
    /// The text of each line.
    pub lines: Vec<String>,
}

impl Reply {
    /// The text as one line. An enhanced code (RFC 3463) that each line repeats is named once.
    pub fn words(&self) -> String {
        let Some((first, rest)) = self.lines.split_first() else { return String::new() };
        let repeated = enhanced(first);
        let without_code = |line: &'_ String| {
            let rest = repeated.and_then(|code| line.strip_prefix(code)).filter(|rest| rest.is_empty() || rest.starts_with(' '));
            rest.map_or(line.as_str(), str::trim_start).to_owned()
        };
        let lines = [first.clone()].into_iter().chain(rest.iter().map(without_code));
        lines.filter(|line| !line.is_empty()).collect::<Vec<_>>().join(" ")
    }
}

/// A connection on which the client speaks next.
#[derive(Debug)]
pub(crate) struct Session<S> {
    stream: BufReader<S>,
    /// The extensions that the server offers, in upper case, each with its parameters.
    extensions: Vec<String>,
}

impl<S: AsyncRead + AsyncWrite + Unpin> Session<S> {
    /// A conversation over `stream`.
    pub fn new(stream: S) -> Self {
        Self { stream: BufReader::new(stream), extensions: Vec::new() }
    }

    /// The stream, if nothing but the replies so far has arrived on it.
    pub fn into_stream(self) -> Option<S> {
        self.is_idle().then(|| self.stream.into_inner())
    }

    /// Whether no reply has arrived that no command asked for.
    pub fn is_idle(&self) -> bool {
        self.stream.buffer().iter().all(u8::is_ascii_whitespace)
    }

    /// Whether the server offers an extension.
    pub fn offers(&self, extension: &str) -> bool {
        self.extensions.iter().any(|offered| offered.split(' ').next() == Some(extension))
    }

    /// Waits for the server's greeting.
    pub async fn greeted(&mut self) -> Result<(), Cause> {
        self.reply().await.and_then(|reply| expect(reply, 2)).map(drop)
    }

    /// Introduces the client as `name`: with EHLO, and with HELO to a server that has no extensions (RFC 5321 section 3.2).
    pub async fn hello(&mut self, name: &str) -> Result<(), Cause> {
        match self.command(&format!("EHLO {name}"), 2).await {
            Ok(reply) => self.extensions = reply.lines.iter().skip(1).map(|line| line.to_ascii_uppercase()).collect(),
            Err(Cause::Answer { code: 500 | 501 | 502 | 504 | 550, .. }) => {
                self.command(&format!("HELO {name}"), 2).await?;
                self.extensions.clear();
            }
            Err(cause) => return Err(cause),
        }
        Ok(())
    }

    /// Logs in with PLAIN (RFC 4616) or LOGIN.
    pub async fn login(&mut self, user: &str, password: &str) -> Result<(), Cause> {
        // Old servers write `AUTH=`.
        let offered = self.extensions.iter().filter_map(|offered| offered.strip_prefix("AUTH")).flat_map(|all| all.split([' ', '=']));
        let offered: Vec<&str> = offered.collect();
        if offered.contains(&"PLAIN") {
            let response = STANDARD.encode(format!("\0{user}\0{password}"));
            let whole = format!("AUTH PLAIN {response}");
            let first = self.ask(if whole.len() <= COMMAND_BYTES_MAX { &whole } else { "AUTH PLAIN" }).await?;
            return if first.code / 100 == 3 { self.command(&response, 2).await.map(drop) } else { Ok(()) };
        }
        if offered.contains(&"LOGIN") {
            self.command("AUTH LOGIN", 3).await?;
            self.command(&STANDARD.encode(user), 3).await?;
            return self.command(&STANDARD.encode(password), 2).await.map(drop);
        }
        Err(Cause::Unsuitable("the server offers neither AUTH PLAIN nor AUTH LOGIN".to_owned()))
    }

    /// Sends a command and waits for a reply of this class: 2 for 2yz, 3 for 3yz.
    pub async fn command(&mut self, command: &str, class: u16) -> Result<Reply, Cause> {
        expect(self.ask(command).await?, class)
    }

    /// Sends a message after DATA and waits for the server to accept it.
    pub async fn content(&mut self, content: &[u8]) -> Result<Reply, Cause> {
        self.say(&stuffed(content)).await?;
        self.reply().await.and_then(|reply| expect(reply, 2))
    }

    /// Ends the conversation (RFC 5321 section 4.1.1.10). A server that does not answer is left.
    pub async fn quit(mut self) {
        let _ = timeout(QUIT, self.command("QUIT", 2)).await;
    }

    async fn ask(&mut self, command: &str) -> Result<Reply, Cause> {
        // The reply to another command would be taken for the reply to this one.
        if !self.is_idle() {
            return Err(Cause::Garbled);
        }
        self.say(format!("{command}\r\n").as_bytes()).await?;
        self.reply().await
    }

    async fn say(&mut self, bytes: &[u8]) -> Result<(), Cause> {
        let stream = self.stream.get_mut();
        stream.write_all(bytes).await.map_err(|_| Cause::Network)?;
        stream.flush().await.map_err(|_| Cause::Network)
    }

    async fn reply(&mut self) -> Result<Reply, Cause> {
        let reply = read(&mut self.stream).await?;
        match reply.code {
            200..400 => Ok(reply),
            _ => Err(Cause::Answer { code: reply.code, words: reply.words() }),
        }
    }
}

fn expect(reply: Reply, class: u16) -> Result<Reply, Cause> {
    if reply.code / 100 == class { Ok(reply) } else { Err(Cause::Garbled) }
}

/// Reads a reply: lines `250-text` and a last one `250 text` or `250`. Its last code counts, and a line without a code is text.
async fn read(from: &mut (impl AsyncBufRead + Unpin)) -> Result<Reply, Cause> {
    let mut lines = Vec::new();
    for _ in 0..LINES_MAX {
        let mut line = Vec::new();
        from.take(LINE_BYTES_MAX).read_until(b'\n', &mut line).await.map_err(|_| Cause::Network)?;
        let line = String::from_utf8_lossy(&line);
        let line = line.strip_suffix('\n').ok_or(Cause::Garbled)?.trim_end();
        let code = line.get(..3).and_then(|code| code.parse().ok()).filter(|code| (200..600).contains(code));
        match (code, line.as_bytes().get(3)) {
            (Some(_), Some(b'-')) => lines.push(line[4..].to_owned()),
            (Some(code), None | Some(b' ' | b'\t')) => {
                lines.push(line.get(4..).unwrap_or_default().to_owned());
                return Ok(Reply { code, lines });
            }
            _ if !lines.is_empty() => lines.push(line.to_owned()),
            _ if line.is_empty() => {}
            _ => return Err(Cause::Garbled),
        }
    }
    Err(Cause::Garbled)
}

/// The content with its final dot. A dot at the start of a line is doubled (RFC 5321 section 4.5.2).
fn stuffed(content: &[u8]) -> Vec<u8> {
    let mut stuffed = Vec::with_capacity(content.len() + content.len() / 64 + 5);
    for line in content.split_inclusive(|byte| *byte == b'\n') {
        if line.starts_with(b".") {
            stuffed.push(b'.');
        }
        stuffed.extend_from_slice(line);
    }
    if !content.ends_with(b"\r\n") {
        stuffed.extend_from_slice(b"\r\n");
    }
    stuffed.extend_from_slice(b".\r\n");
    stuffed
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_line_of_a_message_can_end_it() {
        for (content, expected) in
            [("a\r\n.\r\nb\r\n", "a\r\n..\r\nb\r\n.\r\n"), (".", "..\r\n.\r\n"), ("..a\r\n", "...a\r\n.\r\n"), ("", "\r\n.\r\n")]
        {
            assert_eq!(String::from_utf8_lossy(&stuffed(content.as_bytes())), expected);
        }
    }

    #[tokio::test]
    async fn a_reply_is_read_as_clients_must() {
        for (text, code, words) in [
            (&b"250 ok\r\n"[..], 250, "ok"),
            (b"250\r\n", 250, ""),
            (b"250 \r\n", 250, ""),
            (b"250 ok\n", 250, "ok"),
            (b"250\n", 250, ""),
            (b"\r\n250 ok\r\n", 250, "ok"),
            (b"250-\r\n250\r\n", 250, ""),
            (b"250-one\r\n250-two\n250 three\r\n", 250, "one two three"),
            (b"250-one\r\n two\r\n250 three\r\n", 250, "one  two three"),
            (b"250-one\r\n550 two\r\n", 550, "one two"),
            (b"550-5.1.1 no such\r\n550-5.1.1\r\n550 5.1.1 mailbox\r\n", 550, "5.1.1 no such mailbox"),
            (b"550-5.1.1 no such\r\n550 5.1.12 other\r\n", 550, "5.1.1 no such 5.1.12 other"),
            (b"550 unbekannt: gr\xf6\xdfe\r\n", 550, "unbekannt: gr\u{fffd}\u{fffd}e"),
            (b"299 what is this\r\n", 299, "what is this"),
            (b"571 not a code of the RFC\r\n", 571, "not a code of the RFC"),
        ] {
            let reply = read(&mut &text[..]).await;
            assert_eq!(reply.map(|reply| (reply.code, reply.words())), Ok((code, words.to_owned())), "{}", String::from_utf8_lossy(text));
        }
        let endless = [b"250 ", "x".repeat(10_000).as_bytes(), b"\r\n"].concat();
        for garbled in [
            &b"SSH-2.0-OpenSSH_9.2\r\n"[..],
            b"",
            b"250 ok",
            b"250",
            b"25",
            b"999 x\r\n",
            b"100 x\r\n",
            &b"250-x\r\n".repeat(1_000),
            &endless,
        ] {
            assert_eq!(read(&mut &garbled[..]).await, Err(Cause::Garbled), "{}", String::from_utf8_lossy(garbled));
        }
    }
}
