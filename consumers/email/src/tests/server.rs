//! An SMTP server that says what a script tells it to.

use std::sync::{Arc, Mutex};

use tokio::{
    io::{AsyncBufReadExt, AsyncWriteExt, BufReader},
    net::{TcpListener, TcpStream},
};

/// What the server answers where it does not simply agree. `None` after the message: it hangs up.
#[derive(Clone)]
pub struct Script {
    pub greeting: &'static str,
    pub offers: &'static str,
    pub starttls: &'static str,
    pub login: &'static str,
    pub sender: &'static str,
    /// What it says to recipients whose address begins so; to others it agrees.
    pub recipients: &'static [(&'static str, &'static str)],
    pub message: Option<&'static str>,
    /// Recipients it accepts for one message; to further ones it says what RFC 821 says.
    pub recipients_max: usize,
    /// What it says to a message that contains this text.
    pub unwanted: Option<(&'static str, &'static str)>,
    /// Messages it takes on one connection before it says 421 and hangs up.
    pub messages_max: usize,
    pub silent_at: Option<&'static str>,
}

pub const AGREES: Script = Script {
    greeting: "220 scripted",
    offers: "250-scripted\r\n250 AUTH PLAIN LOGIN",
    starttls: "220 go on",
    login: "235 welcome",
    sender: "250 ok",
    recipients: &[],
    recipients_max: usize::MAX,
    unwanted: None,
    message: Some("250 2.0.0 queued as 42"),
    messages_max: usize::MAX,
    silent_at: None,
};

#[derive(Default)]
pub struct Seen {
    pub connections: usize,
    pub commands: Vec<String>,
    pub messages: Vec<String>,
}

pub struct Server {
    pub port: u16,
    pub seen: Arc<Mutex<Seen>>,
    /// Has it close its connections.
    pub closing: Arc<tokio::sync::Notify>,
}

impl Server {
    pub async fn start(script: Script) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let server = Self { port: listener.local_addr().unwrap().port(), seen: Arc::default(), closing: Arc::default() };
        let (seen, closing) = (Arc::clone(&server.seen), Arc::clone(&server.closing));
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                seen.lock().unwrap().connections += 1;
                let (script, seen, closing) = (script.clone(), Arc::clone(&seen), Arc::clone(&closing));
                tokio::spawn(async move {
                    tokio::select! {
                        _ = converse(stream, &script, &seen) => {}
                        () = closing.notified() => {}
                    }
                });
            }
        });
        server
    }

    pub fn commands(&self) -> Vec<String> {
        self.seen.lock().unwrap().commands.clone()
    }
}

async fn converse(stream: TcpStream, script: &Script, seen: &Mutex<Seen>) -> std::io::Result<()> {
    let (read, mut write) = stream.into_split();
    let mut lines = BufReader::new(read).lines();
    write.write_all(format!("{}\r\n", script.greeting).as_bytes()).await?;
    let (mut taken, mut accepted) = (0, 0);
    while let Some(line) = lines.next_line().await? {
        let verb = line.split(' ').next().unwrap_or_default().to_ascii_uppercase();
        let said = line.clone();
        seen.lock().unwrap().commands.push(line);
        if script.silent_at == Some(verb.as_str()) {
            std::future::pending::<()>().await;
        }
        let answer = match verb.as_str() {
            "EHLO" => script.offers,
            "STARTTLS" => script.starttls,
            "AUTH" => script.login,
            "MAIL" if taken >= script.messages_max => return write.write_all(b"421 4.4.2 enough of this connection\r\n").await,
            "MAIL" => {
                accepted = 0;
                script.sender
            }
            "RCPT" if accepted >= script.recipients_max => "552 too many recipients",
            "RCPT" => {
                accepted += 1;
                script.recipients.iter().find(|(address, _)| said.contains(address)).map_or("250 ok", |(_, answer)| answer)
            }
            "DATA" => {
                write.write_all(b"354 go on\r\n").await?;
                let mut message = String::new();
                while let Some(line) = lines.next_line().await?.filter(|line| line != ".") {
                    message.push_str(&line);
                    message.push('\n');
                }
                let unwanted = script.unwanted.filter(|(text, _)| message.contains(text)).map(|(_, answer)| answer);
                seen.lock().unwrap().messages.push(message);
                taken += 1;
                let Some(answer) = unwanted.or(script.message) else { return Ok(()) };
                answer
            }
            "QUIT" => return write.write_all(b"221 bye\r\n").await,
            _ => "250 ok",
        };
        write.write_all(format!("{answer}\r\n").as_bytes()).await?;
    }
    Ok(())
}
