//! The local mailbox's SMTP server (RFC 5321): the commands that a sender needs, with limits on everything it may send.
//!
//! Written by hand: of the SMTP server crates on crates.io none is maintained (mailin: 2024, samotop: async-std).

use std::{io, time::Duration};

use billwire_schemas::clock::{Clock, SystemClock};
use tokio::{
    io::{AsyncBufRead, AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader},
    net::{TcpListener, TcpStream},
    task::JoinSet,
    time::timeout,
};

use crate::{mail::Mail, ring_buffer::RingBuffer};

/// Longest line accepted, CRLF included (RFC 5321 section 4.5.3.1.6).
const LINE_BYTES_MAX: usize = 1000;
/// Largest mail accepted.
const MAIL_BYTES_MAX: usize = 1 << 20;
/// Most recipients of one mail (RFC 5321 section 4.5.3.1.8 asks for no fewer).
const RECIPIENTS_MAX: usize = 100;
/// Most sessions at once.
const SESSIONS_MAX: usize = 64;
/// How long to wait for the next line.
const LINE_WAIT_MAX: Duration = Duration::from_secs(120);

/// Accepts mails on `listener` and puts them into `mails`, until the future is dropped.
pub async fn serve(listener: TcpListener, mails: RingBuffer<Mail>) {
    let mut sessions = JoinSet::new();
    loop {
        while sessions.try_join_next().is_some() {}
        if sessions.len() >= SESSIONS_MAX {
            sessions.join_next().await;
        }
        match listener.accept().await {
            Ok((stream, _)) => {
                let mails = mails.clone();
                sessions.spawn(async move {
                    if let Err(error) = session(stream, mails).await {
                        tracing::debug!(%error, "an SMTP session ended with an error");
                    }
                });
            }
            // Probably out of file descriptors, for a while.
            Err(error) => {
                tracing::warn!(%error, "the local mailbox cannot accept");
                tokio::time::sleep(Duration::from_millis(100)).await;
            }
        }
    }
}

enum Line {
    Text(Vec<u8>),
    TooLong,
    End,
}

/// The next line. Holds at most [`LINE_BYTES_MAX`] in memory.
async fn line<R: AsyncBufRead + Unpin>(reader: &mut R) -> io::Result<Line> {
    let mut text = Vec::new();
    reader.take(LINE_BYTES_MAX as u64).read_until(b'\n', &mut text).await?;
    if text.ends_with(b"\n") {
        return Ok(Line::Text(text));
    }
    if text.len() < LINE_BYTES_MAX {
        return Ok(Line::End);
    }
    loop {
        let buffered = reader.fill_buf().await?;
        let (end, length) = match buffered.iter().position(|byte| *byte == b'\n') {
            Some(at) => (true, at + 1),
            None => (buffered.is_empty(), buffered.len()),
        };
        reader.consume(length);
        if end {
            return Ok(Line::TooLong);
        }
    }
}

async fn line_in_time<R: AsyncBufRead + Unpin>(reader: &mut R) -> io::Result<Line> {
    timeout(LINE_WAIT_MAX, line(reader)).await.map_err(|_| io::Error::from(io::ErrorKind::TimedOut))?
}

/// The envelope of the current mail.
#[derive(Default)]
struct Envelope {
    from: Option<String>,
    to: Vec<String>,
}

/// What follows a reply.
enum Next {
    Command,
    Data,
    Close,
}

async fn session(stream: TcpStream, mails: RingBuffer<Mail>) -> io::Result<()> {
    let (reader, mut writer) = stream.into_split();
    let mut reader = BufReader::new(reader);
    let mut envelope = Envelope::default();
    writer.write_all(b"220 mailbox.billwire.test ready\r\n").await?;
    loop {
        let (answer, next) = match line_in_time(&mut reader).await? {
            Line::End => return Ok(()),
            Line::TooLong => ("500 the line is too long".to_owned(), Next::Command),
            Line::Text(text) => command(&mut envelope, String::from_utf8_lossy(&text).trim_end()),
        };
        writer.write_all(format!("{answer}\r\n").as_bytes()).await?;
        match next {
            Next::Command => {}
            Next::Close => return Ok(()),
            Next::Data => {
                let Envelope { from, to } = std::mem::take(&mut envelope);
                let answer = match data(&mut reader).await? {
                    Data::Mail(raw) => {
                        let bytes = raw.len() * 2;
                        mails.push(Mail::read(from.unwrap_or_default(), to, &raw, SystemClock.now()), bytes);
                        "250 accepted"
                    }
                    Data::TooMuch => "552 the mail is too large",
                    Data::LineTooLong => "500 a line is too long",
                    Data::End => return Ok(()),
                };
                writer.write_all(format!("{answer}\r\n").as_bytes()).await?;
            }
        }
    }
}

/// The reply to one command. Enforces the order MAIL, RCPT, DATA.
fn command(envelope: &mut Envelope, text: &str) -> (String, Next) {
    let (verb, rest) = text.split_once(' ').unwrap_or((text, ""));
    let mut next = Next::Command;
    let answer = match (verb.to_ascii_uppercase().as_str(), &envelope.from) {
        ("EHLO", _) => {
            *envelope = Envelope::default();
            format!("250-mailbox.billwire.test\r\n250-PIPELINING\r\n250-8BITMIME\r\n250-SMTPUTF8\r\n250 SIZE {MAIL_BYTES_MAX}")
        }
        ("HELO", _) => {
            *envelope = Envelope::default();
            "250 mailbox.billwire.test".to_owned()
        }
        ("MAIL", Some(_)) => "503 nested MAIL command".to_owned(),
        ("MAIL", None) => match path(rest, "FROM:") {
            Some((_, options)) if too_large(options) => "552 the mail is too large".to_owned(),
            Some((from, _)) => {
                envelope.from = Some(from);
                "250 ok".to_owned()
            }
            None => "501 MAIL FROM:<address>".to_owned(),
        },
        ("RCPT" | "DATA", None) => "503 MAIL first".to_owned(),
        ("RCPT", Some(_)) if envelope.to.len() >= RECIPIENTS_MAX => "452 too many recipients".to_owned(),
        ("RCPT", Some(_)) => match path(rest, "TO:").filter(|(to, _)| !to.is_empty()) {
            Some((to, _)) => {
                envelope.to.push(to);
                "250 ok".to_owned()
            }
            None => "501 RCPT TO:<address>".to_owned(),
        },
        ("DATA", Some(_)) if envelope.to.is_empty() => "503 RCPT first".to_owned(),
        ("DATA", Some(_)) => {
            next = Next::Data;
            "354 end with a line that contains only a dot".to_owned()
        }
        ("RSET", _) => {
            *envelope = Envelope::default();
            "250 ok".to_owned()
        }
        ("NOOP", _) => "250 ok".to_owned(),
        ("QUIT", _) => {
            next = Next::Close;
            "221 goodbye".to_owned()
        }
        _ => "502 command not implemented".to_owned(),
    };
    (answer, next)
}

/// The address in `FROM:<address> options`, and the options.
fn path<'a>(text: &'a str, prefix: &str) -> Option<(String, &'a str)> {
    let rest = text.get(prefix.len()..).filter(|_| text[..prefix.len()].eq_ignore_ascii_case(prefix))?;
    let (address, options) = rest.trim_start().strip_prefix('<')?.split_once('>')?;
    Some((address.to_owned(), options))
}

fn too_large(options: &str) -> bool {
    let size =
        options.split_whitespace().find_map(|option| option.get(..5).filter(|n| n.eq_ignore_ascii_case("SIZE=")).map(|_| &option[5..]));
    size.and_then(|size| size.parse::<u64>().ok()).is_some_and(|size| size > MAIL_BYTES_MAX as u64)
}

enum Data {
    Mail(Vec<u8>),
    TooMuch,
    LineTooLong,
    End,
}

/// Reads a mail up to the line that contains only a dot. A refused mail is read to its end too; otherwise the rest would be read as
/// commands. Only CRLF ends a line: with a bare LF a sender could smuggle a second mail in.
async fn data<R: AsyncBufRead + Unpin>(reader: &mut R) -> io::Result<Data> {
    let mut mail = Vec::new();
    let (mut too_much, mut too_long, mut fresh_line) = (false, false, true);
    loop {
        let text = match line_in_time(reader).await? {
            Line::End => return Ok(Data::End),
            Line::TooLong => {
                (too_long, fresh_line) = (true, true);
                continue;
            }
            Line::Text(text) => text,
        };
        if fresh_line && text == b".\r\n" {
            return Ok(match (too_long, too_much) {
                (true, _) => Data::LineTooLong,
                (_, true) => Data::TooMuch,
                _ => Data::Mail(mail),
            });
        }
        // RFC 5321 section 4.5.2: the sender added a dot to a line that starts with one.
        let text = if fresh_line { text.strip_prefix(b".").unwrap_or(&text) } else { &text };
        fresh_line = text.ends_with(b"\r\n");
        if mail.len() + text.len() > MAIL_BYTES_MAX {
            too_much = true;
        } else {
            mail.extend_from_slice(text);
        }
    }
}

#[cfg(test)]
mod tests;
