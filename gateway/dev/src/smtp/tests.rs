//! SMTP sessions over TCP.

use super::*;

struct Sender {
    stream: BufReader<TcpStream>,
    mails: RingBuffer<Mail>,
}

impl Sender {
    async fn connect() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let mails = RingBuffer::default();
        tokio::spawn(serve(listener, mails.clone()));
        let mut sender = Self { stream: BufReader::new(TcpStream::connect(address).await.unwrap()), mails };
        assert!(sender.answer().await.starts_with("220 "));
        sender
    }

    /// The last line of the next reply.
    async fn answer(&mut self) -> String {
        loop {
            let mut line = String::new();
            self.stream.read_line(&mut line).await.unwrap();
            if line.as_bytes().get(3) != Some(&b'-') {
                return line;
            }
        }
    }

    async fn say(&mut self, text: &str) -> String {
        self.stream.get_mut().write_all(text.as_bytes()).await.unwrap();
        self.answer().await
    }

    async fn expect(&mut self, text: &str, code: &str) {
        let answer = self.say(&format!("{text}\r\n")).await;
        assert!(answer.starts_with(code), "{text}: {answer}");
    }

    async fn begin(&mut self) {
        self.expect("MAIL FROM:<billing@acme.example> SIZE=100 BODY=8BITMIME", "250").await;
        self.expect("rcpt to:<finance@acme.example>", "250").await;
        self.expect("DATA", "354").await;
    }
}

#[tokio::test]
async fn a_mail_is_accepted_and_its_dots_are_unstuffed() {
    let mut sender = Sender::connect().await;
    sender.expect("EHLO me", "250").await;
    sender.begin().await;
    sender.expect("Subject: Hello\r\n\r\n..hidden dot\r\n.\nno end\r\nbye\r\n.", "250").await;
    sender.begin().await;
    sender.expect("Subject: Again\r\n\r\n.", "250").await;
    sender.expect("QUIT", "221").await;
    let mails = sender.mails.all();
    assert_eq!(mails.len(), 2);
    assert_eq!((mails[0].from.as_str(), mails[0].to.as_slice()), ("billing@acme.example", &["finance@acme.example".to_owned()][..]));
    assert_eq!(mails[0].subject, "Hello");
    assert_eq!(mails[0].text.as_deref(), Some(".hidden dot\n\nno end\nbye\n"));
    assert_eq!(mails[1].subject, "Again");
}

#[tokio::test]
async fn commands_must_be_in_order() {
    let mut sender = Sender::connect().await;
    for (text, code) in [
        ("HELO me", "250"),
        ("RCPT TO:<a@b.example>", "503"),
        ("DATA", "503"),
        ("MAIL FROM:a@b.example", "501"),
        ("MAIL FROM:<a@b.example> SIZE=99999999", "552"),
        ("MAIL FROM:<>", "250"),
        ("MAIL FROM:<a@b.example>", "503"),
        ("DATA", "503"),
        ("RCPT TO:<>", "501"),
        ("RSET", "250"),
        ("RCPT TO:<a@b.example>", "503"),
        ("NOOP", "250"),
        ("AUTH PLAIN AAAA", "502"),
        ("é", "502"),
        ("MAIL é", "501"),
        ("", "502"),
    ] {
        sender.expect(text, code).await;
    }
    sender.expect(&"x".repeat(5000), "500").await;
    sender.expect("NOOP", "250").await;
}

#[tokio::test]
async fn what_is_too_large_is_refused_and_the_session_goes_on() {
    let mut sender = Sender::connect().await;
    sender.expect("EHLO me", "250").await;
    sender.begin().await;
    let long = "x".repeat(2000);
    sender.expect(&format!("Subject: long\r\n\r\n{long}\r\n."), "500").await;
    sender.begin().await;
    let large = format!("{}\r\n", "y".repeat(900)).repeat(1200);
    sender.expect(&format!("Subject: large\r\n\r\n{large}."), "552").await;
    sender.expect("MAIL FROM:<a@b.example>", "250").await;
    for _ in 0..RECIPIENTS_MAX {
        sender.expect("RCPT TO:<c@d.example>", "250").await;
    }
    sender.expect("RCPT TO:<c@d.example>", "452").await;
    assert_eq!(sender.mails.total(), 0);
}
